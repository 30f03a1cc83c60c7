from __future__ import annotations

import pytest
import torch

from memla.attribution import baselines, knowledge_neurons
from memla.attribution.config import AttributionConfig
from memla.attribution.knowledge_neurons import locate_neurons
from memla.attribution.remembered import Remembered
from memla.facts import EditRequest
from memla.models import tiny

SETTINGS = AttributionConfig(steps=2, threshold=0.2, contrast=1)


def fact(language, prompt, subject, answer, name="capital"):
    return EditRequest(
        fact=name, language=language, prompt=prompt, subject=subject, target_true=answer
    )


JAPAN = [
    fact("zh", "{}的首都是", "日本", "東京", "japan"),
    fact("th", "เมืองหลวงของ{}คือ", "ญี่ปุ่น", "โตเกียว", "japan"),
]
PERU = [
    fact("zh", "{}的首都是", "秘魯", "利馬", "peru"),
    fact("th", "เมืองหลวงของ{}คือ", "เปรู", "ลิมา", "peru"),
]


@pytest.fixture
def attributed(monkeypatch):
    """The targets that were attributed rather than remembered."""
    made = []
    compute = knowledge_neurons.attribute_targets

    def counting(model, targets, config, means):
        made.extend(targets)
        return compute(model, targets, config, means)

    monkeypatch.setattr(knowledge_neurons, "attribute_targets", counting)
    return made


class TestRemembered:
    def test_what_was_not_asked_for_longest_is_forgotten(self):
        remembered = Remembered(n_bytes=2)
        computed = []

        def ask(key):
            def compute():
                computed.append(key)
                return key

            assert remembered.get(key, compute, lambda _: 1) == key

        for key in "aba":
            ask(key)
        ask("c")  # there is room for two: b goes
        assert computed == ["a", "b", "c"]
        ask("a")
        assert computed == ["a", "b", "c"]
        ask("b")
        assert computed == ["a", "b", "c", "b"]

    def test_what_has_no_room_is_given_and_not_kept(self):
        remembered = Remembered(n_bytes=3)
        assert remembered.get("large", lambda: "value", lambda _: 4) == "value"
        assert len(remembered) == 0
        remembered.get("small", lambda: "value", lambda _: 3)
        assert len(remembered) == 1


class TestNeurons:
    def test_a_fact_that_comes_up_again_is_not_attributed_again(self, tiny_model, attributed):
        locate_neurons(tiny_model, JAPAN, SETTINGS, references=PERU)
        assert len(attributed) == 4
        locate_neurons(tiny_model, PERU, SETTINGS, references=JAPAN)
        assert len(attributed) == 4

    def test_settings_of_the_selection_attribute_nothing(self, tiny_model, attributed):
        locate_neurons(tiny_model, JAPAN, SETTINGS)
        other = SETTINGS.model_copy(
            update={"threshold": 0.1, "scope": "layer", "quorum": 0.5, "cross_languages": ("zh",)}
        )
        locate_neurons(tiny_model, JAPAN, other)
        assert len(attributed) == 2

    @pytest.mark.parametrize(
        "settings", [{"steps": 3}, {"layers": (0,)}, {"baseline": "zero"}, {"answer": "greedy"}]
    )
    def test_settings_of_the_scores_attribute_anew(self, tiny_model, attributed, settings):
        locate_neurons(tiny_model, JAPAN, SETTINGS)
        locate_neurons(tiny_model, JAPAN, SETTINGS.model_copy(update=settings))
        assert len(attributed) == 4

    def test_a_new_answer_makes_no_difference_to_the_old_ones_scores(self, tiny_model, attributed):
        written = [one.model_copy(update={"target_new": "Lima"}) for one in JAPAN]
        locate_neurons(tiny_model, JAPAN, SETTINGS)
        locate_neurons(tiny_model, written, SETTINGS)
        assert len(attributed) == 2
        locate_neurons(tiny_model, written, SETTINGS.model_copy(update={"answer": "both"}))
        assert len(attributed) == 6

    def test_nothing_is_remembered_of_other_weights(self, tiny_model, attributed):
        before = locate_neurons(tiny_model, JAPAN, SETTINGS).scores["zh"]
        with torch.no_grad():
            tiny_model.value_rows(0).mul_(1.5)
        after = locate_neurons(tiny_model, JAPAN, SETTINGS).scores["zh"]
        assert len(attributed) == 4
        assert not torch.equal(before, after)

    def test_scores_do_not_depend_on_what_was_asked_for_before(self):
        alone, late = tiny.tiny_model("gpt2"), tiny.tiny_model("gpt2")
        locate_neurons(late, PERU, SETTINGS, references=JAPAN)
        locate_neurons(late, JAPAN[1:], SETTINGS)
        one = locate_neurons(alone, JAPAN, SETTINGS, references=PERU)
        other = locate_neurons(late, JAPAN, SETTINGS, references=PERU)
        for language in ("zh", "th"):
            assert torch.equal(one.scores[language], other.scores[language])


class TestMeans:
    CONFIG = AttributionConfig(baseline="dataset_mean", steps=2)

    def test_each_reference_is_read_once(self, tiny_model, monkeypatch):
        read = []
        compute = baselines._reference_activations

        def counting(model, request, layers, config):
            read.append(request)
            return compute(model, request, layers, config)

        monkeypatch.setattr(baselines, "_reference_activations", counting)
        first = locate_neurons(tiny_model, JAPAN, self.CONFIG, references=PERU)
        assert read == PERU
        again = locate_neurons(tiny_model, JAPAN, self.CONFIG, references=PERU)
        assert read == PERU
        assert torch.equal(first.scores["zh"], again.scores["zh"])

    def test_other_references_attribute_anew(self, tiny_model, attributed):
        locate_neurons(tiny_model, JAPAN, self.CONFIG, references=PERU)
        locate_neurons(tiny_model, JAPAN, self.CONFIG, references=PERU)
        assert len(attributed) == 2
        chile = [fact(one.language, one.prompt, "Chile", "Santiago", "chile") for one in PERU]
        locate_neurons(tiny_model, JAPAN, self.CONFIG, references=chile)
        assert len(attributed) == 4
