"""What is told of rows that were not made alike: cases to come, other cases, other languages."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree as ET

import pytest

from memla.reports.cautions import cautions
from memla.reports.report import make_report
from memla.reports.writing import to_csv


def section(report, title):
    [found] = [part for part in report.chapters[0].sections if part.title == title]
    return found


def rows(table):
    return {row[0].text: [f"{one.text} {one.note}".strip() for one in row] for row in table.rows}


@pytest.fixture
def unfinished(make_run):
    """A whole run from Thai that reaches Japanese, and half of one that reaches all languages."""
    whole = make_run("whole", sources=("th",), reached=("ja",))
    begun = make_run(
        "begun",
        editor="ft",
        sources=("th",),
        reached=("en", "zh", "ja", "ru"),
        left_out=[("th", 2), ("th", 3)],
    )
    for run in (whole, begun):
        names = [f"capital:{number}" for number in range(4)]
        (run / "case_ids.json").write_text(json.dumps(names), encoding="utf-8")
    return make_report([whole, begun])


def test_a_comparison_says_how_many_cases_are_to_come(unfinished):
    [table] = section(unfinished, "Editors compared").tables
    assert {name: row[1] for name, row in rows(table).items()} == {"memla": "4", "ft": "2 of 4"}


def test_what_is_unfinished_is_not_best_and_keeps_nothing_else_from_being_it(unfinished):
    [table] = section(unfinished, "Transfer against retention").tables
    by_editor = {row[1].text: row for row in table.rows}
    assert [by_editor[name][3].text for name in ("memla", "ft")] == ["yes", ""]
    assert by_editor["ft"][2].note == "unfinished"


def test_what_is_unfinished_is_hollow_in_the_plot_and_starred_in_the_heat_map(unfinished):
    plot = section(unfinished, "Transfer against retention").figures[0][0]
    dots = list(ET.fromstring(plot.svg).iter("circle"))
    assert [dot.get("class") for dot in dots] == [None, "hollow"]
    assert "Hollow: unfinished." in plot.caption
    [(drawn, table), *_] = section(unfinished, "Every language").figures
    assert "*: unfinished." in drawn.caption
    names = [one.text for one in ET.fromstring(drawn.svg).iter("text")]
    assert (names.count("th"), names.count("th*")) == (2, 1)
    assert rows(table)["ft"][1] == "th unfinished"


def test_what_is_finished_has_no_mark(make_run):
    report = make_report([make_run("one", sources=("th",), reached=("ja",))])
    assert "ollow" not in section(report, "Transfer against retention").figures[0][0].svg
    assert "unfinished" not in section(report, "Every language").figures[0][0].caption


def test_the_table_of_numbers_says_which_are_of_unfinished_runs(unfinished):
    lines = csv.DictReader(io.StringIO(to_csv(unfinished)))
    assert {(line["run"], line["state"]) for line in lines} == {
        ("whole", "finished"),
        ("begun", "unfinished"),
    }


def test_a_heat_map_says_in_the_drawing_of_what_metric_it_is(unfinished):
    drawings = [drawn for drawn, _ in section(unfinished, "Every language").figures]
    first = [next(ET.fromstring(drawn.svg).iter("text")).text for drawn in drawings]
    assert first[:2] == ["ES, %", "NS, %"]


def test_other_cases_are_told_where_editors_are_compared(make_run):
    runs = [make_run("one"), make_run("two", editor="ft", cases=3, sources=("zh",))]
    report = make_report(runs)
    [note] = section(report, "Editors compared").notes
    assert note.startswith("Not all editors have the same cases, edited in zh: ")


def test_other_cases_are_told_though_they_are_as_many(make_run):
    runs = [make_run("one", cases_digest="a"), make_run("two", editor="ft", cases_digest="b")]
    [note] = cautions(make_report(runs).chapters[0].group)
    assert "edited in en, zh" in note


def test_other_languages_asked_in_are_told_where_editors_are_compared(make_run):
    runs = [
        make_run("one", sources=("ja",)),
        make_run("two", sources=("ja",), editor="ft", target_languages=("ja", "th")),
    ]
    [note] = section(make_report(runs), "Editors compared").notes
    assert note.startswith("Not all editors were asked in the same languages, edited in ja: ")


def test_nothing_is_told_of_what_was_made_alike(make_run):
    runs = [make_run("one"), make_run("two", editor="ft")]
    assert section(make_report(runs), "Editors compared").notes == ()
