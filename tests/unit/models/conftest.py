"""Toy models shared by the tests of this folder, which only read them."""

from __future__ import annotations

import functools

import pytest

from memla.models.language_model import LanguageModel
from memla.models.tiny import FAMILIES, tiny_model


@functools.cache
def model_of(family: str) -> LanguageModel:
    return tiny_model(family)


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """A toy model of each family in turn."""
    return model_of(request.param)
