from __future__ import annotations

import pytest

from memla.benchmarks import BENCHMARKS, Benchmark, load_benchmark
from memla.errors import DataError, UnknownNameError


def test_a_path_opens_a_benchmark(mkeb_path):
    benchmark = load_benchmark(mkeb_path)
    assert isinstance(benchmark, Benchmark)
    assert "ja" in benchmark.cases(["ja"], limit=1)[0].requests


def test_a_file_that_is_absent_is_named():
    with pytest.raises(DataError, match=r"ไม่มี\.jsonl"):
        load_benchmark("ไม่มี.jsonl")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        load_benchmark("mkeb-gео")
    assert "did you mean 'mkeb-geo'?" in str(error.value)
    assert ".jsonl.gz" in str(error.value)


def test_the_bundled_benchmark_is_registered():
    assert "mkeb-geo" in BENCHMARKS
