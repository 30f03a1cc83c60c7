"""The plot of transfer against retention: names, numbers, keys, and what is drawn again, larger."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from memla.evaluation.summary import Cell
from memla.reports.report import make_report
from memla.reports.scatter import NAMED, Point, scatter
from memla.reports.tradeoff import trade_offs


def cell(metric, value):
    return Cell(
        metric=metric, source="zh", target="transfer", value=value, low=value, high=value, n=7
    )


def point(label, kept, reached, ink="#0072b2"):
    return Point(label, "zh", cell("NS_retention", kept), cell("ES", reached), ink)


def drawn(points, joined=()):
    numbered = list(enumerate(points, start=1))
    return ET.fromstring(scatter(numbered, joined, title="x", names=("NS kept", "ES")))


def texts(drawing, kind):
    return [one.text for one in drawing.iter("text") if one.get("class") == kind]


@pytest.fixture
def group(make_run):
    return make_report([make_run("one", reached=("th",))]).chapters[0].group


def test_a_few_points_have_their_names_beside_them_and_no_key():
    drawing = drawn([point("编辑", 90, 80), point("редактор", 70, 60)])
    assert texts(drawing, "point") == ["编辑", "редактор"]
    assert texts(drawing, "key") == []


def test_many_points_have_numbers_and_a_key_by_colour_and_the_first_of_a_colour_its_name():
    inks = ("#0072b2", "#d55e00")
    points = [point(f"วิธี {n}", 90 - n, 50 + n, inks[n % 2]) for n in range(NAMED + 1)]
    drawing = drawn(points)
    assert texts(drawing, "point") == ["วิธี 0", "วิธี 1", *map(str, range(3, NAMED + 2))]
    key = texts(drawing, "key")
    assert key[:2] == ["1 วิธี 0", "3 วิธี 2"]
    assert key[-1] == "12 วิธี 11"
    assert len(key) == NAMED + 1


def test_a_name_that_finds_no_room_has_a_number_and_a_key():
    drawing = drawn([point("言語" * 12, 90, 80), point("ft", 70, 60)])
    assert texts(drawing, "point") == ["1", "2"]
    assert texts(drawing, "key") == ["1 " + "言語" * 12, "2 ft"]


def test_points_that_a_bad_one_presses_together_are_drawn_again(group):
    good = [point(f"方法 {n}", 95 + n, 90 + n) for n in range(4)]
    whole, near = trade_offs(group, [*good, point("плохой", 10, 20)])
    assert "плохой" in whole.svg
    assert "плохой" not in near.svg
    assert "Only the 4 with at least 80 % in NS kept and ES." in near.caption


def test_points_bad_in_one_metric_stay_where_only_the_other_presses_them(group):
    found = [point(f"方法 {n}", 95 + n, 20 * n) for n in range(5)]
    _, near = trade_offs(group, [*found, point("плохой", 10, 20)])
    assert "Only the 5 with at least 80 % in NS kept." in near.caption


def test_points_that_have_room_are_drawn_once(group):
    assert len(trade_offs(group, [point(f"方法 {n}", 70 + n, 70 + n) for n in range(9)])) == 1


def test_points_of_a_curve_are_joined_in_its_order():
    points = [point("ต่ำ", 90, 50), point("สูง", 70, 90), point("กลาง", 80, 70), point("x", 1, 1)]
    lines = list(drawn(points, [("ต่ำ", "กลาง", "สูง")]).iter("polyline"))
    joined = [one for one in lines if one.get("stroke") == "#0072b2"]
    assert len(joined) == 2
    first, second = (one.get("points").split() for one in joined)
    assert first[1] == second[0]
