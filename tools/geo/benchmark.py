"""Write ``mkeb-geo``: one record for each fact, in MKEB's format with our optional keys.

    python -m tools.geo.benchmark src/memla/bundled/mini src/memla/bundled/mkeb_geo.jsonl.gz

Test and validation hold facts that ``mini`` answers right in all twelve languages; all others,
but for the withheld ones, are training facts. What is drawn depends on the seed alone.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from memla.models.loading import load_model
from tools.geo import facts
from tools.geo.corpus import Corpus, Triple
from tools.geo.facts import LANGUAGES, PROPERTIES
from tools.geo.measure import known_everywhere

NEIGHBORS = 4
SHARES = {"train": 0.25, "validation": 0.2, "test": 0.55}
"""How the facts that ``mini`` knows everywhere are divided."""


class Builder:
    """Chooses targets, neighbours and chains, and writes records."""

    def __init__(self, corpus: Corpus, known: list[bool], seed: int) -> None:
        self.corpus = corpus
        self.seed = seed
        self.facts = [fact for fact in corpus.facts if len(corpus.known[fact]) == len(LANGUAGES)]
        knows = dict(zip(corpus.facts, known, strict=True))
        self.known = {fact: knows[fact] for fact in self.facts}
        self.by_relation: dict[str, list[Triple]] = defaultdict(list)
        self.cities: dict[str, list[str]] = defaultdict(list)
        for fact in self.facts:
            self.by_relation[fact[1]].append(fact)
            if fact[1] == "country":
                self.cities[fact[2]].append(fact[0])

    def records(self) -> list[dict[str, Any]]:
        """All records, test facts of every relation mixed, numbered in that order."""
        order = list(self.facts)
        random.Random(self.seed).shuffle(order)
        splits = self._splits(order)
        made = (self._record(fact, splits[fact]) for fact in order)
        kept = [record for record in made if record is not None]
        for number, record in enumerate(kept):
            record["example_id"] = number
        return kept

    def _splits(self, order: list[Triple]) -> dict[Triple, str]:
        known = [fact for fact in order if self.known[fact]]
        splits = dict.fromkeys(order, "train")
        first = round(len(known) * SHARES["train"])
        second = first + round(len(known) * SHARES["validation"])
        splits |= dict.fromkeys(known[first:second], "validation")
        return splits | dict.fromkeys(known[second:], "test")

    def _record(self, fact: Triple, split: str) -> dict[str, Any] | None:
        subject, relation, true = fact
        chance = random.Random(f"{self.seed} {subject} {relation}")
        new = self._new_target(fact, chance)
        if new is None:
            return None
        neighbors = self._neighbors(fact, new, chance)
        wanted, description = PROPERTIES[relation]
        record: dict[str, Any] = {
            "example_id": 0,
            "relation_description": description,
            "edit": {},
            "paraphrase_prompts": {},
            "neighborhood_prompts": {},
            "neighborhood_answers": {},
            "id": f"{relation}:{subject.partition(':')[2]}",
            "relation": relation,
            "property": wanted,
            "split": split,
            "neighborhood_subjects": {},
            "provenance": {
                "source": "hand-written list, names from Unicode CLDR"
                if relation == "capital"
                else "Unicode CLDR",
                "triple": [subject, relation, true],
                "target_new": new,
                "mini_answers_right_in_all_languages": self.known[fact],
            },
        }
        for code in LANGUAGES:
            self._add_prompts(record, code, fact, new, neighbors)
        self._add_chains(record, fact, new, chance)
        return record

    def _add_prompts(
        self, record: dict[str, Any], code: str, fact: Triple, new: str, neighbors: list[Triple]
    ) -> None:
        """The request, its paraphrases and the neighbours in one language."""
        subject, relation, true = fact
        names = self.corpus.names
        ways = self.corpus.statements[relation][code]
        prompt = ways["statements"][0]
        record["edit"][code] = {
            "prompt": prompt,
            "subject": names[subject][code],
            "target_new": names[new][code],
            "target_true": names[true][code],
        }
        record["paraphrase_prompts"][code] = [
            way.replace("{}", names[subject][code]) for way in ways["unseen"]
        ]
        others = [names[neighbor[0]][code] for neighbor in neighbors]
        record["neighborhood_subjects"][code] = others
        record["neighborhood_prompts"][code] = [prompt.replace("{}", name) for name in others]
        record["neighborhood_answers"][code] = [names[thing][code] for _, _, thing in neighbors]

    def _new_target(self, fact: Triple, chance: random.Random) -> str | None:
        """Another object of the relation; every name differs from, and is no part of, the old."""
        subject, relation, true = fact
        names = self.corpus.names
        choices = []
        for thing in sorted({thing for _, _, thing in self.by_relation[relation]}):
            clash = any(
                names[thing][code].casefold() in names[old][code].casefold()
                or names[old][code].casefold() in names[thing][code].casefold()
                for code in LANGUAGES
                for old in (true, subject)
            )
            if not clash and (relation != "country" or self._hops(true, thing)):
                choices.append(thing)
        return chance.choice(choices) if choices else None

    def _hops(self, true: str, new: str) -> list[str]:
        """Relations whose answer is known for both countries and changes with the edit."""
        answer = self.corpus.object_of
        return [
            relation
            for relation in self.corpus.questions
            if answer.get((true, relation)) and answer.get((new, relation))
            if answer[true, relation] != answer[new, relation]
        ]

    def _neighbors(self, fact: Triple, new: str, chance: random.Random) -> list[Triple]:
        """Up to two facts with the same answer, the rest with others, never the new one."""
        subject, relation, true = fact
        others = [
            other
            for other in self.by_relation[relation]
            if other[0] != subject and other[2] != new and self.known[other]
        ]
        same = [other for other in others if other[2] == true]
        chosen = chance.sample(same, min(2, len(same)))
        rest = [other for other in others if other[2] != true]
        return chosen + chance.sample(rest, NEIGHBORS - len(chosen))

    def _add_chains(
        self, record: dict[str, Any], fact: Triple, new: str, chance: random.Random
    ) -> None:
        """Questions from a city through its country, with the answer that follows the edit."""
        subject, relation, true = fact
        answer = self.corpus.object_of
        chains = []
        if relation == "country":
            for second in self._hops(true, new):
                before = [[subject, "country", true], [true, second, answer[true, second]]]
                after = [[subject, "country", new], [new, second, answer[new, second]]]
                chains.append((second, {"before": before, "after": after}))
        elif relation in self.corpus.questions and self.cities[subject]:
            city = chance.choice(self.cities[subject])
            hop = [city, "country", subject]
            before, after = [hop, [subject, relation, true]], [hop, [subject, relation, new]]
            chains.append((relation, {"before": before, "after": after}))
        if not chains:
            return
        record["chain"] = [chain for _, chain in chains]
        record["multi_hop_questions"], record["multi_hop_new_answer"] = {}, {}
        for code in LANGUAGES:
            record["multi_hop_questions"][code] = [
                self.corpus.questions[second][code]["questions"][1].replace(
                    "{}", self.corpus.names[chain["before"][0][0]][code]
                )
                for second, chain in chains
            ]
            record["multi_hop_new_answer"][code] = [
                self.corpus.names[chain["after"][-1][2]][code] for _, chain in chains
            ]
        seen = {
            thing
            for _, chain in chains
            for side in chain.values()
            for t in side
            for thing in (t[0], t[2])
        }
        record["labels"] = {entity: self.corpus.names[entity] for entity in sorted(seen)}


def main(model_folder: str, target: str, seed: str = "2024") -> None:
    """Build all records and write them as gzipped JSON Lines, the same bytes each time."""
    corpus = Corpus(facts.load(Path("build/facts.json")))
    records = Builder(
        corpus, known_everywhere(load_model(model_folder), corpus), int(seed)
    ).records()
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    Path(target).write_bytes(gzip.compress(lines.encode("utf-8"), mtime=0))
    counts = Counter((record["split"], record["relation"]) for record in records)
    sys.stderr.write(
        f"{len(records)} records: {dict(Counter(r['split'] for r in records))} {dict(counts)}\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
