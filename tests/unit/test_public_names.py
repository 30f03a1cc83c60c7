from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import memla

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", memla.__all__)
def test_each_public_name_is_there(name):
    assert getattr(memla, name) is not None
    assert name in dir(memla)


def test_there_are_few_public_names():
    assert len(memla.__all__) <= 25


def test_each_public_name_has_a_line_in_the_reference():
    page = (ROOT / "docs" / "reference" / "library.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(memla.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="ชื่อ"):
        _ = memla.ชื่อ


def test_importing_the_package_and_its_registries_loads_no_torch():
    code = (
        "import sys, memla; memla.EDITORS, memla.BENCHMARKS, memla.EditRequest;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert memla.__version__ == project["version"]
