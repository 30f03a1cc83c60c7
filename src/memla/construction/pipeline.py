"""A build from its settings to its release, stage by stage; it can be stopped at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memla.construction import services, stages
from memla.construction.build_folder import STAGES, BuildFolder
from memla.construction.config import BuildConfig
from memla.construction.estimates import estimate
from memla.construction.manifest import (
    STAGE_FILE,
    Manifest,
    StageInfo,
    describe_files,
    fingerprint,
    read_manifest,
    read_stage,
    write_manifest,
)
from memla.construction.stages import Stage
from memla.construction.usage import Usage
from memla.construction.work import Progress, Work
from memla.errors import SettingError
from memla.records import Record, write_atomically
from memla.registry import unknown_name


@dataclass(frozen=True, slots=True)
class Built:
    """What came out of a build."""

    manifest: Manifest
    made: tuple[str, ...]
    """Stages that were done."""
    kept: tuple[str, ...]
    """Stages that were done before, and are as they were."""
    in_doubt: dict[str, Usage] = field(default_factory=dict)
    """What requests without an answer may have cost besides, by service."""

    @property
    def notes(self) -> list[str]:
        """What somebody should know, by stage and service."""
        found = self.manifest.stages.items()
        notes = [f"{name}: {note}" for name, info in found for note in info.notes]
        return notes + [_doubt(name, usage) for name, usage in self.in_doubt.items()]


def _doubt(service: str, usage: Usage) -> str:
    times = "once" if usage.requests == 1 else f"{usage.requests} times"
    cost = f" at most {usage.cost:.2f}," if usage.cost_micros else ""
    return (
        f"{service}: {times} a request was sent and its answer never kept, as the build was stopped"
        f" or the answer broke off; it may have been charged for all the same:{cost} which counts"
        " against [limits]"
    )


class Plan(Record):
    """What a stage would do."""

    stage: str
    is_done: bool
    """It would be left as it is."""
    estimate: Usage
    """About how much it would take, were nothing in the ledger."""


def build(
    config: BuildConfig,
    root: Path,
    *,
    first: str | None = None,
    until: str | None = None,
    on_progress: Progress = lambda what, done, total: None,
) -> Built:
    """Do the stages that are not done, in their order.

    A stage is done if nothing that it reads or depends on has changed since. Killed at any moment,
    the same call goes on where it was, and sends no request again that was answered. One that was
    under way is sent again under the same key; whether it was charged for twice is the service's
    matter, so it counts against the limits and is told of.

    Args:
        config: The settings.
        root: Where to build.
        first: Do this stage again, and all after it, even if nothing has changed.
        until: The last stage to do.
        on_progress: Told what is being done.

    Raises:
        SettingError: A key is not in the environment, or there is no such stage.
        LimitError: A request would exceed a limit.
        ServiceError: A service refuses.
        DataError: A file cannot be read or written, or nothing is left.
    """
    chosen = _chosen(first, until)
    folder = BuildFolder(root)
    made: list[str] = []
    with folder.locked(), Work(config, folder, on_progress) as work:
        _check_owner(config, root)
        _check_keys(work, chosen)
        for stage in chosen:
            again = first is not None and _number(stage.name) >= _number(first)
            if _is_done(stage, work) and not again:
                continue
            _do(stage, work)
            made.append(stage.name)
            write_manifest(folder, config, work.ledger)
        manifest = write_manifest(folder, config, work.ledger)
        in_doubt = work.ledger.in_doubt
    kept = tuple(stage.name for stage in chosen if stage.name not in made)
    return Built(manifest, tuple(made), kept, in_doubt)


def plan(
    config: BuildConfig, root: Path, *, first: str | None = None, until: str | None = None
) -> list[Plan]:
    """What `build` would do; nothing is sent or written.

    Raises:
        SettingError: There is no such stage.
        DataError: A file is broken.
    """
    found, upstream = [], False
    folder = BuildFolder(root)
    with Work(config, folder, lambda what, done, total: None) as work:
        _check_owner(config, root)
        for stage in _chosen(first, until):
            # What comes after a stage that is done again has other inputs, or may have.
            upstream = upstream or first == stage.name or not _is_done(stage, work)
            needed = estimate(stage.name, config, work.relations, folder) if upstream else Usage()
            found.append(Plan(stage=stage.name, is_done=not upstream, estimate=needed))
    return found


def keys_wanted(config: BuildConfig) -> Iterator[tuple[str, str]]:
    """Stage and name of each environment variable that a build reads."""
    drafts, translation = config.drafts, config.translation
    if drafts.drafter == "chat" and drafts.api_key_env:
        yield "drafts", drafts.api_key_env
    if translation.backend in ("none", "local"):
        return
    if translation.backend == "baidu":
        yield "translate", translation.app_id_env
    variable = translation.api_key_env or services.USUAL_KEYS[translation.backend]
    if variable:
        yield "translate", variable


def _chosen(first: str | None, until: str | None) -> Sequence[Stage]:
    for name in (first, until):
        if name is not None and name not in STAGES:
            raise unknown_name("stage", name, STAGES)
    last = len(STAGES) - 1 if until is None else _number(until)
    if first is not None and _number(first) > last:
        raise SettingError(
            f"the stage {first!r} comes after {until!r}",
            hint=f"their order is {' '.join(STAGES)}",
        )
    return stages.ALL[: last + 1]


def _number(name: str) -> int:
    return list(STAGES).index(name)


def _check_owner(config: BuildConfig, root: Path) -> None:
    manifest = read_manifest(root)
    if manifest is not None and manifest.name != config.dataset.name:
        raise SettingError(
            f"{str(root)!r} holds the build of {manifest.name!r}, not of {config.dataset.name!r}",
            hint="give another folder with --out",
        )


def _check_keys(work: Work, chosen: Sequence[Stage]) -> None:
    """Miss a key now and not after an hour of queries; hide those that are there."""
    names = {stage.name for stage in chosen}
    done = {stage.name for stage in chosen if _is_done(stage, work)}
    for stage, variable in keys_wanted(work.config):
        wanted = stage in names and stage not in done
        if wanted or os.environ.get(variable, "").strip():
            work.secrets.read(variable)


def _is_done(stage: Stage, work: Work) -> bool:
    info = read_stage(work.folder, stage.name)
    return info is not None and info.fingerprint == _fingerprint(stage, work)


def _fingerprint(stage: Stage, work: Work) -> str:
    folder = work.folder
    inputs = {name: folder.sha256(folder.root / name) for name in stage.inputs}
    return fingerprint(stage.name, stage.settings(work.config, work.relations), inputs)


def _do(stage: Stage, work: Work) -> StageInfo:
    work.on_progress(stage.name, 0, 1)
    with work.folder.replacing(stage.name) as root:
        report = stage.run(work, root)
        place = root / STAGES[stage.name]
        info = StageInfo(
            stage=stage.name,
            fingerprint=_fingerprint(stage, work),
            taken=report.taken,
            kept=report.kept,
            rejects=dict(sorted(report.rejects.items(), key=lambda item: (-item[1], item[0]))),
            notes=report.notes,
            files=describe_files(place, work.folder),
        )
        text = json.dumps(info.model_dump(mode="json"), ensure_ascii=False, indent=1)
        write_atomically(place / STAGE_FILE, text + "\n")
    work.on_progress(stage.name, 1, 1)
    return info
