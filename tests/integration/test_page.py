"""The page of a report, opened in a browser: on a phone, on a desk, in the dark and on paper."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import memla.bundled
from memla.evaluation.summary import Cell
from memla.reports.scatter import Point, scatter
from tests.browser import Browser, chromium, find_program

CHECKS = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")

# The edits that all of these tests look at are made before the first.
pytestmark = pytest.mark.timeout(300)

BUNDLED = Path(memla.bundled.__file__).parent / "mkeb_geo.jsonl.gz"

SCREENS = {
    "phone": {"width": 390},
    "phone in the dark": {"width": 390, "scheme": "dark"},
    "desk": {"width": 1280},
    "desk in the dark": {"width": 1280, "scheme": "dark"},
}

PAPER = {"width": 717, "height": 1046, "medium": "print"}
"""A4 without its margins."""

RECIPE = """
title = "Three editors"
about = "What is edited in one language is asked in twelve."
published = ["memla_table_3"]

[plan]
source_languages = ["en"]
limit = 1

[[variants]]
editor = "memla"

[[variants]]
name = "memla, random neurons"
editor = "memla"
settings = { neurons = "random" }

[[variants]]
editor = "ft"
source_languages = ["en", "zh"]
limit = 2

[[variants]]
editor = "kn"

[[variants]]
name = "ft, in four languages at once"
editor = "ft"
source_languages = ["en+zh+ja+th"]

[[variants]]
name = "ft, one edit on the other"
editor = "ft"
mode = "sequential"
group_size = 2
limit = 2
downstream = { after = [1, 2], facts = 2, texts = 2 }

[[contrasts]]
of = "memla"
against = "memla, random neurons"
about = "which neurons are edited"
"""

NO_FONT = "this machine has no font for Chinese, Japanese or Thai; install one, such as Noto"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_program()
    if program is None:
        pytest.skip("this machine has no Chromium; on Debian install chromium-headless-shell")
    with chromium(program) as one:
        yield one


@pytest.fixture(scope="module")
def report_page(tmp_path_factory) -> Path:
    """A report of real edits of the bundled model, asked in twelve languages."""
    folder = tmp_path_factory.mktemp("报告")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    facts = write_facts(folder / "facts.jsonl")
    # In processes of their own, where no type is checked at run time: in a fifth of the time.
    memla("evaluate", "recipe.toml", "--benchmark", facts, "--out", "runs", folder=folder)
    memla("report", "runs", "--html", "report.html", folder=folder)
    return folder / "report.html"


def memla(*arguments: str, folder: Path) -> None:
    program = "from memla.cli.main import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def write_facts(path: Path) -> str:
    """The first facts of the bundled benchmark, to be read at once."""
    with gzip.open(BUNDLED, "rt", encoding="utf-8") as stream:
        lines = stream.readlines()
    chosen = [
        line
        for split, count in (("test", 2), ("train", 4))
        for line in [one for one in lines if json.loads(one)["split"] == split][:count]
    ]
    path.write_text("".join(chosen), encoding="utf-8")
    return str(path)


@pytest.fixture
def opened(browser, report_page):
    """Open the report on a screen or on paper, ready to be measured."""

    def open_at(**window: object) -> Browser:
        browser.look_at(**window)
        browser.go(report_page)
        browser.run(CHECKS)
        return browser

    return open_at


@pytest.mark.parametrize("screen", SCREENS)
def test_the_page_is_read_on_any_screen(opened, screen):
    browser = opened(**SCREENS[screen])
    assert browser.run("page.wide(true)") == []
    browser.run("page.unfold()")
    assert browser.run("page.count('svg')") > 8
    assert browser.run("page.wide(true)") == []
    assert browser.run("page.small(9)") == []
    assert browser.run("page.crowded()") == []
    assert browser.run("page.pale(4.5)") == []
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.endswith("report.html")] == []


def test_the_page_fits_on_paper(opened):
    browser = opened(**PAPER, scheme="dark")
    assert browser.run("page.wide(false)") == []
    assert browser.run("page.small(6)") == []
    assert browser.run("page.crowded()") == []
    assert browser.run("page.pale(4.5)") == []
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    paper = browser.paper()
    assert paper.startswith(b"%PDF-")
    assert 3 < len(re.findall(rb"/Type /Page\b", paper)) < 60
    assert browser.complaints() == []


def test_figures_are_seen_whole_on_a_phone(opened):
    browser = opened(**SCREENS["phone"])
    assert browser.run("page.cut('figure .scroll')") == []


def test_names_of_rows_stay_in_sight_when_a_table_is_moved(opened):
    browser = opened(**SCREENS["phone"])
    assert browser.run("page.cut('.scroll')") != []
    assert browser.run("page.moved('caption span, tbody th, thead th:first-child')") == []


@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_every_script_is_drawn_and_its_language_told(opened, screen):
    browser = opened(**SCREENS[screen])
    browser.run("page.unfold()")
    assert browser.run("page.count('td[lang=th]')") > 10
    assert browser.run("page.mislabelled()") == []
    if browser.run("page.boxes('东東ไ한', 'sans-serif')"):
        pytest.skip(NO_FONT)
    assert browser.run("page.undrawn()") == []


def test_names_and_numbers_of_crowded_points_are_apart(browser, report_page, tmp_path):
    page = report_page.read_text(encoding="utf-8")
    start, end = page.index("<svg"), page.index("</svg>") + len("</svg>")
    few = ["ft", "记忆编辑", "メモリ編集", "แก้ไขความจำ", "редактор"]
    for names in (few, [f"{number} 方法" for number in range(30)]):
        crowded = tmp_path / f"{len(names)}.html"
        drawing = scatter(
            list(enumerate(crowd(names), start=1)), [names[:4]], title="x", names=("NS kept", "ES")
        )
        crowded.write_text(page[:start] + drawing + page[end:], encoding="utf-8")
        browser.look_at(**SCREENS["phone"])
        browser.go(crowded)
        browser.run(CHECKS)
        assert browser.run("page.crowded()") == []
        assert browser.run("page.pale(4.5)") == []


def crowd(names: list[str]) -> list[Point]:
    """Points that are nearly in one place, in the corner of the plot."""
    return [
        Point(name, "th", *(cell(96 + index % 4 - away) for away in (0, index % 3)), ink="#0072b2")
        for index, name in enumerate(names)
    ]


def cell(value: float) -> Cell:
    return Cell(
        metric="ES", source="th", target="ja", value=value, low=value - 2, high=value + 1, n=9
    )


BAD = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>x</title>
<body style="background: #fff">
<img src="https://example.org/x.png" alt=""><script>console.error("首都")</script>
<div style="width: 2000px">wide</div>
<p style="color: #999">pale</p>
<p>東京の\u0379</p>
<table class="texts"><tbody><tr><th>Thai <small>th</small></th><td lang="ja">ไทย</td><td></td>
<td></td></tr></tbody></table>
<svg viewBox="0 0 200 100" width="200" height="100">
<text x="20" y="40">one</text><text x="30" y="42">two</text><text x="190" y="80">outside</text>
<text x="20" y="80" font-size="5">small</text>
<rect x="100" y="10" width="80" height="30" fill="#08306b"></rect>
<text x="110" y="30" fill="#000">dark</text>
<rect x="60" y="70" width="10" height="10" fill="#fff"></rect>
<text x="50" y="80" class="cell">100</text>
</svg></body></html>"""


def test_the_checks_see_what_is_wrong(browser, tmp_path):
    bad = tmp_path / "坏.html"
    bad.write_text(BAD, encoding="utf-8")
    browser.look_at(390)
    browser.go(bad)
    browser.run(CHECKS)
    assert "https://example.org/x.png" in browser.requests()
    assert any("首都" in str(one) for one in browser.complaints())
    assert {"the page", "DIV wide"} <= set(browser.run("page.wide(true)"))
    assert browser.run("page.small(9)") == ["5.0 px: small"]
    crowded = browser.run("page.crowded()")
    assert {"one | two", "leaves the drawing: outside", "leaves its cell: 100"} <= set(crowded)
    assert [one[6:] for one in browser.run("page.pale(4.5)")] == ["pale", "dark"]
    assert [one[0] for one in browser.run("page.undrawn()")] == ["\u0379"]
    found = browser.run("page.mislabelled()")
    assert {"en: 東京の\u0379", "ja: ไทย", "ja in a row of Thai th: ไทย"} <= set(found)
