from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_there_are_examples_in_thai_and_chinese():
    texts = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES)
    assert "ประเทศไทย" in texts
    assert "首都" in texts


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs_and_says_something(example: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:memla", str(example)],
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_benches_are_found_by_themselves() -> None:
    from bench.__main__ import modules

    assert "attribution" in modules()
    assert not any(name.startswith("_") for name in modules())
