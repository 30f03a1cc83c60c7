"""Put the shards of a run together, wherever they were made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memla.errors import DataError
from memla.evaluation.downstream.settings import Downstream
from memla.evaluation.record_files import whole_lines
from memla.evaluation.results import FileName, Plan, RunFolder
from memla.evaluation.shards import Shard
from memla.records import read_text, write_atomically

Key = tuple[str, ...]
"""Case and source; of what was measured downstream, group, source and number of edits."""


@dataclass(slots=True)
class _Lines:
    """Where the result of each case stands."""

    places: dict[Key, tuple[Path, int]] = field(default_factory=dict)
    folders: dict[Key, Path] = field(default_factory=dict)

    def add(self, folder: RunFolder, name: FileName) -> None:
        for path in folder.files(name):
            for where, start, line in whole_lines(path):
                key = _key(line, where, name)
                if self.folders.setdefault(key, folder.path) != folder.path:
                    raise DataError(
                        f"{_named(key)} is in {str(self.folders[key])!r} and in "
                        f"{str(folder.path)!r}",
                        hint="give each shard once, and shards of one partition only",
                    )
                self.places.setdefault(key, (path, start))

    def in_order(self, keys: Sequence[Key]) -> Iterator[bytes]:
        for key in keys:
            path, start = self.places[key]
            with path.open("rb") as stream:
                stream.seek(start)
                yield stream.readline()


def merge(folders: Sequence[str | Path], out: str | Path) -> Path:
    """Make one run of the shards of a plan; the lines are those of a run that was not divided.

    Args:
        folders: Run folders: one that several shards have written to, or one of each machine.
        out: Folder of runs; the merged one gets a folder in it, named by the plan.

    Returns:
        The merged run's folder.

    Raises:
        DataError: The plans differ, a case is missing or in two folders, or there is something
            where the merged run shall be.
    """
    runs = [RunFolder(Path(folder)) for folder in dict.fromkeys(Path(one) for one in folders)]
    plan = _common_plan(runs)
    ids = _common_cases(runs)
    cases: list[Key] = [(case, source) for source in plan.source_languages for case in ids]
    keys: dict[FileName, list[Key]] = {"cases": cases}
    if plan.mode == "sequential":
        keys["after_all"] = cases
    if plan.downstream is not None:
        keys["downstream"] = _checkpoints(plan, plan.downstream, ids)
    target = Path(out) / plan.run_name
    if target.exists():
        raise DataError(f"{str(target)!r} is there already", hint="name another folder with --out")
    found = {name: _found(runs, name, wanted) for name, wanted in keys.items()}
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        for name, lines in found.items():
            _write(new / f"{name}.jsonl", lines.in_order(keys[name]))
        for file in ("environment.json", "case_ids.json", "plan.json"):
            write_atomically(new / file, read_text(runs[0].path / file))
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return target


def merge_in_place(folder: str | Path) -> Path:
    """Put what shards have written to a run's folder in the order of a run that was not divided.

    It can end at any moment: until the files of the shards are gone their lines stand twice, and
    a line that stands twice is read once.

    Raises:
        DataError: A case is missing, a process is at work there, or the disk is full.
    """
    run = RunFolder(Path(folder))
    staging = run.path / ".merged"
    with run.taken():
        shutil.rmtree(staging, ignore_errors=True)
        try:
            for path in sorted(merge([run.path], staging).glob("*.jsonl")):
                path.replace(run.path / path.name)
                for part in run.path.glob(f"{path.stem}-*-of-*.jsonl"):
                    part.unlink()
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return run.path


def _common_plan(runs: Sequence[RunFolder]) -> Plan:
    first, *others = [run.plan() for run in runs]
    for run, other in zip(runs[1:], others, strict=True):
        values, mine = other.model_dump(mode="json"), first.model_dump(mode="json")
        differing = [name for name, value in mine.items() if values[name] != value]
        if differing:
            name = differing[0]
            raise DataError(
                f"{str(run.path)!r} is of another plan than {str(runs[0].path)!r}: {name} is "
                f"{values[name]!r}, not {mine[name]!r}",
                hint="merge shards of one plan",
            )
    return first


def _common_cases(runs: Sequence[RunFolder]) -> list[str]:
    every = []
    for run in runs:
        try:
            every.append(list(map(str, json.loads(read_text(run.path / "case_ids.json")))))
        except ValueError as error:
            raise DataError(f"{run.path / 'case_ids.json'}: not JSON: {error}") from None
    if any(cases != every[0] for cases in every):
        raise DataError("the runs list different cases", hint="merge shards of one benchmark")
    return every[0]


def _found(runs: Sequence[RunFolder], name: FileName, keys: Sequence[Key]) -> _Lines:
    lines = _Lines()
    for run in runs:
        lines.add(run, name)
    missing = [key for key in keys if key not in lines.places]
    if missing:
        what = "checkpoints" if name == "downstream" else "cases"
        moment = " after all edits" if name == "after_all" else ""
        raise DataError(
            f"{len(missing)} of {len(keys)} {what} are missing{moment}, the first: "
            f"{_named(missing[0])}{_whose(missing[0][0], runs)}",
            hint="run memla evaluate again with that shard, or give its folder too",
        )
    return lines


def _whose(case: str, runs: Sequence[RunFolder]) -> str:
    """The shard of a single case, where the files tell how many there are."""
    if runs[0].plan().mode != "single":
        return ""
    counts = {path.stem.rpartition("-of-")[2] for run in runs for path in run.files("cases")}
    if len(counts) != 1 or not (count := counts.pop()).isdigit():
        return ""
    of = int(count)
    number = next(one for one in range(1, of + 1) if Shard(one, of).holds(case))
    return f", of shard {number}/{of}"


def _key(line: bytes, where: str, name: FileName) -> Key:
    try:
        value = json.loads(line)
        if name == "downstream":
            return str(value["group"]), str(value["source"]), str(value["edits"])
        return str(value["case"]), str(value["source"])
    except (ValueError, KeyError, TypeError):
        what = "a checkpoint" if name == "downstream" else "the result of a case"
        raise DataError(f"{where}: not {what}") from None


def _named(key: Key) -> str:
    """A key for a message."""
    what = "case" if len(key) == 2 else "what is downstream of case"
    after = f" after {key[2]} edits" if len(key) == 3 else ""
    return f"{what} {key[0]!r} ({key[1]}){after}"


def _checkpoints(plan: Plan, settings: Downstream, ids: Sequence[str]) -> list[Key]:
    """Keys of all checkpoints, in the order of a run that was not divided."""
    size = plan.group_size
    starts = range(0, len(ids), size)
    return [
        (ids[start], source, str(edits))
        for source in plan.source_languages
        for start in starts
        for edits in settings.checkpoints(plan.mode, len(ids[start : start + size]))
    ]


def _write(path: Path, lines: Iterator[bytes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None
