"""Which neurons surgery finds, what it writes into them, and that it comes off again."""

from __future__ import annotations

import pytest
import torch

from memla.cli.options import parse_settings
from memla.editors.edits import RowSparse
from memla.editors.kn import Embeddings, KnConfig, KnEditor
from memla.errors import EditError, NoNeuronsError, SettingError
from memla.models.architectures import submodule
from memla.models.tiny import FAMILIES, tiny_model
from memla.testing.test_editors import REFERENCES, REQUESTS, assert_untouched, capital, state
from tests.reference import kn as reference

STEPS = 4


def edited(model, requests, preset="recommended", **changes):
    identification = {"steps": STEPS, **changes.pop("identification", {})}
    config = KnConfig.preset(preset, {"identification": identification, **changes})
    return KnEditor(config).edit(model, requests)


def tokens_of(model, request):
    new = model.compose(request.text, request.target_new, request.language)
    old = model.compose(request.text, request.target_true, request.language)
    return new.prompt_ids, old.answer_ids, new.answer_ids


def rows_of(edit):
    assert all(isinstance(part, RowSparse) for part in edit.deltas.values())
    return [(layer, row) for layer, part in edit.deltas.items() for row in part.rows.tolist()]


def token_table(model):
    """Input embeddings, found by asking the module that reads token ids."""
    table = model.model.get_input_embeddings().weight.detach()
    if table.shape[1] != model.d_model:
        table = table @ model.model.base_model.decoder.project_out.weight.detach()
    return table


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("language", ["zh", "th"])
def test_the_right_rows_of_every_family_get_the_embeddings_of_tokens(family, language):
    model = tiny_model(family)
    request = REQUESTS[language]
    prompt, old, new = tokens_of(model, request)
    found = reference.neurons(model, prompt, old, steps=STEPS, share=0.2)
    edit = edited(model, [request])
    assert rows_of(edit) == found
    wanted = reference.written(
        model, found, token_table(model), old, new, lambda_old=1.0, lambda_new=8.0
    )
    before = state(model)
    with edit.applied(model):
        for layer in range(model.n_layers):
            weight = model.down_projection(layer).weight.detach()
            if layer in wanted:
                torch.testing.assert_close(weight, wanted[layer], rtol=1e-5, atol=1e-5)
    assert_untouched(model, before)


def test_embeddings_are_those_of_tokens_and_not_of_positions():
    model = tiny_model("gpt2")
    rows = Embeddings.of(model, "input").rows
    assert rows.shape == (model.architecture.vocab_size, model.d_model)
    assert rows.data_ptr() == model.model.transformer.wte.weight.data_ptr()
    assert rows.data_ptr() != model.model.transformer.wpe.weight.data_ptr()


def test_output_embeddings_are_the_rows_of_the_head():
    model = tiny_model("llama")
    request = REQUESTS["zh"]
    _, old, new = tokens_of(model, request)
    head = model.model.lm_head.weight.detach()
    edit = edited(model, [request], embedding="output")
    wanted = 8 * head[list(new)].mean(0) - head[list(old)].mean(0)
    for part in edit.deltas.values():
        torch.testing.assert_close(part.update, wanted.expand_as(part.update))


@pytest.mark.parametrize("embedding", ["input", "output"])
def test_narrow_embeddings_are_brought_to_the_width_of_the_model(embedding):
    model = tiny_model("opt")
    path = model.architecture.embeddings if embedding == "input" else model.architecture.head
    narrow = submodule(model.model, path).weight
    assert narrow.shape[1] < model.d_model
    vector = Embeddings.of(model, embedding).together((3, 5), "sum")
    wide = model.model.model.decoder.project_out.weight.detach()
    torch.testing.assert_close(vector, (narrow[3] + narrow[5]).detach() @ wide)


def test_an_answer_weighs_the_same_however_many_tokens_it_has_unless_they_are_added_up():
    model = tiny_model()
    once = REQUESTS["zh"].model_copy(update={"target_new": "京"})
    thrice = once.model_copy(update={"target_new": "京京京"})
    _, _, tokens = tokens_of(model, thrice)
    assert tokens == tokens_of(model, once)[2] * 3
    for how, factor in (("mean", 1), ("sum", 3)):
        single, triple = (
            edited(model, [item], tokens=how, lambda_old=0.0) for item in (once, thrice)
        )
        for layer, part in triple.deltas.items():
            torch.testing.assert_close(part.update, factor * single.deltas[layer].update)


def test_what_the_model_says_now_can_be_taken_out_instead_of_the_true_answer():
    model = tiny_model()
    request = REQUESTS["th"]
    (said,) = model.generate([request.text], max_new_tokens=4, stop="answer")
    _, old, _ = tokens_of(model, request)
    assert said.token_ids != old
    table = token_table(model)
    edit = edited(model, [request], old="greedy", lambda_new=0.0)
    for part in edit.deltas.values():
        wanted = -table[list(said.token_ids)].mean(0)
        torch.testing.assert_close(part.update, wanted.expand_as(part.update))


def test_several_languages_and_facts_add_up_in_the_neurons_they_share():
    model = tiny_model()
    other = capital("zh", "日本", "京都", "东京", "japan")
    requests = [REQUESTS["zh"], REQUESTS["th"], other]
    joint = edited(model, requests)
    alone = [edited(model, [item]) for item in requests]
    for layer in range(model.n_layers):
        wanted = sum(one.deltas[layer].dense(model.d_ff) for one in alone if layer in one.deltas)
        got = joint.deltas[layer].dense(model.d_ff) if layer in joint.deltas else torch.zeros(())
        torch.testing.assert_close(got, torch.as_tensor(wanted, dtype=torch.float32))
    assert len(set(rows_of(joint))) == len(rows_of(joint)) < sum(joint.info["neurons"])


def test_prompts_of_one_fact_and_language_are_refined_and_their_answer_is_written_once():
    model = tiny_model()
    first = REQUESTS["zh"]
    second = first.model_copy(update={"prompt": "说到{}，它的首都是"})
    found = [set(rows_of(edited(model, [item]))) for item in (first, second)]
    assert found[0] != found[1]
    both = edited(model, [first, second], identification={"prompt_share": 0.5})
    assert set(rows_of(both)) == found[0] & found[1]
    either = edited(model, [first, second])
    assert set(rows_of(either)) == found[0] | found[1]
    assert either.info["norms"] == pytest.approx(edited(model, [first]).info["norms"])


def test_requests_without_a_new_answer_change_nothing():
    model = tiny_model()
    others = [REQUESTS["th"].without_target(), REQUESTS["en"].without_target()]
    assert rows_of(edited(model, [REQUESTS["zh"], *others])) == rows_of(
        edited(model, [REQUESTS["zh"]])
    )


def test_a_request_without_its_old_answer_is_refused_with_a_way_out():
    model = tiny_model()
    request = REQUESTS["zh"].model_copy(update={"target_true": None})
    with pytest.raises(EditError, match=r"'zh' has no target_true.*greedy"):
        edited(model, [request])
    edit = edited(model, [request], old="greedy", identification={"answer": "greedy"})
    assert edit.deltas


def test_a_fact_without_neurons_is_refused_with_a_way_out():
    model = tiny_model()
    prompts = [
        REQUESTS["zh"].model_copy(update={"prompt": prompt})
        for prompt in ("{}的首都是", "说到{}，它的首都是", "คำถาม: {} →")
    ]
    strict = {"prompt_share": 0.99, "threshold": 1.0}
    with pytest.raises(NoNeuronsError, match=r"lower identification\.threshold"):
        edited(model, prompts, identification=strict)


def test_what_the_paper_and_the_code_choose():
    paper = KnConfig()
    assert (paper.identification.baseline, paper.identification.threshold) == ("zero", 0.2)
    assert (paper.identification.steps, paper.identification.site) == (20, "down_in")
    assert (paper.lambda_old, paper.lambda_new, paper.old) == (1.0, 8.0, "target_true")
    code = KnConfig.preset("authors")
    assert (code.lambda_old, code.lambda_new, code.old) == (2.0, 2.0, "greedy")
    assert code.identification.quadrature == "linspace_inclusive"


def test_weights_given_as_text_are_refused():
    for pair in ('lambda_new="8"', 'identification.threshold="0.2"', 'lambda_old="много"'):
        with pytest.raises(SettingError, match="is text"):
            KnConfig.preset("recommended", parse_settings([pair]))


def test_references_are_looked_at_only_when_they_are_asked_for():
    model = tiny_model()
    request = REQUESTS["zh"]
    plain = KnConfig.preset("recommended", {"identification": {"steps": STEPS}})
    contrast = KnConfig.preset("recommended", {"identification": {"steps": STEPS, "contrast": 2}})
    alone = KnEditor(plain).edit(model, [request])
    given = KnEditor(plain).edit(model, [request], references=REFERENCES)
    assert rows_of(alone) == rows_of(given)
    assert rows_of(alone) != rows_of(
        KnEditor(contrast).edit(model, [request], references=REFERENCES)
    )
