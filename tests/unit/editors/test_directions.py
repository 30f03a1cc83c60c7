"""The directions in which a model's own states differ from fact to fact."""

from __future__ import annotations

import pytest
import torch

from memla.editors import keys
from memla.editors.directions import NaturalDirections, directions_of
from memla.facts import EditRequest, OtherFacts
from memla.models.tiny import tiny_model
from tests.reference import crosskey as reference

CAPITALS = {
    "japan": {"zh": ("日本", "东京"), "ru": ("Япония", "Токио"), "th": ("ญี่ปุ่น", "โตเกียว")},
    "france": {"zh": ("法国", "巴黎"), "ru": ("Франция", "Париж")},
    "poland": {"zh": ("波兰", "华沙"), "th": ("โปแลนด์", "วอร์ซอ")},
    "italy": {"ru": ("Италия", "Рим"), "th": ("อิตาลี", "โรม")},
}
PROMPTS = {"zh": "{}的首都是", "ru": "Столица страны {} —", "th": "เมืองหลวงของ{}คือ"}
STATEMENTS = tuple(
    EditRequest(fact=fact, language=code, prompt=PROMPTS[code], subject=subject, target_true=answer)
    for fact, names in CAPITALS.items()
    for code, (subject, answer) in names.items()
)


def in_float64():
    model = tiny_model("gpt2")
    model.model.double()
    return model


def found(model, references, *, position="subject_last", directions=None):
    directions = directions or NaturalDirections()
    return directions.get(model, references, 1, position, fingerprint=model.fingerprint())


def as_matrix(directions, width):
    return directions(torch.eye(width, dtype=torch.float64))


@pytest.mark.parametrize(("n", "width"), [(40, 8), (5, 8), (2, 8)])
def test_the_map_is_the_root_of_the_shrunk_covariance(n, width):
    generator = torch.Generator().manual_seed(n)
    scales = torch.linspace(0.1, 3, width)
    states = torch.randn(n, width, generator=generator, dtype=torch.float64) * scales + 5
    map_ = as_matrix(directions_of(states), width)
    expected = torch.from_numpy(reference.root_of_covariance(states))
    torch.testing.assert_close(map_, expected, rtol=0, atol=1e-10)
    assert float(map_.square().sum()) == pytest.approx(width), "the mean squared gain is 1"


def test_states_that_do_not_differ_prefer_no_direction():
    map_ = as_matrix(directions_of(torch.ones(4, 6)), 6)
    torch.testing.assert_close(map_, torch.eye(6, dtype=torch.float64))


@pytest.mark.parametrize("position", ["subject_last", "prompt_last"])
def test_a_fact_is_the_mean_of_its_statements_without_what_is_of_their_languages(position):
    model = in_float64()
    states = reference.fact_states(model, STATEMENTS, 1, at_end=position == "prompt_last")
    ours = as_matrix(found(model, STATEMENTS, position=position), model.d_model)
    torch.testing.assert_close(
        ours, as_matrix(directions_of(states), model.d_model), rtol=0, atol=1e-5
    )


def test_what_was_left_out_of_a_pool_takes_no_part():
    model = in_float64()
    kept = [one for one in STATEMENTS if one.fact != "italy"]
    left_out = [one for one in STATEMENTS if one.fact == "italy"]
    remembered = NaturalDirections()
    found(model, STATEMENTS, directions=remembered)
    ours = found(model, OtherFacts(kept, left_out), directions=remembered)
    alone = found(model, kept)
    assert ours.n_facts == 3
    torch.testing.assert_close(
        as_matrix(ours, model.d_model), as_matrix(alone, model.d_model), rtol=0, atol=1e-6
    )


def test_what_was_asked_for_before_does_not_matter(monkeypatch):
    def look_together(model, memories, **where):
        read, states = keys.look(model, memories, **where)
        # As in a large model, the last digits depend on what is read along.
        return read, states + 1e-6 * torch.arange(len(memories))[:, None]

    monkeypatch.setattr("memla.editors.directions.look", look_together)
    model = tiny_model("gpt2")

    def without(fact):
        return OtherFacts(
            (one for one in STATEMENTS if one.fact != fact),
            (one for one in STATEMENTS if one.fact == fact),
        )

    for wanted in (without("italy"), STATEMENTS[:5]):
        used = NaturalDirections()
        found(model, without("japan"), directions=used)
        found(model, STATEMENTS, directions=used)
        again, fresh = found(model, wanted, directions=used), found(model, wanted)
        torch.testing.assert_close(again.gains, fresh.gains, rtol=0, atol=0)
        assert again.describe() == fresh.describe()


def test_the_order_of_references_does_not_matter():
    model = in_float64()
    one, other = found(model, STATEMENTS), found(model, STATEMENTS[::-1])
    torch.testing.assert_close(
        as_matrix(one, model.d_model), as_matrix(other, model.d_model), rtol=0, atol=1e-6
    )


def test_states_of_one_model_do_not_serve_for_another():
    model, other = in_float64(), in_float64()
    with torch.no_grad():
        other.value_rows(0).mul_(-3)
    remembered = NaturalDirections()
    first = as_matrix(found(model, STATEMENTS, directions=remembered), model.d_model)
    second = as_matrix(found(other, STATEMENTS, directions=remembered), model.d_model)
    assert not torch.allclose(first, second, atol=1e-3)


def test_one_fact_has_no_directions():
    model = in_float64()
    assert found(model, STATEMENTS[:3]) is None
    assert found(model, ()) is None
