"""Neurons that languages have in common: sums, maps and tables."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from memla.reports.neuron_sums import NeuronSums
from memla.reports.report import make_report
from memla.reports.writing import to_html
from tests.unit.reports.conftest import NEURONS

COMMON = {
    "th+th": [4, 0, 2],
    "th+ja": [1, 0, 2],
    "ja+ja": [2, 0, 2],
    "zh+ja": [0, 0, 0],
    "zh+zh": [0, 0, 2],
    "th+zh": [0, 0, 1],
}
EMPTY = {pair: [0, 0, 0] for pair in COMMON}


def told(common):
    return {"neurons": NEURONS | {"common_by_layer": common}}


def neurons(report):
    [found] = [part for part in report.chapters[0].sections if part.title == "Neurons"]
    return found


def texts(table):
    return [[entry.text for entry in row] for row in table.rows]


def test_overlap_is_what_both_have_of_what_either_has():
    sums = NeuronSums()
    sums.add(told(COMMON)["neurons"])
    assert sums.overlaps["ja", "th"].percent() == pytest.approx(100 * 3 / (6 + 4 - 3))
    assert sums.overlaps["ja", "th"].percent_by_layer() == (20.0, None, 100.0)
    assert sums.overlaps["th", "zh"].percent() == pytest.approx(100 / 7)
    assert sums.located["th"].means() == (4, 0, 2)


def test_a_map_says_in_the_drawing_what_it_is_of(make_run):
    report = make_report([make_run("one", sources=("th",), edit=told(COMMON))])
    drawing = ET.fromstring(neurons(report).figures[1][0].svg)
    assert next(drawing.iter("text")).text == "neurons in common, %"


def test_edits_in_which_neither_language_has_a_neuron_have_no_overlap():
    sums = NeuronSums()
    sums.add(told(COMMON)["neurons"])
    sums.add(told(EMPTY)["neurons"])
    assert sums.overlaps["ja", "th"].percent() == pytest.approx(100 * 3 / 7)
    assert sums.located["th"].means() == (2, 0, 1)


def test_sums_of_parts_are_sums_of_the_whole():
    whole, one, other = NeuronSums(), NeuronSums(), NeuronSums()
    for part, common in ((one, COMMON), (other, EMPTY), (other, COMMON)):
        part.add(told(common)["neurons"])
        whole.add(told(common)["neurons"])
    assert NeuronSums().merge(one).merge(other) == whole


def test_languages_are_mapped_against_each_other_and_by_layer(make_run):
    report = make_report([make_run("one", sources=("th", "zh"), edit=told(COMMON))])
    _, (whole, table), (layers, by_layer) = neurons(report).figures
    assert table.header == ("language", "zh", "ja", "th", "neurons found")
    assert texts(table) == [
        ["Chinese", "–", "0.0", "14.3", "2.0"],
        ["Japanese", "0.0", "–", "42.9", "4.0"],
        ["Thai", "14.3", "42.9", "–", "6.0"],
    ]
    assert by_layer.header == ("language", "layer 0", "layer 2")
    assert texts(by_layer)[2] == ["Thai", "10.0", "66.7"]
    hints = [one.text for one in ET.fromstring(whole.svg).iter("title")]
    assert "Japanese and Thai: 42.9 %" in hints
    assert len(hints) == 6
    hints = [one.text for one in ET.fromstring(layers.svg).iter("title")]
    assert "Japanese and Thai, layer 2: 100.0 %" in hints
    assert "memla, edited in th, zh, n 4 edits" in whole.caption
    assert to_html(report)


def test_methods_that_found_the_same_neurons_share_a_map(make_run):
    runs = [
        make_run(str(steps), sources=("th",), settings={"steps": steps}, edit=told(COMMON))
        for steps in range(4)
    ]
    runs.append(make_run("other", sources=("th",), preset="paper", edit=told(COMMON | EMPTY)))
    runs.append(
        make_run("two", sources=("th",), editor="kn", edit=told(COMMON | {"th+ja": [0] * 3}))
    )
    _, (whole, _), _, (other, _), _ = neurons(make_report(runs)).figures
    assert "memla, steps=0, memla, steps=1, memla, steps=2 and 1 more that found" in whole.caption
    assert "itself. kn, edited in th" in other.caption


def test_sources_that_found_other_neurons_are_taken_together(make_run):
    runs = [
        make_run("one", sources=("th",), edit=told(COMMON)),
        make_run("two", sources=("zh",), edit=told(COMMON | {"th+ja": [0, 0, 0]})),
    ]
    _, (whole, table), _ = neurons(make_report(runs)).figures
    assert "memla, edited in th, zh, n 8 edits" in whole.caption
    assert texts(table)[2][2] == "21.4"


def test_edits_that_do_not_tell_what_languages_share_have_no_map(make_run):
    report = make_report([make_run("one", edit={"neurons": NEURONS})])
    assert len(neurons(report).figures) == 1
