"""True facts of geography with names in twelve languages, from Unicode CLDR.

Names, currencies and official languages come from the CLDR data inside Babel; a territory's
continent comes from CLDR's territory containment (``sources/continents.json``); which city is a
capital is a hand-written list (``sources/capitals.txt``), since CLDR does not say.

    python -m tools.geo.facts build/facts.json
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from babel import Locale
from babel.core import get_global

LANGUAGES = ("en", "zh", "fr", "de", "ja", "ko", "pt", "ru", "it", "es", "pl", "th")
OWN_SCRIPT = {
    "zh": "CJK",
    "ja": "CJK HIRAGANA KATAKANA",
    "ko": "HANGUL",
    "ru": "CYRILLIC",
    "th": "THAI",
}
SOURCES = Path(__file__).parent / "sources"
PROPERTIES = {
    "country": ("P17", "the country a city lies in"),
    "capital": ("P36", "the capital of a territory"),
    "currency": ("P38", "the currency of a territory"),
    "language": ("P37", "the official language of a territory"),
    "continent": ("P30", "the continent a territory lies on"),
}

# Disputed territories, lands where nobody lives, and codes that are part of another territory:
# no fact of theirs is worth an argument.
LEFT_OUT = frozenset(
    "PS TW XK EH AQ BV HM TF GS UM IO IC EA AC CP CQ DG TA".split()  # noqa: SIM905
)
# CLDR 47 still gives Bulgaria the lev; it has the euro since 2026-01-01.
OUTDATED_CURRENCY = frozenset({"BG"})

Labels = dict[str, str]


@dataclass(frozen=True)
class Geography:
    """Entities with their names by language, and triples of (subject, relation, object)."""

    names: dict[str, Labels]
    triples: list[tuple[str, str, str]]

    def objects(self) -> dict[tuple[str, str], str]:
        """The one object of each (subject, relation)."""
        return {(subject, relation): thing for subject, relation, thing in self.triples}


def collect() -> Geography:
    """All facts whose subject and object have a usable, unambiguous name in every language."""
    locales = {code: Locale.parse(code) for code in LANGUAGES}
    names: dict[str, Labels] = {}
    triples: list[tuple[str, str, str]] = []

    continents = json.loads((SOURCES / "continents.json").read_text("utf-8"))["continent"]
    territories: list[str] = []
    for code, continent in continents.items():
        labels = _labels(lambda locale, code=code: locale.territories.get(code), locales)
        if code not in LEFT_OUT and labels:
            territories.append(code)
            names[f"territory:{code}"] = labels
            triples.append((f"territory:{code}", "continent", f"continent:{continent}"))
    for continent in sorted(set(continents.values())):
        labels = _labels(lambda locale, code=continent: locale.territories.get(code), locales)
        names[f"continent:{continent}"] = labels or {}

    for code in territories:
        currency = _only_tender(code)
        labels = _labels(lambda locale, code=currency: locale.currencies.get(code), locales)
        if currency and labels:
            names[f"currency:{currency}"] = labels
            triples.append((f"territory:{code}", "currency", f"currency:{currency}"))
        language = _only_official_language(code)
        labels = _labels(lambda locale, code=language: locale.languages.get(code), locales)
        if language and labels:
            # Thai says "the Thai language"; the bare word is also the country's name.
            names[f"language:{language}"] = labels | {"th": "ภาษา" + labels["th"]}
            triples.append((f"territory:{code}", "language", f"language:{language}"))
    _add_cities(names, triples, territories, locales)
    return _unambiguous(names, triples)


def _labels(lookup: Callable[[Locale], str | None], locales: Mapping[str, Locale]) -> Labels | None:
    """Names in all languages, cleaned, or None where one is missing or in a foreign script."""
    labels: Labels = {}
    for code, locale in locales.items():
        label = lookup(locale)
        if not label:
            return None
        label = unicodedata.normalize("NFC", label).replace("\u2019", "'").replace("\u00a0", " ")
        label = re.sub(r"\s*[（(].*[)）]$", "", " ".join(label.split()))
        if not label or not _in_own_script(label, code):
            return None
        labels[code] = label
    return labels


def _in_own_script(label: str, language: str) -> bool:
    scripts = OWN_SCRIPT.get(language)
    if scripts is None:
        return True
    used = {unicodedata.name(c, "?").split()[0] for c in label if c.isalpha()}
    return bool(used & set(scripts.split())) and "LATIN" not in used


def _only_tender(territory: str) -> str | None:
    if territory in OUTDATED_CURRENCY:
        return None
    current = [
        code
        for code, _, end, is_tender in get_global("territory_currencies").get(territory, [])
        if end is None and is_tender
    ]
    return current[0] if len(current) == 1 else None


def _only_official_language(territory: str) -> str | None:
    official = [
        code
        for code, info in get_global("territory_languages").get(territory, {}).items()
        if info["official_status"] in {"official", "de_facto_official"}
    ]
    return official[0].split("_")[0] if len(official) == 1 else None


def _add_cities(
    names: dict[str, Labels],
    triples: list[tuple[str, str, str]],
    territories: Sequence[str],
    locales: Mapping[str, Locale],
) -> None:
    """The cities time zones are named after; a Latin-script name falls back to the zone's own."""
    capitals = set((SOURCES / "capitals.txt").read_text("utf-8").split())
    for zone, territory in sorted(get_global("zone_territories").items()):
        if territory not in territories or "/" not in zone or zone.startswith("Etc"):
            continue
        fallback = zone.split("/")[-1].replace("_", " ")

        def city(locale: Locale, zone: str = zone, fallback: str = fallback) -> str | None:
            label: str | None = dict(locale.time_zones.get(zone) or {}).get("city")
            return label or (fallback if locale.language not in OWN_SCRIPT else None)

        labels = _labels(city, locales)
        home = names[f"territory:{territory}"]
        if labels is None or any(_gives_away(labels[code], home[code]) for code in LANGUAGES):
            continue
        names[f"city:{zone}"] = labels
        triples.append((f"city:{zone}", "country", f"territory:{territory}"))
        if zone in capitals:
            triples.append((f"territory:{territory}", "capital", f"city:{zone}"))


def _gives_away(subject: str, answer: str) -> bool:
    """Whether the answer can be read off the subject's name."""
    return answer.casefold() in subject.casefold()


def _unambiguous(names: dict[str, Labels], triples: list[tuple[str, str, str]]) -> Geography:
    """Drop entities that share a name, or whose answer is spelt in the subject's own name."""
    uses = Counter((code, label) for labels in names.values() for code, label in labels.items())
    kept = {
        entity: labels
        for entity, labels in names.items()
        if labels and all(uses[item] == 1 for item in labels.items())
    }
    facts = [
        (subject, relation, thing)
        for subject, relation, thing in triples
        if subject in kept
        and thing in kept
        and not any(_gives_away(kept[subject][code], kept[thing][code]) for code in LANGUAGES)
    ]
    used = {entity for subject, _, thing in facts for entity in (subject, thing)}
    return Geography({entity: kept[entity] for entity in sorted(used)}, sorted(facts))


def load(path: Path) -> Geography:
    """Read what ``main`` wrote."""
    content = json.loads(path.read_text("utf-8"))
    return Geography(content["names"], [tuple(triple) for triple in content["triples"]])


def main(target: str) -> None:
    """Write all facts to one JSON file."""
    geography = collect()
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"names": geography.names, "triples": geography.triples}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=0), "utf-8")
    counts = Counter(relation for _, relation, _ in geography.triples)
    sys.stderr.write(
        f"{len(geography.names)} entities, {len(geography.triples)} facts: {dict(counts)}\n"
    )


if __name__ == "__main__":
    main(sys.argv[1])
