"""What a build is made of: files by hash, rejects by reason, what was spent."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from memla.construction.build_folder import MANIFEST, STAGES, BuildFolder
from memla.construction.config import BuildConfig
from memla.construction.files import count_lines
from memla.construction.ledger import Ledger
from memla.construction.usage import Usage
from memla.errors import DataError
from memla.records import Record, read_text, write_atomically

STAGE_FILE = "stage.json"
"""In each stage's folder: what it was made from."""
FORMAT = 1
"""Counts up when a stage makes something else of the same input."""


class OutputFile(Record):
    """A file that a stage wrote."""

    sha256: str
    lines: int


class StageInfo(Record):
    """What a stage was made from, and what it made."""

    stage: str
    fingerprint: str
    """Hash of its inputs and of the settings that it depends on."""
    taken: int
    """Facts or edits that came in."""
    kept: int
    """Facts, paths, edits or records that went out."""
    rejects: dict[str, int]
    """What was left out, by reason, the most frequent first."""
    notes: tuple[str, ...] = ()
    """What somebody should know."""
    files: dict[str, OutputFile]
    """By name."""


class Manifest(Record):
    """All of a build at a glance; the same build gives the same bytes."""

    name: str
    settings: dict[str, Any]
    seeds: dict[str, int]
    versions: dict[str, str]
    stages: dict[str, StageInfo]
    """Those that are done, in their order."""
    used: dict[str, Usage]
    """What all requests so far took, by service."""
    total: Usage
    cost: float = Field(ge=0)
    """In the currency of the settings' prices."""


def fingerprint(stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Hash of all that decides what a stage makes.

    Args:
        stage: Its name.
        settings: What it depends on.
        inputs: Hashes of the files that it reads, by name.
    """
    content = [FORMAT, version("memla"), stage, dict(settings), dict(inputs)]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def describe_files(folder: Path, names: BuildFolder) -> dict[str, OutputFile]:
    """Every file below a stage's folder but its description, by name."""
    return {
        path.relative_to(folder).as_posix(): OutputFile(
            sha256=names.sha256(path), lines=count_lines(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != STAGE_FILE
    }


def read_stage(folder: BuildFolder, stage: str) -> StageInfo | None:
    """What a stage was made from; None if it is not there, or not what was written."""
    place = folder.stage(stage)
    try:
        info = StageInfo.model_validate_json(read_text(place / STAGE_FILE))
    except (DataError, ValidationError):
        return None
    changed = any(folder.sha256(place / name) != file.sha256 for name, file in info.files.items())
    return None if changed else info


def write_manifest(folder: BuildFolder, config: BuildConfig, ledger: Ledger) -> Manifest:
    """Write what the build is now.

    Raises:
        DataError: It cannot be written.
    """
    found = {stage: read_stage(folder, stage) for stage in STAGES}
    manifest = Manifest(
        name=config.dataset.name,
        settings=config.model_dump(mode="json"),
        seeds={
            "dataset": config.dataset.seed,
            "drafts": config.drafts.seed,
            "translation": config.translation.seed,
        },
        versions={"memla": version("memla"), "python": platform.python_version()},
        stages={stage: info for stage, info in found.items() if info is not None},
        used=ledger.used,
        total=ledger.total,
        cost=ledger.total.cost,
    )
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1)
    write_atomically(folder.root / MANIFEST, text + "\n")
    return manifest


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of a build; None if there is none.

    Raises:
        DataError: It is broken.
    """
    path = root / MANIFEST
    if not path.exists():
        return None
    try:
        return Manifest.model_validate_json(read_text(path))
    except ValidationError:
        raise DataError(
            f"{str(path)!r} is no manifest of a build", hint="delete it; the stages are kept"
        ) from None
