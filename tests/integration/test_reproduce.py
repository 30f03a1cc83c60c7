"""``make reproduce`` makes the runs of all recipes in a folder, and a page of each."""

from __future__ import annotations

import pytest

from tools.reproduce import main, recipes

FACT = (
    '{{"id": "{id}", "language": "th", "prompt": "เมืองหลวงของ{{}}คือ", "subject": "{subject}",'
    ' "target_new": "โตเกียว", "target_true": "ปารีส", "paraphrase": ["เมืองหลวงของ{subject}ก็คือ"]}}\n'
)
RECIPE = """
title = "{title}"
about = "Сколько шагов"
[plan]
editor = "ft"
benchmark = "{facts}"
source_languages = ["th"]
[[variants]]
sweep = {{ setting = "steps", values = [{values}] }}
"""


@pytest.fixture
def folder(tmp_path):
    """Two recipes that share a run, and a file of TOML that is none."""
    facts = tmp_path / "事実.jsonl"
    rows = (FACT.format(id=one, subject=one) for one in ("ฝรั่งเศส", "อิตาลี"))
    facts.write_text("".join(rows), encoding="utf-8")
    made = tmp_path / "recipes"
    (made / "б").mkdir(parents=True)
    for name, title, values in (("一", "回数", "1, 2"), ("б/два", "Шаги", "2")):
        text = RECIPE.format(title=title, facts=facts, values=values)
        (made / f"{name}.toml").write_text(text, encoding="utf-8")
    (made / "строить.toml").write_text('languages = ["th"]\n', encoding="utf-8")
    return made


def test_each_recipe_gets_its_runs_and_its_page(folder, tmp_path):
    runs, pages = tmp_path / "runs", tmp_path / "pages"
    words = ["--recipes", folder, "--runs", runs, "--pages", pages, "--limit", "1"]
    assert main([str(word) for word in words]) == 0
    assert len([path for path in runs.iterdir() if path.is_dir()]) == 2, "one run is shared"
    assert {path.name for path in pages.iterdir()} == {"一.md", "два.md"}
    assert "回数" in (pages / "一.md").read_text(encoding="utf-8")


def test_files_that_are_no_recipes_are_passed_over(folder):
    assert [one.title for one in recipes(folder).values()] == ["Шаги", "回数"]
