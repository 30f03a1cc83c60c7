"""Causal language models of Hugging Face, and where their neurons are."""

from __future__ import annotations

from memla.models.architectures import Architecture, find_architecture
from memla.models.generation import Generation
from memla.models.language_model import LanguageModel
from memla.models.loading import load_model
from memla.models.scores import AnswerScore
from memla.models.tokens import TokenizedAnswer

__all__ = [
    "AnswerScore",
    "Architecture",
    "Generation",
    "LanguageModel",
    "TokenizedAnswer",
    "find_architecture",
    "load_model",
]
