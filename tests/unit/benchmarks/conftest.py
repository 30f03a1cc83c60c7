from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

FIXTURE = Path(__file__).parents[2] / "fixtures" / "mkeb.json"


@pytest.fixture
def mkeb_path() -> Path:
    """Five records in MKEB's own form, in en zh ja ko ru th."""
    return FIXTURE


@pytest.fixture
def raw_records(mkeb_path):
    """The same records as dictionaries, to be changed at will."""
    return copy.deepcopy(json.loads(mkeb_path.read_text(encoding="utf-8")))


@pytest.fixture
def write(tmp_path):
    """Write values as a JSON list or as JSON Lines, and give the path."""

    def write(values, name="records.json"):
        path = tmp_path / name
        if ".jsonl" in name:
            text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        else:
            text = json.dumps(values, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write
