from __future__ import annotations

import json

import pytest
import torch

from memla.attribution.key_statistics import collect_statistics, statement_texts
from memla.editors.covariance import Covariance, CovarianceConfig, Covariances
from memla.errors import DataError, EditError
from memla.models import tiny
from memla.testing.test_editors import REFERENCES
from tests.reference import key_statistics as reference

TEXTS = statement_texts(REFERENCES)


def covariances(model, layers=(1,), references=REFERENCES, position="all", **settings):
    made = Covariances(CovarianceConfig(**settings))
    found = made.get(model, references, layers, fingerprint=model.fingerprint(), position=position)
    return made, found


@pytest.mark.parametrize("position", ["all", "subject_last"])
def test_without_a_file_the_matrix_is_that_of_the_references_with_a_ridge(tiny_model, position):
    _, found = covariances(tiny_model, (0, 2), position=position, ridge=0.01)
    assert sorted(found) == [0, 2]
    for layer, covariance in found.items():
        moment = torch.from_numpy(
            reference.second_moment(
                tiny_model,
                TEXTS,
                layer,
                {"th": 1, "zh": 1},
                only_subjects=position == "subject_last",
            )
        )
        expected = moment + 0.01 * moment.diagonal().mean() * torch.eye(64)
        torch.testing.assert_close(covariance.matrix, expected, rtol=1e-5, atol=1e-6)
        assert covariance.matrix.dtype == torch.float64


def test_solving_multiplies_by_the_inverse(tiny_model):
    _, found = covariances(tiny_model)
    keys = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    solved = found[1].solve(keys)
    torch.testing.assert_close(found[1].matrix @ solved, keys.double(), rtol=1e-8, atol=1e-8)
    factor = found[1]._factor
    found[1].solve(keys)
    assert found[1]._factor is factor


def test_eigenvalues_come_in_ascending_order_and_are_computed_once(tiny_model):
    _, found = covariances(tiny_model)
    values, vectors = found[1].eigen()
    assert (values.diff() >= 0).all()
    torch.testing.assert_close(vectors @ values.diag() @ vectors.T, found[1].matrix)
    assert found[1].eigen()[1] is vectors


def test_the_identity_needs_no_text_and_changes_no_key(tiny_model):
    made, found = covariances(tiny_model, (0, 1), references=(), kind="identity")
    keys = torch.arange(64.0)[:, None]
    for covariance in found.values():
        assert torch.equal(covariance.solve(keys), keys.double())
        assert torch.equal(covariance.matrix, torch.eye(64, dtype=torch.float64))
    assert made.describe() == {"kind": "identity"}


def test_a_file_gives_the_same_matrix_as_the_texts_it_was_made_of(tiny_model, tmp_path):
    path = collect_statistics(tiny_model, TEXTS).save(tmp_path / "สถิติ.safetensors")
    made, found = covariances(tiny_model, (0, 1), references=(), statistics=path)
    told, expected = covariances(tiny_model, (0, 1))
    for layer, covariance in expected.items():
        torch.testing.assert_close(found[layer].matrix, covariance.matrix, rtol=1e-5, atol=1e-7)
    assert made.describe() == told.describe() | {"source": str(path)}


def test_a_description_is_json_and_names_the_text(tiny_model):
    made, _ = covariances(tiny_model)
    said = made.describe()
    assert json.loads(json.dumps(said)) == said
    assert said["source"] == "references"
    assert said["corpus"] == collect_statistics(tiny_model, TEXTS).corpus
    assert set(said["keys"]) == {"th", "zh"}


def passes(model) -> list[int]:
    seen: list[int] = []
    model.block(0).register_forward_pre_hook(lambda *_: seen.append(1))
    return seen


def test_an_editor_computes_once_for_the_same_model_text_and_position(tiny_model):
    seen = passes(tiny_model)
    made = Covariances(CovarianceConfig())
    key = tiny_model.fingerprint()
    first = made.get(tiny_model, REFERENCES, [0, 1], fingerprint=key)
    assert len(seen) == 1
    again = made.get(tiny_model, REFERENCES[::-1], [1], fingerprint=key)
    assert len(seen) == 1
    assert again[1] is first[1]
    made.get(tiny_model, REFERENCES, [0], fingerprint=key, position="subject_last")
    assert len(seen) == 2
    more = made.get(tiny_model, REFERENCES, [1, 2], fingerprint=key)
    assert len(seen) == 3
    assert more[1] is first[1]


def test_nothing_is_carried_over_to_other_weights_or_other_text():
    models = [tiny.tiny_model(seed=0), tiny.tiny_model(seed=1)]
    made = Covariances(CovarianceConfig())
    for references in (REFERENCES, REFERENCES[:2]):
        for model in models:
            key = model.fingerprint()
            found = made.get(model, references, [1], fingerprint=key)
            _, expected = covariances(model, references=references)
            assert torch.equal(found[1].matrix, expected[1].matrix)


def test_a_file_that_is_made_again_is_read_again(tiny_model, tmp_path):
    path = collect_statistics(tiny_model, TEXTS).save(tmp_path / "统计")
    made = Covariances(CovarianceConfig(statistics=path))
    key = tiny_model.fingerprint()
    first = made.get(tiny_model, (), [1], fingerprint=key)[1]
    assert made.get(tiny_model, (), [1], fingerprint=key)[1] is first
    collect_statistics(tiny_model, TEXTS[:2]).save(path)
    second = made.get(tiny_model, (), [1], fingerprint=key)[1]
    assert not torch.equal(first.matrix, second.matrix)
    assert sum(made.describe()["keys"].values()) == second.n_keys < first.n_keys


def test_a_file_of_another_model_is_refused_with_the_command_that_helps(tiny_model, tmp_path):
    path = collect_statistics(tiny_model, TEXTS).save(tmp_path / "สถิติ")
    with pytest.raises(EditError, match="are of other weights") as caught:
        covariances(tiny.tiny_model(seed=1), statistics=path)
    assert "memla statistics tiny-gpt2" in caught.value.hint


def test_a_file_of_another_position_is_refused(tiny_model, tmp_path):
    path = collect_statistics(tiny_model, TEXTS).save(tmp_path / "สถิติ")
    with pytest.raises(EditError, match="of position 'all'") as caught:
        covariances(tiny_model, statistics=path, position="subject_last")
    assert "--position subject-last" in caught.value.hint


def test_a_file_that_is_missing_or_lacks_a_layer_is_refused(tiny_model, tmp_path):
    with pytest.raises(DataError, match="there is no file") as caught:
        covariances(tiny_model, statistics=tmp_path / "ไม่มี")
    assert "memla statistics" in caught.value.hint
    path = collect_statistics(tiny_model, TEXTS, layers=[0]).save(tmp_path / "สถิติ")
    with pytest.raises(DataError, match="no statistics of layer 1"):
        covariances(tiny_model, statistics=path)


@pytest.mark.parametrize(
    "references", [(), [REFERENCES[0].model_copy(update={"target_true": None})]]
)
def test_without_text_there_are_three_ways_out(tiny_model, references):
    with pytest.raises(EditError, match="neither a file") as caught:
        covariances(tiny_model, references=references)
    for way in ("memla statistics", "references", "covariance.kind='identity'"):
        assert way in caught.value.hint


def test_too_little_text_without_a_ridge_is_an_error_that_counts_it(tiny_model):
    _, found = covariances(tiny_model, references=REFERENCES[1:2], ridge=0.0)
    with pytest.raises(EditError, match=rf"layer 1 .* {found[1].n_keys} keys for 64") as caught:
        found[1].solve(torch.ones(64, 1))
    assert "covariance.ridge" in caught.value.hint


def test_a_matrix_of_one_key_with_a_ridge_can_be_solved():
    key = torch.ones(4, 1, dtype=torch.float64)
    covariance = Covariance(key @ key.T + 0.5 * torch.eye(4), layer=0, n_keys=1)
    torch.testing.assert_close(covariance.solve(key), key / 4.5)
