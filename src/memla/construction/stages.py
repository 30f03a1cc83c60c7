"""The stages of a build: what each depends on, reads and makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memla.construction import chains, endpoint, files, labels, targets, wikidata
from memla.construction.build_folder import CORRECTIONS, STAGES
from memla.construction.config import BuildConfig
from memla.construction.relations import Relations
from memla.construction.release import release_stage
from memla.construction.text_stages import (
    DRAFTS,
    EDITS,
    StageReport,
    check_stage,
    draft_stage,
    filter_stage,
    translate_stage,
)
from memla.construction.work import Work, planned

Settings = dict[str, Any]

_HOW_NOT_WHAT = {
    "contact",
    "relations_file",
    "shards",
    "parallel",
    "timeout_seconds",
    "interval_seconds",
    "api_key_env",
    "app_id_env",
    "price_per_million_characters",
    "price_per_million_input_tokens",
    "price_per_million_output_tokens",
}
"""Settings of services that change nothing in what is made."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step from files to files."""

    name: str
    inputs: tuple[str, ...]
    """Files that it reads, from the build's root."""
    settings: Callable[[BuildConfig, Relations], Settings]
    """What it depends on, apart from them."""
    run: Callable[[Work, Path], StageReport]
    """Given a root to write below."""


def _section(config: BuildConfig, name: str) -> Settings:
    section = getattr(config, name).model_dump(mode="json")
    return {key: value for key, value in section.items() if key not in _HOW_NOT_WHAT}


def _texts(relations: Relations) -> Settings:
    return {name: relation.model_dump(mode="json") for name, relation in relations.items()}


def _asked(config: BuildConfig, relations: Relations) -> Settings:
    facts = {
        name: relation.model_dump(mode="json", exclude={"templates"})
        for name, relation in relations.items()
    }
    languages = list(config.dataset.languages)
    return {"wikidata": _section(config, "wikidata"), "languages": languages, "relations": facts}


def _drafted(config: BuildConfig, relations: Relations) -> Settings:
    settings = _section(config, "drafts")
    if config.drafts.drafter == "templates":
        settings = {"drafter": "templates"}
    return {"drafts": settings, "relations": _texts(relations)}


def _translated(config: BuildConfig, relations: Relations) -> Settings:
    section = _section(config, "translation")
    del section["back_translation"]
    languages = list(config.dataset.languages)
    return {"translation": section, "languages": languages, "relations": _texts(relations)}


def _checked(config: BuildConfig, relations: Relations) -> Settings:
    if not config.translation.back_translation:
        return {}
    return {"back": _section(config, "translation")}


def _released(config: BuildConfig, relations: Relations) -> Settings:
    sections = ("dataset", "wikidata", "drafts", "translation", "release")
    return {name: _section(config, name) for name in sections}


def _triples(work: Work, root: Path) -> StageReport:
    settings, calls = work.config.wikidata, 0
    interval = settings.interval_seconds
    client = work.client(
        settings.timeout_seconds, {endpoint.SERVICE: interval, labels.SERVICE: interval}
    )

    def report(what: str, done: int, total: int) -> None:
        nonlocal calls
        work.on_progress("triples", calls, 3 * total)
        calls += 1

    found = wikidata.collect(
        work.config, work.relations, root, client=client, ledger=work.ledger, on_progress=report
    )
    rejects = dict(found.rejections.counts)
    kept = len(found.triples)
    notes = tuple(found.warnings)
    return StageReport(taken=kept + sum(rejects.values()), kept=kept, rejects=rejects, notes=notes)


def _chains(work: Work, root: Path) -> StageReport:
    found = chains.join(work.folder.root, work.config.dataset.seed, root)
    return StageReport(taken=_lines(work, files.TRIPLES), kept=found, rejects={})


def _targets(work: Work, root: Path) -> StageReport:
    most = planned(work.config)
    found = targets.choose(work.folder.root, work.config.dataset.seed, most=most, out=root)
    kept = files.count_lines(root / files.EDITS)
    return StageReport(taken=_lines(work, files.PATHS), kept=kept, rejects=dict(found.counts))


def _drafts(work: Work, root: Path) -> StageReport:
    source, target = work.folder.stage("targets"), root / STAGES["drafts"]
    return draft_stage(source, target, work.drafter, work.progress_of("drafts"))


def _filter(work: Work, root: Path) -> StageReport:
    source, target = work.folder.stage("drafts"), root / STAGES["filter"]
    return filter_stage(source, target, work.names, work.drafter, work.progress_of("filter"))


def _translate(work: Work, root: Path) -> StageReport:
    return translate_stage(
        work.folder.stage("filter"),
        root / STAGES["translate"],
        work.names,
        work.relations,
        work.config.dataset.languages,
        work.translator,
        work.config.translation.mode,
        work.progress_of("translate"),
    )


def _check(work: Work, root: Path) -> StageReport:
    back = work.translator if work.config.translation.back_translation else None
    source, target = work.folder.stage("translate"), root / STAGES["check"]
    return check_stage(source, target, work.names, back)


def _release(work: Work, root: Path) -> StageReport:
    return release_stage(
        work.folder.stage("check"),
        root / STAGES["release"],
        work.config,
        work.names,
        work.relations,
        work.folder.corrections,
    )


def _lines(work: Work, path: Path) -> int:
    return files.count_lines(work.folder.root / path)


def _of(stage: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{STAGES[stage]}/{name}" for name in names)


_ENTITIES = files.ENTITIES.as_posix()
ALL = (
    Stage("triples", (), _asked, _triples),
    Stage(
        "chains",
        (files.TRIPLES.as_posix(),),
        lambda config, relations: {"seed": config.dataset.seed},
        _chains,
    ),
    Stage(
        "targets",
        (files.PATHS.as_posix(), files.STATEMENTS.as_posix(), _ENTITIES),
        lambda config, relations: {"seed": config.dataset.seed, "most": planned(config)},
        _targets,
    ),
    Stage("drafts", (*_of("targets", EDITS), _ENTITIES), _drafted, _drafts),
    Stage("filter", (*_of("drafts", EDITS, DRAFTS), _ENTITIES), _drafted, _filter),
    Stage("translate", (*_of("filter", EDITS, DRAFTS), _ENTITIES), _translated, _translate),
    Stage("check", (*_of("translate", EDITS, DRAFTS), _ENTITIES), _checked, _check),
    Stage(
        "release",
        (*_of("check", EDITS, DRAFTS), _ENTITIES, CORRECTIONS),
        _released,
        _release,
    ),
)
