"""What every benchmark in ``BENCHMARKS`` must hold."""

# ruff: noqa: D103 (the names of tests are sentences)
from __future__ import annotations

from collections import Counter

import pytest

from memla.benchmarks import BENCHMARKS, Benchmark
from memla.languages import LANGUAGES

every_benchmark = pytest.mark.parametrize("name", sorted(BENCHMARKS))


@every_benchmark
def test_the_card_tells_what_the_cases_are(name: str) -> None:
    benchmark = BENCHMARKS[name]()
    assert isinstance(benchmark, Benchmark)
    card, cases = benchmark.card, benchmark.cases()
    assert card.name == name
    assert card.licence
    assert card.citation
    assert set(card.languages) <= set(LANGUAGES)
    assert Counter(case.split for case in cases) == card.sizes
    assert all(set(case.requests) == set(card.languages) for case in cases)


@every_benchmark
def test_each_case_has_a_name_of_its_own_and_an_answer_to_learn(name: str) -> None:
    cases = BENCHMARKS[name]().cases()
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert all(request.target_new for request in case.requests.values())


@every_benchmark
def test_cases_come_in_the_same_order_and_can_be_limited(name: str) -> None:
    benchmark = BENCHMARKS[name]()
    language = benchmark.card.languages[-1]
    (case,) = benchmark.cases([language], limit=1)
    assert case.id == benchmark.cases()[0].id
    assert set(case.requests) == {language}
    assert {probe.language for probe in case.probes} == {language}
