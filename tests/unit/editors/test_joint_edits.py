"""One edit of several languages and several facts."""

from __future__ import annotations

import pytest
import torch

from memla.editors.ft.config import FtConfig
from memla.editors.ft.editor import FtEditor
from memla.editors.memla.config import MemlaConfig
from memla.editors.memla.editor import MemlaEditor
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from memla.testing.test_editors import REQUESTS, capital

JAPAN = capital("zh", "日本", "京都", "东京", "japan")
RUSSIA = EditRequest(
    fact="russia",
    language="ru",
    prompt="Столица {} —",
    subject="России",
    target_new="Тула",
    target_true="Москва",
)
TOGETHER = {
    "three languages of a fact": [REQUESTS["th"], REQUESTS["zh"], REQUESTS["en"]],
    "three facts": [REQUESTS["th"], JAPAN, RUSSIA],
    "two languages of a fact and another fact": [REQUESTS["th"], REQUESTS["zh"], RUSSIA],
}
together = pytest.mark.parametrize("requests", TOGETHER.values(), ids=TOGETHER)


def memla_editor(**changes: object) -> MemlaEditor:
    everywhere = {"depth": None, "scope": "global", "threshold": 0.1, "contrast": 0}
    return MemlaEditor(
        MemlaConfig.preset("recommended", {"identification": everywhere, "steps": 8, **changes})
    )


def ft_editor(**changes: object) -> FtEditor:
    return FtEditor(FtConfig.preset("recommended", {"steps": 8, **changes}))


@together
def test_losses_of_what_memla_writes_together_add_up(
    tiny_model: LanguageModel, requests: list[EditRequest]
) -> None:
    editor = memla_editor(steps=0)

    def loss(*chosen: EditRequest) -> float:
        info = editor.edit(tiny_model, chosen).describe()
        before = info["before"]
        assert isinstance(before, dict)
        assert len(before["p_new"]) == len(chosen)
        return float(before["loss"])

    assert loss(*requests) == pytest.approx(sum(loss(item) for item in requests), rel=1e-5)


@together
def test_losses_of_what_fine_tuning_writes_together_add_up(
    tiny_model: LanguageModel, requests: list[EditRequest]
) -> None:
    editor = ft_editor(steps=0)
    losses = [editor.edit(tiny_model, [item]).info["losses"][0] for item in requests]
    assert editor.edit(tiny_model, requests).info["losses"][0] == pytest.approx(sum(losses))


@together
@pytest.mark.parametrize("editor", [memla_editor(), ft_editor()], ids=["memla", "ft"])
def test_every_new_answer_that_is_written_becomes_more_probable(
    tiny_model: LanguageModel, editor: MemlaEditor | FtEditor, requests: list[EditRequest]
) -> None:
    def scores() -> list[float]:
        asked = [(item.text, item.target_new or "", item.language) for item in requests]
        return [score.joint for score in tiny_model.log_probs(*map(list, zip(*asked, strict=True)))]

    before = scores()
    with editor.edit(tiny_model, requests).applied(tiny_model):
        assert all(new > old + 1 for new, old in zip(scores(), before, strict=True))


def test_the_order_of_requests_changes_a_joint_edit_by_rounding_alone(
    tiny_model: LanguageModel,
) -> None:
    for editor in (memla_editor(), ft_editor()):
        first = editor.edit(tiny_model, [REQUESTS["th"], JAPAN, RUSSIA])
        second = editor.edit(tiny_model, [RUSSIA, REQUESTS["th"], JAPAN])
        assert sorted(first.deltas) == sorted(second.deltas)
        for layer, part in first.deltas.items():
            difference = part.dense(64) - second.deltas[layer].dense(64)
            assert torch.linalg.vector_norm(difference) < 0.02 * torch.linalg.vector_norm(
                part.dense(64)
            )
