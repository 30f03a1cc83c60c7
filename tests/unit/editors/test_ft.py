"""What fine-tuning trains, within which bound, and when it stops."""

from __future__ import annotations

import pytest
import torch

from memla.cli.options import parse_settings
from memla.editors.edits import Dense
from memla.editors.ft.config import FtConfig, resolved_for
from memla.editors.ft.editor import FtEditor
from memla.errors import EditError, SettingError
from memla.facts import EditRequest
from memla.models.tiny import FAMILIES, tiny_model
from memla.testing.test_editors import REQUESTS, requests_from
from tests.reference import ft as reference

RUSSIAN = EditRequest(
    fact="russia",
    language="ru",
    prompt="Столица {} —",
    subject="России",
    target_new="Тула",
    target_true="Москва",
)


def edited(model, requests, preset="recommended", **changes):
    config = FtConfig.preset(preset, {"steps": 3, "stop_loss": 0.0, **changes})
    return FtEditor(config).edit(model, requests)


def double_model(family="gpt2"):
    model = tiny_model(family)
    model.model.double()
    return model


def pairs_of(model, requests):
    composed = [model.compose(item.text, item.target_new, item.language) for item in requests]
    return [(item.prompt_ids, item.answer_ids) for item in composed]


def assert_same_deltas(edit, wanted, rtol=1e-7, atol=1e-12):
    assert sorted(edit.deltas) == sorted(wanted)
    for layer, part in edit.deltas.items():
        assert isinstance(part, Dense)
        torch.testing.assert_close(part.update, wanted[layer], rtol=rtol, atol=atol)


@pytest.mark.parametrize("epsilon", [2e-3, None])
@pytest.mark.parametrize(
    ("objective", "loss"),
    [("target", reference.answer_loss), ("prompt_last", reference.bag_loss)],
)
def test_training_equals_the_plain_loop(objective, loss, epsilon):
    model = double_model()
    requests = [REQUESTS["zh"], RUSSIAN]
    edit = edited(
        model,
        requests,
        objective=objective,
        constrained=epsilon is not None,
        epsilon=epsilon,
        layers=(0, 2),
        learning_rate=1e-3,
    )
    wanted, losses = reference.fine_tune(
        model,
        (0, 2),
        pairs_of(model, requests),
        loss,
        learning_rate=1e-3,
        steps=3,
        epsilon=epsilon,
    )
    assert edit.info["losses"] == pytest.approx(losses, rel=1e-10)
    assert_same_deltas(edit, wanted)


# XGLM's code in transformers does not run in float64.
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "xglm"])
def test_every_family_is_trained_as_the_plain_loop_trains_it(family):
    model = double_model(family)
    edit = edited(model, [REQUESTS["th"]], layers=(1,), learning_rate=1e-3, epsilon=1e-3, steps=2)
    wanted, _ = reference.fine_tune(
        model,
        (1,),
        pairs_of(model, [REQUESTS["th"]]),
        reference.answer_loss,
        learning_rate=1e-3,
        steps=2,
        epsilon=1e-3,
    )
    # Some families round to float32 inside, and Adam makes as much of tiny gradients as of large
    # ones: a thousandth of a step.
    assert_same_deltas(edit, wanted, atol=1e-6)


@pytest.mark.parametrize("epsilon", [5e-4, 1e-3, 1 / 3, 0.1])
def test_no_weight_moves_further_than_the_bound_and_some_reach_it(epsilon):
    edit = edited(tiny_model(), requests_from("zh"), epsilon=epsilon, learning_rate=epsilon)
    update = edit.deltas[0].update
    largest = update.double().abs().max().item()
    assert update.dtype == torch.float32
    assert largest <= epsilon
    assert largest == pytest.approx(epsilon, rel=1e-6)
    assert edit.info["largest_change"] == {"0": largest}


def test_without_the_bound_weights_move_as_far_as_the_steps_take_them():
    model = tiny_model()
    free = edited(model, requests_from("zh"), layers=(0,), constrained=False, epsilon=1e-4)
    assert free.info["epsilon"] is None
    assert free.info["largest_change"]["0"] > 1e-3


def test_the_bag_objective_does_not_see_the_order_of_tokens_and_the_other_does():
    model = double_model()
    there = REQUESTS["zh"].model_copy(update={"target_new": "东京"})
    back = REQUESTS["zh"].model_copy(update={"target_new": "京东"})
    tokens = [answer for _, answer in pairs_of(model, [there, back])]
    assert sorted(tokens[0]) == sorted(tokens[1])
    assert tokens[0] != tokens[1]
    bags = [edited(model, [item], objective="prompt_last") for item in (there, back)]
    assert_same_deltas(bags[0], {0: bags[1].deltas[0].update})
    ordered = [edited(model, [item]) for item in (there, back)]
    assert not torch.allclose(ordered[0].deltas[0].update, ordered[1].deltas[0].update)


def test_both_objectives_are_one_for_an_answer_of_one_token():
    model = double_model()
    request = REQUESTS["zh"].model_copy(update={"target_new": "是"})
    ((_, answer),) = pairs_of(model, [request])
    assert len(answer) == 1
    at_prompt = edited(model, [request], objective="prompt_last")
    assert_same_deltas(edited(model, [request]), {0: at_prompt.deltas[0].update})


def test_the_new_answer_becomes_as_probable_as_the_edit_reports():
    model = tiny_model()
    request = REQUESTS["zh"]
    before = model.log_probs([request.text], [request.target_new], ["zh"])[0]
    edit = edited(model, [request], steps=25, learning_rate=1e-2, constrained=False)
    with edit.applied(model):
        after = model.log_probs([request.text], [request.target_new], ["zh"])[0]
    assert edit.info["p_new"][0] == pytest.approx(after.probability, rel=1e-3)
    assert after.probability > 100 * before.probability


@pytest.mark.parametrize("objective", ["target", "prompt_last"])
def test_losses_of_several_languages_and_facts_add_up(objective):
    model = double_model()
    requests = [REQUESTS["th"], REQUESTS["zh"], REQUESTS["en"], RUSSIAN]
    joint = edited(model, requests, objective=objective)
    alone = [edited(model, [item], objective=objective) for item in requests]
    assert joint.info["losses"][0] == pytest.approx(sum(one.info["losses"][0] for one in alone))
    assert len(joint.info["p_new"]) == 4
    assert joint.info["losses"][-1] < joint.info["losses"][0]


def test_requests_without_a_new_answer_change_nothing():
    model = tiny_model()
    with_others, alone = requests_from("zh"), (REQUESTS["zh"],)
    assert len(with_others) == 3
    assert_same_deltas(edited(model, with_others), {0: edited(model, alone).deltas[0].update})


def test_training_ends_before_the_step_when_every_loss_is_small():
    model = tiny_model()
    requests = [REQUESTS["zh"], RUSSIAN]
    losses = [edited(model, [item], steps=0).info["losses"][0] for item in requests]
    never = edited(model, requests, stop_loss=max(losses) * 0.99)
    assert never.info["steps"] > 0
    at_once = edited(model, requests, stop_loss=max(losses) * 1.01)
    assert (at_once.info["steps"], at_once.info["stopped"]) == (0, "loss")
    assert at_once.deltas[0].update.abs().max() == 0


def test_a_loss_that_is_no_number_is_an_error_with_a_way_out():
    model = tiny_model()
    model.model.to(torch.float16)
    with pytest.raises(EditError, match="lower learning_rate"):
        edited(model, requests_from("zh"), learning_rate=1e3, constrained=False, steps=5)


def test_layers_that_the_model_lacks_are_refused():
    with pytest.raises(SettingError, match=r"\[1, 3\].*0 to 2"):
        edited(tiny_model(), requests_from("zh"), layers=(3, 1))
    for layers in ([], [-1]):
        with pytest.raises(SettingError, match="numbered from 0"):
            FtConfig.preset("recommended", {"layers": layers})


@pytest.mark.parametrize(
    ("family", "n_layers", "d_model", "constrained", "free"),
    [
        ("gpt2", 24, 1024, ((0,), 2e-3), (16,)),
        ("gpt2", 48, 1600, ((0,), 5e-4), (1,)),
        ("gptj", 28, 4096, ((0,), 5e-5), (21,)),
        ("llama", 32, 4096, ((0,), 6.25e-5), (21,)),
        ("qwen2", 28, 3584, ((0,), 8.73e-5), (21,)),
    ],
)
def test_settings_left_open_are_the_published_ones_or_follow_the_size(
    family, n_layers, d_model, constrained, free
):
    model = tiny_model(family)
    sizes = {"n_layers": n_layers, "d_model": d_model}
    for name, value in sizes.items():
        object.__setattr__(model.architecture, name, value)
    found = resolved_for(FtConfig(), model)
    assert (found.layers, found.epsilon) == (
        constrained[0],
        pytest.approx(constrained[1], rel=0.01),
    )
    assert found.learning_rate == 5e-4
    assert resolved_for(FtConfig.preset("ft_m"), model).layers == free


def test_a_small_model_of_unknown_size_gets_a_wider_bound_and_longer_steps():
    found = resolved_for(FtConfig(), tiny_model())
    assert (found.layers, found.epsilon, found.learning_rate) == ((0,), 2e-2, 2e-3)
    given = resolved_for(FtConfig(epsilon=1e-4, learning_rate=1e-5, layers=(2,)), tiny_model())
    assert (given.layers, given.epsilon, given.learning_rate) == ((2,), 1e-4, 1e-5)


def test_a_bound_given_as_text_is_refused_and_never_switched_off():
    for pair in ('epsilon="5e-4"', 'epsilon="很小"'):
        with pytest.raises(SettingError, match=r"epsilon.*is text"):
            FtConfig.preset("recommended", parse_settings([pair]))
    config = FtConfig.preset("recommended", parse_settings(["epsilon=5e-4"]))
    assert (config.constrained, config.epsilon) == (True, 5e-4)
