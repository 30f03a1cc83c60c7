"""Tasks of lm-eval are asked of the edited model in memory, and give what a plain count gives."""

from __future__ import annotations

import logging
import math
import random
import sys

import numpy as np
import pytest
import torch

from memla.editors.edits import RowSparse, WeightDelta
from memla.errors import DataError, MissingExtraError, UnknownNameError
from memla.evaluation.downstream.tasks import Tasks
from memla.evaluation.downstream.windows import fitted
from tests.unit.evaluation.downstream.conftest import ENTAILMENT, PLAUSIBLE

pytestmark = pytest.mark.filterwarnings("ignore")  # of lm-eval and the libraries under it


def continuation_log_prob(model, context, continuation):
    """The plain way: tokens of both, one forward pass, no batches."""
    start = model.tokenizer(context)["input_ids"]
    ids = model.tokenizer(context + continuation)["input_ids"]
    assert ids[: len(start)] == start
    with torch.no_grad():
        scores = model.model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return sum(scores[place - 1, ids[place]].item() for place in range(len(start), len(ids)))


def argmax(values):
    return max(range(len(values)), key=values.__getitem__)


def expected(model):
    """Accuracies by task and metric."""
    right = []
    for _, premise, hypothesis, label in ENTAILMENT:
        context = f"{premise}\nQuestion: {hypothesis} True, False, or Neither?\nAnswer:"
        choices = [
            continuation_log_prob(model, context, f" {one}") for one in ("True", "Neither", "False")
        ]
        right.append(argmax(choices) == label)
    found = {("entailment_world", "acc"): sum(right) / len(right)}
    plain, normed = [], []
    for _, goal, *solutions, label in PLAUSIBLE:
        context = f"Question: {goal}\nAnswer:"
        scores = [continuation_log_prob(model, context, f" {one}") for one in solutions]
        plain.append(argmax(scores) == label)
        by_length = [score / len(one) for score, one in zip(scores, solutions, strict=True)]
        normed.append(argmax(by_length) == label)
    found["plausible_world", "acc"] = sum(plain) / len(plain)
    found["plausible_world", "acc_norm"] = sum(normed) / len(normed)
    return found


def measured(tasks, model):
    return {(one.task, one.metric): one for one in tasks.measure(model)}


def shake(model, seed):
    update = torch.randn(24, model.d_model, generator=torch.Generator().manual_seed(seed))
    return WeightDelta({1: RowSparse(torch.arange(24), 3 * update)}, model.fingerprint())


@pytest.fixture
def world(task_folder):
    return Tasks(["entailment_world", "plausible_world"], folder=str(task_folder), batch_size=4)


def test_accuracies_are_those_of_a_plain_count_for_every_edit(world, tiny_model):
    seen = set()
    for seed in (None, 1, 2, 3):
        if seed is None:
            found, reference = measured(world, tiny_model), expected(tiny_model)
        else:
            with shake(tiny_model, seed).applied(tiny_model) as edited:
                found, reference = measured(world, edited), expected(edited)
        assert {key: one.value for key, one in found.items()} == pytest.approx(reference)
        seen.add(tuple(reference.values()))
    assert len(seen) > 1, "the edits changed nothing, so nothing was tried"


def test_a_number_tells_how_many_documents_and_how_sure(world, tiny_model):
    found = measured(world, tiny_model)
    one = found["entailment_world", "acc"]
    assert one.n == len(ENTAILMENT)
    p = one.value
    assert one.stderr == pytest.approx(math.sqrt(p * (1 - p) / (one.n - 1)))
    assert one.language is None


def test_answers_are_scored_as_lm_eval_scores_models_of_hugging_face(task_folder, tiny_model):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from memla.evaluation.downstream.harness_model import HarnessModel

    pairs = [
        ("Столица Франции", " Париж"),
        ("เมืองหลวงของไทยคือ ", "กรุงเทพ"),
        ("", "首都は東京"),
        ("日本的首都是\n", "東京 "),
    ]
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=number)
        for number, pair in enumerate(pairs)
    ]
    theirs = HFLM(
        pretrained=tiny_model.model, tokenizer=tiny_model.tokenizer, backend="causal", batch_size=2
    ).loglikelihood(requests, disable_tqdm=True)
    ours = HarnessModel(tiny_model, 3).loglikelihood(requests)
    for (score, is_greedy), (reference, greedy) in zip(ours, theirs, strict=True):
        assert score == pytest.approx(reference, abs=1e-3)
        assert is_greedy == greedy


def test_texts_are_read_and_answers_written(task_folder, tiny_model):
    tasks = Tasks(["read_world", "written_world"], folder=str(task_folder))
    found = measured(tasks, tiny_model)
    mark = tiny_model.tokenizer.eos_token
    nats = [continuation_log_prob(tiny_model, mark, premise) for _, premise, _, _ in ENTAILMENT]
    n_bytes = sum(len(premise.encode()) for _, premise, _, _ in ENTAILMENT)
    bits = -sum(nats) / math.log(2) / n_bytes
    assert found["read_world", "bits_per_byte"].value == pytest.approx(bits, rel=1e-4)
    assert found["written_world", "exact_match"].value == 0


def test_a_context_that_is_too_long_loses_its_beginning(tiny_model):
    from lm_eval.api.instance import Instance

    from memla.evaluation.downstream.harness_model import HarnessModel

    context, answer = "首都は東京、столица — Токио. " * 40, " โตเกียว"
    request = Instance(request_type="loglikelihood", doc={}, arguments=(context, answer), idx=0)
    ((score, _),) = HarnessModel(tiny_model).loglikelihood([request])
    limit = tiny_model.model.config.max_position_embeddings
    bare, answer = context.rstrip(), " " + answer
    rest = fitted(tiny_model, bare, answer)
    assert bare.endswith(rest)
    n_tokens = len(tiny_model.tokenizer(rest + answer)["input_ids"])
    assert limit - 3 <= n_tokens <= limit < len(tiny_model.tokenizer(bare)["input_ids"])
    assert score == pytest.approx(continuation_log_prob(tiny_model, rest, answer), abs=1e-3)
    with pytest.raises(DataError, match="do not fit into the 128"):
        fitted(tiny_model, bare, "東京" * 99)
    written = Instance(
        request_type="generate_until", doc={}, arguments=(context, {"max_gen_toks": 9999}), idx=0
    )
    (text,) = HarnessModel(tiny_model).generate_until([written])
    assert isinstance(text, str)


def test_what_is_written_ends_at_a_stop(tiny_model):
    from lm_eval.api.instance import Instance

    from memla.evaluation.downstream.harness_model import HarnessModel

    (whole,) = tiny_model.generate(["ไทย"], max_new_tokens=12)
    middle = whole.text[len(whole.text) // 2]
    options = {"until": [middle, ""], "max_gen_toks": 12}
    request = Instance(request_type="generate_until", doc={}, arguments=("ไทย", options), idx=0)
    (text,) = HarnessModel(tiny_model).generate_until([request])
    assert text == whole.text.partition(middle)[0]
    assert HarnessModel(tiny_model).generate_until([]) == []


def test_answers_at_random_are_refused(tiny_model):
    from lm_eval.api.instance import Instance

    from memla.errors import SettingError
    from memla.evaluation.downstream.harness_model import HarnessModel

    options = {"until": ["。"], "do_sample": True, "temperature": 0.7}
    request = Instance(request_type="generate_until", doc={}, arguments=("首都", options), idx=0)
    with pytest.raises(SettingError, match="at random"):
        HarnessModel(tiny_model).generate_until([request])


def test_a_limit_and_examples_before_the_question_are_heeded(task_folder, tiny_model):
    few = Tasks(["plausible_world"], folder=str(task_folder), limit=2, few_shot=1)
    found = measured(few, tiny_model)
    assert {one.n for one in found.values()} == {2}
    (task,) = few._loaded["tasks"].values()
    assert all(
        request.args[0].count("Question:") == 2 for request in task.instances if request.idx == 0
    )


@pytest.mark.slow  # all of lm-eval's own tasks are looked through
def test_a_task_that_is_not_there_is_named_with_the_nearest(task_folder):
    with pytest.raises(UnknownNameError, match="'entailment_word'") as caught:
        Tasks(["entailment_word"], folder=str(task_folder))
    assert "'entailment_world'" in caught.value.hint


def test_documents_that_are_not_there_are_told(task_folder):
    (task_folder / "p.jsonl").unlink()
    with pytest.raises(DataError, match="plausible_world cannot be loaded"):
        Tasks(["plausible_world"], folder=str(task_folder))


def test_without_lm_eval_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(MissingExtraError, match="lm-eval") as caught:
        Tasks(["首都"])
    assert "memla[downstream]" in caught.value.hint


def test_random_states_stay_as_they_were(world, tiny_model):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    list(world.measure(tiny_model))
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_lm_eval_says_nothing_on_its_own(world, tiny_model, caplog, capfd):
    with caplog.at_level(logging.WARNING):
        list(world.measure(tiny_model))
    assert caplog.records == []
    assert capfd.readouterr().out == ""
