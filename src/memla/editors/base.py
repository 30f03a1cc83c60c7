"""What an editor is, and how its settings are declared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType, NoneType
from typing import ClassVar, Protocol, Self, get_args, runtime_checkable

import torch
from pydantic import BaseModel, ValidationError, model_validator

from memla.editors.edits import Edit
from memla.errors import EditError, SettingError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from memla.records import Record, describe_validation, merged
from memla.registry import unknown_name

NOTHING: Mapping[str, object] = MappingProxyType({})


class EditorConfig(Record):
    """Base of editors' settings: frozen, unknown keys are errors, with named presets.

    The defaults are the preset ``recommended``.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType(
        {"recommended": NOTHING}
    )
    """By name: the settings in which a preset differs from the defaults."""

    @model_validator(mode="before")
    @classmethod
    def _no_numbers_as_text(cls, value: object) -> object:
        _refuse_numbers_as_text(cls, value)
        return value

    @classmethod
    def preset(cls, name: str, changes: Mapping[str, object] = NOTHING) -> Self:
        """Settings of a named preset, with ``changes`` on top.

        Args:
            name: One of ``PRESETS``.
            changes: Settings to replace; a nested mapping replaces only the keys it has.

        Raises:
            UnknownNameError: There is no such preset.
            SettingError: A setting is unknown or out of range.
        """
        if name not in cls.PRESETS:
            raise unknown_name("preset", name, cls.PRESETS)
        try:
            settings = cls.model_validate(cls.PRESETS[name]).model_dump()
            return cls.model_validate(merged(settings, changes))
        except ValidationError as error:
            raise SettingError(
                f"{cls.__name__}: {describe_validation(error)}",
                hint="known settings: " + ", ".join(cls.model_fields),
            ) from None

    @property
    def preset_name(self) -> str:
        """Name of the preset these settings equal, or ``"custom"``."""
        return next((name for name in self.PRESETS if self.preset(name) == self), "custom")


@runtime_checkable
class Editor(Protocol):
    """A method that changes what a model believes.

    A class in ``EDITORS`` is built as ``Class(config)``, where ``None`` means its defaults, and
    has the class attributes ``name`` and ``config_class``.
    """

    @property
    def name(self) -> str:
        """Its name in ``EDITORS``."""
        ...

    @property
    def config(self) -> EditorConfig:
        """Its settings."""
        ...

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        *,
        references: Sequence[EditRequest] = (),
        seed: int = 0,
    ) -> Edit:
        """Work out the edit and leave the model bit for bit as it is.

        Args:
            model: The model to edit.
            requests: Those with ``target_new`` are written. Those without tell how the same fact
                is put in other languages; no editor learns the new answer from them.
            references: Other facts the user has, never the facts under test: what the edit
                should leave alone, and what tells this fact from its like.
            seed: Decides every random draw, together with the facts' names.

        Raises:
            EditError: There is nothing to write, or it cannot be written.
        """
        ...


def written(requests: Sequence[EditRequest]) -> tuple[EditRequest, ...]:
    """The requests with a new answer.

    Raises:
        EditError: There are none, or a fact has none.
    """
    chosen = tuple(request for request in requests if request.target_new is not None)
    without = {request.fact for request in requests} - {request.fact for request in chosen}
    if not chosen or without:
        which = f"for fact {min(without)!r} " if without else ""
        raise EditError(
            f"no request {which}has a target_new, so there is nothing to write",
            hint="set target_new in the language the edit is made in",
        )
    return chosen


def edit_info(
    editor: Editor, model: LanguageModel, requests: Sequence[EditRequest], seed: int
) -> dict[str, object]:
    """What every edit says of how it was made, in types that JSON has."""
    return {
        "method": editor.name,
        "preset": editor.config.preset_name,
        "model": model.name,
        "seed": seed,
        "requests": [
            {
                "fact": request.fact,
                "language": request.language,
                "subject": request.subject,
                "target_new": request.target_new,
            }
            for request in requests
        ],
        "config": editor.config.model_dump(mode="json"),
    }


def generator_for(seed: int, *names: str) -> torch.Generator:
    """A random generator of its own for a seed and the names it serves.

    Neither the order of edits nor PyTorch's global generator plays a part.
    """
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _refuse_numbers_as_text(kind: type[BaseModel], value: object, path: str = "") -> None:
    """Refuse text where a setting, here or in a nested group, is a number.

    ``5e-4`` is a number in TOML and text in YAML 1.1. Text that is taken for no number at all is
    how a bound on the weights was switched off without a word elsewhere.

    Raises:
        ValueError: A number was given as text.
    """
    for name, given in value.items() if isinstance(value, Mapping) else ():
        field = kind.model_fields.get(name)
        if field is None:
            continue
        kinds = set(get_args(field.annotation)) or {field.annotation}
        if isinstance(given, str) and kinds <= {int, float, NoneType}:
            raise ValueError(f"{path}{name}: {given!r} is text; write the number without quotes")
        for inner in kinds:
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                _refuse_numbers_as_text(inner, given, f"{path}{name}.")
