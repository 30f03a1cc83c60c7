"""Which points of a plot are one editor at several strengths."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from memla.reports.curves import curves
from memla.reports.report import make_report


def joined(report):
    return [(curve.setting, curve.labels) for curve in curves(report.chapters[0].group)]


def plot(report):
    [found] = [p for p in report.chapters[0].sections if p.title == "Transfer against retention"]
    return found.figures[0][0]


def lines(figure):
    """The lines that are not the dashed one."""
    every = ET.fromstring(figure.svg).iter("polyline")
    return [one for one in every if one.get("class") != "front"]


@pytest.fixture
def variants(make_run):
    """Write runs from Thai that differ in settings; each reaches another number of languages."""

    def make(*settings, **more):
        reached = (("ja", "zh", "ru"), ("ja", "zh"), ("ja",), (), ("en", "ja", "zh", "ru"))
        return [
            make_run(f"run{place}", sources=("th",), settings=one, reached=reached[place], **more)
            for place, one in enumerate(settings)
        ]

    return make


def test_settings_that_are_numbers_are_joined_in_their_order(variants):
    report = make_report(variants({"n": {"a": 3}}, {"n": {"a": 1}}, {"n": {"a": 2}}))
    assert joined(report) == [("n.a", ("memla, a=1", "memla, a=2", "memla, a=3"))]
    figure = plot(report)
    assert len(lines(figure)) == 2
    assert "(n.a of memla)" in figure.caption


def test_a_line_through_points_that_differ_in_more_than_its_setting_says_so(variants):
    report = make_report(variants({"a": 1, "b": [1]}, {"a": 2, "b": [1]}, {"a": 3, "b": [2]}))
    assert "(a of memla, where other settings change too)" in plot(report).caption


def test_choices_are_no_strength(variants):
    report = make_report(
        variants({"a": 1, "kind": "located"}, {"a": 2, "kind": "random"}, {"a": 1, "wo": True})
    )
    assert joined(report) == []
    assert not lines(plot(report))
    assert "Lines join" not in plot(report).caption


def test_what_a_plan_leaves_open_is_what_the_edit_was_made_with(make_run):
    edit = {"value_settings": {"clamp": 4.0}}
    runs = [
        make_run(
            str(clamp), sources=("th",), settings={"clamp": clamp, "layers": layers}, edit=edit
        )
        for clamp, layers in ((8.0, [1, 2]), (None, None), (2.0, None))
    ]
    [(setting, labels)] = joined(make_report(runs))
    assert setting == "clamp"
    assert [re.sub(r".*clamp=([^,]*).*", r"\1", label) for label in labels] == [
        "2.0",
        "None",
        "8.0",
    ]


def test_a_choice_that_stands_for_a_number_has_its_place_among_numbers(variants):
    value = "coefficient_value"
    report = make_report(
        variants(
            {"coefficient": "constant", value: 1.4},
            {"coefficient": "one", value: 0.5},
            {"coefficient": "constant", value: 0.6},
            {"coefficient": "gauss_sigmoid", value: 0.5},
        )
    )
    [(setting, labels)] = joined(report)
    assert setting == value
    assert [label[-3:] for label in labels] == ["0.6", "0.5", "1.4"]
    assert "other settings" not in plot(report).caption


def test_two_sweeps_of_a_recipe_are_two_curves_through_what_they_start_from(make_run, make_recipe):
    for name, settings in {
        "base": {"a": 1, "b": 1},
        "a2": {"a": 2, "b": 1},
        "b2": {"a": 1, "b": 2},
        "b3": {"a": 1, "b": 3},
    }.items():
        make_run(name, sources=("th",), settings=settings)
    path = make_recipe("x", *((name, "th", name) for name in ("base", "a2", "b2", "b3")))
    text = path.read_text(encoding="utf-8")
    for name in ("a2", "b2", "b3"):
        known = f'"variant": "{name}", "source": "th", "run": "{name}", "setting": null'
        assert known in text
        text = text.replace(known, known.replace("null", f'"{name[0]}"'))
    path.write_text(text, encoding="utf-8")
    assert joined(make_report([path])) == [("a", ("base", "a2")), ("b", ("base", "b2", "b3"))]


def test_points_of_one_editor_share_a_colour_where_there_are_curves(variants, make_run):
    runs = [*variants({"a": 1}, {"a": 2}, {"a": 3}), make_run("ft", sources=("th",), editor="ft")]
    dots = [one.get("fill") for one in ET.fromstring(plot(make_report(runs)).svg).iter("circle")]
    assert len(set(dots[:3])) == 1
    assert len(set(dots)) == 2


def test_a_line_runs_between_the_points_it_joins(variants):
    figure = plot(make_report(variants({"a": 1}, {"a": 2}, {"a": 3})))
    dots = [
        (float(one.get("cx")), float(one.get("cy")))
        for one in ET.fromstring(figure.svg).iter("circle")
    ]
    ends = [
        [tuple(map(float, corner.split(","))) for corner in one.get("points").split()]
        for one in lines(figure)
    ]
    assert [[pytest.approx(end, abs=0.1) for end in pair] for pair in ends] == [
        list(pair) for pair in pairwise(dots)
    ]
