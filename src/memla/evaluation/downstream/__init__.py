"""What edits do to everything that was not edited: text, other facts, tasks of lm-eval."""

from __future__ import annotations
