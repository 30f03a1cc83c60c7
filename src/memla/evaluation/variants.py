"""What a recipe compares: its variants, one by one, each with the keys of its plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from memla.errors import SettingError
from memla.evaluation.plans import Plan
from memla.records import Record, Text, merged
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
            raise unknown_name("key of a plan", self.plan_key, dict.fromkeys(PLAN_KEYS))
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


class SingleVariant(Record):
    """A variant without sweep or ``*``."""

    name: Text
    keys: dict[str, Any]
    setting: str | None = None
    value: Any = None
    varied: dict[str, Any] = Field(default_factory=dict)
    """What the sweep has put into the keys; empty: there is none."""

    def is_undone_by(self, changes: Mapping[str, Any]) -> bool:
        """Whether changes of a plan's keys would undo what the sweep varies."""
        return _meet(self.varied, changes)


def one_by_one(variant: Variant, keys: dict[str, Any]) -> Iterator[SingleVariant]:
    """The variant, or those of its sweep; ``keys`` are those of its plan, shared ones too."""
    sweep = variant.sweep
    if sweep is None:
        yield SingleVariant(name=_name(variant, keys), keys=keys)
        return
    for value in sweep.values:
        varied = sweep.changes(value)
        swept = merged(keys, varied)
        yield SingleVariant(
            name=_name(variant, swept, (sweep.key, value)),
            keys=swept,
            setting=sweep.key,
            value=value,
            varied=varied,
        )


def _meet(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two tables have a value for the same key, at any depth."""
    return any(
        not (isinstance(value, Mapping) and isinstance(second[key], Mapping))
        or _meet(value, second[key])
        for key, value in first.items()
        if key in second
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
