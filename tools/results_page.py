"""The page of results, from run folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from memla.evaluation.summary import Cell, Run, compare, read_run, summarize
from memla.languages import MKEB_LANGUAGES
from tools.results import ABLATION_LIMIT, LIMIT, SOURCES, VARIANTS

INTRODUCTION = f"""\
# Results on the bundled model

What MEMLA does on `mini` and `mkeb-geo`, as measured by `python -m tools.results`: the first
{LIMIT} test facts (ablations and control: the first {ABLATION_LIMIT}), each edited in English
and, separately, in Chinese, and asked in twelve languages. Numbers are percentages with 95 %
intervals from a paired bootstrap over facts (1,000 draws, seed 0). Settings were chosen on the
validation split; the test split was only measured.

```{{warning}}
`mini` is a small GPT-2 that we trained on facts of geography, with representations aligned between
languages on purpose. These figures say how the methods behave *there*. They are not the paper's,
which are about mGPT on MKEB, and predict nothing about a large model.
```

*Transfer* is the mean over the eleven languages the edit was not made in. *NS kept* is NS after the
edit over NS before it, in the source language and over the others.
"""

PAPER = """\
For comparison, the paper's own averages with mGPT-1.3B on MKEB (its Tables 3 and 4; other model,
other data): from English, MEMLA's ES transfers at 74.38 % and from Chinese at 65.52 %.
"""

READING = """\
How to read this. `paper` and `authors` take steps and rates from the authors' code, which was made
for models of over a billion parameters; here they mostly end at their 60 steps before the new
answer is written, and the intersection of the languages leaves next to no shared neurons. They are
reported as they are, not tuned. Random neurons in the same layers, as many, with the same training,
carry an edit a little more than half as far as the located ones and disturb other facts a little
less: locating is worth much here, but part of the transfer is the model's own. Without the
language-specific editor nothing changes that 50 facts could show. Without the language-independent
one transfer drops, but there are also fewer neurons to write with, so that is no proof that sharing
alone matters. Without either mask transfer drops by 9 to 16 points and other facts fare no better.
[Table 5](reproduced/table5.md) measures ablations and control again, on all 508 facts, where
transfer grows without the language-specific editor: by 1.5 points [0.6, 2.5] from English and by
5.1 [3.6, 6.7] from Chinese.
"""

Cells = Mapping[tuple[str, str, str], Cell]


def _cells(run: Run) -> Cells:
    return {(cell.metric, cell.source, cell.target): cell for cell in summarize(run)}


def _shown(cells: Cells, metric: str, source: str, target: str, *, interval: bool = True) -> str:
    cell = cells.get((metric, source, target))
    if cell is None:
        return ""
    number = f"{cell.value:.1f}"
    return f"{number} [{cell.low:.0f}, {cell.high:.0f}]" if interval else number


def _overview(runs: Mapping[str, Cells], source: str) -> str:
    head = (
        f"| from {source} | ES {source} | ES transfer | PS {source} | PS transfer | NS {source} |"
        " NS others | NS kept | NS kept, others | QS transfer |"
    )
    lines = [head, "|" + "---|" * 10]
    first = next(iter(runs.values()))
    columns = (("ES", source), ("ES", "transfer"), ("PS", source), ("PS", "transfer"))
    columns += (("NS", source), ("NS", "transfer"))
    kept = (("NS_retention", source), ("NS_retention", "transfer"))
    before = [_shown(first, f"{metric}_before", source, target) for metric, target in columns]
    asked = _shown(first, "QS_before", source, "transfer")
    lines.append(f"| before editing | {' | '.join(before)} | | | {asked} |")
    for name, cells in runs.items():
        row = [_shown(cells, metric, source, target) for metric, target in (*columns, *kept)]
        row.append(_shown(cells, "QS", source, "transfer"))
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


def _languages(cells: Cells, source: str) -> str:
    lines = ["| " + " | ".join(("", *MKEB_LANGUAGES)) + " |", "|" + "---|" * 13]
    for metric in ("ES_before", "ES", "PS_before", "PS", "NS_before", "NS", "QS_before", "QS"):
        row = [_shown(cells, metric, source, code) for code in MKEB_LANGUAGES]
        lines.append(f"| {metric.replace('_', ' ')} | {' | '.join(row)} |")
    return "\n".join(lines)


def _differences(runs: Mapping[str, Run]) -> str:
    lines = [
        "| recommended minus | source | ES transfer | PS transfer | NS others |",
        "|" + "---|" * 5,
    ]
    ours = runs["recommended"]
    for name, run in runs.items():
        if name == "recommended":
            continue
        cells = {(cell.metric, cell.source, cell.target): cell for cell in compare(ours, run)}
        for source in SOURCES:
            row = [_shown(cells, metric, source, "transfer") for metric in ("ES", "PS", "NS")]
            lines.append(f"| {name} | {source} | {' | '.join(row)} |")
    return "\n".join(lines)


def _neurons(runs: Mapping[str, Run]) -> str:
    lines = [
        "| variant | source | specific | shared | steps | seconds | failed |",
        "|" + "---|" * 7,
    ]
    for name, run in runs.items():
        for source in SOURCES:
            mine = [result for result in run.results() if result.source == source]
            made = [result.edit for result in mine if result.error is None]
            if not made:
                continue

            def mean(*keys: str, made: list[dict[str, object]] = made) -> str:
                values = []
                for edit in made:
                    value: object = edit
                    for key in keys:
                        value = value[key]  # type: ignore[index]
                    values.append(float(value))  # type: ignore[arg-type]
                return f"{sum(values) / len(values):.1f}"

            seconds = sum(result.seconds for result in mine) / len(mine)
            lines.append(
                f"| {name} | {source} | {mean('neurons', 'n_specific')} |"
                f" {mean('neurons', 'n_shared')} | {mean('steps')} | {seconds:.1f} |"
                f" {len(mine) - len(made)} |"
            )
    return "\n".join(lines)


def page(folder: Path) -> str:
    """Markdown of all variants that were run."""
    runs = {}
    for variant in VARIANTS:
        pointer = folder / f"{variant.replace('/', '')}.json"
        if pointer.exists():
            runs[variant] = read_run(folder / json.loads(pointer.read_text("utf-8")))
    tables = {name: _cells(run) for name, run in runs.items()}
    parts = [INTRODUCTION, PAPER, "## Presets, ablations and a control\n"]
    for source in SOURCES:
        parts.append(_overview(tables, source) + "\n")
    parts.append(READING)
    parts.append("## Differences, paired by fact, in points\n\n" + _differences(runs) + "\n")
    parts.append("## Cost and sizes, means over edits\n\n" + _neurons(runs) + "\n")
    for source in SOURCES:
        parts.append(f"## Preset `recommended`, edited in {source}, by language\n")
        parts.append(_languages(tables["recommended"], source) + "\n")
    return "\n".join(parts)
