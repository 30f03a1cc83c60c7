"""Run every bench module and print one JSON object: ``python -m bench``.

Each module runs in a process of its own, so that none finds another's threads or caches.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def modules() -> list[str]:
    """Names of the bench modules, sorted."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))


def measure(name: str) -> object:
    """What a module prints."""
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py")], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def main(names: list[str]) -> None:
    """Measure the named modules, or all of them."""
    results = {}
    for name in names or modules():
        sys.stderr.write(f"{name} ...\n")
        results[name] = measure(name)
    print(json.dumps(results, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
