"""Check what a built wheel contains: python tools/check_wheel.py dist."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

WANTED = ("memla/__init__.py", "memla/py.typed", "memla/cli/main.py")
LIMIT_BYTES = 40 * 1024 * 1024


def faults(wheel: Path) -> list[str]:
    """What is wrong with the wheel: files it lacks, files it should not have, its size."""
    names = set(zipfile.ZipFile(wheel).namelist())
    found = [f"{name} is missing" for name in WANTED if name not in names]
    if not any(name.endswith("dist-info/licenses/LICENSE") for name in names):
        found.append("the licence is missing")
    found += [
        f"{name} does not belong there"
        for name in sorted(names)
        if not name.startswith(("memla/", "memla-")) or "__pycache__" in name
    ]
    if wheel.stat().st_size > LIMIT_BYTES:
        found.append(f"it is {wheel.stat().st_size} bytes, more than {LIMIT_BYTES}")
    return found


def main(folder: Path) -> int:
    """Check the newest wheel in the folder; 0 if nothing is wrong with it."""
    wheels = sorted(folder.glob("memla-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if not wheels:
        print(f"there is no wheel in {folder}")
        return 1
    found = faults(wheels[-1])
    for fault in found:
        print(f"{wheels[-1].name}: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
