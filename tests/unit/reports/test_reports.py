"""What reports tell of runs, in every format."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from memla.errors import DataError
from memla.evaluation.summary import read_run, summarize
from memla.reports import figures
from memla.reports.report import make_report
from memla.reports.writing import WAITING, to_csv, to_html, to_latex, to_markdown
from tests.unit.reports.conftest import NEURONS, TOKYO, looked_at_after_all

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """A page taken apart: what is in it, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def section(report, title):
    [found] = [part for part in report.chapters[0].sections if part.title == title]
    return found


def texts(table):
    return [[entry.text for entry in row] for row in table.rows]


@pytest.fixture
def two_editors(make_run):
    return [
        make_run("one", editor="memla", reached=("ja", "th"), edit={"neurons": NEURONS}),
        make_run("two", editor="ft", reached=("ja",)),
    ]


def test_editors_are_compared_by_what_reaches_the_other_languages(two_editors):
    [english, chinese] = section(make_report(two_editors), "Editors compared").tables
    assert "edited in en" in english.caption
    assert "edited in zh" in chinese.caption
    column = english.header.index("ES transfer")
    found = {row[0].text: row[column] for row in english.rows}
    assert found["memla"].text.startswith("50.0 [50.0, 50.0]")
    assert found["ft"].text.startswith("25.0 [")
    assert found["ft"].note == "n 16"


def test_every_caption_names_protocol_model_and_n_and_says_whose_model_mini_is(two_editors):
    report = make_report(two_editors)
    for part in report.chapters[0].sections:
        captions = [table.caption for table in part.tables]
        captions += [figure.caption for figure, _ in part.figures]
        for caption in captions:
            assert (
                "Protocol mkeb, model mini (a small model of 5 M parameters that we tr" in caption
            )
            if part.title not in {"Runs", "Failures"}:
                heads = " ".join(name for table in part.tables for name in table.header)
                assert re.search(r"\bn\b", f"{caption} {heads}")


def test_another_model_is_not_called_ours(make_run):
    report = make_report([make_run("one", model="ai-forever/mGPT", benchmark="mkeb")])
    assert "we trained" not in to_html(report)


def test_a_heat_map_has_every_source_and_target_of_one_method_in_several_runs(make_run):
    runs = [
        make_run("one", sources=("en", "zh"), reached=("ja",)),
        make_run("two", sources=("ja", "th", "ru"), cases=3),
    ]
    [(first, table), *_] = section(make_report(runs), "Every language").figures
    assert [row[1] for row in texts(table)] == ["en", "zh", "ja", "th", "ru"]
    assert texts(table)[0][2:] == ["100.0", "0.0", "100.0", "0.0", "0.0", "25.0"]
    assert "n 3 to 4 prompts" in table.caption
    assert "n 3 to 4 prompts" in first.caption
    titles = [element.text for element in ET.fromstring(first.svg).iter("title")]
    assert len(titles) == 5 * 6
    assert "memla, ES, edited in en, asked in Thai: 0.0 % [0.0, 0.0], n 4, mkeb" in titles


def test_runs_of_the_same_source_are_two_methods_told_apart_by_what_differs(make_run):
    runs = [
        make_run("one", settings={"steps": 3, "layers": {"first": 1}}),
        make_run("two", settings={"steps": 5, "layers": {"first": 1}}),
        make_run("three", preset="paper"),
        make_run("four", edit={"preset": "custom"}, editor="kn"),
    ]
    [table] = section(make_report(runs), "Runs").tables
    names = [row[0] for row in texts(table)]
    assert names == ["memla, steps=3", "memla, steps=5", "memla (paper)", "kn (settings changed)"]


def test_runs_of_the_same_cases_are_one_method_where_a_source_was_measured_twice(make_run):
    runs = [
        make_run("one", sources=("en",), cases_digest="all", limit=None),
        make_run("two", sources=("zh",), cases_digest="first", cases=3),
        make_run("three", sources=("en",), cases_digest="first", cases=3),
    ]
    [table] = section(make_report(runs), "Runs").tables
    names = [row[:2] for row in texts(table)]
    assert names == [
        ["memla, all cases", "one"],
        ["memla, limit 3", "two"],
        ["memla, limit 3", "three"],
    ]


def test_runs_with_the_same_settings_are_told_apart_by_their_limits_and_seeds(make_run):
    runs = [
        make_run("one", sources=("th",)),
        make_run("two", sources=("th",), cases=3),
        make_run("three", sources=("ja",), editor="ft", limit=None),
        make_run("four", sources=("ja",), editor="ft", seed=1, limit=None),
    ]
    [table] = section(make_report(runs), "Runs").tables
    names = [row[0] for row in texts(table)]
    assert names == ["memla, limit 4", "memla, limit 3", "ft, seed 0", "ft, seed 1"]


def test_a_sequence_shows_what_is_left_after_all_of_its_edits(make_run):
    run = make_run("one", sources=("th",), mode="sequential", group_size=4)
    looked_at_after_all(run, keep=False)
    report = make_report([run, make_run("two", sources=("th",))])
    names = [row[0] for row in texts(section(report, "Runs").tables[0])]
    assert names == ["memla (sequential, groups of 4)", "memla"]
    [table] = section(report, "Editors compared").tables
    first, after_all = (table.header.index(f"ES{name} transfer") for name in ("", " after all"))
    assert [row[after_all] for row in texts(table)] == ["0.0 [0.0, 0.0]", "–"]
    assert first == after_all - 1


def test_what_is_known_of_sequences_alone_is_shown_of_them_alone(make_run):
    run = make_run("one", sources=("th",), mode="sequential", group_size=4)
    later = [one.model_copy(update={"is_after_all": True}) for one in read_run(run).results()]
    lines = "".join(one.to_json() + "\n" for one in later)
    (run / "after_all.jsonl").write_text(lines, encoding="utf-8")
    report = make_report([run, make_run("two", sources=("th", "ja"))])
    thai, japanese = sorted(
        section(report, "Editors compared").tables, key=lambda table: -len(table.header)
    )
    assert "ES after all transfer" in thai.header
    assert [name for name in japanese.header if "after all" in name] == []
    maps = {
        table.caption.split(" in ")[0]: table
        for _, table in section(report, "Every language").figures
    }
    assert [row[1] for row in texts(maps["ES after all"])] == ["th"]
    assert [row[1] for row in texts(maps["ES"])] == ["th", "ja", "th"]


def test_the_plot_marks_what_no_other_editor_beats(two_editors):
    part = section(make_report(two_editors), "Transfer against retention")
    best = {(row[1], row[2]): row[3] for row in texts(part.tables[0])}
    assert best == {
        ("memla", "en"): "yes",
        ("ft", "en"): "",
        ("memla", "zh"): "yes",
        ("ft", "zh"): "",
    }
    assert [figure.caption[:13] for figure, _ in part.figures] == ["Edited in en:", "Edited in zh:"]


def test_a_joint_edit_in_all_languages_is_shown_without_transfer(make_run):
    report = make_report([make_run("one", sources=("en+zh+ja+th+ru",))])
    titles = [part.title for part in report.chapters[0].sections]
    assert "Transfer against retention" not in titles
    [(_, table), *_] = section(report, "Every language").figures
    assert texts(table)[0][1:] == ["5 languages together", *["100.0"] * 5, "–"]
    [table] = section(report, "Editors compared").tables
    assert "mean over these languages" in table.caption
    assert texts(table)[0][2].startswith("100.0")


def test_joint_edits_come_by_the_number_of_their_languages(make_run):
    sources = ("ru+th", "en+ja+ru+th", "en+ja+zh", "zh")
    report = make_report([make_run(source, sources=(source,)) for source in sources])
    tables = section(report, "Editors compared").tables
    assert [table.header[2] for table in tables] == [
        "ES in zh",
        "ES in ru+th",
        "ES in en+ja+zh",
        "ES in 4 languages together",
    ]
    assert all(texts(table)[0][2] != "–" for table in tables)


def test_neurons_are_told_by_layer_where_edits_tell_them(two_editors):
    part = section(make_report(two_editors), "Neurons")
    rows = texts(part.tables[0])
    assert rows[0] == ["memla", "en", "4", "2.0", "6.0", "75", "0", "100", "–"]
    assert {row[0] for row in rows} == {"memla"}
    drawing = part.figures[0][0].svg
    assert "layer 1: 6.0 shared, 0.0 own, n 4 edits" in drawing
    texts_drawn = [
        one for one in ET.fromstring(drawing).iter("text") if one.get("x") in {"4", "54"}
    ]
    heights = sorted(float(one.get("y")) for one in texts_drawn)
    assert min(after - before for before, after in pairwise(heights)) > 12


def test_cost_is_of_the_edits_that_were_made(make_run):
    [table] = section(make_report([make_run("one", failing=(0,), sources=("th",))]), "Cost").tables
    assert texts(table) == [["memla", "cpu, torch 2.13", "3", "2.50", "2.50", "3.50", "100"]]


def test_one_editor_alone_makes_a_whole_report(make_run):
    page = to_html(make_report([make_run("one", editor="kn", sources=("ja",))]))
    assert "Editors compared" in Page(page).text


def test_an_unfinished_run_is_shown_with_what_it_has_and_called_unfinished(make_run):
    run = make_run("one", left_out=[("zh", number) for number in range(4)])
    with (run / "cases.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"case": "法国"')
    report = make_report([run])
    assert section(report, "Runs").notes[0].startswith("memla (one) is unfinished")
    assert [row[3:5] for row in texts(section(report, "Runs").tables[0])] == [
        ["en 4, zh 0", "unfinished"]
    ]
    assert [row[1] for row in texts(section(report, "Every language").figures[0][1])] == ["en"]


def test_a_run_that_has_just_begun_makes_a_report_too(make_run):
    report = make_report([make_run("one", cases=1, left_out=[("en", 0), ("zh", 0)])])
    assert "unfinished" in Page(to_html(report)).text
    assert to_latex(report)
    assert "no case failed" in to_markdown(report).lower()


def test_failures_are_counted_and_listed_with_their_reasons(make_run):
    report = make_report([make_run("one", cases=30, failing=range(25), sources=("th",))])
    [table] = section(report, "Failures").tables
    rows = texts(table)
    assert rows[0][1:] == ["capital:0", "th", "NoNeuronsError: no neuron <b>was</b> selected"]
    assert rows[-1][1] == "5 more"
    assert texts(section(report, "Runs").tables[0])[0][5] == "25"


def test_examples_have_answers_before_and_after_in_every_language(make_run):
    report = make_report([make_run("one", reached=("ja", "th"))], examples=1)
    edited, neighbor = section(report, "Examples").tables
    rows = {row[0].note or row[0].text: [entry.text for entry in row] for row in edited.rows}
    answers = {name: row[-2:] for name, row in rows.items()}
    assert len(rows) == 5
    assert ["ปารีส", "โตเกียว"] in answers.values()
    assert ["Париж", "Париж"] in answers.values()
    assert len(neighbor.rows) == 5
    page = to_html(report)
    assert '<td lang="th"><bdi>โตเกียว</bdi></td>' in page
    assert '<td lang="zh"><bdi>法国的首都是</bdi></td>' in page


def test_examples_say_that_answers_are_cut_off_where_they_are(make_run):
    for decoding, is_cut in (("gold_length", True), ("until_stop", False)):
        report = make_report([make_run(decoding, sources=("ru",), decoding=decoding)])
        assert any("cut off" in note for note in section(report, "Examples").notes) is is_cut


def test_examples_are_the_same_whatever_the_order_of_cases(make_run):
    run = make_run("one", cases=9)
    first = [part.caption for part in section(make_report([run]), "Examples").tables]
    lines = (run / "cases.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run / "cases.jsonl").write_text("".join(reversed(lines)), encoding="utf-8")
    assert [part.caption for part in section(make_report([run]), "Examples").tables] == first
    assert len(first) == 4
    assert section(make_report([run], examples=1), "Examples").tables[0].caption == first[0]


@pytest.mark.parametrize(
    "other", [{"protocol": "counterfact"}, {"answer_score": "mean"}, {"decoding": "until_stop"}]
)
def test_runs_that_are_measured_differently_are_not_mixed(make_run, other):
    runs = [make_run("one"), make_run("two", editor="ft", **other)]
    with pytest.raises(DataError, match=r"'one' and 'two' cannot stand in one table"):
        make_report(runs)


def test_models_and_benchmarks_have_chapters_of_their_own(make_run):
    runs = [make_run("one"), make_run("two", model="qwen"), make_run("three", benchmark="x.json")]
    report = make_report(runs)
    titles = [chapter.group.title for chapter in report.chapters]
    assert titles == ["mini on mkeb-geo, test", "qwen on mkeb-geo, test", "mini on x.json, test"]


def test_a_folder_stands_for_the_runs_in_it_and_each_counts_once(make_run):
    one, two = make_run("one"), make_run("two", editor="ft")
    report = make_report([one.parent, two, one])
    assert [run.path for run in report.chapters[0].group.runs] == [one, two]


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(DataError, match="is no run and has none in it"):
        make_report([tmp_path])


def test_the_page_needs_nothing_beside_itself(two_editors):
    page = to_html(make_report(two_editors))
    parsed = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(parsed.tags)
    assert not [one for one in parsed.attributes if one[0] in {"src", "srcset", "action", "data"}]
    links = [value for name, value in parsed.attributes if name in {"href", "xlink:href"}]
    ids = {value for name, value in parsed.attributes if name == "id"}
    assert links
    assert {link.removeprefix("#") for link in links} <= ids
    assert not re.search(r"https?://|//[a-z]|url\(|@import", page)


def test_the_page_can_be_read_by_a_screen_reader_on_a_phone_and_in_print(two_editors):
    page = to_html(make_report(two_editors))
    parsed = Page(page)
    assert parsed.tags.count("caption") == parsed.tags.count("table")
    assert parsed.tags.count("figcaption") == parsed.tags.count("figure")
    labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', page)
    assert len(labels) == parsed.tags.count("svg")
    assert "width=device-width, initial-scale=1" in page
    for rule in ("@media print", "prefers-color-scheme: dark", ":lang(th)", "Noto Sans CJK JP"):
        assert rule in page


def test_commands_in_notes_are_set_as_code(make_run):
    run = make_run("one")
    page = to_html(make_report([run]))
    assert "by <code>memla compare</code>." in page
    assert "<p>`" not in page


HOSTILE = "</td><script>alert('北京')</script>&\x00\u202e\\end{table} $x$ |"


def test_hostile_texts_do_nothing_in_the_page(make_run):
    run = make_run("one", said=HOSTILE, settings={"steps": HOSTILE}, model=HOSTILE)
    other = make_run("two", settings={"steps": "<svg onload=x>"}, model=HOSTILE)
    page = to_html(make_report([run, other]))
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert "alert('北京')" in parsed.text
    assert "\x00" not in page


def test_latex_takes_no_text_for_a_command(make_run):
    model = "a_b & 50% $x$ #1 {y} ~ ^ \\input{/etc/passwd}"
    latex = to_latex(make_report([make_run("one", model=model)]))
    wanted = (
        r"a\_b \& 50\% \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}inp"
    )
    assert wanted in latex
    assert "\\input" not in latex
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") > 5
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", latex, re.DOTALL):
        columns = {len(re.findall(r"(?<!\\)&", line)) for line in body.strip().split("\n")}
        assert len(columns) == 1


def test_latex_has_quotation_marks_that_every_encoding_knows(make_run):
    latex = to_latex(make_report([make_run("one", model='"模型"')]))
    assert "\\char34{}模型\\char34{}" in latex
    assert "textquotedbl" not in latex


def test_latex_prints_tables_before_too_many_are_waiting(make_run):
    runs = [make_run(str(number), benchmark=f"{number}.json", cases=1) for number in range(4)]
    parts = to_latex(make_report(runs)).split("\\clearpage")
    counts = [part.count("\\begin{table}") for part in parts]
    assert sum(counts) > WAITING
    assert counts[:-1] == [WAITING] * (len(counts) - 1)


def test_latex_has_no_line_of_a_comment_that_ends_early(make_run):
    latex = to_latex(make_report([make_run("one", model="x\n\\input{y}")]))
    assert "\n\\input" not in latex


def test_commands_are_code_in_markdown_and_nothing_else_is(make_run):
    markdown = to_markdown(make_report([make_run("one", model="`[编辑](x)`")]))
    assert "by `memla compare`." in markdown
    assert "\\`\\[编辑\\](x)\\`" in markdown


def test_markdown_tables_hold_together_whatever_is_in_them(make_run):
    markdown = to_markdown(make_report([make_run("one", said="ไทย | <b>\n`x`")]))
    assert "ไทย \\| &lt;b> \\`x\\`" in markdown
    blocks = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().split("\n")}) == 1


def test_csv_has_every_number_with_what_belongs_to_it(two_editors):
    lines = list(csv.DictReader(io.StringIO(to_csv(make_report(two_editors)))))
    cells = [cell for run in two_editors for cell in summarize(read_run(run))]
    assert len(lines) == len(cells)
    assert {line["protocol"] for line in lines} == {"mkeb"}
    assert all("we trained" in line["model_note"] for line in lines)
    assert float(lines[0]["value"]) == cells[0].value
    assert int(lines[0]["n"]) == cells[0].n


def test_csv_gives_a_spreadsheet_nothing_to_compute(make_run):
    text = to_csv(make_report([make_run("one", benchmark="=cmd|'法'!A1", model="+1")]))
    [line, *_] = csv.DictReader(io.StringIO(text))
    assert line["benchmark"] == "'=cmd|'法'!A1"
    assert line["model"] == "'+1"


def test_reports_do_not_depend_on_when_they_are_made(two_editors):
    assert to_html(make_report(two_editors)) == to_html(make_report(two_editors))


def test_colours_get_darker_with_the_number_and_stay_in_the_scale():
    light = [sum(bytes.fromhex(figures.colour(value)[1:])) for value in range(0, 101, 10)]
    assert light == sorted(light, reverse=True)
    assert figures.colour(-20) == figures.colour(0)
    assert figures.colour(120) == figures.colour(100)


def test_a_report_is_made_without_torch(two_editors):
    code = (
        "import sys\n"
        "from memla.reports.report import make_report\n"
        "from memla.reports.writing import to_html, to_latex, to_markdown, to_csv\n"
        f"report = make_report({[str(run) for run in two_editors]!r})\n"
        "assert all(write(report) for write in (to_html, to_latex, to_markdown, to_csv))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_answers_in_the_examples_are_the_models_own(two_editors):
    page = to_html(make_report(two_editors))
    assert all(answer in page for answer in TOKYO)
