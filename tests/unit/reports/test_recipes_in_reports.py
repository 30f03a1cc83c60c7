"""Chapters of recipes: names, what decides it, the papers' figures; shards and unfinished runs."""

from __future__ import annotations

import csv
import gc
import io
import json
import tomllib
from pathlib import Path

import pytest

from memla.errors import DataError, UnknownNameError
from memla.evaluation.shards import Shard
from memla.reports.papers import published_names, read_published
from memla.reports.report import make_report
from memla.reports.writing import to_csv, to_html, to_latex, to_markdown

RECIPES = Path(__file__).parents[3] / "recipes"


def section(report, title, chapter=0):
    [found] = [part for part in report.chapters[chapter].sections if part.title == title]
    return found


def texts(table):
    return [[entry.text for entry in row] for row in table.rows]


@pytest.fixture
def table3(make_run, make_recipe):
    """Three variants from Thai, one of them also from Chinese, and a run of no recipe."""
    make_run("a", sources=("th",), reached=("ja", "zh"))
    make_run("a-zh", sources=("zh",), reached=("ja",))
    make_run("b", sources=("th",), settings={"neurons": "random"}, reached=("ja",))
    make_run("c", sources=("th",), editor="memit")
    make_run("other", sources=("ru",), editor="ft")
    return make_recipe(
        "table3",
        ("memla", "th", "a"),
        ("memla", "zh", "a-zh"),
        ("ours, 随机", "th", "b"),
        ("memit", "th", "c"),
        ("rome", "th", "missing"),
        title="Table 3: ตาราง",
        about="What to look at.",
        metrics=["QS", "NS", "ES"],
        contrasts=[
            {"of": "memla", "against": "ours, 随机", "about": "which neurons"},
            {"of": "memla", "against": "rome"},
        ],
        published=["memla_table_3", "memla_table_9"],
    )


def test_a_recipe_is_a_chapter_with_its_names_and_other_runs_have_theirs(table3):
    report = make_report([table3.parent])
    recipe, rest = report.chapters
    assert recipe.group.title == "Table 3: ตาราง"
    assert recipe.group.notes[0] == "What to look at."
    assert "rome (th)" in recipe.group.notes[-1]
    names = [row[0] for row in texts(section(report, "Runs").tables[0])]
    assert names == ["memla", "memla", "ours, 随机", "memit"]
    assert [run.path.name for run in rest.group.runs] == ["other"]
    assert rest.group.title == "mini on mkeb-geo, test"
    for written in (to_html(report), to_markdown(report), to_latex(report)):
        assert "What to look at." in written
        assert "rome (th)" in written


def test_the_metrics_of_a_recipe_come_first_as_far_as_there_are_numbers(table3):
    group = make_report([table3.parent]).chapters[0].group
    assert group.metrics[:2] == ("NS", "ES")
    assert len(set(group.metrics)) == len(group.metrics)
    assert "PS" not in group.metrics


def test_metrics_of_a_recipe_that_have_no_numbers_are_told(table3, make_run, make_recipe):
    [told] = [one for one in make_report([table3]).chapters[0].group.notes if "no run has" in one]
    assert told == "Metrics of this recipe that no run has a value of: QS."
    make_run("whole", sources=("th",))
    known = make_recipe("known", ("memla", "th", "whole"), metrics=["ES"])
    [chapter] = make_report([known]).chapters
    assert not [one for one in chapter.group.notes if "no run has" in one]


def test_the_file_of_a_recipe_stands_for_its_runs_alone(table3):
    report = make_report([table3])
    [chapter] = report.chapters
    assert [run.path.name for run in chapter.group.runs] == ["a", "a-zh", "b", "c"]
    lines = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert {line["recipe"] for line in lines} == {"table3"}
    assert {line["editor"] for line in lines} == {"memla", "ours, 随机", "memit"}


def test_a_run_may_stand_in_two_recipes(make_run, make_recipe):
    make_run("a", sources=("th",))
    one = make_recipe("one", ("memla", "th", "a"))
    make_recipe("two", ("as recommended", "th", "a"))
    labels = [c.group.methods[0].label for c in make_report([one.parent]).chapters]
    assert labels == ["memla", "as recommended"]


def test_recipes_of_two_protocols_stand_in_one_report(make_run, make_recipe):
    make_run("a", sources=("th",))
    make_run("b", sources=("th",), protocol="counterfact")
    make_recipe("one", ("memla", "th", "a"))
    path = make_recipe("two", ("memla", "th", "b"))
    notes = make_report([path.parent]).notes
    assert [note.split(":")[0] for note in notes[:2]] == ["Protocol mkeb", "Protocol counterfact"]


def test_a_recipe_that_varies_the_model_has_a_table_for_each(make_run, make_recipe):
    make_run("a", sources=("th",))
    make_run("b", sources=("th",), model="qwen")
    path = make_recipe("models", ("small", "th", "a"), ("large", "th", "b"))
    titles = [chapter.group.title for chapter in make_report([path]).chapters]
    assert titles == [
        "Recipe models: mini on mkeb-geo, test",
        "Recipe models: qwen on mkeb-geo, test",
    ]


def test_a_recipe_without_a_run_is_told(make_run, make_recipe):
    path = make_recipe("later", ("memla", "th", "missing"))
    with pytest.raises(DataError, match="there is no run yet of 'later'"):
        make_report([path])
    make_run("a")
    assert make_report([path.parent]).notes[-1] == "No run yet of: Recipe later."


def test_a_file_that_is_no_recipe_is_refused(tmp_path):
    path = tmp_path / "食谱.json"
    path.write_text('{"name": "x"}', encoding="utf-8")
    with pytest.raises(
        DataError, match=r"食谱\.json.*does not say which runs .*name a folder of runs"
    ):
        make_report([path])


def test_contrasts_are_paired_and_said_in_words(table3):
    part = section(make_report([table3]), "What decides it")
    [said] = part.notes
    assert said == (
        "memla against ours, 随机 (which neurons), edited in th: higher in ES +25.0"
        " [+25.0, +25.0], EM +25.0 [+25.0, +25.0]; not told apart from zero in NS +0.0"
        " [+0.0, +0.0], NS kept +0.0 [+0.0, +0.0]."
    )
    [row] = texts(part.tables[0])
    assert row[:3] == ["memla", "ours, 随机", "th"]
    assert row[part.tables[0].header.index("ES transfer")] == "+25.0 [+25.0, +25.0]"


def test_only_cases_that_both_have_are_compared(make_run, make_recipe):
    make_run("a", sources=("th",), cases=4, reached=("ja",))
    make_run("b", sources=("th",), cases=3)
    path = make_recipe(
        "x", ("one", "th", "a"), ("two", "th", "b"), contrasts=[{"of": "two", "against": "one"}]
    )
    [table] = section(make_report([path]), "What decides it").tables
    cell = table.rows[0][table.header.index("ES transfer")]
    assert cell.text == "-25.0 [-25.0, -25.0]"
    assert cell.note == "n 12"


def test_the_papers_figures_stand_beside_ours_with_their_model_and_data(make_run, make_recipe):
    make_run("a", sources=("en",), reached=("ja",))
    make_run("b", sources=("en",), editor="memit", reached=("ja", "th"))
    make_run("c", sources=("en",), editor="ft", reached=("ja", "th"))
    make_run("d", sources=("en",), editor="rome")
    runs = [
        (name, "en", run)
        for name, run in zip(("memla", "memit", "ft", "rome"), "abcd", strict=True)
    ]
    report = make_report([make_recipe("x", *runs, published=["memla_table_3", "表"])])
    part = section(report, "The papers' figures")
    assert "2406.11566), Table 3: mGPT-1.3B on MKEB." in part.notes[0]
    assert part.notes[1] == "There are no papers' figures named '表' here."
    figures, ranking = part.tables
    found = {row[0]: row for row in texts(figures)}
    assert found["memla"][-2:] == ["74.38", "25.0 [25.0, 25.0]"]
    assert found["mend"][-2:] == ["35", "–"]
    assert figures.rows[0][1].note == "mGPT-1.3B, MKEB"
    assert "Another model and other facts" in figures.caption
    verdicts = {(row[0], row[1]): row[-2:] for row in texts(ranking)}
    assert verdicts["ft", "rome"] == ["the same", "+50.0 [+50.0, +50.0]"]
    assert verdicts["memla", "memit"] == ["not told apart", "+0.0 [+0.0, +0.0]"]
    assert "74.38" not in to_csv(report)


def test_a_ranking_that_is_not_measured_or_turned_round_is_called_so(make_run, make_recipe):
    make_run("a", sources=("zh",), editor="ft")
    make_run("b", sources=("zh",), editor="rome", reached=("th",))
    path = make_recipe("x", ("ft", "zh", "a"), ("rome", "zh", "b"), published=["memla_table_4"])
    ranking = section(make_report([path]), "The papers' figures").tables[1]
    assert [row[-2] for row in texts(ranking)] == ["the other way round", "not measured"]


@pytest.mark.parametrize("name", published_names())
def test_what_is_shipped_of_a_paper_says_where_it_is_from_and_what_is_missing(name):
    table = read_published(name)
    assert table.not_here
    assert all(cell.known_from for cell in table.cells)
    assert {order.source for order in table.orders} <= {"en", "zh"}


def test_the_papers_numbers_fit_what_the_paper_says_of_them():
    english, chinese = (read_published(f"memla_table_{number}") for number in (3, 4))
    [transfer] = [cell.value for cell in english.cells if cell.editor == "memla"]
    assert transfer == round(818.15 / 11, 2)
    ours, compared = [cell.value for cell in chinese.cells if cell.metric == "PS"]
    assert round(ours - compared, 2) == 7.14


def test_figures_of_a_paper_that_are_not_shipped_are_named():
    with pytest.raises(UnknownNameError, match="did you mean 'memla_table_3'"):
        read_published("memla_tabel_3")


def test_recipes_name_figures_that_are_shipped():
    named = {
        name
        for path in RECIPES.rglob("*.toml")
        for name in tomllib.loads(path.read_text(encoding="utf-8")).get("published", ())
    }
    assert named <= set(published_names())


def test_shards_that_are_not_merged_are_read(make_run):
    whole = make_run("one", reached=("th",))
    expected = make_report([whole]).chapters[0].group.runs[0].cells
    lines = (whole / "cases.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (whole / "cases.jsonl").unlink()
    for number in (1, 2, 3):
        shard = Shard(number, 3)
        mine = [line for line in lines if shard.holds(json.loads(line)["case"])]
        (whole / f"cases-{shard}.jsonl").write_text("".join(mine), encoding="utf-8")
    assert make_report([whole]).chapters[0].group.runs[0].cells == expected


def test_a_run_is_finished_when_it_has_every_case_it_lists(make_run):
    run = make_run("one", limit=None)

    def is_unfinished():
        return make_report([run]).chapters[0].group.runs[0].is_unfinished

    assert not is_unfinished()
    (run / "case_ids.json").write_text(json.dumps(["x"] * 5), encoding="utf-8")
    assert is_unfinished()
    (run / "case_ids.json").write_text(json.dumps(["x"] * 4), encoding="utf-8")
    assert not is_unfinished()


def test_a_limit_above_what_the_benchmark_has_is_no_missing_case(make_run):
    run = make_run("one", limit=100)
    (run / "case_ids.json").write_text(json.dumps(["x"] * 4), encoding="utf-8")
    assert "is unfinished" not in to_markdown(make_report([run]))


def test_a_sequence_is_unfinished_until_it_was_looked_at_after_all(make_run):
    from tests.unit.reports.conftest import looked_at_after_all

    run = make_run("one", sources=("th",), mode="sequential", group_size=4)
    assert "is unfinished" in to_markdown(make_report([run]))
    looked_at_after_all(run, keep=True)
    assert "is unfinished" not in to_markdown(make_report([run]))


def test_reading_leaves_the_collection_of_garbage_as_it_was(make_run):
    broken = make_run("ไม่ดี")
    (broken / "cases.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError):
        make_report([broken])
    assert gc.isenabled()
