"""Settings of a build: one TOML file, with a section for each part."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from memla.construction.settings import (
    DatasetSettings,
    DraftSettings,
    ReleaseSettings,
    TranslationSettings,
    WikidataSettings,
)
from memla.construction.usage import Limits
from memla.errors import SettingError
from memla.records import Record, describe_validation, read_text


class BuildConfig(Record):
    """Everything that decides what a build makes."""

    dataset: DatasetSettings
    wikidata: WikidataSettings
    drafts: DraftSettings = Field(default_factory=DraftSettings)
    translation: TranslationSettings = Field(default_factory=TranslationSettings)
    limits: Limits = Field(default_factory=Limits)
    release: ReleaseSettings = Field(default_factory=ReleaseSettings)

    @model_validator(mode="after")
    def _limited_costs_have_prices(self) -> Self:
        if self.limits.cost is None:
            return self
        for name, setting in self._prices_wanted():
            if getattr(getattr(self, name), setting) is None:
                raise SettingError(
                    f"limits.cost is {self.limits.cost:g}, but {name}.{setting} is not set",
                    hint="set it; 0 if the service costs nothing",
                )
        return self

    def _prices_wanted(self) -> list[tuple[str, str]]:
        tokens = ("price_per_million_input_tokens", "price_per_million_output_tokens")
        wanted = []
        if self.drafts.drafter == "chat":
            wanted += [("drafts", name) for name in tokens]
        if self.translation.backend == "chat":
            wanted += [("translation", name) for name in tokens]
        elif self.translation.backend in {"baidu", "deepl", "libretranslate"}:
            wanted.append(("translation", "price_per_million_characters"))
        return wanted


def read_config(path: Path) -> BuildConfig:
    """The settings in a TOML file.

    Raises:
        SettingError: A setting is missing, unknown or cannot be.
        DataError: The file cannot be read.
    """
    try:
        values = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{str(path)!r} is not TOML: {error}") from None
    try:
        return BuildConfig.model_validate(values)
    except ValidationError as error:
        message, hint = _complaint(error)
        raise SettingError(f"{path}: {message}", hint=hint) from None


def _complaint(error: ValidationError) -> tuple[str, str]:
    """What is wrong, and the way out; the value of an unknown key may be a secret."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "missing":
        *sections, key = (str(part) for part in first["loc"])
        wanted = _section(sections).model_fields[key].description or f"add a section [{key}]"
        return f"{'.'.join((*sections, key))} is missing", " ".join(wanted.split())
    if first["type"] != "extra_forbidden":
        return describe_validation(error), "the guide to building a benchmark lists all settings"
    *sections, key = (str(part) for part in first["loc"])
    known = _section(sections).model_fields
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no setting {'.'.join((*sections, key))!r}", f"{hint}known: {', '.join(known)}"


def _section(names: list[str]) -> type[Record]:
    kind: type[Record] = BuildConfig
    for name in names:
        found = kind.model_fields[name].annotation
        if not (isinstance(found, type) and issubclass(found, Record)):
            raise AssertionError(f"{name} holds no settings")
        kind = found
    return kind
