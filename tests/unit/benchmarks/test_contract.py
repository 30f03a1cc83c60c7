"""The contract of benchmarks, on all of ours."""

from __future__ import annotations

from memla.testing.test_benchmarks import *  # noqa: F403
