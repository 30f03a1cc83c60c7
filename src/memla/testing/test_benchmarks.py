"""What every benchmark in ``BENCHMARKS``, and every format in ``FORMATS``, must hold."""

# ruff: noqa: D103 (the names of tests are sentences)
from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from memla.benchmarks import BENCHMARKS, Benchmark
from memla.benchmarks.formats import FORMATS, Format, Sample
from memla.facts import EditCase
from memla.languages import LANGUAGES, find_language, in_table_order

every_benchmark = pytest.mark.parametrize("name", sorted(BENCHMARKS))
every_format = pytest.mark.parametrize("name", sorted(FORMATS))


@cache
def cases_of(name: str) -> tuple[EditCase, ...]:
    """All cases of a benchmark, read once for all tests."""
    return BENCHMARKS[name]().cases()


@every_benchmark
def test_the_card_tells_what_the_cases_are(name: str) -> None:
    benchmark = BENCHMARKS[name]()
    assert isinstance(benchmark, Benchmark)
    card, cases = benchmark.card, cases_of(name)
    assert card.name == name
    assert card.licence
    assert card.citation
    assert set(card.languages) <= set(LANGUAGES)
    assert Counter(case.split for case in cases) == card.sizes
    assert all(set(case.requests) == set(card.languages) for case in cases)


@every_benchmark
def test_each_case_has_a_name_of_its_own_and_an_answer_to_learn(name: str) -> None:
    cases = cases_of(name)
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert all(request.target_new for request in case.requests.values())


@every_benchmark
def test_cases_come_in_the_same_order_and_can_be_limited(name: str) -> None:
    benchmark = BENCHMARKS[name]()
    language = benchmark.card.languages[-1]
    (case,) = benchmark.cases([language], limit=1)
    assert case.id == cases_of(name)[0].id
    assert set(case.requests) == {language}
    assert {probe.language for probe in case.probes} == {language}


@every_format
def test_the_card_of_a_format_says_where_its_files_are_from(name: str) -> None:
    file_format = FORMATS[name]
    assert isinstance(file_format, Format)
    card = file_format.card
    assert card.name == name
    for text in (card.title, card.licence, card.source, card.revision):
        assert text.strip() == text
        assert text
    assert card.citation or not card.sizes
    for code in card.languages:
        found = find_language(code)
        assert found is not None, code
        assert found.code == code
    assert card.languages == in_table_order(card.languages)
    assert all(size > 0 for size in card.sizes.values())
    assert card.sha256 == ""
    for defect in card.known_defects:
        assert defect.endswith((".", "?", "!")), defect


@every_format
def test_a_format_takes_no_file_with_nothing_in_it(name: str, tmp_path: Path) -> None:
    recognizes = FORMATS[name].recognizes
    assert not recognizes(Sample(tmp_path / "leer.json"))
    assert not recognizes(Sample(tmp_path))
    assert not recognizes(Sample(tmp_path / "пусто.json", items=({},)))
    assert not recognizes(Sample(tmp_path / "ว่าง.json", items=(None, 3, [])))
    assert not recognizes(Sample(tmp_path / "空.txt", lines=("空",)))
