"""Time and memory of the local stages of building a benchmark, over 100,000 made-up facts.

The facts are a small world: 60,000 people, 20,000 works, 15,000 companies, 4,000 cities, 200
countries. They stand in the folder of a build as if Wikidata had been asked, and the build goes on
from there to its release: chains, targets, drafts from templates, filter, templates by hand in
every language, check, release. Prints JSON: seconds of the clock and of the processor, and the
most memory of any process.

    python bench/construction.py                             # 100,000 facts, all of them edited
    python bench/construction.py 20000 --languages 12
    python bench/construction.py 100000 --records 5000 --languages 12
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from memla.construction import files, pipeline, stages
from memla.construction.build_folder import STAGES, BuildFolder
from memla.construction.config import BuildConfig
from memla.construction.files import write_records
from memla.construction.frames import frame
from memla.construction.graph import Entity, Triple
from memla.construction.manifest import STAGE_FILE, StageInfo, describe_files, fingerprint
from memla.construction.work import relations_of
from memla.languages import MKEB_LANGUAGES, language_of
from memla.records import write_atomically

FACTS = 100_000
SHARES = {"country": 0.002, "city": 0.04, "company": 0.15, "work": 0.2, "human": 0.6}
"""How many entities there are of each kind, as shares of the number of facts."""
CLASSES = {"country": "Q6256", "city": "Q515", "company": "Q4830453", "work": "Q571", "human": "Q5"}
RELATIONS = (
    ("P36", "capital", "country", "city"),
    ("P17", "country", "city", "country"),
    ("P159", "headquarters", "company", "city"),
    ("P169", "chief executive", "company", "human"),
    ("P50", "author", "work", "human"),
    ("P27", "citizenship", "human", "country"),
)
ALPHABETS = {
    "Hans": "天地山水人心日月风云花鸟江河海空",
    "Jpan": "アイウエオカキクケコサシスセソタ",
    "Kore": "가나다라마바사아자차카타파하거너",
    "Thai": "กขคงจฉชซฌญฎฏฐฑฒณ",
    "Cyrl": "абвгдежзиклмнопр",
    "Latn": "abcdefghijklmnop",
}
"""Sixteen letters of each script."""


def spelt(number: int, language: str) -> str:
    """A number as a name, in the language's letters."""
    letters = ALPHABETS[language_of(language).script]
    return "".join(letters[int(digit, 16)] for digit in f"{number:06x}").capitalize()


def world(size: int, languages: Sequence[str]) -> tuple[list[Entity], list[Triple]]:
    """Entities and about so many facts about them, always the same."""
    chance = random.Random(0)
    kinds: dict[str, list[Entity]] = {}
    number = 0
    for kind, share in SHARES.items():
        kinds[kind] = []
        for _ in range(round(share * size)):
            number += 1
            labels = {language: spelt(number, language) for language in languages}
            kinds[kind].append(Entity(id=f"Q{number}", labels=labels, classes=(CLASSES[kind],)))
    triples = list(facts(kinds, chance))[:size]
    return [entity for found in kinds.values() for entity in found], triples


def facts(kinds: dict[str, list[Entity]], chance: random.Random) -> Iterator[Triple]:
    """One fact for each subject and relation."""
    for relation, _, subjects, objects in RELATIONS:
        for subject in kinds[subjects]:
            yield Triple(
                subject=subject.id,
                relation=relation,
                object=chance.choice(kinds[objects]).id,
                sitelinks=chance.randrange(200),
                subject_class=CLASSES[subjects],
            )


def relations_file(languages: Sequence[str]) -> str:
    """Relations with templates in every language, as somebody would write them by hand."""
    lines = []
    for number, (relation, name, subjects, _) in enumerate(RELATIONS):
        lines += [f"[{relation}]", f'name = "{name}"', f'subject_classes = ["{CLASSES[subjects]}"]']
        for language in languages:
            noun = name if language == "en" else spelt(number + 0xBCDEF, language)[-3:]
            said = (frame(noun, language, place) for place in range(3))
            prompt, *others = dict.fromkeys(said)
            mark = language_of(language).question_mark
            opening = "¿" if language == "es" else ""
            lines += [
                f"[{relation}.templates.{language}]",
                f'prompt = "{prompt}"',
                f"paraphrases = {json.dumps(others)}",
                f'phrase = "{noun} {{}}"',
                f'question = "{opening}{noun} {{}}{mark}"',
            ]
    return "\n".join(lines) + "\n"


def prepare(root: Path, size: int, records: int, languages: Sequence[str]) -> BuildConfig:
    """The folder of a build whose first stage is done."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "relations.toml"
    path.write_text(relations_file(languages), encoding="utf-8")
    config = BuildConfig.model_validate(
        {
            "dataset": {"name": "bench", "languages": languages, "size": records, "spare": 0.0},
            "wikidata": {"contact": "bench@example.org", "relations_file": str(path)},
        }
    )
    entities, triples = world(size, languages)
    write_records(root / files.ENTITIES, entities)
    write_records(root / files.TRIPLES, triples)
    write_records(root / files.STATEMENTS, ())
    first, folder = stages.ALL[0], BuildFolder(root)
    info = StageInfo(
        stage=first.name,
        fingerprint=fingerprint(first.name, first.settings(config, relations_of(config)), {}),
        taken=len(triples),
        kept=len(triples),
        rejects={},
        files=describe_files(root / STAGES[first.name], folder),
    )
    write_atomically(root / STAGES[first.name] / STAGE_FILE, info.to_json() + "\n")
    return config


def processor_seconds() -> float:
    """Of this process and those that it waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_megabytes() -> int:
    """Most memory of this process, or of one that it waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(max(one.ru_maxrss for one in used) / 1024)


def main(size: int, records: int, languages: Sequence[str], out: Path) -> None:
    """Build, measure and print."""
    config = prepare(out, size, records, languages)
    started: dict[str, tuple[float, float]] = {}

    def note(stage: str, done: int, total: int) -> None:
        started.setdefault(stage, (time.perf_counter(), processor_seconds()))

    begin = time.perf_counter(), processor_seconds()
    built = pipeline.build(config, out, on_progress=note)
    end = time.perf_counter(), processor_seconds()
    moments = [*started.values(), end]
    shown = {
        name: {
            "seconds": round(after[0] - before[0], 1),
            "processor_seconds": round(after[1] - before[1], 1),
            "kept": built.manifest.stages[name].kept,
        }
        for name, before, after in zip(started, moments, moments[1:], strict=False)
    }
    result = {
        "facts": size,
        "languages": len(languages),
        "stages": shown,
        "rejects": {name: built.manifest.stages[name].rejects for name in shown},
        "seconds": round(end[0] - begin[0], 1),
        "processor_seconds": round(end[1] - begin[1], 1),
        "peak_megabytes": peak_megabytes(),
    }
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("facts", type=int, nargs="?", default=FACTS)
    parser.add_argument("--records", type=int, help="most records of the release; all facts")
    parser.add_argument("--languages", type=int, default=2, help="how many of MKEB's twelve")
    parser.add_argument("--out", type=Path, help="keep the build here")
    given = parser.parse_args()
    wanted = ("en", "th", *(code for code in MKEB_LANGUAGES if code not in ("en", "th")))
    chosen = wanted[: given.languages]
    with tempfile.TemporaryDirectory() as folder:
        main(given.facts, given.records or given.facts, chosen, given.out or Path(folder))
