from __future__ import annotations

import pytest
import torch

from memla.attribution.config import AttributionConfig
from memla.attribution.integrated_gradients import attribute, attribute_targets
from memla.attribution.knowledge_neurons import select
from memla.attribution.quadrature import quadrature
from memla.attribution.targets import targets_of
from memla.errors import DataError, SettingError
from memla.facts import EditRequest
from memla.models.tiny import FAMILIES, tiny_model
from tests.reference import attribution as reference

IN_CHINESE = EditRequest(
    fact="capital", language="zh", prompt="亚洲的{}首都是", subject="日本", target_true="东京"
)
IN_RUSSIAN = EditRequest(
    fact="capital", language="ru", prompt="Столица {} — это", subject="Японии", target_true="Токио"
)
IN_JAPANESE = EditRequest(
    fact="capital", language="ja", prompt="{}の首都は", subject="日本", target_true="東京"
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("semantics", ["teacher_forced", "joint", "joint_all"])
def test_scores_of_a_layer_add_up_to_the_change_of_the_objective(family, semantics):
    model = tiny_model(family, n_layers=2, d_model=16, d_ff=24)
    if family != "xglm":
        model.model.double()
    config = AttributionConfig(steps=200, multi_token=semantics)
    found = attribute(model, IN_CHINESE, config, measures_change=True)
    largest = float(found.change.abs().max())
    gap = (found.scores.sum(1) - found.change).abs()
    assert (gap <= 1e-3 * found.change.abs().clamp(min=0.01 * largest)).all()


def test_the_published_multiplier_does_not_add_up():
    model = tiny_model("gpt2")
    config = AttributionConfig(steps=200, multiplier="activation")
    found = attribute(model, IN_CHINESE, config, measures_change=True)
    gap = (found.scores.sum(1) - found.change).abs().max()
    assert gap > 0.1 * found.change.abs().max()


def test_scale_free_scores_select_what_plain_probabilities_select():
    model = tiny_model("gpt2")
    model.model.double()
    request = IN_RUSSIAN.model_copy(update={"target_true": "совершенно невероятный ответ"})
    config = AttributionConfig(multi_token="joint", baseline="zero", steps=5)
    found = attribute(model, request, config)
    composed = model.compose(request.text, request.target_true, "ru")
    nodes, weights = quadrature("midpoint", 5)
    plain = reference.attribution(
        model,
        composed.prompt_ids,
        composed.answer_ids,
        semantics="joint",
        nodes=nodes.tolist(),
        weights=weights.tolist(),
    )
    assert found.log_scale < -30
    assert len(select(found.scores, 0.1)) > 1
    assert select(found.scores, 0.1) == select(plain, 0.1)


def test_an_answer_whose_probability_underflows_is_still_attributed():
    model = tiny_model("gpt2")
    answer = "совершенно невероятный и очень длинный ответ, которого никто не ждёт"
    request = IN_RUSSIAN.model_copy(update={"target_true": answer})
    config = AttributionConfig(multi_token="joint", steps=2, baseline="zero")
    found = attribute(model, request, config)
    assert found.log_scale < -120
    assert found.problem is None


@pytest.mark.parametrize("semantics", ["teacher_forced", "joint_all"])
@pytest.mark.parametrize("position", ["prompt_last", "subject_last"])
def test_chunks_and_company_change_nothing_but_rounding(semantics, position):
    model = tiny_model("gpt2", n_layers=2, d_model=16, d_ff=24)
    model.model.double()
    # Same shape and different shapes; budgets that split nodes, and one that splits nothing.
    others = [IN_CHINESE.model_copy(update={"subject": subject}) for subject in ("中国", "韩国")]
    requests = [IN_CHINESE, *others, IN_JAPANESE]
    scores = []
    for budget, order in ((1, requests), (20, requests[::-1]), (10_000, requests)):
        config = AttributionConfig(
            steps=3, multi_token=semantics, position=position, row_budget=budget
        )
        targets = [next(targets_of(model, request, config)) for request in order]
        found = attribute_targets(model, targets, config)
        scores.append({r: a.scores for r, a in zip(order, found, strict=True)})
    for request in requests:
        for other in scores[1:]:
            torch.testing.assert_close(other[request], scores[0][request], rtol=1e-5, atol=1e-9)


def test_attribution_leaves_the_model_as_it_was(tiny_model):
    before = tiny_model.fingerprint()
    attribute(tiny_model, IN_JAPANESE, AttributionConfig.preset("recommended"))
    assert tiny_model.fingerprint() == before
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in tiny_model.model.modules()]
    assert sum(hooks) == 0


def test_layers_that_are_not_looked_at_score_zero(tiny_model):
    everywhere = attribute(tiny_model, IN_CHINESE, AttributionConfig(steps=4))
    one = attribute(tiny_model, IN_CHINESE, AttributionConfig(steps=4, layers=(1,)))
    assert one.scores[[0, 2]].abs().max() == 0
    factor = torch.tensor(everywhere.log_scale - one.log_scale).exp()
    torch.testing.assert_close(one.scores[1], everywhere.scores[1] * factor, rtol=1e-4, atol=1e-7)


def test_a_layer_the_model_lacks_is_named(tiny_model):
    with pytest.raises(SettingError, match=r"\[0, 7\].*0 to 2"):
        attribute(tiny_model, IN_CHINESE, AttributionConfig(layers=(7, 0)))


def test_a_masking_token_the_tokenizer_lacks_is_named(tiny_model):
    with pytest.raises(SettingError, match="unk"):
        attribute(tiny_model, IN_CHINESE, AttributionConfig(baseline="unk"))


def test_the_mean_of_one_identical_reference_leaves_nothing_to_attribute(tiny_model):
    config = AttributionConfig(baseline="dataset_mean", steps=2, position="subject_last")
    twin = IN_CHINESE.model_copy(update={"fact": "twin"})
    found = attribute(tiny_model, IN_CHINESE, config, references=[twin, IN_RUSSIAN])
    assert found.scores.abs().max() < 1e-6


def test_the_mean_of_no_references_is_an_error_that_names_the_language(tiny_model):
    with pytest.raises(DataError, match="'zh'"):
        attribute(
            tiny_model,
            IN_CHINESE,
            AttributionConfig(baseline="dataset_mean"),
            references=[IN_RUSSIAN],
        )


@pytest.mark.parametrize("rule", ["midpoint", "gauss_legendre", "trapezoid"])
def test_good_quadratures_integrate_a_line_exactly(rule):
    nodes, weights = quadrature(rule, 3)
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights @ nodes) == pytest.approx(0.5)


def test_the_authors_steps_are_left_ends_and_their_ancestors_both_ends():
    assert quadrature("left", 4)[0].tolist() == [0, 0.25, 0.5, 0.75]
    assert quadrature("right", 4)[0].tolist() == [0.25, 0.5, 0.75, 1]
    assert quadrature("linspace_inclusive", 5)[0].tolist() == [0, 0.25, 0.5, 0.75, 1]
