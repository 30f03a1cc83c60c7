"""A run whose process is killed again and again: python -m tests.doubles.killed_runs ..."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.unit.evaluation.conftest import ShakeEditor, many_capitals


def main(out: str, mode: str, kills: str) -> None:
    """Carry out a plan in processes that end at any moment; tell how many were killed."""
    import torch

    from memla.evaluation.downstream.settings import Downstream
    from memla.evaluation.results import Plan
    from memla.evaluation.runner import evaluate
    from memla.models.tiny import tiny_model

    torch.set_num_threads(1)
    size = 1 if mode == "single" else 4
    plan = Plan(
        model="tiny",
        benchmark="capitals",
        mode="sequential" if mode == "downstream" else mode,
        group_size=size,
        downstream=Downstream(after=(1, 3), facts=2, texts=2) if mode == "downstream" else None,
        source_languages=("th", "en+zh"),
    )
    model, benchmark = tiny_model("gpt2"), many_capitals(10)

    def run(folder: Path) -> None:
        evaluate(plan, out=folder, model=model, benchmark=benchmark, editor=ShakeEditor())

    start = time.monotonic()
    run(Path(out) / "whole")
    seconds = time.monotonic() - start
    draw, killed = random.Random(7), 0
    for _ in range(int(kills)):
        child = os.fork()
        if child == 0:
            run(Path(out) / "killed")
            os._exit(0)
        time.sleep(draw.uniform(0, 2 * seconds / (int(kills) + 1)))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    run(Path(out) / "killed")
    sys.stdout.write(json.dumps(killed))


if __name__ == "__main__":
    main(*sys.argv[1:])
