"""Applying an edit and taking it back."""

from __future__ import annotations

import pytest
import torch

from memla.editors.edits import Dense, LowRank, Part, RowSparse, WeightDelta
from memla.errors import EditMismatchError
from memla.models import tiny
from memla.models.language_model import LanguageModel

PROMPT = "日本の首都は"


def weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.model.named_parameters()}


def assert_same_bits(model: LanguageModel, before: dict[str, torch.Tensor]) -> None:
    for name, value in model.model.named_parameters():
        torch.testing.assert_close(value.detach(), before[name], rtol=0, atol=0)


def random_parts(model: LanguageModel, seed: int = 0) -> dict[int, Part]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        0: RowSparse(torch.tensor([1, 5, 20]), draw(3, model.d_model)),
        1: LowRank(draw(model.d_ff, 2), draw(2, model.d_model)),
        2: Dense(draw(model.d_ff, model.d_model)),
    }


def delta_for(model: LanguageModel, seed: int = 0) -> WeightDelta:
    return WeightDelta(random_parts(model, seed), model.fingerprint(), {"model": model.name})


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_an_edit_adds_each_part_to_the_neurons_rows_and_restores_every_bit(family: str) -> None:
    model = tiny.tiny_model(family)
    before = weights(model)
    rows = {layer: model.value_rows(layer).clone() for layer in range(3)}
    edit = delta_for(model)
    with edit.applied(model) as edited:
        assert edited is model
        for layer, part in edit.deltas.items():
            expected = rows[layer] + part.dense(model.d_ff)
            torch.testing.assert_close(model.value_rows(layer), expected, rtol=0, atol=0)
    assert_same_bits(model, before)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_every_bit_is_back_after_an_exception(
    tiny_model: LanguageModel, error: type[BaseException]
) -> None:
    before = weights(tiny_model)
    with pytest.raises(error), delta_for(tiny_model).applied(tiny_model):
        raise error
    assert_same_bits(tiny_model, before)


class InterruptedTensor(torch.Tensor):
    """A tensor that presses Ctrl-C when it is moved to a type, in the middle of an edit."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is torch.Tensor.to:
            raise KeyboardInterrupt
        return super().__torch_function__(func, types, args, kwargs or {})


def test_ctrl_c_between_two_layers_leaves_nothing_behind(tiny_model: LanguageModel) -> None:
    before = weights(tiny_model)
    parts = random_parts(tiny_model)
    last = parts[2]
    assert isinstance(last, Dense)
    parts[2] = Dense(last.update.as_subclass(InterruptedTensor))
    edit = WeightDelta(parts, tiny_model.fingerprint())
    with pytest.raises(KeyboardInterrupt), edit.applied(tiny_model):
        pytest.fail("the edit was applied")
    assert_same_bits(tiny_model, before)


def test_edits_of_the_same_model_nest_and_come_off_one_by_one(tiny_model: LanguageModel) -> None:
    before = weights(tiny_model)
    first, second = delta_for(tiny_model, 1), delta_for(tiny_model, 2)
    with first.applied(tiny_model):
        once = weights(tiny_model)
        with second.applied(tiny_model), first.applied(tiny_model):
            assert not torch.equal(
                tiny_model.value_rows(0), once["transformer.h.0.mlp.c_proj.weight"]
            )
        assert_same_bits(tiny_model, once)
    assert_same_bits(tiny_model, before)


def test_an_edit_made_on_an_edited_model_applies_on_top_of_it_only(
    tiny_model: LanguageModel,
) -> None:
    first = delta_for(tiny_model, 1)
    with first.applied(tiny_model):
        second = delta_for(tiny_model, 2)
    with first.applied(tiny_model), second.applied(tiny_model):
        pass
    with pytest.raises(EditMismatchError), second.applied(tiny_model):
        pytest.fail("the edit was applied")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_sums_are_rounded_once_to_the_weights_type(dtype: torch.dtype) -> None:
    model = tiny.tiny_model("llama")
    model.model.to(dtype)
    before = weights(model)
    row = model.value_rows(0)[5].clone()
    update = torch.full((1, model.d_model), 1e-3)
    edit = WeightDelta({0: RowSparse(torch.tensor([5]), update)}, model.fingerprint())
    with edit.applied(model):
        wide = torch.promote_types(dtype, torch.float32)
        expected = (row.to(wide) + update[0].to(wide)).to(dtype)
        torch.testing.assert_close(model.value_rows(0)[5], expected, rtol=0, atol=0)
    assert_same_bits(model, before)


def test_negative_zeros_and_nans_come_back_as_they_were(tiny_model: LanguageModel) -> None:
    rows = tiny_model.value_rows(0)
    rows[1, 0], rows[1, 1] = -0.0, float("nan")
    before = rows.clone().view(torch.int32)
    with delta_for(tiny_model).applied(tiny_model):
        pass
    assert torch.equal(tiny_model.value_rows(0).view(torch.int32), before)


def test_other_weights_are_refused_unless_told_otherwise(tiny_model: LanguageModel) -> None:
    other = tiny.tiny_model("gpt2", seed=1)
    edit = delta_for(tiny_model)
    with pytest.raises(EditMismatchError, match="strict=False"), edit.applied(other):
        pytest.fail("the edit was applied")
    before = weights(other)
    with edit.applied(other, strict=False):
        assert not torch.equal(other.value_rows(0), before["transformer.h.0.mlp.c_proj.weight"])
    assert_same_bits(other, before)


@pytest.mark.parametrize(
    "part",
    [
        RowSparse(torch.tensor([64]), torch.zeros(1, 32)),
        RowSparse(torch.tensor([0]), torch.zeros(1, 16)),
        LowRank(torch.zeros(32, 1), torch.zeros(1, 32)),
        LowRank(torch.zeros(64, 1), torch.zeros(1, 16)),
        Dense(torch.zeros(32, 64)),
    ],
)
def test_other_sizes_are_refused_with_both_named(tiny_model: LanguageModel, part: Part) -> None:
    edit = WeightDelta({0: part}, tiny_model.fingerprint(), {"model": "gpt2"})
    with (
        pytest.raises(EditMismatchError, match="64 neurons and 32"),
        edit.applied(tiny_model, strict=False),
    ):
        pytest.fail("the edit was applied")


def test_a_layer_the_model_lacks_is_refused(tiny_model: LanguageModel) -> None:
    edit = WeightDelta({7: Dense(torch.zeros(64, 32))}, tiny_model.fingerprint())
    with pytest.raises(EditMismatchError, match="layer 7"), edit.applied(tiny_model):
        pytest.fail("the edit was applied")


def test_parts_agree_on_the_change_whichever_way_it_is_written() -> None:
    sparse = RowSparse(torch.tensor([2, 0]), torch.arange(6.0).reshape(2, 3))
    expected = torch.tensor([[3.0, 4, 5], [0, 0, 0], [0, 1, 2]])
    assert torch.equal(sparse.dense(3), expected)
    assert torch.equal(sparse.factors(3).dense(3), expected)
    assert torch.equal(Dense(expected).factors(3).dense(3), expected)
    with pytest.raises(EditMismatchError):
        Dense(expected).dense(4)
    with pytest.raises(EditMismatchError):
        sparse.factors(3).dense(4)
    with pytest.raises(EditMismatchError):
        sparse.factors(3).factors(4)


def test_an_edit_changes_what_the_model_answers_and_only_inside_the_block(
    tiny_model: LanguageModel,
) -> None:
    def score() -> float:
        return tiny_model.log_probs([PROMPT], ["京都"], ["ja"])[0].joint

    before = score()
    with delta_for(tiny_model).applied(tiny_model):
        assert abs(score() - before) > 1e-3
    assert score() == before


def test_a_description_says_what_changes(tiny_model: LanguageModel) -> None:
    text = delta_for(tiny_model).describe()
    assert text["kind"] == "weight_delta"
    assert text["n_values"] == 3 + 3 * 32 + 2 * (64 + 32) + 64 * 32
    assert text["layers"]["0"] == {"part": "row_sparse", "shape": [[3], [3, 32]]}  # type: ignore[index]
