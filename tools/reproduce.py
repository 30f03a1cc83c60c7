"""Make the runs of every recipe and write a page of each: ``python -m tools.reproduce``.

The recipes share one folder, so that a run that several have in common is made once, and what
is finished is not made again. ``make reproduce LIMIT=200`` calls this.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from memla.evaluation.recipe_files import is_recipe, parse_recipe, read_toml
from memla.evaluation.recipes import Recipe

ROOT = Path(__file__).parents[1]


def recipes(folder: Path) -> dict[Path, Recipe]:
    """Every recipe below a folder by its file, in the order of their names."""
    found: dict[Path, Recipe] = {}
    for path in sorted(folder.rglob("*.toml")):
        values = read_toml(path)
        if is_recipe(values) and "variants" in values:
            found[path] = parse_recipe(values, path)
    return found


def memla(*words: str | Path) -> int:
    """Run a command of memla and say so; its exit status."""
    line = ["memla", *map(str, words)]
    print("$", " ".join(line), file=sys.stderr, flush=True)
    return subprocess.run(
        [sys.executable, "-m", "memla.cli.main", *line[1:]], check=False
    ).returncode


def reproduce(folder: Path, runs: Path, pages: Path, more: Sequence[str] = ()) -> list[Path]:
    """Make the runs of the recipes in a folder, and a page of each.

    Args:
        folder: Where the recipes are.
        runs: Folder for the runs of all of them.
        pages: Folder for the pages.
        more: Options of ``memla evaluate``.

    Returns:
        The recipes of which a run could not be made.
    """
    failed: list[Path] = []
    for path, recipe in recipes(folder).items():
        if memla("evaluate", path, "--out", runs, *more):
            failed.append(path)
        made, page = runs / f"recipe-{recipe.name}.json", pages / f"{recipe.name}.md"
        if memla("report", made, "--markdown", page):
            failed.append(path)
    return list(dict.fromkeys(failed))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the options, reproduce, and tell what failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", type=Path, default=ROOT / "recipes")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "reproduce")
    parser.add_argument("--pages", type=Path, default=ROOT / "docs" / "reference" / "reproduced")
    known, more = parser.parse_known_args(arguments)
    failed = reproduce(known.recipes, known.runs, known.pages, more)
    for path in failed:
        print(f"{path}: not all of its runs could be made", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
