"""Cases are edited each by itself, by one edit, or on top of each other."""

from __future__ import annotations

import pytest

from memla.errors import SettingError
from memla.evaluation.kept_edits import KeptEdits
from memla.evaluation.results import Plan
from memla.evaluation.summary import read_run, summarize


class InterruptError(Exception):
    """Stands for the end of a process."""


def plan(mode, size=1, **settings):
    given = {"model": "tiny", "benchmark": "capitals", "mode": mode, "group_size": size}
    return Plan(**given | settings)


def observed(results):
    return {(one.case, one.source): one.after for one in results}


def test_a_batch_is_one_edit_of_all_its_cases(run_plan, many, shake_editor, tiny_model):
    before = tiny_model.fingerprint()
    run = run_plan(plan("batch", 4, source_languages=("th",)), benchmark=many)
    sizes = [
        sum(r.target_new is not None for r in requests) for requests, _, _ in shake_editor.seen
    ]
    assert sizes == [4, 4, 3]
    assert tiny_model.fingerprint() == before
    results = list(run.results())
    assert len({one.case for one in results}) == len(results) == 11
    assert [one.position for one in results] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    for one in results:
        assert bool(one.edit) == (one.position == 0), "what an edit is stands there once"
        assert one.group == next(r.case for r in results if r.group == one.group)
    assert list(run.after_all()) == []


def test_an_editor_of_a_batch_sees_no_reference_that_any_of_its_cases_asks_about(
    run_plan, capitals, shake_editor
):
    run_plan(plan("batch", 2))
    ((_, references, _),) = shake_editor.seen
    assert {one.fact for one in references} == {"spain"}, "Italy is asked about and given"


@pytest.mark.parametrize("mode", ["batch", "sequential"])
def test_groups_of_one_are_single_edits(run_plan, mode):
    single, grouped = run_plan(), run_plan(plan(mode))
    assert observed(single.results()) == observed(grouped.results())


def test_a_sequence_is_looked_at_after_each_edit_and_after_all(run_plan, many, tiny_model):
    before = tiny_model.fingerprint()
    single = observed(run_plan(benchmark=many).results())
    run = run_plan(plan("sequential", 11), benchmark=many)
    assert tiny_model.fingerprint() == before
    right_after, after_all = observed(run.results()), observed(run.after_all())
    order = [(one.case, one.source) for one in run.results()]
    assert right_after[order[0]] == single[order[0]], "nothing was edited before the first"
    assert right_after[order[-1]] == after_all[order[-1]], "nothing is edited after the last"
    assert right_after[order[0]] != after_all[order[0]]
    assert right_after[order[5]] != single[order[5]]


def test_scores_after_all_edits_have_a_name_of_their_own(run_plan, many):
    scores = []
    run = run_plan(plan("sequential", 11), benchmark=many, on_score=scores.append)
    assert sorted(map(str, scores)) == sorted(map(str, run.scores()))
    names = {score.metric for score in scores}
    assert {"ES", "ES_after_all", "NS", "NS_after_all"} <= names
    cells = {(cell.metric, cell.target): cell for cell in summarize(run)}
    for metric in ("ES", "PS", "NS"):
        later, first = cells[f"{metric}_after_all", "th"], cells[metric, "th"]
        assert later.n == first.n
    assert any(
        cell.value != cells[metric.removesuffix("_after_all"), target].value
        for (metric, target), cell in cells.items()
        if metric.endswith("_after_all")
    )
    assert not any("_after_all_before" in metric for metric, _ in cells)


def test_an_edit_that_fails_leaves_the_model_as_the_sequence_made_it(run_plan, many, shake):
    run = run_plan(plan("sequential", 11), benchmark=many, editor=shake(refuse="japan"))
    results = list(run.results())
    failed = [one for one in results if one.error]
    assert {one.case.partition("-")[0] for one in failed} == {"japan"}
    later = next(one for one in failed if one.position > 2)
    assert later.after is not None
    assert later.after != later.before, "earlier edits are in force"
    assert len(list(run.after_all())) == 11


def test_a_batch_that_cannot_be_edited_is_recorded_case_by_case(run_plan, many, shake):
    run = run_plan(plan("batch", 1), benchmark=many, editor=shake(refuse="japan"))
    assert len(run.failures()) == 4
    assert all("no neuron" in reason for reason in run.failures().values())
    assert len(list(run.results())) == 11


@pytest.mark.parametrize("mode", ["batch", "sequential"])
def test_who_is_in_a_group_does_not_depend_on_order(run_plan, many, mode):
    first = run_plan(plan(mode, 4), benchmark=many)
    many._cases = many._cases[::-1]
    second = run_plan(plan(mode, 4), benchmark=many)
    assert observed(first.results()) == observed(second.results())
    assert observed(first.after_all()) == observed(second.after_all())


@pytest.mark.parametrize("stop_at", [3, 11, 14])
def test_a_sequence_is_taken_up_without_making_its_edits_again(
    run_plan, many, tmp_path, shake, stop_at, tiny_model
):
    before, seen = tiny_model.fingerprint(), []

    def stop(phase, *_):
        seen.extend([phase] * (phase != "before"))
        if len(seen) == stop_at:
            raise InterruptError

    with pytest.raises(InterruptError):
        run_plan(plan("sequential", 11), benchmark=many, out=tmp_path, on_progress=stop)
    assert tiny_model.fingerprint() == before
    editor = shake()
    run = run_plan(plan("sequential", 11), benchmark=many, out=tmp_path, editor=editor)
    assert len(editor.seen) == max(0, 11 - stop_at)
    whole = run_plan(plan("sequential", 11), benchmark=many)
    assert observed(run.results()) == observed(whole.results())
    assert observed(run.after_all()) == observed(whole.after_all())
    assert observed(read_run(run.folder.path).after_all()) == observed(whole.after_all())
    assert not any((run.folder.path / "sequences").glob("*")), "edits are not kept for good"


def test_edits_of_a_sequence_that_is_through_go_when_it_is_seen_again(run_plan, many, tmp_path):
    folder = run_plan(plan("sequential", 11), benchmark=many, out=tmp_path).folder.path

    def stop(phase, done, _):
        if (phase, done) == ("after all", 11):
            raise InterruptError

    (folder / "after_all.jsonl").unlink()
    with pytest.raises(InterruptError):
        run_plan(plan("sequential", 11), benchmark=many, out=tmp_path, on_progress=stop)
    assert any((folder / "sequences").glob("*"))
    run_plan(plan("sequential", 11), benchmark=many, out=tmp_path)
    assert not any((folder / "sequences").glob("*"))


def test_a_kept_edit_that_is_damaged_is_made_again(run_plan, many, tmp_path, shake):
    def stop(phase, done, _):
        if phase == "edits" and done == 3:
            raise InterruptError

    with pytest.raises(InterruptError):
        run_plan(plan("sequential", 11), benchmark=many, out=tmp_path, on_progress=stop)
    (tensors,) = tmp_path.glob("*/sequences/*/1/tensors.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-4])
    editor = shake()
    run = run_plan(plan("sequential", 11), benchmark=many, out=tmp_path, editor=editor)
    assert len(editor.seen) == 9
    whole = run_plan(plan("sequential", 11), benchmark=many)
    assert observed(run.after_all()) == observed(whole.after_all())


def test_nothing_is_kept_without_a_folder():
    kept = KeptEdits(None)
    kept.drop()
    assert kept.read(0) is None


def test_single_edits_have_no_groups():
    with pytest.raises(SettingError, match="group_size is 3"):
        Plan(mode="single", group_size=3)


@pytest.mark.parametrize("editor", ["ft", "rome"])
@pytest.mark.parametrize("mode", ["batch", "sequential"])
def test_editors_write_several_facts_in_every_mode(run_plan, capitals, tiny_model, editor, mode):
    before = tiny_model.fingerprint()
    settings = {"steps": 2} if editor == "ft" else {}
    wanted = plan(mode, 2, editor=editor, settings=settings, source_languages=("en+zh",))
    run = run_plan(wanted, editor=None)
    assert run.failures() == {}
    assert tiny_model.fingerprint() == before
    assert len(list(run.results())) == 2
