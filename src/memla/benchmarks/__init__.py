"""Benchmarks by name or path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memla.benchmarks.base import Benchmark, BenchmarkCard
from memla.registry import Registry, unknown_name

BENCHMARKS: Registry[Callable[[], Benchmark]] = Registry(
    "benchmark",
    "memla.benchmarks",
    {
        "mkeb-geo": "memla.benchmarks.mkeb:mkeb_geo",
    },
)
"""Name to the function that opens the benchmark."""

FILE_ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")


def load_benchmark(name_or_path: str | Path) -> Benchmark:
    """A registered benchmark, or a file in MKEB's format.

    Raises:
        UnknownNameError: It is neither a registered name nor looks like a file.
        DataError: The file is absent or broken; the message names record and key.
    """
    name = str(name_or_path)
    if name in BENCHMARKS:
        return BENCHMARKS[name]()
    path = Path(name_or_path)
    if name.endswith(FILE_ENDINGS) or path.is_file():
        from memla.benchmarks.mkeb import MkebBenchmark

        return MkebBenchmark(path)
    error = unknown_name("benchmark", name, dict.fromkeys(BENCHMARKS))
    error.hint = f"{error.hint}; or give a file that ends in {', '.join(FILE_ENDINGS)}"
    raise error


__all__ = ["BENCHMARKS", "Benchmark", "BenchmarkCard", "load_benchmark"]
