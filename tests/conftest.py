"""Fixtures and rules for every test: one thread, no network, the same random examples each time."""

from __future__ import annotations

import os

# Read by torch and tokenizers when they are first imported, so before anything else.
os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    NO_COLOR="1",
    # Help texts are compared as they look in a window of this width.
    COLUMNS="100",
)

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from memla.facts import EditRequest

if TYPE_CHECKING:
    from memla.models.language_model import LanguageModel

settings.register_profile(
    "memla",
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("memla")


@pytest.fixture
def tiny_model() -> LanguageModel:
    """A seeded GPT-2 of three layers; a new one for each test."""
    from memla.models import tiny

    return tiny.tiny_model("gpt2")


@pytest.fixture
def request_in_thai() -> EditRequest:
    """The capital of Thailand is to become Chiang Mai."""
    return EditRequest(
        fact="capital-of-thailand",
        language="th",
        prompt="เมืองหลวงของ{}คือ",
        subject="ประเทศไทย",
        target_new="เชียงใหม่",
        target_true="กรุงเทพมหานคร",
    )
