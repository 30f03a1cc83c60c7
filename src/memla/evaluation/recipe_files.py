"""Read recipes from TOML, and say what is wrong with one."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from memla.errors import DataError, MemlaError
from memla.evaluation.recipes import Contrast, Recipe
from memla.evaluation.variants import PLAN_KEYS, Sweep
from memla.records import parse_record, read_text

_ONLY_RECIPES = set(Recipe.model_fields) - {"name"}


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        DataError: It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: not TOML: {error}") from None


def is_recipe(values: Mapping[str, object]) -> bool:
    """Whether these are the keys of a recipe with variants, not those of one plan."""
    return not _ONLY_RECIPES.isdisjoint(values)


def read_recipe(path: str | Path) -> Recipe:
    """A recipe from its file.

    Raises:
        DataError: The file cannot be read, has a key that no recipe has, or a value of another
            kind.
        SettingError: Names of variants are not clear, or a contrast names none of them.
    """
    return parse_recipe(read_toml(Path(path)), Path(path))


def parse_recipe(values: Mapping[str, Any], path: Path) -> Recipe:
    """A recipe from what its file has; errors as of `read_recipe`."""
    where = str(path)
    _check_keys(values, Recipe.model_fields, where, "of a recipe")
    _check_keys(_table(values.get("plan", {}), where, "plan"), PLAN_KEYS, where, "in [plan]")
    variants = [_variant(one, where) for one in _tables(values, "variants", where)]
    for contrast in _tables(values, "contrasts", where):
        _check_keys(contrast, Contrast.model_fields, where, "in [[contrasts]]")
    found = {"name": path.stem, **values, "variants": variants}
    try:
        return parse_record(Recipe, found, where)
    except MemlaError as error:
        if error.message.startswith(where):
            raise
        raise type(error)(f"{where}: {error.message}", hint=error.hint) from None


def _variant(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A variant's table, the keys of the plan by themselves."""
    _check_keys(values, ("name", "sweep", *PLAN_KEYS), where, "in [[variants]]")
    if "sweep" in values:
        sweep = _table(values["sweep"], where, "sweep")
        _check_keys(sweep, Sweep.model_fields, where, "in sweep")
    keys = {key: value for key, value in values.items() if key in PLAN_KEYS}
    own = {key: value for key, value in values.items() if key not in PLAN_KEYS}
    return {**own, "keys": keys}


def _tables(values: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    found = values.get(key, [])
    if not isinstance(found, list):
        raise DataError(f"{where}: {key!r} is no list of tables", hint=f"write [[{key}]]")
    return [_table(one, where, key) for one in found]


def _table(value: object, where: str, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: {key!r} is no table but {value!r}")
    return value


def _check_keys(values: Mapping[str, Any], known: Iterable[str], where: str, place: str) -> None:
    known = list(known)
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            if key in PLAN_KEYS:
                hint = "put the keys of a plan under [plan]; "
            raise DataError(
                f"{where}: there is no key {key!r} {place}", hint=f"{hint}known: {', '.join(known)}"
            )
