"""The tests check types and shapes at run time, where there are arrays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from memla.attribution.quadrature import quadrature
from memla.evaluation.downstream.text_measures import divergence

SOURCE = Path(__file__).parents[2] / "src"


def test_a_wrong_shape_is_refused_at_the_call():
    logits = torch.zeros(2, 3).log_softmax(-1)
    assert divergence(logits, logits).shape == (2,)
    with pytest.raises(TypeCheckError, match="after"):
        divergence(logits, logits[:1])


def test_a_wrong_type_is_refused_at_the_call():
    with pytest.raises(TypeCheckError, match="steps"):
        quadrature("left", "三")


def test_every_module_with_arrays_is_checked(pytestconfig):
    packages = tuple(
        f"{package}." for package in pytestconfig.getoption("--jaxtyping-packages").split(",")
    )
    modules = [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts) + "."
        for path in SOURCE.rglob("*.py")
        if "jaxtyping" in path.read_text(encoding="utf-8")
    ]
    assert modules
    assert [module for module in modules if not module.startswith(packages)] == []
