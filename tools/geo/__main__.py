"""Remake the bundled model and benchmark from nothing: ``python -m tools.geo``."""

from __future__ import annotations

import subprocess
import sys

BUNDLED = "src/memla/bundled"
STEPS = (
    ("facts", "build/facts.json"),
    ("train", "--out", "build/first", "--steps", "2500"),
    (
        *("train", "--out", "build/mini", "--start", "build/first", "--steps", "900"),
        *("--rate", "0.4", "--noise", "0.5", "--seed", "1"),
    ),
    ("export", "build/mini", f"{BUNDLED}/mini"),
    ("measure", f"{BUNDLED}/mini", "build/knowledge.json"),
    ("card", "build", f"{BUNDLED}/mini/README.md"),
    ("benchmark", f"{BUNDLED}/mini", f"{BUNDLED}/mkeb_geo.jsonl.gz"),
)

for name, *arguments in STEPS:
    sys.stderr.write(f"== {name}\n")
    subprocess.run([sys.executable, "-m", f"tools.geo.{name}", *arguments], check=True)
