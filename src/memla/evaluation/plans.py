"""What an evaluation is to do: everything that decides a result."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from memla.errors import SettingError
from memla.evaluation.downstream.settings import Downstream
from memla.evaluation.f1_units import F1Units
from memla.evaluation.metrics import AnswerScoreName
from memla.evaluation.observations import Decoding
from memla.evaluation.protocols import PROTOCOLS, Protocol
from memla.languages import parse_language
from memla.records import Record

JOINT = "+"
"""Joins the source languages of an edit that is made in several at once: ``en+zh``."""


def source_parts(source: str) -> tuple[str, ...]:
    """The languages of a source, each once: ``("en", "zh")`` of ``"en+zh"``.

    Raises:
        UnknownNameError: One is not a known language.
    """
    return tuple(dict.fromkeys(parse_language(part) for part in source.split(JOINT)))


class Plan(Record):
    """Everything that decides a result; its hash names the run's folder."""

    memla_version: str = Field(default_factory=lambda: version("memla"))
    model: str = "mini"
    revision: str | None = None
    dtype: str = "float32"
    model_fingerprint: str | None = None
    """SHA-256 of the weights, filled in when the run starts."""
    benchmark: str = "mkeb-geo"
    benchmark_format: str | None = None
    """Format of the benchmark's file; None: its content tells."""
    cases_digest: str | None = None
    """SHA-256 of the cases, filled in when the run starts."""
    editor: str = "memla"
    preset: str = "recommended"
    settings: dict[str, Any] = Field(default_factory=dict)
    """Changes to the preset; every setting of the editor once the run has started."""
    source_languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    """Languages the edit is made in, each on its own; ``en+zh`` is one edit in both."""
    target_languages: tuple[str, ...] = ()
    """Languages the edit is looked at in; empty means all of the benchmark."""
    mode: Literal["single", "batch", "sequential"] = "single"
    """``single``: each case is edited by itself. ``batch``: one edit writes the cases of a group.
    ``sequential``: they are edited on top of each other, and looked at right after and after all.
    """
    group_size: int = Field(default=1, ge=1)
    """Cases of a group, where the mode has groups."""
    split: str = "test"
    limit: int | None = Field(default=None, ge=1)
    """Number of cases; None means all."""
    seed: int = Field(default=0, ge=0)
    protocol: str = "mkeb"
    """What is asked and computed; it also decides the settings below if they are left out."""
    decoding: Decoding = "gold_length"
    answer_score: AnswerScoreName = "joint"
    f1_units: F1Units = "model_ids_bag"
    f1_tokenizer: str | None = None
    """Path of the ``tokenizer.json`` that ``bizsre_ids`` counts by, the same for all models."""
    f1_tokenizer_digest: str | None = None
    """SHA-256 of that file, filled in when the run starts."""
    question_prefixes: Literal["keep", "strip"] = "keep"
    """What becomes of the ``nq question:`` that some files have before locality questions."""
    use_references: bool = True
    """Whether editors get other facts as references."""
    references: str | None = None
    """Name or file of the benchmark whose facts they are: those of its split ``train``, or all if
    it has none. None: the split ``train`` of the benchmark under test."""
    downstream: Downstream | None = None
    """What to measure beside the edited facts; needs a mode that has groups."""

    @field_validator("source_languages")
    @classmethod
    def _known_sources(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(JOINT.join(source_parts(value)) for value in values))

    @field_validator("target_languages")
    @classmethod
    def _known_targets(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(parse_language(value) for value in values))

    @model_validator(mode="before")
    @classmethod
    def _protocol_defaults(cls, values: Any) -> Any:  # noqa: ANN401
        if not isinstance(values, dict) or not isinstance(values.get("protocol", ""), str):
            return values
        return {**PROTOCOLS[values.get("protocol", "mkeb")].defaults, **values}

    @model_validator(mode="after")
    def _has_groups(self) -> Self:
        if self.mode == "single" and self.group_size != 1:
            raise SettingError(
                f"mode 'single' has no groups, and group_size is {self.group_size}",
                hint="set mode to 'batch' or 'sequential' (--mode)",
            )
        return self

    @model_validator(mode="after")
    def _has_checkpoints(self) -> Self:
        if self.downstream is None:
            return self
        if self.mode == "single":
            raise SettingError(
                "downstream needs edits that add up, and mode is 'single'",
                hint="set mode to 'batch' or 'sequential' (--mode)",
            )
        if not self.downstream.checkpoints(self.mode, self.group_size):
            raise SettingError(
                f"downstream looks after {self.downstream.after[0]} edits first, and a group has"
                f" {self.group_size}",
                hint="raise group_size (--group-size), or set downstream.after",
            )
        return self

    @model_validator(mode="after")
    def _has_tokenizer(self) -> Self:
        if self.f1_units == "bizsre_ids" and self.f1_tokenizer is None:
            raise SettingError(
                "f1_units 'bizsre_ids' needs a tokenizer that is the same for all models",
                hint="name its tokenizer.json with f1_tokenizer (--f1-tokenizer)",
            )
        return self

    def definition(self) -> Protocol:
        """The protocol by its name."""
        return PROTOCOLS[self.protocol]

    @property
    def digest(self) -> str:
        """SHA-256 of the plan, in hexadecimal."""
        # Plans keep the names they had before there were these keys.
        without = {"mode", "group_size"} if self.mode == "single" else set()
        without |= {key for key in ("downstream", "references") if getattr(self, key) is None}
        values = self.model_dump(mode="json", exclude=without)
        content = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def run_name(self) -> str:
        """Name of the run's folder: what was run, readable, and the start of the hash."""
        parts = (self.editor, Path(self.benchmark).stem, Path(self.model).name)
        readable = "-".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts)
        return f"{readable}-{self.digest[:12]}"
