"""About how many requests a stage takes, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from memla.construction import files, services
from memla.construction.build_folder import BuildFolder
from memla.construction.config import BuildConfig
from memla.construction.relations import Relations
from memla.construction.text_stages import EDITS
from memla.construction.translation import MOST_EXAMPLES
from memla.construction.usage import Price, Usage
from memla.construction.wikidata import BATCH
from memla.construction.work import planned

NAMES_AT_ONCE = 50
TOKENS_OF_A_TASK = 600
TOKENS_OF_A_DRAFT = 250
DRAFTED_AGAIN = 0.3
"""Share of drafts that are sent back once."""
TEXTS_OF_AN_EDIT = 5
"""Prompt, two paraphrases, neighbours' prompt, one question."""
TEXTS_OF_A_RELATION = 3
"""Prompt, which is the neighbours', too, and two paraphrases."""
LENGTH_OF_A_TEXT = 60
"""Characters."""
CHARACTERS_AT_ONCE = {"chat": 1200, "deepl": 3000, "libretranslate": 2000}
"""Of one request, where the settings do not say."""


def estimate(stage: str, config: BuildConfig, relations: Relations, folder: BuildFolder) -> Usage:
    """About what a stage takes, if no answer to any request is known yet."""
    kinds: dict[str, Callable[[], Usage]] = {
        "triples": lambda: _triples(config, relations),
        "drafts": lambda: _drafts(config, _edits(config, folder), 1.0),
        "filter": lambda: _drafts(config, _edits(config, folder), DRAFTED_AGAIN),
        "translate": lambda: _translation(config, relations, _edits(config, folder)),
        "check": lambda: (
            _translation(config, relations, _edits(config, folder), examples=1)
            if config.translation.back_translation
            else Usage()
        ),
    }
    return kinds.get(stage, Usage)()


def _triples(config: BuildConfig, relations: Relations) -> Usage:
    """Queries for facts, names, classes, further hops and other statements."""
    settings = config.wikidata
    limit = settings.limit_per_relation
    classes = sum(len(relation.subject_classes) for relation in relations.values())
    # Objects repeat, so that there are about as many new names as half of the facts' ends.
    entities = limit * len(relations)
    named = ceil(entities / (NAMES_AT_ONCE if settings.labels == "api" else BATCH / 2))
    batches = ceil(entities / BATCH)
    return Usage(requests=classes * settings.shards + named + 3 * batches + 1)


def _edits(config: BuildConfig, folder: BuildFolder) -> int:
    """How many edits there are, or are to be."""
    path = folder.root / files.EDITS.parent / EDITS
    return files.count_lines(path) if path.exists() else planned(config)


def _drafts(config: BuildConfig, edits: int, share: float) -> Usage:
    if config.drafts.drafter == "templates":
        return Usage()
    requests = ceil(share * edits)
    used = Usage(
        requests=requests,
        input_tokens=requests * TOKENS_OF_A_TASK,
        output_tokens=requests * TOKENS_OF_A_DRAFT,
    )
    return _priced(used, config.drafts.price())


def _translation(
    config: BuildConfig, relations: Relations, edits: int, examples: int = MOST_EXAMPLES
) -> Usage:
    settings = config.translation
    others = [language for language in config.dataset.languages if language != "en"]
    if settings.backend == "none":
        return Usage()
    at_once = CHARACTERS_AT_ONCE.get(settings.backend, settings.characters_per_request)
    characters = requests = 0
    for language in others:
        if settings.mode == "text" or config.drafts.drafter == "chat":
            # Models write each text anew, so that no two edits share a template.
            texts = edits * TEXTS_OF_AN_EDIT
        else:
            lacking = sum(language not in one.templates for one in relations.values())
            # Questions join relations; most pairs do not occur.
            texts = lacking * (TEXTS_OF_A_RELATION + len(relations) // 2) * examples
        characters += texts * LENGTH_OF_A_TEXT
        requests += ceil(texts * LENGTH_OF_A_TEXT / at_once)
    if settings.backend == "chat":
        used = Usage(requests=requests, input_tokens=characters // 2, output_tokens=characters // 2)
    elif settings.backend == "local":
        used = Usage()
    else:
        used = Usage(requests=requests, characters=characters)
    return _priced(used, services.prices(config).get(_service(config), Price()))


def _service(config: BuildConfig) -> str:
    return next(iter(services.intervals(config)), "")


def _priced(used: Usage, price: Price) -> Usage:
    return used.model_copy(update={"cost_micros": price.of(used)})
