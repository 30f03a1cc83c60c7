"""Cost of one edit with every registered editor, and of collecting statistics for several layers.

The model is a random GPT-2 of the usual smallest size (12 layers, 124 million parameters). Each
editor runs in a process of its own, on one thread. It edits one fact first, so that what it keeps
between edits (statistics of keys, texts before prompts) is there, and then another, which is
measured. Prints JSON.

    python bench/editors.py            # all editors
    python bench/editors.py ft kn
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from bench.attribution import random_gpt2
from memla.attribution.key_statistics import collect_statistics, statement_texts
from memla.editors import EDITORS
from memla.facts import EditRequest

LAYERS = (3, 4, 5, 6, 7)
"""Layers whose statistics are collected."""
COUNTRIES = {
    "日本": "东京",
    "法国": "巴黎",
    "德国": "柏林",
    "俄罗斯": "莫斯科",
    "意大利": "罗马",
    "西班牙": "马德里",
    "波兰": "华沙",
    "韩国": "首尔",
}


def capital(country: str, true: str, new: str | None = None) -> EditRequest:
    """A request about a capital, in Chinese."""
    return EditRequest(
        fact=country,
        language="zh",
        prompt="{}的首都是",
        subject=country,
        target_true=true,
        target_new=new,
    )


REFERENCES = [capital(country, city) for country, city in COUNTRIES.items()]
FIRST, SECOND = capital("葡萄牙", "里斯本", "波尔图"), capital("泰国", "曼谷", "清迈")


def peak_megabytes() -> int:
    """Most memory this process has held."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process that something takes."""
    start = time.process_time()
    work()
    return round(time.process_time() - start, 2)


def measure_editor(name: str) -> dict[str, object]:
    """Two edits of different facts with one editor, its settings as they come."""
    model = random_gpt2()
    editor = EDITORS[name](None)  # type: ignore[call-arg]
    before = peak_megabytes()
    first = cpu_seconds(lambda: editor.edit(model, [FIRST], references=REFERENCES))
    second = cpu_seconds(lambda: editor.edit(model, [SECOND], references=REFERENCES))
    return {
        "seconds": second,
        "seconds_of_the_first_edit": first,
        "peak_megabytes": peak_megabytes(),
        "peak_megabytes_with_the_model_alone": before,
    }


def measure_statistics() -> dict[str, object]:
    """Statistics of several layers in one pass over the text, and in one pass for each."""
    model = random_gpt2()
    texts = statement_texts(REFERENCES * 8)
    fingerprint = model.fingerprint()

    def collect(layers: tuple[int, ...]) -> None:
        collect_statistics(model, texts, layers=layers, fingerprint=fingerprint)

    collect(LAYERS[:1])
    together = cpu_seconds(lambda: collect(LAYERS))
    apart = cpu_seconds(lambda: [collect((layer,)) for layer in LAYERS])
    return {
        "layers": list(LAYERS),
        "texts": len(texts),
        "one_pass_seconds": together,
        "a_pass_for_each_seconds": apart,
        "ratio": round(apart / together, 2),
    }


def in_its_own_process(what: str) -> object:
    """What this script prints when it is asked for one measurement; or how it failed."""
    done = subprocess.run(
        [sys.executable, __file__, f"--only={what}"], stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        return {"failed": done.returncode}
    return json.loads(done.stdout)


def main(names: list[str]) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    if names and names[0].startswith("--only="):
        what = names[0].removeprefix("--only=")
        found = measure_statistics() if what == "statistics" else measure_editor(what)
        print(json.dumps(found))
        return
    result = {
        "model": "random GPT-2, 12 layers, 124M parameters, float32, one thread",
        "time": "CPU seconds of a process for each editor",
        "editors": {name: in_its_own_process(name) for name in names or sorted(EDITORS)},
        "statistics": in_its_own_process("statistics"),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
