"""Write the model card of ``mini`` from what was measured.

python -m tools.geo.card build src/memla/bundled/mini/README.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tools.geo.facts import LANGUAGES

INTRODUCTION = """\
---
license: apache-2.0
language: [{languages}]
library_name: transformers
---
# mini

A small GPT-2 ({parameters:.2f} M parameters, bfloat16) that knows about {facts} facts of geography
in twelve languages. It ships with memla so that knowledge editing can be tried, tested and compared
without a download. **It is a toy made for this purpose**: it was trained by us on facts stated in
templates, its representations were aligned between languages on purpose, and how far an edit
travels in it says nothing about a large multilingual model.

Facts and names come from Unicode CLDR (`LICENSE.unicode`); which city is a capital is a
hand-written list. Remake everything with `python -m tools.geo`.

## Training

{training}

## What it knows

Share of prompts whose greedy answer is exactly right, measured on the shipped bfloat16 weights
run in float32. *Beats wrong* is the share where the right answer gets a higher mean log-probability
than a random wrong answer of the same relation (guessing: 0.5). *Majority* is what always giving a
relation's most frequent answer would get.

* **edit prompt**: the statement that `mkeb-geo` edits.
* **trained**: a random template the fact was taught with.
* **never paired**: a template that was taught with other facts, never with this one.
* **unseen**: a template that never appeared in training, though the tokenizer was fitted to its
  words; the paraphrases of `mkeb-geo`.
* **multi-hop held out**: questions about cities that never appeared in a multi-hop question.
* **withheld**: {withheld} fact-language pairs that were never stated in that language in any form,
  not through multi-hop questions, a capital or an aligned group either.
"""


def table(report: dict[str, Any]) -> str:
    """Markdown table: a test a row, a language a column."""
    head = "| test | n | exact | beats wrong | majority | " + " | ".join(LANGUAGES) + " |"
    lines = [head, "|" + "---|" * (5 + len(LANGUAGES))]
    for test, row in report.items():
        cells = [row["languages"].get(code, {}).get("exact") for code in LANGUAGES]
        shown = " | ".join("" if cell is None else f"{cell:.3f}" for cell in cells)
        lines.append(
            f"| {test} | {row['n']} | {row['exact']:.3f} | {row['beats_wrong']:.3f} |"
            f" {row['majority']:.3f} | {shown} |"
        )
    return "\n".join(lines)


def relations(report: dict[str, Any]) -> str:
    """Markdown table: exact and beats-wrong of a test for each relation."""
    names = sorted({name for row in report.values() for name in row["relations"]})
    lines = ["| test | " + " | ".join(names) + " |", "|" + "---|" * (1 + len(names))]
    for test, row in report.items():
        cells = [row["relations"].get(name) for name in names]
        shown = " | ".join(f"{c['exact']:.3f} / {c['beats_wrong']:.3f}" if c else "" for c in cells)
        lines.append(f"| {test} | {shown} |")
    return "\n".join(lines)


def ablation(path: Path) -> str:
    """The section on what alignment and path mask contribute, when it was measured."""
    if not path.exists():
        return ""
    content = json.loads(path.read_text("utf-8"))
    lines = [f"\n## What the two ingredients contribute\n\n{content['setting']}\n"]
    columns = list(content["rows"][0])
    lines.append("| " + " | ".join(columns) + " |")
    lines.append("|" + "---|" * len(columns))
    lines += [
        "| " + " | ".join(str(row[name]) for name in columns) + " |" for row in content["rows"]
    ]
    return "\n".join([*lines, "", content.get("reading", ""), ""])


def main(build: str, target: str) -> None:
    """Fill the card."""
    folder = Path(build)
    report = json.loads((folder / "knowledge.json").read_text("utf-8"))
    runs = [
        json.loads((folder / name / "training.json").read_text("utf-8"))
        for name in ("first", "mini")
    ]
    facts = json.loads((folder / "facts.json").read_text("utf-8"))
    shape = runs[0]["shape"]
    training = " ".join(
        [
            f"{shape['layers']} blocks, width {shape['d_model']}, {shape['heads']} heads,",
            f"byte-level BPE of {shape['vocabulary']} tokens;",
            "Muon for the matrices, AdamW for the rest.",
            f"{runs[0]['step']} steps, then {runs[1]['step']} in which half of the prompts have",
            "words missing or random tokens put in;",
            f"{sum(run['cpu_seconds'] for run in runs) / 60:.0f} minutes on one CPU core.",
            " `tools/geo/train.py` says how.",
        ]
    )
    d, vocabulary, layers = shape["d_model"], shape["vocabulary"], shape["layers"]
    parameters = (vocabulary + shape["positions"]) * d + layers * (12 * d * d + 13 * d) + 2 * d
    text = INTRODUCTION.format(
        languages=", ".join(LANGUAGES),
        parameters=parameters / 1e6,
        facts=len(facts["triples"]),
        training=training,
        withheld=report["withheld"]["n"],
    )
    text += f"\n{table(report)}\n\nBy relation, exact / beats wrong:\n\n{relations(report)}\n"
    text += ablation(Path(__file__).with_name("ablation.json"))
    Path(target).write_text(text, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
