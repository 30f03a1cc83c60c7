"""Rules of the project that no tool checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = (ROOT / "requirements" / "ci.txt").read_text(encoding="utf-8").split("\n")


def test_every_tool_and_dependency_has_a_pin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    names = {re.split(r"[\[>=]", entry)[0].lower() for entry in wanted} - {"memla"}
    assert names <= {pin.split("==")[0].lower() for pin in PINS}


def test_pins_name_versions_and_no_places():
    pins = [pin for pin in PINS if pin and not pin.startswith("#")]
    assert pins[0].startswith("torch==")
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)


def test_the_makefile_has_at_most_a_dozen_targets_with_a_line_of_help_each():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", text, re.MULTILINE)
    assert len(targets) <= 12
    assert targets == re.findall(r"^([a-z]+):.*## \w", text, re.MULTILINE)


def test_every_module_is_short_enough_to_be_read_at_once():
    lengths = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in (ROOT / "src").rglob("*.py")
    }
    assert {path for path, length in lengths.items() if length > 300} == set()
