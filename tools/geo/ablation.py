"""Tell what the alignment loss and the path mask contribute, on four small runs.

    python -m tools.geo.ablation build/ablation tools/geo/ablation.json

Six languages, a narrower network and a short training, otherwise as ``mini``; each of the four
models is then edited with MEMLA, preset ``recommended``, on the same validation facts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from memla.evaluation.results import Plan
from memla.evaluation.runner import evaluate
from memla.evaluation.summary import summarize
from memla.models.loading import load_model
from tools.geo import facts, measure
from tools.geo.corpus import Corpus
from tools.geo.export import export

LANGUAGES = ("en", "zh", "de", "th")
STEPS = 600
LIMIT = 20
VARIANTS = {
    "both": (1.0, 1.0),
    "alignment only": (1.0, 0.0),
    "path mask only": (0.0, 1.0),
    "neither": (0.0, 0.0),
}
SETTING = (
    f"Four runs of {STEPS} steps with four languages ({', '.join(LANGUAGES)}), width 128, 6 blocks"
    f" and batches of half the size, one seed each. Then {LIMIT} validation facts of `mkeb-geo` are"
    " edited with MEMLA (`recommended`). *Transfer* is the mean over the other five"
    " languages; figures are percentages after the edit."
)
"""What the table says about itself."""


def train(folder: Path, alignment: float, path_mask: float) -> None:
    """Train one variant and export it."""
    options = {
        "out": folder / "run",
        "steps": STEPS,
        "d-model": 128,
        "batch-tokens": 2048,
        "threads": 1,
        "languages": ",".join(LANGUAGES),
        "vocabulary": 8192,
        "alignment": alignment,
        "path-mask": path_mask,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([sys.executable, "-m", "tools.geo.train", *words], check=True)
    export(folder / "run", folder / "model")


def row(name: str, folder: Path, corpus: Corpus) -> dict[str, Any]:
    """What one variant knows, and how far its edits go."""
    model = load_model(folder / "model")
    known = measure.measure(model, corpus, sample=0.2)
    plan = Plan(
        model=str(folder / "model"),
        source_languages=("en", "zh"),
        target_languages=LANGUAGES,
        split="validation",
        limit=LIMIT,
    )
    cells = {
        (cell.metric, cell.source, cell.target): cell.value
        for cell in summarize(evaluate(plan, model=model))
    }
    found: dict[str, Any] = {"variant": name}
    for test in ("trained", "never paired", "multi-hop held out"):
        value = known[test]
        assert isinstance(value, dict)
        found[test] = value["exact"]
    for source in ("en", "zh"):
        found[f"{source} ES own"] = round(cells["ES", source, source], 1)
        for metric in ("ES", "PS"):
            gain = cells[metric, source, "transfer"], cells[f"{metric}_before", source, "transfer"]
            found[f"{source} {metric} transfer"] = f"{gain[0]:.1f} (before {gain[1]:.1f})"
        found[f"{source} NS kept"] = round(cells["NS_retention", source, "transfer"], 1)
    return found


def main(build: str, target: str) -> None:
    """Train, measure and edit the four variants; variants already trained are kept."""
    corpus = Corpus(facts.load(Path("build/facts.json")), languages=LANGUAGES)
    rows = []
    for name, (alignment, path_mask) in VARIANTS.items():
        folder = Path(build) / name.replace(" ", "-")
        if not (folder / "model").exists():
            train(folder, alignment, path_mask)
        rows.append(row(name, folder, corpus))
        sys.stderr.write(f"{rows[-1]}\n")
    content = {"setting": SETTING, "rows": rows}
    Path(target).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
