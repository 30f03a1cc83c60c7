"""Pages that are made from the code say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_generated_page_is_up_to_date(page):
    written = (DOCS / page).read_text(encoding="utf-8")
    assert written.strip() == PAGES[page]().strip(), "run: python docs/generate.py"
