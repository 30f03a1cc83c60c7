"""Texts put before a prompt, so that what an edit finds does not depend on how a text begins."""

from __future__ import annotations

from typing import Literal

import regex
from pydantic import Field, field_validator

from memla.editors.phrases import SENTENCE_ENDS, STARTERS
from memla.facts import PLACEHOLDER
from memla.models.language_model import LanguageModel
from memla.models.tokens import prompt_ids
from memla.records import Record, Text

_NOT_TEXT = regex.compile(r"[\p{Cc}\p{Co}\p{Cn}\p{Cs}\uFFFD\s]+")
_SENTENCE_MARKS = ".。．!！?？,，、;；:： "


class ContextConfig(Record):
    """Which texts are put before a prompt; the bare prompt always comes first.

    They are what the model writes after common words of the request's language, and end as
    sentences do there. Nothing is drawn: each next token is the most likely one.
    """

    n_short: int = Field(default=10, ge=0, le=10)
    """Number of short texts, one for each of as many common words."""
    short_length: int = Field(default=5, ge=1, le=100)
    """Tokens the model writes for a short text."""
    n_long: int = Field(default=10, ge=0, le=10)
    """Number of long texts, after the same words."""
    long_length: int = Field(default=10, ge=1, le=100)
    """Tokens the model writes for a long text."""
    language: Literal["request", "en"] = "request"
    """Whether they are in the language of the request, or, as in the authors' code of ROME and
    MEMIT, always in English."""
    templates: tuple[Text, ...] | None = None
    """Your own instead, for every language: each a text that ends in ``{}``, where the prompt
    goes. An empty list leaves the bare prompt alone."""

    @field_validator("templates")
    @classmethod
    def _ends_in_the_prompt(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for template in value or ():
            if template.count(PLACEHOLDER) != 1 or not template.endswith(PLACEHOLDER):
                raise ValueError(f"template {template!r} does not end in its one '{PLACEHOLDER}'")
        return value


class Contexts:
    """The texts of one editor; it remembers those of each model and language.

    Args:
        config: How many, how long, and in which language.
    """

    def __init__(self, config: ContextConfig) -> None:
        self.config = config
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def get(self, model: LanguageModel, language: str, *, fingerprint: str) -> tuple[str, ...]:
        """Texts to put before a prompt as they are; the first is ``""``, the bare prompt.

        Args:
            model: The model, which writes them the first time.
            language: Language of the prompt.
            fingerprint: Of the model's weights.
        """
        if self.config.templates is not None:
            own = (template.removesuffix(PLACEHOLDER) for template in self.config.templates)
            return tuple(dict.fromkeys(("", *own)))
        wanted = language if self.config.language == "request" else self.config.language
        key = (fingerprint, wanted)
        if key not in self._known:
            self._known[key] = ("", *_written(model, wanted, self.config))
        return self._known[key]


def _written(model: LanguageModel, language: str, config: ContextConfig) -> tuple[str, ...]:
    """What the model writes after the language's common words, as sentences without repeats."""
    words = STARTERS.get(language, ())[: max(config.n_short, config.n_long)]
    if not words:
        return ()
    n_tokens = max(config.short_length, config.long_length)
    begun = [prompt_ids(model.tokenizer, word) for word in words]
    made = model.generate(words, max_new_tokens=n_tokens)
    texts = [
        _sentence(model, (*start, *one.token_ids[:length]), language)
        for count, length in (
            (config.n_short, config.short_length),
            (config.n_long, config.long_length),
        )
        for start, one in list(zip(begun, made, strict=True))[:count]
    ]
    return tuple(dict.fromkeys(texts))


def _sentence(model: LanguageModel, ids: tuple[int, ...], language: str) -> str:
    """The text of tokens on one line, without pieces of characters, and its end."""
    text = model.tokenizer.decode(
        list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    line = str(_NOT_TEXT.sub(" ", str(text))).strip().rstrip(_SENTENCE_MARKS)
    return line + SENTENCE_ENDS.get(language, ". ")
