"""Which runs and recipes the paths of a report stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from memla.errors import DataError
from memla.evaluation.recipes import RecipeRun, read_recipe_run

RECIPES = "recipe-*.json"
"""Names of the files that say which runs of a folder belong to a recipe."""


@dataclass(slots=True)
class Found:
    """What a report is made of."""

    runs: dict[Path, Path] = field(default_factory=dict)
    """Folders of runs as they were given, by their resolved paths."""
    recipes: dict[Path, RecipeRun] = field(default_factory=dict)
    """Recipes by the resolved paths of their files; their runs lie beside them."""

    def runs_of(self, recipe: Path) -> dict[str, Path]:
        """The runs of a recipe that are there: resolved paths by the names of their folders."""
        names = dict.fromkeys(entry.run for entry in self.recipes[recipe].entries)
        paths = {name: (recipe.parent / name).resolve() for name in names}
        return {name: path for name, path in paths.items() if is_run(path)}

    def others(self) -> list[Path]:
        """Runs that belong to no recipe, by their resolved paths."""
        taken = {path for recipe in self.recipes for path in self.runs_of(recipe).values()}
        return [path for path in self.runs if path not in taken]


def find(paths: Iterable[str | Path]) -> Found:
    """Runs that are given, runs and recipes inside of given folders, and given recipes' runs.

    Raises:
        DataError: A folder neither is a run nor has one in it, or a file is no recipe's.
    """
    found = Found()
    for path in map(Path, paths):
        before = len(found.runs), len(found.recipes)
        if path.is_file():
            found.recipes[path.resolve()] = _recipe(path)
        elif is_run(path):
            found.runs.setdefault(path.resolve(), path)
        else:
            for file in sorted(path.glob(RECIPES)):
                found.recipes[file.resolve()] = read_recipe_run(file)
            for run in sorted(filter(is_run, _children(path))):
                found.runs.setdefault(run.resolve(), run)
        if (len(found.runs), len(found.recipes)) == before and not _is_known(path, found):
            raise DataError(
                f"{str(path)!r} is no run and has none in it",
                hint="a run is a folder with a plan.json, as `memla evaluate --out DIR` makes them",
            )
    _check_there_is_one(found)
    return found


def _recipe(path: Path) -> RecipeRun:
    try:
        return read_recipe_run(path)
    except DataError as error:
        raise DataError(
            f"{str(path)!r} does not say which runs belong to a recipe: {error.message}",
            hint="name a folder of runs, or the recipe-NAME.json in it",
        ) from None


def _check_there_is_one(found: Found) -> None:
    if not found.runs and not any(map(found.runs_of, found.recipes)):
        names = ", ".join(repr(recipe.name) for recipe in found.recipes.values())
        raise DataError(f"there is no run yet of {names}", hint="memla evaluate makes them")


def _is_known(path: Path, found: Found) -> bool:
    """Whether what a path stands for was given before."""
    inside = {path.resolve(), *(one.resolve() for one in _children(path))}
    return bool(inside & (found.runs.keys() | found.recipes.keys()))


def is_run(path: Path) -> bool:
    """Whether a folder is one of a run."""
    return (path / "plan.json").is_file()


def _children(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from path.iterdir()
