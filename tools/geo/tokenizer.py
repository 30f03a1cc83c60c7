"""The byte-level BPE tokenizer of ``mini``, trained on the names and templates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tools.geo.corpus import Corpus
from tools.geo.facts import LANGUAGES

END = "<|endoftext|>"
PAD = "<|pad|>"


def train_tokenizer(corpus: Corpus, vocabulary: int = 12288) -> Tokenizer:
    """Train on every name twice or more and on every template's pieces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(corpus), trainer)
    return tokenizer


def _texts(corpus: Corpus) -> Iterator[str]:
    for by_language in corpus.statements.values():
        for ways in by_language.values():
            for template in ways["statements"] + ways["unseen"]:
                yield from template.split("{}") * 8
    for by_language in corpus.questions.values():
        for ways in by_language.values():
            for template in ways["questions"]:
                yield from template.split("{}") * 4
    for openings in corpus.openings.values():
        yield from openings * 5
    for language in LANGUAGES:
        for entity, names in corpus.names.items():
            times = 2 if entity.startswith("city") else 3
            yield from [names[language], " " + names[language]] * times


def encode(tokenizer: Tokenizer, text: str, cache: dict[str, list[int]]) -> list[int]:
    """Token ids, remembered: the corpus repeats its texts thousands of times."""
    ids = cache.get(text)
    if ids is None:
        ids = cache[text] = tokenizer.encode(text).ids
    return ids


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a saved tokenizer."""
    return Tokenizer.from_file(str(path))
