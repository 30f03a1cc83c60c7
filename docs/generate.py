"""Write the reference pages that are made from the code: python docs/generate.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
WIDTH = 100


def first_paragraph(thing: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((thing.__doc__ or "").strip().split("\n\n")[0].split())


def editors_page() -> str:
    """Every registered editor with its settings."""
    from pydantic import BaseModel

    from memla import EDITORS

    lines = ["# Editors", "", "Every editor by name, with its settings and their defaults.", ""]
    for name in EDITORS:
        editor = EDITORS[name]
        lines += [f"## {name}", "", first_paragraph(editor), ""]
        presets = ", ".join(f"`{preset}`" for preset in editor.config_class.PRESETS)
        lines += [f"Presets: {presets}.", "", "| setting | default | |", "|---|---|---|"]
        for setting, field in editor.config_class.model_fields.items():
            default = field.get_default(call_default_factory=True)
            shown = "its own settings" if isinstance(default, BaseModel) else f"`{default!r}`"
            about = " ".join((field.description or "").split()).replace("|", "\\|")
            lines.append(f"| `{setting}` | {shown} | {about} |")
        lines.append("")
    return "\n".join(lines)


def benchmarks_page() -> str:
    """Every registered benchmark with its card."""
    from memla import BENCHMARKS

    lines = ["# Benchmarks", "", "What `load_benchmark` knows by name; it also takes a file in"]
    lines += ["[MKEB's format](mkeb_format.md).", ""]
    for name in BENCHMARKS:
        card = BENCHMARKS[name]().card
        sizes = ", ".join(f"{count} {split}" for split, count in card.sizes.items())
        lines += [f"## {name}", "", f"{card.title}.", "", "| | |", "|---|---|"]
        lines += [
            f"| languages | {' '.join(card.languages)} |",
            f"| cases | {sizes} |",
            f"| licence | {card.licence} |",
            f"| source | {card.source}, {card.revision} |",
            f"| SHA-256 | `{card.sha256}` |",
            "",
        ]
        lines += [f"* {defect}" for defect in card.known_defects]
        lines.append("")
    return "\n".join(lines)


def commands(command: object, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of a command and of all below it, sorted."""
    yield words
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from commands(below, (*words, name))


def helps() -> Iterator[tuple[str, str]]:
    """Each command and its help, as a terminal of a hundred columns shows it."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from memla.cli.main import app

    for words in commands(get_command(app)):
        text = CliRunner().invoke(app, [*words, "--help"], prog_name="memla").stdout
        yield " ".join(["memla", *words]), "\n".join(line.rstrip() for line in text.split("\n"))


def command_line_page() -> str:
    """The help of every command."""
    lines = ["# Command line", "", "Results go to stdout, progress and messages to stderr.", ""]
    for title, text in helps():
        lines += [f"## {title}", "", "```text", text.strip("\n"), "```", ""]
    return "\n".join(lines)


PAGES = {
    "reference/editors.md": editors_page,
    "reference/benchmarks.md": benchmarks_page,
    "reference/command_line.md": command_line_page,
}


if __name__ == "__main__":
    os.environ.update(COLUMNS=str(WIDTH), TERM="dumb", NO_COLOR="1")
    for page, write in PAGES.items():
        (HERE / page).write_text(write().rstrip("\n") + "\n", encoding="utf-8")
