"""The compact form of MEMLA's editors against the dense one of the paper, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from memla.editors.edits import LowRank, RowSparse
from memla.editors.memla.adapters import LayerEditors, attached, make_factors
from memla.editors.memla.coefficient import scales
from memla.editors.memla.objective import LossWeights, make_objective
from memla.editors.memla.training import Schedule, train
from memla.editors.remembered import lower_blocks_remembered
from memla.facts import EditRequest
from memla.models import tiny
from memla.models.language_model import LanguageModel
from tests.reference import memla as reference

NEURONS = {1: ((3, 40), (7,)), 2: ((0, 9, 63), ())}
REQUESTS = [
    EditRequest(
        fact="capital",
        language="zh",
        prompt="{}的首都是",
        subject="泰国",
        target_new="清迈",
        target_true="曼谷",
    ),
    EditRequest(
        fact="capital",
        language="ru",
        prompt="Столица {} —",
        subject="Таиланда",
        target_new="Чиангмай",
        target_true="Бангкок",
    ),
]
ELSEWHERE = [
    EditRequest(fact="j", language="zh", prompt="{}的首都是", subject="日本", target_true="东京"),
    EditRequest(fact="r", language="ru", prompt="Столица {} —", subject="России"),
]
WEIGHTS = LossWeights(
    new_weight=2.5,
    nll_reduction="sum",
    old_term="probability",
    old_weight=2.0,
    locality_weight=0.7,
)
LEARNING_RATE = 1e-2
STEPS = 5


def double_model(family: str) -> LanguageModel:
    model = tiny.tiny_model(family)
    model.model.double()
    return model


def compact(
    model: LanguageModel,
    parametrisation: str,
    weights: LossWeights,
    *,
    masked: bool = True,
    spread: float | None = 1.0,
) -> tuple[dict[int, Tensor], float, dict[int, LayerEditors]]:
    generator = torch.Generator().manual_seed(3)
    editors = {
        layer: LayerEditors(
            *(
                make_factors(
                    neurons,
                    model=model,
                    masked=masked,
                    parametrisation=parametrisation,  # type: ignore[arg-type]
                    rank_per_neuron=2,
                    spread=spread,
                    device=torch.device("cpu"),
                    generator=generator,
                )
                if neurons
                else None
                for neurons in both
            ),
            model.d_ff,
        )
        for layer, both in NEURONS.items()
    }
    schedule = Schedule(LEARNING_RATE, LEARNING_RATE, STEPS, 0.0, 2.0)
    with lower_blocks_remembered(model, 1):
        objective = make_objective(model, REQUESTS, ELSEWHERE, weights, "auto", with_old=True)
        with attached(model, editors, scales("one", 1.0, editors, {1: 1.0, 2: 1.0})):
            trained = train(objective, editors, schedule)
    assert trained.steps == STEPS
    updates = {layer: editor.part(1.0).dense(model.d_ff) for layer, editor in editors.items()}
    return updates, trained.last.loss.item(), editors


def dense(
    model: LanguageModel,
    zero_side: str,
    weights: LossWeights,
    *,
    masked: bool = True,
    spread: float | None = 1.0,
) -> tuple[dict[int, Tensor], float]:
    generator = torch.Generator().manual_seed(3)
    editors = [
        reference.dense_editor(
            model,
            layer,
            neurons,
            masked=masked,
            zero_side=zero_side,
            rank_per_neuron=2,
            spread=spread,
            generator=generator,
        )
        for layer, both in NEURONS.items()
        for neurons in both
        if neurons
    ]
    ids_elsewhere = [model.tokenizer(request.text)["input_ids"] for request in ELSEWHERE]
    with torch.no_grad():
        before = [reference.edited_logits(model, {}, ids)[-1] for ids in ids_elsewhere]

    def loss_of(updates: Mapping[int, Tensor]) -> Tensor:
        loss = torch.zeros((), dtype=torch.float64)
        for request in REQUESTS:
            joint = []
            for answer in (request.target_new, request.target_true):
                composed = model.compose(request.text, answer or "", request.language)
                logits = reference.edited_logits(model, updates, composed.ids)
                joint.append(
                    reference.answer_log_prob(logits, composed.prompt_length, composed.ids)
                )
            loss = loss - weights.new_weight * joint[0]
            if weights.old_term == "probability":
                loss = loss + weights.old_weight * joint[1].exp()
            else:
                loss = loss - weights.old_weight * torch.log(1 - joint[1].exp())
        for ids, old in zip(ids_elsewhere, before, strict=True):
            new = reference.edited_logits(model, updates, ids)[-1].log_softmax(-1)
            p = old.softmax(-1)
            loss = loss + weights.locality_weight * (p * (p.log() - new)).sum() / len(ELSEWHERE)
        return loss

    updates, losses = reference.train_dense(
        editors, loss_of, learning_rate=LEARNING_RATE, steps=STEPS
    )
    return updates, losses[-1]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("parametrisation", "zero_side"), [("factor_n0", "neurons"), ("factor_d0", "model")]
)
def test_masked_rows_of_the_factors_are_all_that_training_needs(
    family: str, parametrisation: str, zero_side: str
) -> None:
    model = double_model(family)
    updates, loss, _ = compact(model, parametrisation, WEIGHTS)
    expected, expected_loss = dense(model, zero_side, WEIGHTS)
    assert abs(loss - expected_loss) < 1e-10 * expected_loss
    for layer, update in expected.items():
        torch.testing.assert_close(updates[layer], update, rtol=0, atol=1e-12)
        assert update.abs().max() > 1e-3


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_without_masks_the_update_is_the_whole_product(family: str) -> None:
    model = double_model(family)
    updates, _, editors = compact(model, "factor_n0", WEIGHTS, masked=False, spread=None)
    expected, _ = dense(model, "neurons", WEIGHTS, masked=False, spread=None)
    for layer, update in expected.items():
        torch.testing.assert_close(updates[layer], update, rtol=0, atol=1e-12)
        assert isinstance(editors[layer].part(1.0), LowRank)
        assert editors[layer].norm().item() == pytest.approx(update.norm().item())


def test_masking_changes_only_the_masked_neurons() -> None:
    model = double_model("llama")
    updates, _, editors = compact(model, "factor_n0", WEIGHTS)
    for layer, (specific, shared) in NEURONS.items():
        part = editors[layer].part(1.0)
        assert isinstance(part, RowSparse)
        assert part.rows.tolist() == sorted((*specific, *shared))
        others = [row for row in range(model.d_ff) if row not in (*specific, *shared)]
        zero = torch.zeros(len(others), model.d_model, dtype=torch.float64)
        torch.testing.assert_close(updates[layer][others], zero, rtol=0, atol=0)


def test_the_unlikelihood_term_is_the_one_of_its_definition() -> None:
    model = double_model("gpt2")
    weights = LossWeights(1.0, "sum", "unlikelihood", 3.0, 0.0)
    updates, loss, _ = compact(model, "factor_n0", weights)
    expected, expected_loss = dense(model, "neurons", weights)
    assert abs(loss - expected_loss) < 1e-10 * expected_loss
    torch.testing.assert_close(updates[1], expected[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_blocks_that_are_remembered_give_the_same_training(family: str) -> None:
    model = tiny.tiny_model(family)

    def losses(layer: int) -> list[float]:
        with torch.no_grad(), lower_blocks_remembered(model, layer):
            objective = make_objective(model, REQUESTS, ELSEWHERE, WEIGHTS, "auto", with_old=True)
            found = []
            generator = torch.Generator().manual_seed(0)
            for _ in range(3):
                editor = make_factors(
                    [1, 4],
                    model=model,
                    masked=True,
                    parametrisation="dense_rows",
                    rank_per_neuron=1,
                    spread=1.0,
                    device=torch.device("cpu"),
                    generator=generator,
                )
                editor.down.copy_(torch.randn(editor.down.shape, generator=generator))
                with attached(model, {2: LayerEditors(editor, None, model.d_ff)}, {2: lambda: 1.0}):
                    found.append(objective.evaluate().loss.item())
        return found

    remembered, plain = losses(2), losses(0)
    assert remembered == plain
    assert len(set(plain)) == 3
    assert all("forward" not in block.__dict__ for block in map(model.block, range(3)))
