"""Run folders written by hand, in Chinese, Japanese, Thai and Russian."""

from __future__ import annotations

import json

import pytest

from memla.evaluation.recipes import RecipeRun
from memla.evaluation.results import CaseResult, Plan
from memla.evaluation.summary import read_run
from tests.observed import likely, look

LANGUAGES = ("en", "zh", "ja", "th", "ru")
TOKYO = ("Tokyo", "东京", "東京", "โตเกียว", "Токио")
PARIS = ("Paris", "巴黎", "パリ", "ปารีส", "Париж")
ROME = ("Rome", "罗马", "ローマ", "โรม", "Рим")
QUESTIONS = ("The capital of France is", "法国的首都是", "フランスの首都は")
QUESTIONS += ("เมืองหลวงของฝรั่งเศสคือ", "Столица Франции —")

NEURONS = {
    "n_specific": 2,
    "n_shared": 6,
    "specific_by_layer": [2, 0, 0],
    "shared_by_layer": [0, 6, 0],
}


def observed(*, edited: bool, reached: tuple[str, ...], said: str = ""):
    """What a model says of the capital of France, and of a neighbour."""
    seen = []
    for place, language in enumerate(LANGUAGES):
        is_new = edited and language in reached
        seen += [
            look(
                "edit",
                language,
                TOKYO[place],
                prompt=QUESTIONS[place],
                said=said or (TOKYO if is_new else PARIS)[place],
                new=likely(-0.1 if is_new else -5.0),
                old=likely(-3.0 if is_new else -0.2),
                said_ids=(1,) if is_new else (2,),
                gold_ids=(1,),
            ),
            look(
                "neighborhood",
                language,
                ROME[place],
                prompt=f"? {language}",
                said=ROME[place],
                said_ids=(3,),
                gold_ids=(3,),
            ),
        ]
    return tuple(seen)


@pytest.fixture
def make_run(tmp_path):
    """Write a run; the edit reaches the languages that are named, beside its own."""

    def make(
        name: str,
        *,
        sources=("en", "zh"),
        cases=4,
        reached=(),
        failing=(),
        edit=None,
        said="",
        left_out=(),
        **plan,
    ):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        values = {"target_languages": LANGUAGES, "limit": cases, "source_languages": sources}
        made = Plan(**(values | plan))
        (folder / "plan.json").write_text(made.to_json(), encoding="utf-8")
        environment = {"device": "cpu", "torch": "2.13"}
        (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
        before = observed(edited=False, reached=())
        lines = []
        for source in sources:
            for number in range(cases):
                if (source, number) in left_out:
                    continue
                failed = number in failing
                there = {*source.split("+"), *reached}
                result = CaseResult(
                    case=f"capital:{number}",
                    source=source,
                    seconds=0.0 if failed else 0.5 + number,
                    error="NoNeuronsError: no neuron <b>was</b> selected" if failed else None,
                    edit={} if failed else {"n_values": 100, **(edit or {})},
                    before=before,
                    after=before if failed else observed(edited=True, reached=there, said=said),
                )
                lines.append(result.to_json() + "\n")
        (folder / "cases.jsonl").write_text("".join(lines), encoding="utf-8")
        return folder

    return make


def looked_at_after_all(run, *, keep, cases=4):
    """Write what the first cases of a sequence are like at its end: edited, or as before."""
    results = [one for one in read_run(run).results() if int(one.case.split(":")[1]) < cases]
    later = [
        one.model_copy(update={"is_after_all": True, "after": one.after if keep else one.before})
        for one in results
    ]
    lines = "".join(one.to_json() + "\n" for one in later)
    (run / "after_all.jsonl").write_text(lines, encoding="utf-8")
    return run


@pytest.fixture
def make_recipe(tmp_path):
    """Write which runs belong to a recipe: variant, source and run of each."""

    def make(name: str, *entries, **more):
        keys = ("variant", "source", "run")
        values = {"name": name, "title": f"Recipe {name}", **more}
        values["entries"] = [dict(zip(keys, entry, strict=True)) for entry in entries]
        path = tmp_path / "runs" / f"recipe-{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(RecipeRun.model_validate(values).to_json(), encoding="utf-8")
        return path

    return make
