"""Options that several commands have, declared once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from memla.errors import SettingError

DEFAULT_MODEL = "mini"
DEFAULT_BENCHMARK = "mkeb-geo"

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Folder, name on the Hugging Face hub, or 'mini'.")
]
ModelOption = Annotated[
    str, typer.Option("--model", help="Folder, name on the Hugging Face hub, or 'mini'.")
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", help="cpu, cuda, cuda:1, mps; auto: as many GPUs as it takes."),
]
DtypeOption = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16.")]
BenchmarkOption = Annotated[
    str, typer.Option("--benchmark", help="Name, or a file in any format memla knows.")
]
EditorOption = Annotated[str, typer.Option("--editor", help="See `memla editors`.")]
PresetOption = Annotated[str, typer.Option("--preset", help="Named settings of the editor.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; the value is TOML."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Decides all random draws.")]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Name of the file's format, where its content does not tell; see `memla benchmarks`.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON.")]

PromptOption = Annotated[
    str | None, typer.Option("--prompt", help="Statement up to the answer, {} at the subject.")
]
SubjectOption = Annotated[str | None, typer.Option("--subject", help="What the fact is about.")]
TargetNewOption = Annotated[str | None, typer.Option("--target-new", help="The new answer.")]
TargetTrueOption = Annotated[
    str | None, typer.Option("--target-true", help="The answer until now.")
]
NameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="LANGUAGE=NAME",
        help="The subject's name in another language, for crosskey; can be repeated.",
    ),
]
LanguageOption = Annotated[str, typer.Option("--language", help="Language of the prompt.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="JSON or TOML with the fact, in one or several languages."),
]
ReferencesOption = Annotated[
    str,
    typer.Option("--references", help="Other facts: a file, a benchmark's name, or 'none'."),
]

_BARE = re.compile(r"[A-Za-z_][\w./+-]*")


def parse_settings(pairs: Sequence[str] | None, option: str = "--set") -> dict[str, Any]:
    """Settings of ``key=value`` pairs; a dot in the key goes into a nested setting.

    The value is TOML, and a bare word is a string.

    Raises:
        SettingError: A pair has no key, or its value is not TOML.
    """
    settings: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        names = [name.strip() for name in key.split(".")]
        if not equals or not all(names):
            raise SettingError(
                f"{option} {pair!r} is not key=value", hint=f"as in {option} steps=20"
            )
        inner = settings
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise SettingError(f"{option} {pair!r}: {name!r} already has a value of its own")
        inner[names[-1]] = _toml_value(f"{option} {pair!r}", text.strip())
    return settings


def _toml_value(where: str, text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if _BARE.fullmatch(text):
            return text
        raise SettingError(
            f"{where}: {text!r} is not a TOML value", hint="put text in double quotes"
        ) from None
