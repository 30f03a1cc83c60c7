"""The contract tests that ship with the package, for the editors that do."""

from __future__ import annotations

from memla.testing.test_editors import *  # noqa: F403
