"""What reports tell of perplexity, drift and tasks after some edits."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from memla.evaluation.downstream.scores import Checkpoint, Measured
from memla.evaluation.results import RunFolder
from memla.reports.report import make_report
from memla.reports.writing import to_html, to_latex, to_markdown

SEQUENCE = {"mode": "sequential", "group_size": 100, "downstream": {"after": (1, 100)}}


def measured(perplexity, bits, kept, accuracy):
    before = {"perplexity": 8.0, "bits_per_byte": 1.0, "first_token_kept": 1.0, "acc": 0.75}
    values = [("perplexity", "perplexity", "th", perplexity)]
    values += [("perplexity", "perplexity", "ja", 2.0)]
    values += [("perplexity", "bits_per_byte", name, bits) for name in ("th", "ja")]
    values += [("drift", "first_token_kept", "th", kept)]
    found = [
        Measured(measure=m, metric=name, language=code, value=v, before=before[name], n=16)
        for m, name, code, v in values
    ]
    task = Measured(
        measure="task", task="คำถาม", metric="acc", value=accuracy, before=0.75, n=40, stderr=0.05
    )
    lost = {} if accuracy is not None else {"error": "ModelError: not a number", "stderr": None}
    return (*found, task.model_copy(update=lost))


@pytest.fixture
def broken(make_run):
    """A sequence from Thai that was looked at after 1 and 100 edits, and another editor's."""

    def make(name, editor, *checkpoints, group="a"):
        run = make_run(name, sources=("th",), editor=editor, **SEQUENCE)
        for edits, found in checkpoints:
            RunFolder(run).append(Checkpoint(source="th", group=group, edits=edits, measured=found))
        return run

    first = make(
        "one", "memla", (1, measured(8.0, 1.5, 1.0, 0.75)), (100, measured(32.0, 3.0, 0.5, None))
    )
    second = make("two", "ft", (1, measured(8.0, 1.0, 0.75, 0.5)))
    return [first, second]


def section(report):
    [found] = [
        part for part in report.chapters[0].sections if part.title == "What else the edits changed"
    ]
    return found


def texts(table):
    return [[entry.text for entry in row] for row in table.rows]


def titled(report, start):
    [found] = [one for one in section(report).tables if one.caption.startswith(start)]
    return found


def test_numbers_stand_before_and_after_some_edits(broken):
    report = make_report(broken)
    bits = titled(
        report, "Bits per byte of texts, before and after some edits, mean over languages"
    )
    assert bits.header == ("editor", "edited in", "before", "after 1", "after 100")
    assert texts(bits) == [
        ["memla (sequential, groups of 100)", "th", "1.000", "1.500", "3.000"],
        ["ft (sequential, groups of 100)", "th", "1.000", "1.000", "–"],
    ]
    kept = titled(report, "Share of answers to facts never edited whose first token stays")
    assert texts(kept)[0][2:] == ["1.000", "1.000", "0.500"]
    assert "n 16 texts or questions of a language" in kept.caption


def test_perplexities_of_languages_are_averaged_as_ratios(broken):
    rows = texts(titled(make_report(broken), "Perplexity of texts"))
    assert rows[0][2:] == ["8.000", "4.000", "8.000"]


def test_a_number_that_cannot_be_measured_is_called_lost_with_the_reason(broken):
    report = make_report(broken)
    task = titled(report, "คำถาม, acc, before and after")
    assert [entry.text for entry in task.rows[0]][2:] == ["0.750", "0.750", "–"]
    assert [entry.note for entry in task.rows[0]][2:] == ["", "± 0.050", "lost"]
    [said] = section(report).notes
    assert said == (
        "Not measured: memla (sequential, groups of 100), edited in th, after 100 edits:"
        " ModelError: not a number"
    )


def test_every_language_stands_in_a_table_behind_its_figure(broken):
    figures = section(make_report(broken)).figures
    [(figure, table)] = [one for one in figures if one[0].caption.startswith("Bits per byte")]
    assert table.header == ("editor", "edits", "th", "ja")
    assert texts(table)[2] == ["memla (sequential, groups of 100)", "after 100", "3.000", "3.000"]
    hints = [one.text for one in ET.fromstring(figure.svg).iter("title")]
    assert "memla (sequential, groups of 100), after 100: 3.000" in hints
    assert len(hints) == 3 + 2
    assert [table for figure, table in figures if "คำถาม" in figure.caption] == [None]


def test_a_lost_number_is_a_gap_in_its_line(broken):
    figures = section(make_report(broken)).figures
    [task] = [figure for figure, _ in figures if "คำถาม" in figure.caption]
    drawing = ET.fromstring(task.svg)
    assert len(list(drawing.iter("polyline"))) == 2
    heights = [float(one.get("cy")) for one in drawing.iter("circle")]
    assert min(heights) > 0
    assert max(heights) < float(drawing.get("viewBox").split()[3])


def test_sequences_of_one_run_are_averaged(broken):
    first, _ = broken
    found = measured(8.0, 2.5, 0.0, 0.25)
    other = Checkpoint(source="th", group="b", edits=1, measured=found)
    RunFolder(first).append(other)
    bits = titled(make_report([first]), "Bits per byte")
    assert texts(bits)[0][2:] == ["1.000", "2.000", "3.000"]
    assert "over 2 sequences at most" in bits.caption


def test_it_is_in_every_format_and_only_where_it_was_measured(broken, make_run):
    report = make_report(broken)
    for written in (to_html(report), to_markdown(report), to_latex(report)):
        assert "after 100" in written
    plain = make_report([make_run("plain")])
    assert "What else the edits changed" not in to_html(plain)


def test_a_figure_says_in_the_drawing_what_it_is_of(broken):
    figures = section(make_report(broken)).figures
    first = [next(ET.fromstring(figure.svg).iter("text")).text for figure, _ in figures]
    assert "Share of answers to facts never edited whose first token stays" in first
    assert "คำถาม, acc" in first
