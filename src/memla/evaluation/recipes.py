"""Recipes: what a table or figure of a paper takes, as a file; and which runs were made of one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from memla.editors import EDITORS
from memla.errors import DataError, SettingError
from memla.evaluation.results import Plan
from memla.records import Record, Text, parse_record, read_text
from memla.registry import unknown_name

EVERY_EDITOR = "*"
"""Stands for one variant of each registered editor, but for those whose name another one has."""

FILLED_IN = {"memla_version", "model_fingerprint", "cases_digest", "f1_tokenizer_digest"}
"""Keys of a plan that are no choice."""

PLAN_KEYS = tuple(key for key in Plan.model_fields if key not in FILLED_IN)
"""Keys of a plan that a recipe may have."""


class Sweep(Record):
    """One value after the other for a setting of the editor or for a key of the plan."""

    setting: str | None = None
    """Setting of the editor; a dot goes into a nested one."""
    plan_key: str | None = None
    """Key of the plan, in place of ``setting``."""
    values: tuple[Any, ...] = Field(min_length=1)
    """In the order in which a curve joins them."""

    @model_validator(mode="after")
    def _varies_one_thing(self) -> Self:
        if (self.setting is None) == (self.plan_key is None):
            raise SettingError("a sweep has either 'setting' or 'plan_key'")
        if self.plan_key is not None and self.plan_key not in PLAN_KEYS:
            raise unknown_name("key of a plan", self.plan_key, _known(PLAN_KEYS))
        return self

    @property
    def key(self) -> str:
        """What is varied."""
        return self.setting or self.plan_key or ""

    def changes(self, value: object) -> dict[str, Any]:
        """What a value changes in the keys of a plan."""
        if self.plan_key is not None:
            return {self.plan_key: value}
        *outer, last = self.key.split(".")
        nested: dict[str, Any] = {last: value}
        for name in reversed(outer):
            nested = {name: nested}
        return {"settings": nested}


class Variant(Record):
    """One thing that a recipe compares, or with a sweep or ``*`` several alike."""

    name: Text | None = None
    """What reports call it. ``{editor}``, ``{preset}`` and ``{value}`` are filled in. By default
    the editor, and the preset in brackets where it is not the recommended one."""
    sweep: Sweep | None = None
    """What takes several values, one variant each."""
    keys: dict[str, Any] = Field(default_factory=dict)
    """Keys of a plan; they override the recipe's."""


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
                    raise unknown_name("variant", name, _known(names))
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
            if one.setting in changes and one.is_plan_key:
                raise SettingError(
                    f"{one.setting!r} is what variant {one.name!r} of recipe {self.name!r} varies",
                    hint="leave that option out, or copy the recipe and change its values",
                )
            plan = parse_record(
                Plan, merged(one.keys, changes), f"{self.name}, variant {one.name!r}"
            )
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

    def _expanded(self) -> Iterator[_Single]:
        single = [one for one in self.variants if not self._is_every(one)]
        taken = {each.name for one in single for each in _singles(one, merged(self.plan, one.keys))}
        for variant in self.variants:
            keys = merged(self.plan, variant.keys)
            if variant in single:
                yield from _singles(variant, keys)
            else:
                each = (_singles(variant, {**keys, "editor": editor}) for editor in EDITORS)
                yield from (one for one in chain.from_iterable(each) if one.name not in taken)

    def _is_every(self, variant: Variant) -> bool:
        return variant.keys.get("editor", self.plan.get("editor")) == EVERY_EDITOR


class _Single(Record):
    """A variant without sweep or ``*``."""

    name: Text
    keys: dict[str, Any]
    setting: str | None = None
    value: Any = None
    is_plan_key: bool = False


def _singles(variant: Variant, keys: dict[str, Any]) -> Iterator[_Single]:
    sweep = variant.sweep
    if sweep is None:
        yield _Single(name=_name(variant, keys), keys=keys)
        return
    for value in sweep.values:
        swept = merged(keys, sweep.changes(value))
        yield _Single(
            name=_name(variant, swept, (sweep.key, value)),
            keys=swept,
            setting=sweep.key,
            value=value,
            is_plan_key=sweep.plan_key is not None,
        )


def _name(
    variant: Variant, keys: Mapping[str, Any], swept: tuple[str, object] | None = None
) -> str:
    fields = Plan.model_fields
    editor, preset = (keys.get(key, fields[key].default) for key in ("editor", "preset"))
    name = variant.name
    if name is None:
        name = "{editor}" if preset == fields["preset"].default else "{editor} ({preset})"
        name += f", {swept[0]} = {{value}}" if swept else ""
    value = _shown(swept[1]) if swept else "{value}"
    for place, text in (("editor", editor), ("preset", preset), ("value", value)):
        name = name.replace(f"{{{place}}}", str(text))
    return name


def _shown(value: object) -> str:
    """A value of TOML for a reader."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table over the other; tables in both are merged too."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            both[key] = merged(under, value)
        else:
            both[key] = value
    return both


def _known(names: Sequence[str]) -> dict[str, None]:
    return dict.fromkeys(names)


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
