"""What an editor may see beside the fact it edits, and what it may know of the rest."""

from __future__ import annotations

import pytest

from memla.benchmarks import BenchmarkCard
from memla.editors.memit import MemitConfig, MemitEditor
from memla.evaluation.references import References
from memla.evaluation.results import Plan
from memla.evaluation.runner import evaluate
from memla.facts import EditCase, EditRequest, Probe, ProbeKind

PROMPTS = {"zh": "{}的首都是", "th": "เมืองหลวงของ{}คือ"}
NAMES = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰"


def case(number: int) -> EditCase:
    """A fact whose neighbour is one of those of the split ``train``."""
    requests = {
        code: EditRequest(
            fact=f"f{number}",
            language=code,
            prompt=prompt,
            subject=NAMES[number],
            target_new="巴黎",
            target_true="东京",
        )
        for code, prompt in PROMPTS.items()
    }
    probes = tuple(
        Probe(kind=kind, language="th", prompt=PROMPTS["th"].format(name), answer="巴黎")
        for kind, name in (
            (ProbeKind.EDIT, NAMES[number]),
            (ProbeKind.NEIGHBORHOOD, NAMES[(number + 3) % len(NAMES)]),
        )
    )
    return EditCase(
        id=f"f{number}",
        relation="capital",
        requests=requests,
        probes=probes if number < 3 else (),
        split="test" if number < 3 else "train",
    )


class FifteenFacts:
    """Three to edit and twelve that are references."""

    def __init__(self, step: int = 1) -> None:
        self._cases = tuple(case(number) for number in range(15))[::step]

    @property
    def card(self) -> BenchmarkCard:
        return BenchmarkCard(
            name="fifteen",
            title="Fifteen",
            languages=tuple(PROMPTS),
            licence="CC0-1.0",
            source="tests",
            revision="1",
            sha256="0" * 64,
            sizes={"test": 3, "train": 12},
        )

    def cases(self, languages=None, split=None, limit=None):
        return tuple(one for one in self._cases if split in (None, one.split))[:limit]


@pytest.fixture
def run(tiny_model):
    """Edit the three facts in Thai with MEMIT."""

    def run(**options):
        quick = MemitConfig(layers=(0, 1), steps=2, contexts={"templates": ()})
        plan = Plan(model="tiny", benchmark="fifteen", source_languages=("th",), editor="memit")
        return evaluate(
            plan,
            **{
                "model": tiny_model,
                "benchmark": FifteenFacts(),
                "editor": MemitEditor(quick),
                "batch_size": 4,
            }
            | options,
        )

    return run


def edits(run) -> dict[str, object]:
    return {result.case: result.edit for result in run.results()}


def test_what_is_left_out_for_a_case_is_the_rest_of_the_pool():
    known = References.from_cases(FifteenFacts().cases(split="train"))
    pool = [one for fact in known.facts for one in fact]
    references = known.for_case(case(1))
    assert {one.fact for one in references.left_out} == {"f4"}, "its neighbour"
    assert {one.language for one in references.left_out} == {"zh", "th"}
    assert sorted((*references, *references.left_out), key=pool.index) == pool
    assert known.without([]).left_out == ()


def test_an_evaluation_reads_its_references_once(run, tiny_model):
    rows: list[int] = []
    tiny_model.block(0).register_forward_pre_hook(
        lambda _module, args: rows.append(args[0].shape[0])
    )
    made = edits(run())
    assert rows.count(24) == 1
    assert max(count for count in rows if count != 24) < 12
    assert len(made) == 3
    for edit in made.values():
        assert edit["covariance"]["left_out"] == 2


def test_an_edit_is_the_same_whichever_cases_came_before(run, tmp_path):
    expected = edits(run())
    assert edits(run(benchmark=FifteenFacts(step=-1))) == expected

    class InterruptError(Exception):
        """Stands for the end of a process."""

    def stop(*_):
        raise InterruptError

    with pytest.raises(InterruptError):
        run(out=tmp_path, on_score=stop)
    assert edits(run(out=tmp_path)) == expected
