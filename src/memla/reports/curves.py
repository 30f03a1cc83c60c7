"""Which methods are one editor at several strengths, and in what order a line joins them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memla.reports.groups import NOT_THE_METHOD, Group, Method
from memla.reports.labels import flat_settings

STANDS_FOR: dict[tuple[str, object], tuple[str, float | None]] = {
    ("coefficient", "one"): ("coefficient_value", 1.0),
    ("coefficient", "constant"): ("coefficient_value", None),
}
"""Choices that say no more than a number: the setting that holds it and, where the choice itself
decides it, the number."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Methods that differ in how strong a setting is."""

    editor: str
    setting: str
    labels: tuple[str, ...]
    """What the methods are called, in the order of the setting's value."""
    is_mixed: bool = False
    """Whether they differ in more than that setting."""


def curves(group: Group) -> list[Curve]:
    """The curves of a group, in the order of its methods."""
    classes: dict[str, list[Method]] = {}
    for method in group.methods:
        classes.setdefault(_kind(method), []).append(method)
    return [curve for members in classes.values() for curve in _of(group, members)]


def _of(group: Group, members: Sequence[Method]) -> Iterator[Curve]:
    """Curves through methods of one kind: one for each setting that a recipe swept.

    Without a recipe's word for it, it is the first setting in which no two are alike.
    """
    if len(members) < 2:
        return
    entries = group.recipe.entries if group.recipe else ()
    swept = {one.variant: one.setting for one in entries if one.setting is not None}
    names: list[str | None] = [swept[one.label] for one in members if one.label in swept]
    for name in dict.fromkeys(names or [None]):
        joined = [one for one in members if swept.get(one.label, name) == name]
        if (curve := _curve(joined, name)) is not None:
            yield curve


def _curve(members: Sequence[Method], setting: str | None) -> Curve | None:
    values = [numbers(method) for method in members]
    names = [setting] if setting is not None else list(values[0])
    for name in names:
        there = [one[name] for one in values if name in one]
        if len(there) == len(set(there)) == len(members) > 1:
            order = sorted(range(len(members)), key=lambda index: values[index][name])
            labels = tuple(members[index].label for index in order)
            editor = members[0].runs[0].plan.editor
            return Curve(editor, name, labels, _differ_beside(members, name))
    return None


def _differ_beside(members: Sequence[Method], setting: str) -> bool:
    """Whether methods differ in a setting beside one and what stands for it."""
    held = {
        setting,
        *(name for (name, _), (held_in, _) in STANDS_FOR.items() if held_in == setting),
    }
    rests = [
        {
            name: value
            for name, value in flat_settings(one.runs[0].plan.settings)
            if name not in held
        }
        for one in members
    ]
    return any(rest != rests[0] for rest in rests)


def numbers(method: Method) -> dict[str, float]:
    """The settings of a method that are numbers, by their dotted names.

    What a plan leaves open is what the first edit says it was made with, if it does.
    """
    run = method.runs[0]
    found: dict[str, float] = {}
    for name, value in flat_settings(run.plan.settings):
        last = name.rpartition(".")[2]
        if _is_number(value):
            found[name] = float(value)
        elif value is None and last in run.seen.resolved:
            found[name] = run.seen.resolved[last]
    for name, value in flat_settings(run.plan.settings):
        if isinstance(value, str) and (name, value) in STANDS_FOR:
            held_in, number = STANDS_FOR[name, value]
            found |= {held_in: number} if number is not None else {}
    return found


def _kind(method: Method) -> str:
    """All that decides a method beside how strong it is: no numbers, and nothing left open."""
    plan = method.runs[0].plan
    rest = plan.model_dump(mode="json", exclude=NOT_THE_METHOD | {"settings"})
    choices = {
        name: value
        for name, value in flat_settings(plan.settings)
        if not (_is_strength(value) or (isinstance(value, str) and (name, value) in STANDS_FOR))
    }
    return json.dumps([rest, choices], sort_keys=True)


def _is_strength(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_number, value))
    return value is None or _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
