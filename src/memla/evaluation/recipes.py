"""Recipes: what a table or figure of a paper takes, as a file; and which runs were made of one."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from memla.editors import EDITORS
from memla.errors import DataError, SettingError
from memla.evaluation.plans import Plan
from memla.evaluation.variants import (
    EVERY_EDITOR,
    SingleVariant,
    Variant,
    one_by_one,
)
from memla.records import Record, Text, merged, parse_record, read_text
from memla.registry import unknown_name


class Contrast(Record):
    """Two variants whose difference says what something is worth."""

    of: Text
    """Name of a variant."""
    against: Text
    """Name of the other."""
    about: Text = ""
    """In what they differ."""


class NamedPlan(Record):
    """The plan of a variant for one source, under the name that reports show."""

    variant: Text
    """Name of the variant."""
    source: str
    """Source of the edit; ``en+zh`` is one edit in both."""
    plan: Plan
    """What to do."""
    setting: str | None = None
    """What a sweep varied, if one did."""
    value: Any = None
    """The value it took."""


class Recipe(Record):
    """A file that says which plans make a table or figure, and what to see in it."""

    name: Text
    """Name of the file of its runs; by default that of the recipe's file without its ending."""
    title: Text
    """What it is, in one line."""
    about: Text = ""
    """What is varied and what to look at."""
    published: tuple[str, ...] = ()
    """Names of papers' figures that reports show beside."""
    metrics: tuple[str, ...] = ()
    """Metrics that reports show first; none: the protocol's."""
    plan: dict[str, Any] = Field(default_factory=dict)
    """Keys of a plan that all variants share."""
    variants: tuple[Variant, ...] = Field(min_length=1)
    """What is compared."""
    contrasts: tuple[Contrast, ...] = ()
    """Pairs of variants whose difference is told."""

    @field_validator("name")
    @classmethod
    def _names_a_file(cls, name: str) -> str:
        if not name.strip(" .") or re.search(r"[/\\\x00-\x1f]", name):
            raise SettingError(
                f"name {name!r} of a recipe is no name for a file", hint="as in name = 'table3'"
            )
        return name

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        names = self.variant_names
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise SettingError(
                f"two variants are named {twice[0]!r}", hint="give each a name of its own"
            )
        for contrast in self.contrasts:
            for name in (contrast.of, contrast.against):
                if name not in names:
                    raise unknown_name("variant", name, dict.fromkeys(names))
        return self

    @property
    def variant_names(self) -> tuple[str, ...]:
        """Names of the variants, those of sweeps and of ``*`` one by one."""
        return tuple(one.name for one in self._expanded())

    def variants_with_plans(self, overrides: Mapping[str, Any] | None = None) -> list[NamedPlan]:
        """A plan for each variant and each of its sources.

        Args:
            overrides: Keys of a plan that count more than what the recipe says.

        Raises:
            DataError: A value does not fit its key.
            SettingError: A plan cannot be, or an override is what a sweep varies.
        """
        changes = dict(overrides or {})
        named: list[NamedPlan] = []
        for one in self._expanded():
            if one.is_undone_by(changes):
                raise SettingError(
                    f"{one.setting!r} is what variant {one.name!r} of recipe {self.name!r} varies",
                    hint="leave that option out, or copy the recipe and change its values",
                )
            plan = _plan(merged(one.keys, changes), f"{self.name}, variant {one.name!r}")
            named += [
                NamedPlan(
                    variant=one.name,
                    source=source,
                    plan=plan.model_copy(update={"source_languages": (source,)}),
                    setting=one.setting,
                    value=one.value,
                )
                for source in plan.source_languages
            ]
        return named

    def _expanded(self) -> Iterator[SingleVariant]:
        single = [one for one in self.variants if not self._is_every(one)]
        taken = {
            each.name for one in single for each in one_by_one(one, merged(self.plan, one.keys))
        }
        for variant in self.variants:
            keys = merged(self.plan, variant.keys)
            if variant in single:
                yield from one_by_one(variant, keys)
            else:
                each = (one_by_one(variant, {**keys, "editor": editor}) for editor in EDITORS)
                yield from (one for one in chain.from_iterable(each) if one.name not in taken)

    def _is_every(self, variant: Variant) -> bool:
        return variant.keys.get("editor", self.plan.get("editor")) == EVERY_EDITOR


def _plan(keys: dict[str, Any], where: str) -> Plan:
    try:
        return parse_record(Plan, keys, where)
    except SettingError as error:
        raise type(error)(f"{where}: {error.message}", hint=error.hint) from None


class RecipeEntry(Record):
    """A run of a recipe."""

    variant: Text
    """Name of the variant."""
    source: str
    """Source of the edit."""
    run: str
    """Name of the run's folder, beside the file; it may not have been made yet."""
    setting: str | None = None
    """What a sweep varied: a setting of the editor, with dots, or a key of the plan."""
    value: Any = None
    """The value it took."""


class RecipeRun(Record):
    """Which runs in a folder belong to a recipe: ``recipe-NAME.json``.

    It is written before the first edit, so that runs may be unfinished or not there at all.
    """

    name: Text
    """The recipe's name."""
    title: Text
    """What it is, in one line."""
    about: Text = ""
    """What is varied and what to look at."""
    published: tuple[str, ...] = ()
    """Names of papers' figures to show beside."""
    metrics: tuple[str, ...] = ()
    """Metrics to show first; none: the protocol's."""
    contrasts: tuple[Contrast, ...] = ()
    """Pairs of variants whose difference is to be told."""
    entries: tuple[RecipeEntry, ...] = ()
    """Its runs, in the order of the recipe."""

    @property
    def file_name(self) -> str:
        """Name of its file in the folder of runs."""
        return f"recipe-{self.name}.json"


def read_recipe_run(path: str | Path) -> RecipeRun:
    """The runs of a recipe, as they are written down in a folder of runs; needs no model.

    Raises:
        DataError: The file is none.
    """
    try:
        value = json.loads(read_text(Path(path)))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error.msg}") from None
    return parse_record(RecipeRun, value, str(path))
