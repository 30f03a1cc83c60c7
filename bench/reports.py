"""How fast a report of a million scores is made, and how much memory that takes.

It writes invented runs of 200 cases in twelve languages, and a recipe with a contrast, into a
temporary folder, and makes the page of them in a process of its own, without torch. Prints JSON.

    python bench/reports.py
    python bench/reports.py --scores=100000
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memla.evaluation.observations import Likelihood, Observation
from memla.evaluation.recipes import Contrast, RecipeEntry, RecipeRun
from memla.evaluation.results import CaseResult, Plan, RunFolder
from memla.facts import Probe

LANGUAGES = ("en", "zh", "fr", "de", "ja", "ko", "pt", "ru", "it", "es", "pl", "th")
CASES = 200
"""Cases of a run."""

ANSWERS = ("Беларусь", "白俄罗斯", "ベラルーシ", "เบลารุส", "Belarus", "벨라루스")
KINDS = ("edit", "paraphrase", "paraphrase", *["neighborhood"] * 4, "multi_hop")
"""What is asked of a case in each language."""


def observation(draw: random.Random, kind: str, language: str) -> Observation:
    """What a model says to one invented question."""
    right, said = draw.choice(ANSWERS), draw.choice(ANSWERS)
    is_compared = kind in {"edit", "paraphrase"}
    return Observation(
        probe=Probe(
            kind=kind,
            language=language,
            prompt=f"? {draw.random()}",
            answer=right,
            contrast=draw.choice(ANSWERS) if is_compared else None,
        ),
        answer=likelihood(draw) if is_compared else None,
        contrast=likelihood(draw) if is_compared else None,
        predicted=said,
        predicted_ids=(ANSWERS.index(said), 7),
        gold_ids=(ANSWERS.index(right), 7),
    )


def likelihood(draw: random.Random) -> Likelihood:
    """How probable an invented answer is."""
    joint = -5 * draw.random()
    return Likelihood(
        joint=joint,
        mean=joint / 2,
        first_token=joint / 3,
        per_byte=joint / 9,
        n_tokens=2,
        is_greedy=False,
        boundary_merge=False,
    )


def results(draw: random.Random) -> list[CaseResult]:
    """The cases of a run from Thai."""
    made = []
    for number in range(CASES):
        before, after = (
            tuple(observation(draw, kind, name) for name in LANGUAGES for kind in KINDS)
            for _ in range(2)
        )
        # The questions are the same before and after.
        after = tuple(
            one.model_copy(update={"probe": other.probe, "gold_ids": other.gold_ids})
            for one, other in zip(after, before, strict=True)
        )
        result = CaseResult(
            case=f"case:{number}",
            source="th",
            seconds=draw.random(),
            edit={"n_values": 100, "neurons": neurons(draw)},
            before=before,
            after=after,
        )
        made.append(result)
    return made


def neurons(draw: random.Random) -> dict[str, object]:
    """What an edit of a model with 24 layers tells of its neurons."""
    counts = [draw.randrange(9) for _ in range(24)]
    common = {f"{one}+{other}": counts for one in LANGUAGES for other in LANGUAGES if one <= other}
    return {"shared_by_layer": counts, "specific_by_layer": counts, "common_by_layer": common}


def write_runs(folder: Path, scores: int) -> int:
    """Write runs with that many scores at least; how many they are."""
    plan = Plan(source_languages=("th",), target_languages=LANGUAGES, limit=CASES)
    made = results(random.Random(0))
    each = sum(1 for one in made for _ in one.scores(plan))
    lines = "".join(one.to_json() + "\n" for one in made)
    entries = []
    for number in range(-(-scores // each)):
        one = plan.model_copy(update={"settings": {"steps": number}})
        RunFolder(folder / str(number)).start(one, {}, [result.case for result in made])
        (folder / str(number) / "cases.jsonl").write_text(lines, encoding="utf-8")
        entries.append(RecipeEntry(variant=f"memla {number}", source="th", run=str(number)))
    contrasts = tuple(Contrast(of=one.variant, against="memla 0") for one in entries[1:])
    recipe = RecipeRun(
        name="x",
        title="Invented",
        published=("memla_table_3",),
        contrasts=contrasts,
        entries=tuple(entries),
    )
    (folder / recipe.file_name).write_text(recipe.to_json(), encoding="utf-8")
    return each * len(entries)


def report(folder: str) -> dict[str, object]:
    """Seconds, memory and size of the page of a folder."""
    from memla.reports.report import make_report
    from memla.reports.writing import to_html

    start, cpu = time.perf_counter(), time.process_time()
    page = to_html(make_report([folder]))
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "page_mb": round(len(page.encode()) / 1e6, 1),
        "torch": "torch" in sys.modules,
    }


def main(arguments: list[str]) -> None:
    """Measure, or with a folder as argument report it."""
    if arguments and not arguments[0].startswith("--"):
        print(json.dumps(report(arguments[0])))
        return
    scores = int(arguments[0].partition("=")[2]) if arguments else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        made = write_runs(Path(folder), scores)
        done = subprocess.run(
            [sys.executable, __file__, folder], check=True, stdout=subprocess.PIPE
        )
    print(json.dumps({"scores": made, **json.loads(done.stdout)}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
