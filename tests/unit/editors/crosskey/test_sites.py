"""Where CrossKey writes: read off tracings whose effects are known, and what it remembers."""

from __future__ import annotations

import pytest
import torch

from memla.attribution.causal_tracing import POSITIONS, FactTracing, Tracing
from memla.editors.crosskey.config import CrossKeyConfig
from memla.editors.crosskey.sites import Sites, WritingSite, site_of
from memla.errors import SettingError
from memla.facts import EditRequest
from memla.models.tiny import tiny_model
from memla.testing.test_editors import REFERENCES

NAN = float("nan")
KNOWN = {"语言": '"', "巴黎": ";", "印度": ";"}
"""Subjects whose capital the toy model has a firm opinion on, which it gets from the subject."""


def statement(subject, *, language="zh", prompt="{}的首都是", true=None):
    answer = KNOWN.get(subject, "城") if true is None else true
    return EditRequest(
        fact=subject, language=language, prompt=prompt, subject=subject, target_true=answer
    )


KNOWN_FACTS = tuple(statement(subject) for subject in KNOWN)


def tracing(subject, end, *, clean=0.6, corrupted=0.2):
    """Effects by layer at the subject's last token and at the prompt's; one row for each fact."""
    facts = []
    for number, (at_subject, at_end) in enumerate(zip(subject, end, strict=True)):
        effects = torch.full((len(POSITIONS), len(at_subject)), NAN)
        effects[POSITIONS.index("first subject token")] = 0.39
        effects[POSITIONS.index("last subject token")] = torch.tensor(at_subject)
        effects[POSITIONS.index("last token")] = torch.tensor(at_end)
        facts.append(FactTracing(str(number), "th", clean, corrupted, {"block": effects}))
    return Tracing(tuple(facts), 1, 4, 1.0, 0)


def found(subject, end, **settings):
    model = tiny_model(n_layers=6)
    return site_of(tracing([subject], [end]), model, CrossKeyConfig(**settings))


END = [0.0, 0.1, 0.2, 0.31, 0.35, 0.4]


def test_the_subject_is_decisive_from_half_of_the_effect_on():
    # The whole effect is 0.4, so half of it is 0.2.
    assert found([0.21, 0.21, 0.05, 0, 0, 0], END).position == "subject_last"
    below = found([0.19, 0.19, 0.05, 0, 0, 0], END)
    assert below.position == "prompt_last"
    assert below.subject_share == pytest.approx(0.475)
    assert below.found_by == "tracing"


def test_the_highest_layer_is_the_last_that_carries_nine_tenths():
    at_subject = [0.1, 0.2, 0.3, 0.275, 0.26, 0.0]
    assert found(at_subject, END, n_layers=1).layers == (3,)
    assert found(at_subject, END, n_layers=3).layers == (1, 2, 3)
    assert found(at_subject, END, n_layers=9).layers == (0, 1, 2, 3)
    # A dip in between does not end it.
    assert found([0.3, 0.1, 0.3, 0.1, 0.28, 0.0], END, n_layers=2).layers == (3, 4)


def test_a_subject_that_ends_its_prompt_does_not_put_the_edit_into_the_last_layer():
    model = tiny_model(n_layers=3)
    whole = tracing([[0.3, 0.35, 0.4]], [[NAN, NAN, NAN]])
    site = site_of(whole, model, CrossKeyConfig(n_layers=1))
    assert (site.position, site.layers) == ("subject_last", (1,))
    assert site.subject_share == pytest.approx(0.875)


def test_at_the_prompts_end_the_edit_starts_where_the_fact_has_arrived():
    nothing = [0.0] * 6
    # Below the last layer the largest effect is 0.35, three quarters of which is 0.2625.
    assert found(nothing, END, n_layers=1).layers == (3,)
    assert found(nothing, END, n_layers=2).layers == (3, 4)
    assert found(nothing, END, n_layers=5).layers == (3, 4)
    early = [0.3, 0.3, 0.3, 0.3, 0.3, 0.4]
    assert found(nothing, early, n_layers=3).layers == (0, 1, 2)


def test_prompts_that_end_with_their_subject_have_no_other_last_token():
    facts = tracing([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[NAN, NAN, NAN], [0.0, 0.3, 0.4]])
    site = site_of(facts, tiny_model(), CrossKeyConfig(n_layers=1))
    assert (site.position, site.layers) == ("prompt_last", (1,))
    none = tracing([[0.0, 0.0, 0.0]], [[NAN, NAN, NAN]])
    assert site_of(none, tiny_model(), CrossKeyConfig()).layers == (0, 1)


def test_effects_are_the_mean_over_statements():
    facts = tracing([[0.4, 0.0, 0.0], [0.0, 0.1, 0.0]], [[0.0] * 3, [0.0] * 3])
    site = site_of(facts, tiny_model(), CrossKeyConfig(n_layers=1))
    assert (site.position, site.layers) == ("subject_last", (0,))
    assert site.subject_share == pytest.approx(0.5)


def test_what_is_set_is_not_taken_from_tracing():
    at_subject = [0.1, 0.3, 0.3, 0.0, 0.0, 0.0]
    at_end = found(at_subject, END, position="prompt_last", n_layers=1)
    assert (at_end.position, at_end.layers, at_end.found_by) == ("prompt_last", (3,), "tracing")
    assert at_end.subject_share == pytest.approx(0.75)
    assert found(at_subject, END, layers=(0, 4)).layers == (0, 4)
    assert found(at_subject, END, layers=(0, 4)).position == "subject_last"
    both = CrossKeyConfig(position="prompt_last", layers=(2, 0))
    site = Sites(both).get(tiny_model(), ["zh"], KNOWN_FACTS, fingerprint="weights")
    assert site == WritingSite("prompt_last", (0, 2), "settings")


def get(sites, model, references=KNOWN_FACTS, languages=("zh",), fingerprint="weights"):
    return sites.get(model, languages, references, fingerprint=fingerprint)


@pytest.mark.parametrize("references", [(), REFERENCES], ids=["none", "unknown facts"])
def test_where_nothing_can_be_traced_the_depth_decides(references):
    model = tiny_model(n_layers=6)
    sites = Sites(CrossKeyConfig(n_layers=2))
    assert get(sites, model, references) == WritingSite("subject_last", (2, 3), "depth")
    deeper = Sites(CrossKeyConfig(default_depth=1.0, n_layers=9))
    assert get(deeper, model, references).layers == (0, 1, 2, 3, 4, 5)
    at_end = Sites(CrossKeyConfig(position="prompt_last", n_layers=1))
    assert get(at_end, model, references) == WritingSite("prompt_last", (3,), "depth")
    given = Sites(CrossKeyConfig(layers=(0, 5)))
    assert get(given, model, references) == WritingSite("subject_last", (0, 5), "settings")


def test_facts_that_the_model_has_from_their_subjects_are_traced():
    site = get(Sites(CrossKeyConfig(n_layers=1)), tiny_model())
    assert site.found_by == "tracing"
    assert site.position == "prompt_last"
    assert get(Sites(CrossKeyConfig(trace_facts=0)), tiny_model()).found_by == "depth"


def test_only_statements_in_the_edits_languages_are_traced():
    thai = statement("ไทย", language="th", prompt="เมืองหลวงของ{}คือ", true="กรุงเทพ")
    sites = Sites(CrossKeyConfig())
    assert get(sites, tiny_model(), (*KNOWN_FACTS, thai), ("th",)).found_by == "depth"
    assert get(sites, tiny_model(), (*KNOWN_FACTS, thai), ("zh",)).found_by == "tracing"


def test_as_many_facts_are_traced_as_the_setting_says_whatever_their_order():
    shares = [
        get(Sites(CrossKeyConfig(trace_facts=count)), tiny_model()).subject_share
        for count in (1, 2, 3, 8)
    ]
    assert shares[0] != shares[1] != shares[2]
    assert shares[2] == shares[3]
    for count, share in zip((1, 2, 3), shares, strict=False):
        sites = Sites(CrossKeyConfig(trace_facts=count))
        assert get(sites, tiny_model(), KNOWN_FACTS[::-1]).subject_share == share


def test_a_tracing_is_remembered_by_weights_and_statements():
    sites, model = Sites(CrossKeyConfig(n_layers=1)), tiny_model()
    first = get(sites, model)
    with torch.no_grad():
        for layer in range(model.n_layers):
            model.value_rows(layer).zero_()
    assert get(sites, model) == first
    assert get(sites, model, fingerprint="others") != first
    assert get(sites, model, KNOWN_FACTS[:2]) != first
    assert get(sites, model) == first


def test_layers_the_model_has_not_are_refused():
    with pytest.raises(SettingError, match=r"\[1, 3\].*'tiny-gpt2'.*0 to 2"):
        get(Sites(CrossKeyConfig(layers=(3, 1))), tiny_model())
    with pytest.raises(SettingError, match="numbered from 0"):
        CrossKeyConfig.preset("recommended", {"layers": ()})
