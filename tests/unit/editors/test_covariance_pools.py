"""A pool of references is read once; what is left out for an edit is subtracted."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from memla.attribution.key_statistics import corpus_of, statement_texts
from memla.editors.covariance import CovarianceConfig, Covariances
from memla.errors import EditError
from memla.facts import EditRequest, OtherFacts, other_facts
from tests.reference import key_statistics as reference

PROMPTS = {"zh": "{}的首都是", "th": "เมืองหลวงของ{}คือ", "ru": "Столица страны {} —"}
NAMES = ["甲", "乙丙", "丁", "戊己庚", "辛", "壬癸", "子", "丑寅", "卯", "辰巳午", "未", "申酉"]


def statement(number: int, language: str) -> EditRequest:
    return EditRequest(
        fact=f"fact-{number}",
        language=language,
        prompt=PROMPTS[language],
        subject=NAMES[number] + "国" * (number % 3),
        target_true=NAMES[-number - 1] + "城",
    )


POOL = tuple(statement(number, code) for number in range(12) for code in PROMPTS)
LAYERS = (0, 2)


def left_out(*facts: int) -> OtherFacts:
    """The pool without some facts."""
    return OtherFacts(POOL).without_facts([f"fact-{number}" for number in facts])


@pytest.fixture
def get(tiny_model):
    """Covariances of a new editor, or of one that is given."""

    def get(references, made=None, layers=LAYERS, position="all", ridge=0.0):
        made = made or Covariances(CovarianceConfig(ridge=ridge))
        key = tiny_model.fingerprint()
        return made.get(tiny_model, references, layers, fingerprint=key, position=position)

    return get


@pytest.fixture
def rows_read(tiny_model):
    """Number of rows of each forward pass."""
    seen: list[int] = []
    tiny_model.block(0).register_forward_pre_hook(
        lambda _module, args: seen.append(args[0].shape[0])
    )
    return seen


def same_bits(found, expected) -> bool:
    return list(found) == list(expected) and all(
        torch.equal(found[layer].matrix, expected[layer].matrix) for layer in expected
    )


@pytest.mark.parametrize("position", ["all", "subject_last"])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-6)])
def test_the_subtraction_equals_reading_the_rest_with_the_same_weights(
    tiny_model, get, position, dtype, within
):
    tiny_model.model.to(dtype)
    made = Covariances(CovarianceConfig(ridge=0.0))
    references = left_out(3, 7)
    found = get(references, made, position=position)
    for layer, covariance in found.items():
        expected = torch.from_numpy(
            reference.second_moment(
                tiny_model,
                statement_texts(references),
                layer,
                made.describe()["mixture"],
                only_subjects=position == "subject_last",
            )
        )
        torch.testing.assert_close(covariance.matrix, expected, rtol=within, atol=within)
        assert torch.equal(covariance.matrix, covariance.matrix.T)
        assert covariance.n_keys == sum(made.describe()["keys"].values())


def test_languages_weigh_what_is_left_of_their_keys(get):
    made = Covariances(CovarianceConfig())
    get(POOL, made)
    pool = made.describe()
    get(left_out(3), made)
    part = made.describe()
    shares = {code: part["keys"][code] / pool["keys"][code] for code in pool["keys"]}
    total = sum(shares.values())
    assert part["mixture"] == pytest.approx({code: shares[code] / total for code in shares})
    assert sum(part["mixture"].values()) == pytest.approx(1)


def test_the_ridge_is_a_share_of_what_remains(get):
    plain, ridged = get(left_out(3))[2].matrix, get(left_out(3), ridge=0.5)[2].matrix
    expected = plain + 0.5 * plain.diagonal().mean() * torch.eye(64, dtype=torch.float64)
    torch.testing.assert_close(ridged, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("position", ["all", "subject_last"])
def test_earlier_edits_change_no_bit(get, position):
    wanted = left_out(3, 7)
    alone = get(wanted, position=position)
    made = Covariances(CovarianceConfig(ridge=0.0))
    for earlier in (
        left_out(1),
        POOL,
        left_out(*range(8)),
        POOL[:9],
        OtherFacts(left_out(1, 2)[::-1], left_out(1, 2).left_out),
    ):
        get(earlier, made, layers=(2,), position=position)
        assert same_bits(get(wanted, made, position=position), alone)
    get(left_out(4), made, position=position)
    assert same_bits(get(POOL, made, position=position), get(POOL, position=position))


def test_copies_in_another_order_are_the_same_pool(get, rows_read):
    made = Covariances(CovarianceConfig(ridge=0.0))
    found = get(left_out(3), made)
    copies = OtherFacts(
        [one.model_copy() for one in left_out(3)[::-1]],
        [one.model_copy() for one in left_out(3).left_out[::-1]],
    )
    n_passes = len(rows_read)
    again = get(copies, made)
    assert again[0] is found[0]
    assert len(rows_read) == n_passes


def test_as_many_other_statements_are_another_pool(get):
    made = Covariances(CovarianceConfig(ridge=0.0))
    get(left_out(3), made)
    other = OtherFacts(
        [one.model_copy(update={"target_true": "曼谷"}) for one in left_out(3)],
        left_out(3).left_out,
    )
    assert same_bits(get(other, made), get(other))


def test_statements_that_are_known_by_identity_are_kept(get):
    made = Covariances(CovarianceConfig())
    references = tuple(one.model_copy() for one in POOL)
    first = weakref.ref(references[0])
    get(references, made)
    del references
    gc.collect()
    assert first() is not None, "else another statement could take its place in memory"


def test_the_pool_is_read_once_over_several_edits(get, rows_read):
    made = Covariances(CovarianceConfig())
    for fact in (1, 5, 1, 9):
        get(left_out(fact), made, layers=(0,))
    assert rows_read == [36, 3, 3, 3, 3]
    get(left_out(9), made, layers=(0, 1))
    assert rows_read[5:] == [36, 3], "only the new layer is missing"
    get(left_out(9), made, layers=(1, 0))
    get(POOL, made, layers=(0, 1))
    assert len(rows_read) == 7


def test_a_language_that_is_left_out_altogether_has_no_part(get):
    silent = [one for one in POOL if one.language == "th"][:3]
    there = [one for one in POOL if one.language != "th"]
    made = Covariances(CovarianceConfig(ridge=0.0))
    found = get(OtherFacts(there, silent), made)
    assert set(made.describe()["keys"]) == set(made.describe()["mixture"]) == {"zh", "ru"}
    for layer, covariance in get(tuple(there)).items():
        torch.testing.assert_close(found[layer].matrix, covariance.matrix, rtol=1e-5, atol=1e-6)


def test_where_much_is_left_out_the_references_are_read_by_themselves(get, rows_read):
    made = Covariances(CovarianceConfig(ridge=0.0))
    references = left_out(1, 2, 3)
    found = get(references, made)
    assert rows_read == [27]
    assert same_bits(found, get(tuple(references)))
    assert made.describe()["left_out"] == 0
    assert made.describe()["corpus"] == corpus_of(statement_texts(references)).digest
    get(left_out(1), made)
    get(references, made)
    get(left_out(2), made)
    assert rows_read[2:] == [36, 3, 3], "neither takes the other's place"


def test_what_was_left_out_is_counted_beside_the_pool(get):
    made = Covariances(CovarianceConfig())
    get(left_out(3, 7), made)
    said = made.describe()
    assert said["left_out"] == 6
    assert said["corpus"] == corpus_of(statement_texts(POOL)).digest
    get(POOL[:6], made)
    assert made.describe()["left_out"] == 0


def test_statements_without_a_true_answer_are_of_no_pool(get):
    blank = [one.model_copy(update={"target_true": None}) for one in POOL[:20]]
    with pytest.raises(EditError, match="neither a file"):
        get(OtherFacts(blank, POOL[20:22]))
    found = get(OtherFacts((*left_out(3), *blank), left_out(3).left_out))
    assert same_bits(found, get(left_out(3)))


def test_plain_references_of_an_edited_fact_are_ignored_altogether(get):
    kept = other_facts(POOL, {"fact-3"})
    assert not isinstance(kept, OtherFacts)
    assert same_bits(get(kept), get(tuple(left_out(3))))
    assert not same_bits(get(kept), get(other_facts(OtherFacts(POOL), {"fact-3"})))
