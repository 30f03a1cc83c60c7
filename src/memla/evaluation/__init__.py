"""Measure what an edit did, in every language."""

from __future__ import annotations
