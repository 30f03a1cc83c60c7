"""Scores of real editors are those of the plan, however its work is divided or ordered."""

from __future__ import annotations

import random

import pytest

from memla.evaluation.merging import merge
from memla.evaluation.results import Plan
from memla.evaluation.runner import evaluate
from memla.evaluation.shards import Shard
from memla.evaluation.summary import read_run, summarize
from memla.models import tiny
from tests.unit.evaluation.conftest import Capitals, many_capitals

SETTINGS = {
    "ft": {"steps": 2},
    "memla": {"steps": 2, "identification": {"steps": 2}},
}


def cases(seed=None):
    """Three cases and a reference, in some order."""
    found = list(many_capitals(3).cases())
    if seed is not None:
        random.Random(seed).shuffle(found)
    return Capitals(found)


@pytest.fixture(scope="module")
def model():
    return tiny.tiny_model("gpt2")


@pytest.fixture(params=sorted(SETTINGS))
def plan(request):
    given = {"model": "tiny", "benchmark": "capitals", "target_languages": ("zh", "th")}
    sources = ("zh", "th+ja")
    return Plan(
        editor=request.param, settings=SETTINGS[request.param], source_languages=sources, **given
    )


@pytest.fixture
def scores(plan, model):
    """Carry out the plan; the scores in an order that does not depend on how, and the tables."""

    def found(benchmark=None, **options):
        run = evaluate(plan, model=model, benchmark=benchmark or cases(), **options)
        return in_order(run)

    return found


def in_order(run):
    return sorted(one.to_json() for one in run.scores()), summarize(run)


def test_scores_do_not_depend_on_the_batch_size(scores):
    assert scores(batch_size=1) == scores(batch_size=8) == scores(batch_size=32)


def test_scores_do_not_depend_on_the_order_of_cases(scores):
    assert scores() == scores(cases(1)) == scores(cases(2))


@pytest.mark.parametrize("count", [1, 3, 7])
def test_scores_do_not_depend_on_shards(plan, model, scores, count, tmp_path):
    for number in random.Random(count).sample(range(1, count + 1), count):
        given = {"out": tmp_path / "части", "shard": Shard(number, count)}
        part = evaluate(plan, model=model, benchmark=cases(number), **given)
    merged = read_run(merge([part.folder.path], tmp_path / "целое"))
    assert in_order(merged) == scores()
