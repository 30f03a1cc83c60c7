"""Labels of points."""

from __future__ import annotations

import itertools
import random

from memla.reports.placing import HEIGHT, Box, place_labels, text_width

BOUNDS = Box(0, 0, 720, 500)


def boxes(points, texts, bounds=BOUNDS):
    spots = place_labels(points, texts, bounds)
    return [
        Box.around(spot, text_width(text), HEIGHT) for spot, text in zip(spots, texts, strict=True)
    ]


def test_a_label_stands_beside_its_point():
    [label] = boxes([(300, 200)], ["首都"])
    assert not label.overlaps(Box.around((300, 200), 10, 10))
    assert label.overlaps(Box.around((300, 200), 60, 60))


def test_names_of_points_in_one_place_do_not_cover_each_other_or_the_points():
    points = [(690.0 + number / 2, 20.0) for number in range(9)]
    labels = boxes(points, [f"เครื่องมือ {number}, 記憶" for number in range(9)])
    assert not any(one.overlaps(other) for one, other in itertools.combinations(labels, 2))
    assert not any(label.overlaps(Box.around(point, 8, 8)) for label in labels for point in points)


def test_labels_stay_inside_the_drawing():
    random.seed(0)
    points = [(random.choice((2, 718, 350)), random.choice((2, 498, 250))) for _ in range(30)]
    assert all(label.is_inside(BOUNDS) for label in boxes(points, ["метод 12"] * 30))


def test_numbers_of_forty_crowded_points_do_not_cover_each_other():
    random.seed(1)
    points = [(random.gauss(680, 20), random.gauss(40, 20)) for _ in range(40)]
    labels = boxes(points, [str(number) for number in range(40)])
    assert not any(one.overlaps(other) for one, other in itertools.combinations(labels, 2))


def test_where_there_is_no_room_a_label_stands_on_its_point():
    assert place_labels([(5, 5)], ["東京"], Box(0, 0, 10, 10)) == [(5, 5)]


def test_marks_above_a_letter_need_no_width():
    assert text_width("ที่") < text_width("ทxx")
    assert text_width("東京") > text_width("ab")
