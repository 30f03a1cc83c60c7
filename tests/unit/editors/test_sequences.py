"""Edits on top of each other, and the model as it was before them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from memla.attribution.key_statistics import collect_statistics, statement_texts
from memla.editors import EDITORS
from memla.editors.edits import Dense, RowSparse, WeightDelta
from memla.editors.in_force import in_force, unedited, write
from memla.editors.memit import MemitConfig, MemitEditor
from memla.editors.sequences import EditSequence
from memla.errors import EditMismatchError
from memla.models import tiny
from memla.models.language_model import LanguageModel
from memla.testing.test_editors import REFERENCES, REQUESTS
from tests.unit.editors.test_edits import (
    InterruptedTensor,
    assert_same_bits,
    delta_for,
    random_parts,
    weights,
)


def edits_of(model: LanguageModel, count: int = 4) -> list[WeightDelta]:
    """Edits of one layer and of all."""
    first = WeightDelta({1: random_parts(model, 9)[1]}, model.fingerprint())
    return [first, *(delta_for(model, seed) for seed in range(count))]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_sequence_has_the_weights_of_nested_edits_and_leaves_none_behind(family: str) -> None:
    model = tiny.tiny_model(family)
    before, edits = weights(model), edits_of(model)
    nested = []
    with ExitStack() as stack:
        for edit in edits:
            stack.enter_context(edit.applied(model))
            nested.append(weights(model))
    with EditSequence(model) as sequence:
        for edit, expected in zip(edits, nested, strict=True):
            assert sequence.apply(edit) is sequence.model is model
            assert_same_bits(model, expected)
    assert_same_bits(model, before)
    assert not in_force(model)


def numbers_kept(model: LanguageModel) -> int:
    return sum(values.numel() for one in in_force(model) for _, _, values in one.saved)


def rows_of(model: LanguageModel, rows: list[int]) -> WeightDelta:
    update = torch.ones(len(rows), model.d_model)
    return WeightDelta({1: RowSparse(torch.tensor(rows), update)}, model.fingerprint())


def test_what_stood_in_a_row_is_kept_once(tiny_model: LanguageModel) -> None:
    before, d_model, d_ff = weights(tiny_model), tiny_model.d_model, tiny_model.d_ff
    with EditSequence(tiny_model) as sequence:
        for rows, kept in (([0, 5], 2), ([5, 0], 2), ([7, 5, 2], 4)):
            sequence.apply(rows_of(tiny_model, rows))
            assert numbers_kept(tiny_model) == kept * d_model
        whole = Dense(torch.ones(d_ff, d_model))
        for _ in range(3):
            sequence.apply(WeightDelta({1: whole}, tiny_model.fingerprint()))
            sequence.apply(rows_of(tiny_model, [3, 5]))
        assert numbers_kept(tiny_model) == (4 + d_ff) * d_model
        edited = weights(tiny_model)
        with unedited(tiny_model):
            assert_same_bits(tiny_model, before)
        assert_same_bits(tiny_model, edited)
    assert_same_bits(tiny_model, before)


def test_a_sequence_can_be_used_again(tiny_model: LanguageModel) -> None:
    before, sequence = weights(tiny_model), EditSequence(tiny_model)
    for _ in range(2):
        with sequence:
            sequence.apply(delta_for(tiny_model, 1))
        assert_same_bits(tiny_model, before)


def test_an_edit_between_those_of_a_sequence_is_refused(tiny_model: LanguageModel) -> None:
    before, edits = weights(tiny_model), edits_of(tiny_model)
    with EditSequence(tiny_model) as sequence:
        sequence.apply(edits[0])
        with edits[1].applied(tiny_model), pytest.raises(EditMismatchError, match="on top of it"):
            sequence.apply(edits[2])
        sequence.apply(edits[2])
    assert_same_bits(tiny_model, before)


def interrupt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when the next weight has been written."""

    def write_and_interrupt(*saved: Any) -> None:
        monkeypatch.undo()
        write(*saved)
        raise KeyboardInterrupt

    monkeypatch.setattr("memla.editors.in_force.write", write_and_interrupt)


def test_ctrl_c_while_weights_are_put_back_is_heard_when_all_is_as_it_was(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(tiny_model)
    with ExitStack() as stack:
        stack.enter_context(delta_for(tiny_model, 1).applied(tiny_model))
        edited = weights(tiny_model)
        with pytest.raises(KeyboardInterrupt), unedited(tiny_model):
            interrupt_once(monkeypatch)
        assert_same_bits(tiny_model, edited)
        assert len(in_force(tiny_model)) == 1
        interrupt_once(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            stack.close()
    assert_same_bits(tiny_model, before)
    assert not in_force(tiny_model)


def test_what_is_not_listed_stays_and_the_fingerprint_tells(tiny_model: LanguageModel) -> None:
    plain = tiny_model.fingerprint()
    with delta_for(tiny_model, 1).applied(tiny_model), torch.no_grad():
        norm = next(value for value in tiny_model.model.parameters() if value.dim() == 1)
        norm += 1
        with unedited(tiny_model) as fingerprint:
            assert fingerprint == tiny_model.fingerprint() != plain


def apply_and_fail(model: LanguageModel, error: type[BaseException]) -> None:
    with EditSequence(model) as sequence:
        sequence.apply(delta_for(model, 1))
        raise error("中断")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_sequence_is_taken_back_after_an_exception(
    tiny_model: LanguageModel, error: type[BaseException]
) -> None:
    before = weights(tiny_model)
    with pytest.raises(error, match="中断"):
        apply_and_fail(tiny_model, error)
    assert_same_bits(tiny_model, before)
    assert not in_force(tiny_model)


def test_an_edit_that_is_interrupted_leaves_the_sequence_as_it_was(
    tiny_model: LanguageModel,
) -> None:
    before = weights(tiny_model)
    parts = random_parts(tiny_model, 2)
    update = torch.zeros(tiny_model.d_ff, tiny_model.d_model)
    parts[2] = Dense(update.as_subclass(InterruptedTensor))
    with EditSequence(tiny_model) as sequence:
        sequence.apply(WeightDelta({1: parts[1]}, tiny_model.fingerprint()))
        good = weights(tiny_model)
        with pytest.raises(KeyboardInterrupt):
            sequence.apply(WeightDelta(parts, tiny_model.fingerprint()))
        assert_same_bits(tiny_model, good)
        with pytest.raises(EditMismatchError, match="other weights"):
            sequence.apply(WeightDelta({}, "ไม่มี"))
        assert len(in_force(tiny_model)) == 1
        sequence.apply(delta_for(tiny_model, 3))
    assert_same_bits(tiny_model, before)


def test_an_edit_made_for_any_weights_on_the_way_fits(tiny_model: LanguageModel) -> None:
    first, second = delta_for(tiny_model, 1), delta_for(tiny_model, 2)
    with EditSequence(tiny_model) as sequence:
        sequence.apply(first)
        third = delta_for(tiny_model, 3)
        sequence.apply(second)  # made for the unedited model
        sequence.apply(third)  # made after the first
        with delta_for(tiny_model, 4).applied(tiny_model):
            assert len(in_force(tiny_model)) == 4


def test_the_unedited_model_is_there_for_a_block_and_the_edits_after_it(
    tiny_model: LanguageModel,
) -> None:
    before, plain = weights(tiny_model), tiny_model.fingerprint()
    with unedited(tiny_model) as same:
        assert same == plain
    with delta_for(tiny_model, 0).applied(tiny_model), EditSequence(tiny_model) as sequence:
        for seed in (1, 2):
            sequence.apply(delta_for(tiny_model, seed))
        edited = weights(tiny_model)
        with unedited(tiny_model) as fingerprint:
            assert fingerprint == tiny_model.fingerprint() == plain
            assert_same_bits(tiny_model, before)
            assert not in_force(tiny_model)
            with delta_for(tiny_model, 5).applied(tiny_model):
                pass
        assert_same_bits(tiny_model, edited)
        assert len(in_force(tiny_model)) == 3
    assert_same_bits(tiny_model, before)


@pytest.mark.parametrize("name", ["alphaedit", "crosskey", "memit", "pmet", "rome"])
def test_what_an_editor_knows_of_a_model_is_that_of_the_unedited_one(
    name: str, tiny_model: LanguageModel
) -> None:
    requests = [REQUESTS["zh"]]
    fresh, used = EDITORS[name](None), EDITORS[name](None)
    with EditSequence(tiny_model) as sequence:
        sequence.apply(used.edit(tiny_model, requests, references=REFERENCES))
        sequence.apply(delta_for(tiny_model, 3))
        on_top = weights(tiny_model)
        # Taken up again: this editor has not seen the model before.
        first = fresh.edit(tiny_model, requests, references=REFERENCES)
        second = used.edit(tiny_model, requests, references=REFERENCES)
        assert_same_bits(tiny_model, on_top)
        assert first.fingerprint == tiny_model.fingerprint()
    for layer, part in first.deltas.items():
        for tensor, other in zip(
            part.tensors().values(), second.deltas[layer].tensors().values(), strict=True
        ):
            torch.testing.assert_close(tensor, other, rtol=0, atol=0)


def test_a_file_of_key_statistics_serves_a_whole_sequence(
    tiny_model: LanguageModel, tmp_path: Path
) -> None:
    path = collect_statistics(tiny_model, statement_texts(REFERENCES)).save(tmp_path / "统计")
    editor = MemitEditor(MemitConfig.preset("recommended", {"covariance": {"statistics": path}}))
    with EditSequence(tiny_model) as sequence:
        for language in ("zh", "th"):
            edit = editor.edit(tiny_model, [REQUESTS[language]])
            sequence.apply(edit)
    assert edit.describe()["covariance"]["source"] == str(path)
