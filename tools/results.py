"""Measure MEMLA on the bundled model and benchmark, and write the page of results.

    python -m tools.results run runs/results --shard 0/2     # each shard its own process
    python -m tools.results page runs/results docs/reference/results.md

Every variant edits the same test facts, in English and in Chinese. Runs can be interrupted and
taken up again; hyper-parameters were chosen on the validation split only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from memla.evaluation.results import Plan

LIMIT = 100
ABLATION_LIMIT = 50
SOURCES = ("en", "zh")
VARIANTS: dict[str, dict[str, Any]] = {
    "recommended": {},
    "paper": {"preset": "paper"},
    "authors": {"preset": "authors"},
    "random neurons": {"settings": {"neurons": "random"}},
    "w/o LSE": {"settings": {"without_lse": True}},
    "w/o LIE": {"settings": {"without_lie": True}},
    "w/o LSM": {"settings": {"without_lsm": True}},
    "w/o LIM": {"settings": {"without_lim": True}},
}
"""Variants of MEMLA: presets, the ablations of the paper's Table 5, and random neurons."""


def plan(variant: str) -> Plan:
    """What is measured under a variant's name."""
    limit = LIMIT if "preset" in VARIANTS[variant] or not VARIANTS[variant] else ABLATION_LIMIT
    return Plan(source_languages=SOURCES, split="test", limit=limit, **VARIANTS[variant])


def run(folder: Path, number: int, of: int) -> None:
    """Carry out every ``of``-th variant, beginning at ``number``; finished cases are kept."""
    import torch

    from memla.evaluation.runner import evaluate

    torch.set_num_threads(1)
    for variant in list(VARIANTS)[number::of]:
        made = evaluate(plan(variant), out=folder)
        assert made.folder is not None
        (folder / f"{variant.replace('/', '')}.json").write_text(
            json.dumps(made.folder.path.name), "utf-8"
        )
        sys.stderr.write(f"{variant}: done\n")


def main(what: str, folder: str, *rest: str) -> None:
    """Run a shard, or write the page."""
    if what == "run":
        number, of = (rest[1] if rest else "0/1").split("/")
        run(Path(folder), int(number), int(of))
    else:
        from tools.results_page import page

        Path(rest[0]).write_text(page(Path(folder)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
