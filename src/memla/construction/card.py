"""The card of a release: what is in it, how long its texts are, who made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import regex

from memla.benchmarks.mkeb_record import MkebRecord
from memla.construction.config import BuildConfig
from memla.construction.hub import front_matter
from memla.languages import language_name, words

FIELDS = {
    "edit prompt": "prompt",
    "paraphrase": "paraphrase_prompts",
    "neighbour's prompt": "neighborhood_prompts",
    "multi-hop question": "multi_hop_questions",
    "subject": "subject",
    "new answer": "target_new",
    "old answer": "target_true",
}
"""Kinds of texts, and where a record has them."""
_LENGTHS = (
    "Means over all texts of a kind; each cell is characters / words. In scripts without spaces a"
    " word is a character."
)
_GRAPHEME = regex.compile(r"\X")
_BAR = 40
"""Characters of the longest bar."""


class Statistics:
    """Counts of a release by relation, split and language, and the lengths of its texts.

    Lengths are means: ``characters`` as a reader counts them, ``words`` as answers are compared.
    """

    def __init__(self) -> None:
        self._records = 0
        self._splits: Counter[str] = Counter()
        self._relations: dict[str, dict[str, Any]] = {}
        self._lengths: dict[str, dict[str, Counter[str]]] = {}

    def add(self, record: MkebRecord) -> None:
        """Count a record."""
        self._records += 1
        self._splits[str(record.split)] += 1
        own = self._relations.setdefault(
            str(record.property), {"name": record.relation_description, "records": 0, "chains": 0}
        )
        own["records"] += 1
        own["chains"] += len(record.chain or ())
        for language in record.languages:
            kinds = self._lengths.setdefault(language, {kind: Counter() for kind in FIELDS})
            for kind, field in FIELDS.items():
                for text in _texts(record, field, language):
                    kinds[kind]["texts"] += 1
                    kinds[kind]["characters"] += len(_GRAPHEME.findall(text))
                    kinds[kind]["words"] += len(words(text, language))

    def result(self) -> dict[str, Any]:
        """All of them; relations with the most frequent first."""
        most_first = sorted(self._relations.items(), key=lambda one: (-one[1]["records"], one[0]))
        return {
            "records": self._records,
            "splits": dict(sorted(self._splits.items())),
            "relations": dict(most_first),
            "languages": {
                language: {kind: _means(sums) for kind, sums in kinds.items()}
                for language, kinds in self._lengths.items()
            },
        }


def _texts(record: MkebRecord, field: str, language: str) -> Iterator[str]:
    if field in ("prompt", "subject", "target_new", "target_true"):
        edit = record.edit[language]
        text = getattr(edit, field) or ""
        yield text.replace("{}", edit.subject)
    else:
        yield from (getattr(record, field) or {}).get(language, ())


def _means(sums: Mapping[str, int]) -> dict[str, int | float]:
    count = sums["texts"]
    found: dict[str, int | float] = {"texts": count}
    for what in ("characters", "words"):
        found[what] = round(sums[what] / count, 1) if count else 0.0
    return found


def card(
    config: BuildConfig,
    found: Mapping[str, Any],
    warnings: Mapping[str, int],
) -> str:
    """The text of the card, which is also the hub's description of the folder.

    Args:
        config: The settings.
        found: What `Statistics` found.
        warnings: What ``memla dataset check`` warns of, by check.
    """
    release, name = config.release, config.dataset.name
    title = release.title or name
    splits = [split for split in config.dataset.splits if split in found["splits"]]
    parts = [
        front_matter(name, title, release.licence, [*found["languages"]], splits),
        f"# {title}",
        release.description,
        _content(config, found),
        "## How it was made",
        _making(config),
        "## Relations",
        _relation_table(found["relations"], found["records"]),
        "## Lengths",
        _LENGTHS,
        _length_table(found["languages"]),
        "## Checks",
        _checks(warnings),
        "## Licence",
        _licence(config),
    ]
    if release.citation:
        parts += ["## Citation", f"```\n{release.citation.strip()}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _content(config: BuildConfig, found: Mapping[str, Any]) -> str:
    name, languages = config.dataset.name, [*found["languages"]]
    counts = found["splits"]
    shown = ", ".join(f"{counts[one]} {one}" for one in config.dataset.splits if one in counts)
    return (
        f"{found['records']} facts to edit, version {config.release.version}, in"
        f" {len(languages)} languages ({' '.join(languages)}): {shown}. Records about the same"
        f" subject are in the same split.\n\n"
        f"* `mkeb/{name}.jsonl`: the records in MKEB's format;"
        f" `memla evaluate --benchmark mkeb/{name}.jsonl`.\n"
        "* `data/`: the same, one file for each split, for `datasets.load_dataset`.\n"
        "* `statistics.json`: the figures of this page."
    )


def _making(config: BuildConfig) -> str:
    wikidata, drafts = config.wikidata, config.drafts
    day = f", as of {config.release.snapshot}" if config.release.snapshot else ""
    facts = (
        f"Facts and names: Wikidata, asked at {wikidata.endpoint}{day}; subjects with pages in at"
        f" least {wikidata.min_sitelinks} Wikipedias; seed {config.dataset.seed}."
    )
    texts = "English texts: templates of each relation."
    if drafts.drafter == "chat":
        texts = (
            f"English texts: written by {drafts.model}, temperature {drafts.temperature:g}, seed"
            f" {drafts.seed}, at most {drafts.max_tokens} tokens; checked, and sent back with"
            " reasons at most three times."
        )
    return f"* {facts}\n* {texts}\n* Other languages: {_translating(config)}"


def _translating(config: BuildConfig) -> str:
    settings = config.translation
    ways = {
        "templates": "each template once, with names from Wikidata",
        "text": "each text by itself, with names from Wikidata",
    }
    by_hand = "templates written by hand where memla has them"
    if settings.backend == "none":
        return f"{by_hand}, with names from Wikidata."
    model = f" {settings.model}" if settings.model else ""
    chat = f", temperature {settings.temperature:g}, seed {settings.seed}"
    checked = ", compared after translation back" if settings.back_translation else ""
    first = f"{by_hand}, else " if settings.mode == "templates" else ""
    return (
        f"{first}translated by {settings.backend}{model}"
        f"{chat if settings.backend == 'chat' else ''}, {ways[settings.mode]}{checked}."
    )


def _relation_table(relations: Mapping[str, Mapping[str, Any]], total: int) -> str:
    """Counts by relation, with a bar for the share of each."""
    most = max(own["records"] for own in relations.values())
    lines = ["| relation | | records | questions | share | |", "|---|---|--:|--:|--:|---|"]
    for name, own in relations.items():
        bar = "█" * max(1, round(_BAR * own["records"] / most))
        share = f"{100 * own['records'] / total:.1f} %"
        lines.append(
            f"| {name} | {own['name']} | {own['records']} | {own['chains']} | {share} | {bar} |"
        )
    return "\n".join(lines)


def _length_table(languages: Mapping[str, Mapping[str, Mapping[str, int | float]]]) -> str:
    head = " | ".join(FIELDS)
    lines = [f"| language | {head} |", "|---|" + "--:|" * len(FIELDS)]
    for language, kinds in languages.items():
        cells = [f"{own['characters']:.1f} / {own['words']:.1f}" for own in kinds.values()]
        lines.append(f"| {language_name(language)} ({language}) | {' | '.join(cells)} |")
    first = next(iter(languages.values()))
    lines.append(f"| texts | {' | '.join(str(own['texts']) for own in first.values())} |")
    return "\n".join(lines)


def _checks(warnings: Mapping[str, int]) -> str:
    text = "`memla dataset check` finds no error."
    if not warnings:
        return text + " Nor does it warn of anything."
    listed = ", ".join(f"{count} {check}" for check, count in warnings.items())
    return f"{text} It warns, for those who read the languages: {listed}."


def _licence(config: BuildConfig) -> str:
    authors = f" Made by {', '.join(config.release.authors)}." if config.release.authors else ""
    return (
        f"{config.release.licence}. Facts and names are from Wikidata, which is CC0-1.0; texts that"
        f" a model or a translation service wrote may be under its terms.{authors}"
    )
