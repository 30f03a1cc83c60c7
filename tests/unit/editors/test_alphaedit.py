"""What AlphaEdit leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memla.editors.alphaedit import AlphaEditConfig, AlphaEditEditor
from memla.editors.edits import WeightDelta
from memla.editors.keys import look, memory_of
from memla.editors.memit import MemitConfig, MemitEditor
from memla.errors import EditError
from memla.facts import EditRequest
from memla.models import tiny
from memla.models.language_model import LanguageModel
from memla.testing.test_editors import REFERENCES, REQUESTS

THREE = (REQUESTS["zh"], REQUESTS["th"], REQUESTS["en"])
FEW = REFERENCES[1::2]
"""Two Chinese statements: fewer tokens than neurons, so that a null space is left."""


def wide_model(family: str = "gpt2") -> LanguageModel:
    return tiny.tiny_model(family, d_ff=256)


def edited(
    model: LanguageModel,
    *,
    references: tuple[EditRequest, ...] = FEW,
    seed: int = 0,
    preset: str = "recommended",
    **changes: object,
) -> WeightDelta:
    quick = {"layers": (0, 1), "steps": 4, "contexts": {"n_long": 1, "long_length": 3}}
    config = AlphaEditConfig.preset(preset, quick | changes)
    return AlphaEditEditor(config).edit(model, THREE, references=references, seed=seed)


def states(model: LanguageModel, texts: tuple[str, ...]) -> list[Tensor]:
    return [
        model.hidden_states(torch.tensor([model.tokenizer(text)["input_ids"]])) for text in texts
    ]


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom", "gemma2"])
def test_text_the_covariance_was_taken_from_is_read_as_before(family: str) -> None:
    model = tiny.tiny_model(family, d_model=64, d_ff=256)
    statements = tuple(one.text + (one.target_true or "") for one in FEW)
    settings = {"nullspace_threshold": 1e-3, "preserve": "none"}
    before = states(model, statements), states(model, (THREE[0].text,))
    with edited(model, **settings).applied(model):
        for now, then in zip(states(model, statements), before[0], strict=True):
            torch.testing.assert_close(now, then, rtol=0, atol=1e-3)
        assert (states(model, (THREE[0].text,))[0] - before[1][0]).abs().max() > 0.05
    config = MemitConfig.preset(
        "recommended", {"layers": (0, 1), "steps": 4, "covariance": {"kind": "identity"}}
    )
    with MemitEditor(config).edit(model, THREE).applied(model):
        changed = zip(states(model, statements), before[0], strict=True)
        assert max(float((now - then).abs().max()) for now, then in changed) > 0.01


def change_at(model: LanguageModel, edit: WeightDelta, requests: tuple[EditRequest, ...]) -> float:
    """How much the updates write at the subjects of some statements, on the average."""
    memories = [memory_of(model, one, ("",)) for one in requests]
    keys, _ = look(model, memories, key_layers=(0, 1), value_layer=1, site="block")
    written = [
        keys[layer].T @ part.dense(model.d_ff).double() for layer, part in edit.deltas.items()
    ]
    return float(torch.cat(written).norm(dim=-1).mean())


def test_keys_of_references_are_preserved_besides_the_null_space() -> None:
    model = wide_model()
    settings = {"nullspace_threshold": 3.0, "relative_l2": 1e-3}
    with_keys = edited(model, references=REFERENCES, **settings)
    without = edited(model, references=REFERENCES, preserve="none", **settings)
    kept = change_at(model, with_keys, REFERENCES), change_at(model, without, REFERENCES)
    assert kept[0] < 0.1 * kept[1]
    assert change_at(model, with_keys, THREE) > 10 * kept[0]
    counts: Any = with_keys.info["null_space"]
    assert {layer: one["preserved"] for layer, one in counts.items()} == {"0": 4, "1": 4}


def test_which_keys_are_preserved_is_drawn_with_the_seed_and_not_by_their_order() -> None:
    model = wide_model()

    def update(seed: int, references: tuple[EditRequest, ...]) -> Tensor:
        settings = {"nullspace_threshold": 3.0, "preserve_facts": 1}
        return edited(model, references=references, seed=seed, **settings).deltas[0].dense(256)

    first = update(0, REFERENCES)
    torch.testing.assert_close(first, update(0, REFERENCES[::-1]), rtol=0, atol=1e-4)
    others = [update(seed, REFERENCES) for seed in range(1, 6)]
    assert any(float((first - other).abs().max()) > 1e-3 for other in others)


def test_the_ridge_is_relative_to_the_keys_or_a_number() -> None:
    model = wide_model()
    relative: Any = edited(model, relative_l2=0.5).info["null_space"]
    absolute: Any = edited(model, preset="authors", nullspace_threshold=5.0).info["null_space"]
    assert all(0 < one["dimensions"] < 256 for one in relative.values())
    assert all(0 < one["share_of_keys"] < 1 for one in relative.values())
    assert {one["l2"] for one in absolute.values()} == {10.0}
    assert {one["preserved"] for one in absolute.values()} == {0}
    assert relative["0"]["l2"] != relative["1"]["l2"]


def test_where_no_direction_is_left_the_error_says_what_to_change(
    tiny_model: LanguageModel,
) -> None:
    with pytest.raises(EditError, match="no eigenvalue") as caught:
        edited(tiny_model, covariance={"kind": "identity"})
    assert "nullspace_threshold" in str(caught.value.hint)
