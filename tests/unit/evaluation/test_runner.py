"""Plans are carried out once, in any order, and can be interrupted anywhere."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
import torch

from memla.errors import (
    DataError,
    DeviceMemoryError,
    EditError,
    MemlaError,
    MissingExtraError,
    NoNeuronsError,
    UnknownNameError,
)
from memla.evaluation import baseline, modes
from memla.evaluation.protocols import PROTOCOLS
from memla.evaluation.references import References
from memla.evaluation.results import Plan, RunFolder
from memla.evaluation.runner import make_editor
from memla.evaluation.summary import compare, read_run, summarize
from memla.facts import Probe
from memla.models.tiny import tiny_tokenizer


class InterruptError(Exception):
    """Stands for the end of a process."""


def without_time(run):
    return sorted(
        (result.model_copy(update={"seconds": 0}) for result in run.results()),
        key=lambda result: (result.source, result.case),
    )


def test_a_run_has_a_cell_for_every_metric_and_target(run_plan):
    cells = summarize(run_plan())
    found = {(cell.metric, cell.target) for cell in cells}
    for target in ("en", "zh", "ja", "ru", "th", "transfer"):
        for metric in ("ES", "PS", "NS", "QS", "EM"):
            assert {(metric, target), (f"{metric}_before", target)} <= found
    assert {cell.source for cell in cells} == {"en"}
    assert all(0 <= cell.low <= cell.value <= cell.high for cell in cells if cell.metric == "PS")
    counts = {(cell.metric, cell.target): cell.n for cell in cells}
    assert counts["ES", "th"] == 2
    assert counts["PS", "th"] == 4
    assert counts["QS", "th"] == 1, "one case has no question and plays no part"
    assert counts["PS", "transfer"] == 16


def test_transfer_is_the_mean_of_the_other_languages(run_plan):
    cells = {(cell.metric, cell.target): cell.value for cell in summarize(run_plan())}
    for metric in ("ES", "NS_before"):
        others = [cells[metric, target] for target in ("zh", "ja", "ru", "th")]
        assert cells[metric, "transfer"] == pytest.approx(sum(others) / 4, abs=1e-3)


def test_order_and_batch_size_do_not_change_results(run_plan, capitals):
    first = without_time(run_plan())
    capitals._cases = capitals._cases[::-1]
    second = without_time(run_plan(batch_size=3))
    for one, other in zip(first, second, strict=True):
        assert one.edit == other.edit
        for seen, again in zip(one.after, other.after, strict=True):
            assert seen.predicted == again.predicted
            if seen.answer is not None:
                assert seen.answer.joint == pytest.approx(again.answer.joint, abs=1e-4)


def test_a_case_is_edited_alike_in_whatever_company(run_plan):
    (alone,) = without_time(run_plan(Plan(model="tiny", benchmark="capitals", limit=1)))
    among_others = {result.case: result for result in run_plan().results()}
    assert alone.edit == among_others[alone.case].edit


def test_the_model_is_what_it_was_after_a_run(run_plan, tiny_model):
    before = tiny_model.fingerprint()
    run_plan()
    assert tiny_model.fingerprint() == before


def test_an_editor_sees_the_new_answer_in_the_source_only(run_plan, shake_editor):
    run_plan(Plan(model="tiny", benchmark="capitals", source_languages=("th",)))
    for requests, _, _ in shake_editor.seen:
        assert [request.language for request in requests if request.target_new] == ["th"]
        assert len(requests) == 5


def test_an_edit_can_be_made_in_two_languages_at_once(run_plan, shake_editor):
    run = run_plan(Plan(model="tiny", benchmark="capitals", source_languages=("zh+th",)))
    for requests, _, _ in shake_editor.seen:
        assert [r.language for r in requests if r.target_new] == ["zh", "th"]
    cells = {(c.metric, c.target): c for c in summarize(run)}
    assert cells["ES", "transfer"].n == 6, "three languages, two cases"
    assert cells["ES", "zh+th"].n == 4
    two = [cells["QS", target].value for target in ("zh", "th")]
    assert cells["QS", "zh+th"].value == pytest.approx(sum(two) / 2, abs=1e-3)


def test_a_language_that_stands_twice_in_a_source_is_edited_once(run_plan, shake_editor):
    assert Plan(source_languages=("zh+zh", "th", "zh")).source_languages == ("zh", "th")
    run_plan(Plan(model="tiny", benchmark="capitals", source_languages=("zh+th+zh",)))
    for requests, _, _ in shake_editor.seen:
        assert [r.language for r in requests if r.target_new] == ["zh", "th"]


def test_references_share_no_subject_with_what_is_edited_or_asked(run_plan, shake_editor):
    run_plan()
    seen = {requests[0].fact: references for requests, references, _ in shake_editor.seen}
    assert {request.fact for request in seen["france"]} == {"spain"}, "Italy is its neighbour"
    assert {request.fact for request in seen["japan"]} == {"italy", "spain"}
    for references in seen.values():
        assert all(r.target_new is None and r.target_true is not None for r in references)


def test_a_reference_is_excluded_in_all_languages_by_its_name_in_one(capitals):
    train = References.from_cases(capitals.cases(split="train"))
    assert {r.fact for r in train.without([], ["Столица страны ИСПАНИЯ?"])} == {"italy"}


def test_references_can_be_withheld(run_plan, shake_editor):
    run_plan(Plan(model="tiny", benchmark="capitals", use_references=False))
    assert all(references == () for _, references, _ in shake_editor.seen)


def test_a_run_that_was_interrupted_is_continued(run_plan, tmp_path, shake, tiny_model):
    def stop(*_):
        raise InterruptError

    with pytest.raises(InterruptError):
        run_plan(out=tmp_path, on_score=stop)
    editor = shake()
    run = run_plan(out=tmp_path, editor=editor)
    assert [requests[0].fact for requests, _, _ in editor.seen] == ["japan"]
    assert without_time(run) == without_time(run_plan())
    assert without_time(read_run(run.folder.path)) == without_time(run)


def test_a_line_that_was_cut_off_is_written_again(run_plan, tmp_path):
    run = run_plan(out=tmp_path)
    whole = without_time(run)
    for path in (run.folder.path / "cases.jsonl", *tmp_path.glob("before-*.jsonl")):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) - 40])
    assert [result.case for result in read_run(run.folder.path).results()] == ["france"]
    assert without_time(run_plan(out=tmp_path)) == whole
    assert len((run.folder.path / "cases.jsonl").read_bytes().splitlines()) == 2


def test_a_broken_line_in_the_middle_is_named(run_plan, tmp_path):
    run = run_plan(out=tmp_path)
    path = run.folder.path / "cases.jsonl"
    path.write_bytes(b"{broken\n" + path.read_bytes())
    with pytest.raises(DataError, match=r"cases\.jsonl, line 1"):
        run_plan(out=tmp_path)


def test_a_broken_line_of_the_unedited_models_answers_is_named(run_plan, tmp_path):
    run_plan(out=tmp_path)
    (path,) = tmp_path.glob("before-*.jsonl")
    path.write_bytes(bytes(20) + b"\n" + path.read_bytes())
    with pytest.raises(DataError, match=r"before-.*\.jsonl, line 1: not JSON") as caught:
        run_plan(out=tmp_path)
    assert "remove the file" in caught.value.hint


@pytest.mark.parametrize(
    ("pattern", "what"), [("before-*.jsonl", "read"), ("*/cases.jsonl", "written")]
)
def test_a_file_that_cannot_be_opened_is_named(run_plan, tmp_path, pattern, what):
    run_plan(out=tmp_path)
    (path,) = tmp_path.glob(pattern)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=rf"{path.name}.* cannot be {what}"):
        run_plan(out=tmp_path)


def test_the_unedited_model_is_asked_once_for_all_editors(run_plan, tmp_path, shake):
    phases = []
    run_plan(out=tmp_path, on_progress=lambda phase, *_: phases.append(phase))
    assert "before" in phases
    phases.clear()
    run_plan(
        out=tmp_path, editor=shake(strength=2), on_progress=lambda phase, *_: phases.append(phase)
    )
    assert phases == ["edits", "edits"]


def test_another_plan_gets_another_folder(run_plan, tmp_path, shake):
    first = run_plan(out=tmp_path)
    second = run_plan(out=tmp_path, editor=shake(strength=3))
    third = run_plan(Plan(model="tiny", benchmark="capitals", seed=1), out=tmp_path)
    names = {run.folder.path.name for run in (first, second, third)}
    assert len(names) == 3
    assert all(name.startswith("shake-capitals-tiny-") for name in names)


def test_a_folder_of_another_plan_is_refused(run_plan, tmp_path):
    run = run_plan(out=tmp_path)
    with pytest.raises(DataError, match="another plan"):
        RunFolder(run.folder.path).start(Plan(), {})


def test_a_failed_edit_counts_with_the_unedited_model(run_plan, shake):
    run = run_plan(editor=shake(refuse="japan"))
    assert list(run.failures()) == ["japan (en)"]
    assert "no neuron" in run.failures()["japan (en)"]
    failed = next(result for result in run.results() if result.case == "japan")
    assert failed.after == failed.before
    cells = {(cell.metric, cell.target): cell for cell in summarize(run)}
    assert cells["ES", "th"].n == 2


def test_an_edit_that_breaks_the_model_is_recorded_and_left_out(run_plan, shake, tiny_model):
    class BreakOne(type(shake())):
        def edit(self, model, requests, **options):
            self.config = self.config.model_copy(
                update={"strength": float("nan") if requests[0].fact == "japan" else 1.0}
            )
            return super().edit(model, requests, **options)

    before = tiny_model.fingerprint()
    run = run_plan(editor=BreakOne())
    assert "not finite" in run.failures()["japan (en)"]
    assert {score.case for score in run.scores()} == {"france"}
    assert tiny_model.fingerprint() == before


def test_a_run_in_which_everything_fails_is_an_error(run_plan, shake):
    class Refuse(type(shake())):
        def edit(self, *_, **__):
            raise NoNeuronsError("no neuron was selected in ไทย")

    with pytest.raises(EditError, match=r"every case failed.*ไทย"):
        run_plan(editor=Refuse())


def test_when_everything_failed_it_is_told_how_to_try_again(run_plan, shake, tmp_path):
    class Refuse(type(shake())):
        def edit(self, *_, **__):
            raise NoNeuronsError("no neuron was selected in ไทย")

    for _ in range(2):  # what failed is a result, which is not made again by itself
        with pytest.raises(EditError, match="every case failed") as caught:
            run_plan(out=tmp_path, editor=Refuse())
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert caught.value.hint == f"remove {str(folder)!r} to try them again"
    with pytest.raises(EditError) as caught:
        run_plan(editor=Refuse())
    assert caught.value.hint is None


@pytest.mark.parametrize("mode", ["single", "batch", "sequential"])
@pytest.mark.parametrize(
    "reason",
    [
        OSError(28, "No space left on device"),
        MissingExtraError("no package пакет"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_what_is_wrong_with_the_machine_is_no_failure_of_a_case(
    run_plan, shake, tmp_path, mode, reason
):
    class Hindered(type(shake())):
        def edit(self, *_, **__):
            raise reason

    plan = Plan(model="tiny", benchmark="capitals", mode=mode, target_languages=("th",))
    with pytest.raises(MemlaError, match=r"No space left|пакет|memory") as caught:
        run_plan(plan, out=tmp_path, editor=Hindered())
    assert not isinstance(caught.value, EditError)
    run = run_plan(plan, out=tmp_path)
    assert len(list(run.results())) == 2
    assert run.failures() == {}


@pytest.mark.parametrize("mode", ["single", "batch", "sequential"])
def test_a_question_that_memory_does_not_suffice_for_is_asked_again(
    run_plan, tmp_path, monkeypatch, mode
):
    def too_large(*_, **__):
        return torch.empty(1 << 52)

    plan = Plan(model="tiny", benchmark="capitals", mode=mode, target_languages=("th",))
    with monkeypatch.context() as patched:
        patched.setattr(modes, "observe", too_large)
        with pytest.raises(DeviceMemoryError, match="the memory does not suffice"):
            run_plan(plan, out=tmp_path)
    assert without_time(run_plan(plan, out=tmp_path)) == without_time(run_plan(plan))


def test_memory_may_not_suffice_for_the_unedited_model_either(run_plan, monkeypatch):
    monkeypatch.setattr(baseline, "observe", lambda *_, **__: torch.empty(1 << 52))
    with pytest.raises(DeviceMemoryError, match="the memory does not suffice"):
        run_plan()


def test_scores_arrive_as_cases_are_finished(run_plan):
    scores = []
    run = run_plan(on_score=scores.append)
    assert scores == list(run.scores())
    assert {score.metric for score in scores} >= {"ES", "EM", "PS", "NS", "QS", "NS_agreement"}


def test_targets_that_are_not_wanted_are_not_asked(run_plan):
    run = run_plan(Plan(model="tiny", benchmark="capitals", target_languages=("ja", "th")))
    assert {score.target for score in run.scores()} == {"ja", "th"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"source_languages": ("ko",)}, "'ko'"),
        ({"target_languages": ("pl",)}, "'pl'"),
        ({"split": "dev"}, "'dev'"),
    ],
)
def test_what_the_benchmark_lacks_is_named(run_plan, settings, named):
    with pytest.raises(DataError, match=named):
        run_plan(Plan(model="tiny", benchmark="capitals", **settings))


def test_an_unknown_editor_is_named():
    with pytest.raises(UnknownNameError, match="'memle'"):
        make_editor(Plan(editor="memle"))


def test_a_run_compared_with_itself_differs_by_nothing(run_plan, shake):
    run = run_plan()
    assert all((cell.value, cell.low, cell.high) == (0, 0, 0) for cell in compare(run, run))
    assert any(cell.value for cell in compare(run, run_plan(editor=shake(strength=20))))


def test_runs_without_a_common_case_cannot_be_compared(run_plan):
    other = run_plan(Plan(model="tiny", benchmark="capitals", source_languages=("ru",)))
    with pytest.raises(DataError, match="no case in common"):
        compare(run_plan(), other)


def test_a_run_folder_tells_plan_and_environment(run_plan, tmp_path, tiny_model):
    run = run_plan(out=tmp_path)
    plan = json.loads((run.folder.path / "plan.json").read_text(encoding="utf-8"))
    assert plan["model_fingerprint"] == tiny_model.fingerprint()
    assert plan["settings"] == {"strength": 1.0, "refuse": ""}
    assert plan["target_languages"] == ["en", "zh", "ja", "ru", "th"]
    assert "torch" in json.loads((run.folder.path / "environment.json").read_text(encoding="utf-8"))


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"plan\.json"):
        read_run(tmp_path)


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_every_protocol_measures_a_run_from_start_to_table(run_plan, tmp_path, protocol):
    run = run_plan(Plan(model="tiny", benchmark="capitals", protocol=protocol), out=tmp_path)
    cells = summarize(read_run(run.folder.path))
    assert {cell.protocol for cell in cells} == {protocol}
    assert {cell.target for cell in cells} >= {"zh", "ja", "ru", "th", "transfer"}
    assert {score.protocol for score in run.scores()} == {protocol}
    first = next(cell.metric for cell in cells)
    assert first in run.plan.definition().metrics
    asked = run.plan.definition().asked
    for result in run.results():
        for seen in result.after:
            assert (seen.answer is not None) == (seen.probe.kind in asked.scored)
            assert bool(seen.predicted_ids) <= (seen.probe.kind in asked.generated)


def test_a_plan_of_before_protocols_is_one_of_mkeb(tmp_path):
    plan = Plan(benchmark="首都").model_dump(mode="json")
    for key in ("protocol", "f1_tokenizer", "f1_tokenizer_digest", "question_prefixes"):
        del plan[key]
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    assert read_run(tmp_path).plan == Plan(benchmark="首都")
    assert read_run(tmp_path).plan.protocol == "mkeb"


def test_a_protocol_brings_its_settings_unless_they_are_given():
    assert Plan(protocol="counterfact").answer_score == "mean"
    assert Plan(protocol="counterfact", answer_score="joint").answer_score == "joint"
    assert Plan(protocol="mquake").decoding == "until_stop"
    assert Plan(protocol="bizsre_free").f1_units == "words"
    assert (Plan().decoding, Plan().answer_score) == ("gold_length", "joint")


def test_an_unknown_protocol_is_named_with_its_neighbour():
    with pytest.raises(UnknownNameError, match="'couterfact'") as caught:
        Plan(protocol="couterfact")
    assert "did you mean 'counterfact'?" in caught.value.hint


def test_runs_of_different_protocols_cannot_be_compared(run_plan):
    other = run_plan(Plan(model="tiny", benchmark="capitals", protocol="bizsre_v2"))
    with pytest.raises(DataError, match="'mkeb' and 'bizsre_v2'"):
        compare(run_plan(), other)


def test_runs_of_one_protocol_are_compared_in_its_own_metrics(run_plan, shake):
    plan = Plan(model="tiny", benchmark="capitals", protocol="counterfact")
    cells = compare(run_plan(plan), run_plan(plan, editor=shake(strength=20)))
    assert {"S", "ES", "EM", "ES_joint"} & {cell.metric for cell in cells}
    assert all(cell.protocol == "counterfact" for cell in cells)


def test_conditions_are_asked_before_the_edit_only(run_plan, capitals):
    condition = Probe(
        kind="condition", language="th", prompt="ไทย?", answer="กรุงเทพ", criterion="Forgetfulness"
    )
    capitals._cases = tuple(
        one.model_copy(update={"probes": (*one.probes, condition)}) for one in capitals._cases
    )
    run = run_plan(Plan(model="tiny", benchmark="capitals", protocol="rippleedits"))
    for result in run.results():
        assert result.after[-1].probe.kind == "condition"
        assert result.after[-1] == result.before[-1]
        assert len(result.after) == len(result.before)


def test_locality_questions_lose_the_prefix_of_their_file_where_the_plan_says_so(
    run_plan, capitals
):
    asked = {
        "zh": "nq question: 谁唱了蓝河？",
        "th": "ใครร้องเพลงนี้",
        "en": "nq question: who sang it",
    }
    probes = tuple(
        Probe(kind="locality", language=code, prompt=text, answer="A")
        for code, text in asked.items()
    )
    capitals._cases = tuple(
        one.model_copy(update={"probes": (*one.probes, *probes)}) for one in capitals._cases
    )

    def prompts(**settings):
        plan = Plan(model="tiny", benchmark="capitals", limit=1, **settings)
        (result,) = run_plan(plan).results()
        return {one.probe.prompt for one in result.after if one.probe.kind == "locality"}

    stripped = {"谁唱了蓝河？", "ใครร้องเพลงนี้", "who sang it"}
    assert prompts(protocol="bizsre_v2") == stripped
    assert prompts(protocol="bizsre_v2", question_prefixes="keep") == set(asked.values())
    assert prompts(protocol="easyedit") == set(asked.values())


def test_the_tokenizer_of_f1_is_part_of_what_decides_a_result(run_plan, tmp_path):
    tiny_tokenizer().save_pretrained(tmp_path)
    plan = Plan(
        model="tiny",
        benchmark="capitals",
        protocol="bizsre_v1",
        f1_units="bizsre_ids",
        f1_tokenizer=str(tmp_path),
    )
    content = (tmp_path / "tokenizer.json").read_bytes()
    assert run_plan(plan).plan.f1_tokenizer_digest == hashlib.sha256(content).hexdigest()


def test_a_run_is_read_and_summarized_without_torch(run_plan, tmp_path):
    run = run_plan(out=tmp_path)
    code = (
        "import sys\n"
        "from memla.evaluation.summary import read_run, summarize\n"
        f"assert summarize(read_run({str(run.folder.path)!r}))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
