from __future__ import annotations

from pathlib import Path

import pytest
from jaxtyping import TypeCheckError

from memla.records import parse_record, read_text


def test_a_wrong_type_is_refused_at_the_call():
    with pytest.raises(TypeCheckError, match="path"):
        read_text("ข้อมูล.jsonl")


def test_a_right_type_passes():
    path = Path(__file__)
    assert read_text(path).startswith("from __future__")
    assert parse_record.__name__ == "parse_record"
