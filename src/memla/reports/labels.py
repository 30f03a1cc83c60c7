"""What runs are called in a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memla.reports.reading import RunReading

DIFFERENCES = 2
"""Settings that a label names at most."""


def labels(runs: Sequence[RunReading]) -> list[str]:
    """A name for each: the editor, its preset, and if need be the settings in which it differs.

    Runs with the same settings are told apart by how many cases they were to take, and by the seed.
    """
    plain = [_plain_label(run) for run in runs]
    named = []
    for run, label in zip(runs, plain, strict=True):
        alike = [other for other, name in zip(runs, plain, strict=True) if name == label]
        named.append(f"{label}{_difference(run, alike)}" if len(alike) > 1 else label)
    return [
        f"{name}, {run.plan.digest[:6]}" if named.count(name) > 1 else name
        for run, name in zip(runs, named, strict=True)
    ]


def _plain_label(run: RunReading) -> str:
    parts = [] if run.plan.preset == "recommended" else [run.plan.preset]
    if run.plan.mode != "single":
        parts.append(f"{run.plan.mode}, groups of {run.plan.group_size}")
    parts += ["settings changed"] if run.seen.is_custom else []
    return run.plan.editor + (f" ({', '.join(parts)})" if parts else "")


def _difference(run: RunReading, alike: Sequence[RunReading]) -> str:
    mine, others = _decided(run), [_decided(other) for other in alike if other is not run]
    shown = [said for key, said in mine.items() if any(o.get(key) != said for o in others)]
    if not 0 < len(shown) <= DIFFERENCES or max(map(len, shown)) > 40:
        return f", {run.plan.digest[:6]}"
    return ", " + ", ".join(shown)


def _decided(run: RunReading) -> dict[str, str]:
    """What may tell a run from others of its editor, each as a name shows it."""
    plan = run.plan
    found = {
        name: f"{name.rpartition('.')[2]}={value}" for name, value in flat_settings(plan.settings)
    }
    found["plan limit"] = "all cases" if plan.limit is None else f"limit {plan.limit}"
    found["plan seed"] = f"seed {plan.seed}"
    return found


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their dotted names."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
