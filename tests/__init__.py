"""Tests of memla; ``check`` is what the run-time type checks call."""

from __future__ import annotations

from tests.typechecker import check

__all__ = ["check"]
