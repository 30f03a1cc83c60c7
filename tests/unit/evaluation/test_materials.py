"""What plans have in common is worked out once, and is what each would have worked out alone."""

from __future__ import annotations

import pytest

from memla.benchmarks import load_benchmark
from memla.evaluation.materials import Materials
from memla.evaluation.plans import Plan
from memla.evaluation.runner import evaluate, make_editor

FACTS = (
    '{{"id": "{id}", "split": "{split}", "relation": "capital", "requests": ['
    '{{"language": "th", "prompt": "เมืองหลวงของ{{}}คือ", "subject": "{subject}",'
    ' "target_new": "โตเกียว", "target_true": "ปารีส"}}]}}\n'
)
SETTINGS = {"steps": 1}


@pytest.fixture
def facts(tmp_path):
    """Files of facts in Thai: the first is under test, of the others each makes a file."""

    def write(name, *rows):
        path = tmp_path / name
        lines = (FACTS.format(id=one, split=split, subject=subject) for one, split, subject in rows)
        path.write_text("".join(lines), encoding="utf-8")
        return str(path)

    return write


def plan(benchmark, **more):
    return Plan(
        editor="ft",
        settings=SETTINGS,
        benchmark=benchmark,
        source_languages=("th",),
        target_languages=("th",),
        **more,
    )


def test_a_plan_has_the_same_name_with_materials_of_its_own_and_shared(facts, tiny_model, tmp_path):
    file = facts("f.jsonl", ("a", "test", "ฝรั่งเศส"), ("b", "test", "ญี่ปุ่น"))
    shared = Materials(tiny_model, load_benchmark(file))
    alone = evaluate(plan(file), model=tiny_model, benchmark=load_benchmark(file)).plan
    for _ in range(2):
        made = evaluate(plan(file), out=tmp_path / "runs", materials=shared).plan
        assert made == alone
        assert shared.resolve(made, make_editor(made)).run_name == alone.run_name


def test_cases_of_another_number_are_another_selection(facts, tiny_model):
    file = facts("f.jsonl", ("a", "test", "ฝรั่งเศส"), ("b", "test", "ญี่ปุ่น"))
    shared = Materials(tiny_model, load_benchmark(file))
    one, two = (shared.select(plan(file, limit=limit)) for limit in (1, 2))
    assert [len(one.cases), len(two.cases)] == [1, 2]
    assert one.digest != two.digest
    assert shared.select(plan(file, limit=2)).digest == two.digest


def test_references_may_come_from_another_file_and_make_another_run(facts, tiny_model):
    file = facts("f.jsonl", ("a", "test", "ฝรั่งเศส"))
    other = facts("o.jsonl", ("c", "test", "อิตาลี"), ("d", "train", "สเปน"))
    third = facts("t.jsonl", ("e", "test", "อิตาลี"), ("f", "test", "สเปน"))
    shared = Materials(tiny_model, load_benchmark(file))
    without, train, everything, unused = (
        shared.select(plan(file, references=name, use_references=use))
        for name, use in ((None, True), (other, True), (third, True), (third, False))
    )
    assert [len(one.references) for one in (without, train, everything, unused)] == [0, 1, 2, 0]
    assert len({without.digest, train.digest, everything.digest}) == 3
    assert without.digest == unused.digest


def test_a_plan_that_has_no_references_of_its_own_keeps_its_name():
    assert "references" not in Plan().model_dump(exclude_defaults=True)
    assert Plan(references="mkeb-geo").digest != Plan().digest
