"""What keeps other facts in place: four kinds of locality, each against its equation."""

from __future__ import annotations

import pytest
import torch

from memla.attribution.key_statistics import collect_statistics, statement_texts
from memla.editors.covariance import Covariance
from memla.editors.crosskey.config import CrossKeyConfig
from memla.editors.crosskey.editor import CrossKeyEditor
from memla.editors.crosskey.locality import Spread, neighbors_of, no_keys, update_for
from memla.errors import EditError
from memla.facts import EditRequest
from memla.models.tiny import tiny_model
from memla.testing.test_editors import REFERENCES, REQUESTS, capital, requests_from
from tests.reference import crosskey as reference

D_FF, LAYER = 24, 3
BORN = EditRequest(
    fact="pushkin", language="zh", prompt="{}生于", subject="普希金", target_true="莫斯科"
)


def drawn(columns, seed):
    return torch.randn(
        D_FF, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def spread_of(n_text=60, n_subjects=40):
    text, subjects = drawn(n_text, 1), 2 * drawn(n_subjects, 2)
    return Spread(
        {LAYER: Covariance(text @ text.T / n_text, LAYER, n_text)},
        {LAYER: Covariance(subjects @ subjects.T / n_subjects, LAYER, n_subjects)},
    )


def updated(keys, near=None, known=None, **settings):
    config = CrossKeyConfig(**settings)
    near = no_keys(D_FF) if near is None else near
    return update_for(config, known or spread_of(), {LAYER: near}, D_FF)(LAYER, keys)


@pytest.mark.parametrize("n", [3, 9], ids=["small system", "whole system"])
@pytest.mark.parametrize("locality", ["subject_keys", "text", "neighbor_keys"])
def test_least_squares_has_the_sum_of_what_shall_stay(locality, n):
    keys, near, known = drawn(n, 3), drawn(5, 4), spread_of()
    found = updated(
        keys,
        near,
        locality=locality,
        covariance_weight=0.3,
        subject_weight=7.0,
        neighbor_weight=2.0,
    )
    system = 0.3 * D_FF * known.text[LAYER].matrix + keys @ keys.T
    if locality == "subject_keys":
        system = system + 0.3 * D_FF * 7.0 * known.subjects[LAYER].matrix
    if locality == "neighbor_keys":
        system = system + 2.0 * near @ near.T
    torch.testing.assert_close(found, torch.linalg.solve(system, keys), rtol=1e-9, atol=1e-12)


def test_what_was_known_is_not_changed_by_an_update():
    known = spread_of()
    before = known.text[LAYER].matrix.clone()
    updated(drawn(3, 3), drawn(5, 4), known, locality="neighbor_keys")
    updated(drawn(3, 3), known=known)
    assert torch.equal(known.text[LAYER].matrix, before)


def narrow(n_directions=10):
    """Spreads that leave directions free: text in some, subjects in some more."""
    text, subjects = drawn(60, 1), drawn(60, 2)
    text[n_directions:] = 0
    subjects[n_directions + 4 :] = 0
    return Spread(
        {LAYER: Covariance(text @ text.T / 60, LAYER, 60)},
        {LAYER: Covariance(subjects @ subjects.T / 60, LAYER, 60)},
    )


def test_the_null_space_holds_neither_text_nor_subjects():
    known, keys = narrow(), drawn(3, 3)
    found = updated(keys, known=known, locality="null_space", nullspace_threshold=1e-6)
    for spread in (known.text, known.subjects):
        assert (spread[LAYER].matrix @ found).abs().max() < 1e-12
    assert found[14:].abs().max() > 0.01
    # Of the part of the keys that lies in it, all but the ridge's share is written.
    inside = keys[14:]
    ridge = 1e-3 * keys.square().sum(0).mean()
    wanted = torch.linalg.solve(
        inside @ inside.T + ridge * torch.eye(10, dtype=torch.float64), inside
    )
    torch.testing.assert_close(found[14:], wanted, rtol=1e-8, atol=1e-10)


def test_subjects_without_weight_do_not_narrow_the_null_space():
    found = updated(
        drawn(3, 3),
        known=narrow(),
        locality="null_space",
        nullspace_threshold=1e-6,
        subject_weight=0.0,
    )
    assert found[:10].abs().max() < 1e-12
    assert found[10:14].abs().max() > 0.01


def test_keys_of_neighbours_stay_inside_the_null_space_too():
    known, keys, near = narrow(), drawn(3, 3), drawn(4, 4)
    settings = {"locality": "null_space", "nullspace_threshold": 1e-6, "nullspace_ridge": 1e-9}
    free, held = updated(keys, None, known, **settings), updated(keys, near, known, **settings)
    # The update writes near its own keys, and nothing near those of the neighbours.
    assert (near.T @ free).abs().max() > 0.1
    assert (near.T @ held).abs().max() < 1e-5
    torch.testing.assert_close(keys.T @ held, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-5)


def test_a_larger_ridge_makes_a_smaller_update_in_the_null_space():
    norms = [
        updated(
            drawn(3, 3),
            known=narrow(),
            locality="null_space",
            nullspace_threshold=1e-6,
            nullspace_ridge=ridge,
        ).norm()
        for ridge in (1e-6, 1e-1, 10.0)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_without_a_free_direction_the_error_says_what_to_raise():
    with pytest.raises(EditError, match="no eigenvalue") as caught:
        updated(drawn(3, 3), locality="null_space", nullspace_threshold=1e-9)
    assert "nullspace_threshold" in str(caught.value.hint)


def test_neighbours_are_references_of_the_same_relation_in_the_same_languages():
    russian = EditRequest(
        fact="japan", language="ru", prompt="Столица {} —", subject="Японии", target_true="Токио"
    )
    references = (*REFERENCES, BORN, russian, REFERENCES[0])
    found = neighbors_of(requests_from("th"), references[::-1], 256)
    assert [(one.fact, one.language) for one in found] == [
        ("france", "th"),
        ("france", "zh"),
        ("japan", "th"),
        ("japan", "zh"),
    ]
    assert neighbors_of(requests_from("th"), references, 3) == found[:3]
    assert neighbors_of([REQUESTS["en"]], references, 256) == []


def edited(model, references=REFERENCES, **settings):
    quick = {"position": "subject_last", "layers": (0, 1), "steps": 3, "n_contexts": 0}
    config = CrossKeyConfig.model_validate(quick | settings)
    return CrossKeyEditor(config).edit(model, requests_from("th"), references=references)


def dense(model, **settings):
    edit = edited(model, **settings)
    return torch.cat([edit.deltas[layer].dense(model.d_ff) for layer in (0, 1)])


def neighbor_output(model, change):
    """How far the edit moves the output of layer 0 at a neighbour's subject."""
    (text,) = reference.prompt(model, REFERENCES[0])
    key, _, _ = reference.states(model, text, 0, 0)
    return float((key.double() @ change[: model.d_ff].double()).norm())


def test_neighbours_keys_hold_neighbours_and_no_other_locality_looks_at_their_number():
    model = tiny_model()
    heavy = dense(model, locality="neighbor_keys", neighbor_weight=1e4)
    light = dense(model, locality="neighbor_keys", neighbor_weight=1e-4)
    assert neighbor_output(model, heavy) < 0.01 * neighbor_output(model, light)
    one = dense(model, locality="neighbor_keys", n_neighbors=1)
    assert not torch.equal(one, dense(model, locality="neighbor_keys"))
    for locality in ("subject_keys", "text"):
        some = dense(model, locality=locality, n_neighbors=1, neighbor_weight=9.0)
        assert torch.equal(some, dense(model, locality=locality))


def test_only_where_the_settings_say_so_the_subjects_have_a_weight():
    model = tiny_model()
    for locality, counts in (("subject_keys", True), ("text", False), ("neighbor_keys", False)):
        changes = [dense(model, locality=locality, subject_weight=weight) for weight in (0.1, 50)]
        assert torch.equal(*changes) is not counts


def test_the_null_space_of_the_references_is_used_in_an_edit():
    model = tiny_model()
    settings = {"locality": "null_space", "nullspace_threshold": 0.05}
    change = dense(model, **settings)
    matrix = reference.moments(model, REFERENCES, 0, subjects=False)
    matrix = matrix + 10 * reference.moments(model, REFERENCES, 0, subjects=True)
    values, vectors = torch.linalg.eigh(matrix)
    used = vectors[:, values >= 0.05 * values.mean()]
    assert (used.T @ change[: model.d_ff].double()).abs().max() < 1e-6 * change.abs().max()
    wider = dense(model, locality="null_space", nullspace_threshold=0.5)
    assert not torch.equal(change, wider)


def test_the_spread_of_text_can_come_from_a_file_and_the_subjects_from_the_references(tmp_path):
    model = tiny_model()
    path = tmp_path / "สถิติ.safetensors"
    collect_statistics(model, statement_texts([*REFERENCES, BORN])).save(path)
    found = edited(model, covariance={"statistics": path})
    assert found.info["covariance"]["source"] == str(path)
    plain = edited(model)
    assert plain.info["covariance"]["source"] == "references"
    assert not torch.equal(found.deltas[0].dense(64), plain.deltas[0].dense(64))
    text = edited(model, references=(), locality="text", covariance={"statistics": path})
    assert set(text.deltas) == {0, 1}


def test_neighbours_of_the_edited_fact_are_other_facts():
    model = tiny_model()
    own = capital("zh", "泰国", None, "曼谷")
    settings = {"locality": "neighbor_keys"}
    given = dense(model, references=(*REFERENCES, own), **settings)
    assert torch.equal(given, dense(model, **settings))
