"""Every recipe of the repository runs from its file to a page, on ``mini`` and a few facts."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memla.cli.main import app
from memla.evaluation.recipe_files import read_recipe
from memla.evaluation.recipes import read_recipe_run
from memla.evaluation.summary import read_run, summarize

ROOT = Path(__file__).parents[2]
RECIPES = [path for path in sorted((ROOT / "recipes").rglob("*.toml")) if "mkeb" not in path.parts]
FIXTURES = ROOT / "tests" / "fixtures" / "benchmarks"
RELATION = "the country a city lies in"

ONE = ("--limit", "1", "--source-language", "en")
FEW = ("--target-languages", "en,zh,th", "--limit", "1")
FROM_ENGLISH = (*FEW, "--source-language", "en")


def only(*names: str) -> tuple[str, ...]:
    """Some variants, where there are many of one kind."""
    return (*FROM_ENGLISH, *(word for name in names for word in ("--only", name)))


OPTIONS = {
    "bizsre/table": (
        *("--benchmark", str(FIXTURES / "bizsre" / "bizsre_test.json"), *ONE),
        *("--only", "memla", "--only", "kn", "--only", "rome"),
    ),
    "mzsre/table": (
        *("--benchmark", str(FIXTURES / "mzsre"), "--limit", "3", "--target-languages", "en,ja,th"),
        *("--only", "ft"),
    ),
    "memla/baseline_vector": only("memla, from sequential_mask", "memla, from dataset_mean"),
    "memla/coefficient": only("memla, c = gauss_sigmoid", "memla, c = 0.6, known in training"),
    "memla/curves": only("memla, random neurons", "memit, stronger", "rome, clamp 8, faster"),
    "memla/figure5": (
        *("--target-languages", "en,zh,th", "--limit", "2", "--only", "ft", "--only", "memla"),
        *("--downstream", "after=[1, 2]", "--downstream", "facts=2", "--downstream", "texts=2"),
    ),
    "memla/intersection": only("memla, all of en, zh, fr"),
    "memla/rank": only("memla, n = 2", "memla, dense rows"),
    "memla/simultaneous": (*FEW, "--only", "crosskey"),
    "memla/source_languages": (
        *FEW,
        *("--only", "crosskey", "--source-language", "en,th,ru"),
    ),
    "memla/table4": (*FEW, "--only", "memla", "--only", "memit"),
    "memla/threshold": only("memla, t = 0.3"),
}
"""All variants of a recipe are looked over in any case. Runs of variants that several recipes have
are made once: all write to one folder."""


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def few_facts(tmp_path_factory) -> Path:
    """Some facts of the bundled benchmark, of a relation that has multi-hop questions."""
    content = files("memla.bundled").joinpath("mkeb_geo.jsonl.gz").read_bytes()
    records = [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]
    chosen = [one for one in records if one["relation_description"] == RELATION]
    kept = [
        one
        for split, count in (("test", 2), ("train", 12), ("validation", 4))
        for one in [one for one in chosen if one["split"] == split][:count]
    ]
    path = tmp_path_factory.mktemp("facts") / "города.jsonl"
    lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in kept)
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_runs_from_its_file_to_a_page(path, out, few_facts):
    options = OPTIONS.get(f"{path.parent.name}/{path.stem}", FROM_ENGLISH)
    facts = ("--references" if "--benchmark" in options else "--benchmark", str(few_facts))
    words = ["evaluate", str(path), *facts, *options, "--out", str(out)]

    made = CliRunner().invoke(app, words)

    assert made.exit_code == 0, made.stderr
    assert "failed" not in made.stderr
    recipe = read_recipe(path)
    run_file = out / f"recipe-{recipe.name}.json"
    written = read_recipe_run(run_file)
    assert {one.variant for one in written.entries} == set(recipe.variant_names)
    folders = [out / one.run for one in written.entries if (out / one.run).is_dir()]
    metrics = {cell.metric for folder in folders for cell in summarize(read_run(folder))}
    assert metrics >= set(recipe.metrics)

    page = out / "page.html"
    shown = CliRunner().invoke(app, ["report", str(run_file), "--html", str(page)])

    assert shown.exit_code == 0, shown.stderr
    assert recipe.title in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_says_what_it_is_and_how_to_run_it(path):
    recipe = read_recipe(path)
    assert recipe.title
    assert recipe.about.strip()
    assert recipe.contrasts
    text = path.read_text(encoding="utf-8")
    assert f"memla evaluate {path.relative_to(ROOT).as_posix()}" in text
    # How many facts is the user's choice; a curve has many points and needs enough for each.
    assert recipe.plan.get("limit", 200) >= 200
    for name in recipe.published:
        assert files("memla.reports").joinpath("published", f"{name}.toml").is_file()


def test_no_two_recipes_have_the_same_name():
    names = [read_recipe(path).name for path in RECIPES]
    assert len(set(names)) == len(names)
