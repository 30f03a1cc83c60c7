"""What ``mini`` knows, per language, beside what guessing would give.

python -m tools.geo.measure src/memla/bundled/mini build/knowledge.json
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memla.models.language_model import LanguageModel
from memla.models.loading import load_model
from tools.geo import facts
from tools.geo.corpus import Corpus
from tools.geo.facts import LANGUAGES


@dataclass(frozen=True)
class Question:
    """One thing to ask: which test it belongs to, and a wrong answer of the same kind."""

    test: str
    relation: str
    language: str
    prompt: str
    answer: str
    wrong: str


def questions(corpus: Corpus, seed: int = 7) -> Iterator[Question]:
    """Every fact and chain in every language, once for each test it belongs to."""
    chance = random.Random(seed)
    objects: dict[str, list[str]] = defaultdict(list)
    for _, relation, thing in corpus.facts:
        objects[relation].append(thing)
    things = {relation: sorted(set(every)) for relation, every in objects.items()}

    def ask(test: str, relation: str, code: str, template: str, who: str, thing: str) -> Question:
        wrong = chance.choice([other for other in things[relation] if other != thing])
        names = corpus.names
        prompt = template.replace("{}", names[who][code])
        return Question(test, relation, code, prompt, names[thing][code], names[wrong][code])

    for fact in corpus.facts:
        subject, relation, thing = fact
        for code in corpus.languages:
            ways = corpus.statements[relation][code]
            taught = corpus.templates(fact, code)
            if code not in corpus.known[fact]:
                yield ask("withheld", relation, code, ways["statements"][0], subject, thing)
                continue
            yield ask("edit prompt", relation, code, ways["statements"][0], subject, thing)
            yield ask("trained", relation, code, chance.choice(taught), subject, thing)
            held = ways["statements"][corpus.never_paired[fact]]
            yield ask("never paired", relation, code, held, subject, thing)
            yield ask("unseen", relation, code, chance.choice(ways["unseen"]), subject, thing)
    for city, relation, thing, spoken in corpus.chains:
        test = "multi-hop held out" if city in corpus.held_out_cities else "multi-hop trained"
        for code in spoken:
            way = chance.choice(corpus.questions[relation][code]["questions"])
            yield ask(test, relation, code, way, city, thing)


def measure(model: LanguageModel, corpus: Corpus, sample: float = 1.0) -> dict[str, object]:
    """Shares of exact greedy answers, and of P(true) > P(wrong), per test, language, relation."""
    chance = random.Random(11)
    asked = [question for question in questions(corpus) if chance.random() < sample]
    prompts = [question.prompt for question in asked]
    codes = [question.language for question in asked]
    true = model.log_probs(prompts, [question.answer for question in asked], codes, batch_size=128)
    wrong = model.log_probs(prompts, [question.wrong for question in asked], codes, batch_size=128)
    rows = [
        (question, score.is_greedy, score.mean > other.mean)
        for question, score, other in zip(asked, true, wrong, strict=True)
    ]
    report: dict[str, object] = {}
    for test in sorted({question.test for question in asked}):
        mine = [row for row in rows if row[0].test == test]
        report[test] = _shares(mine) | {
            "majority": _majority([question for question, _, _ in mine]),
            "languages": _by(mine, lambda question: question.language),
            "relations": _by(mine, lambda question: question.relation),
        }
    return report


Row = tuple[Question, bool, bool]


def _shares(rows: list[Row]) -> dict[str, object]:
    n = len(rows)
    return {
        "n": n,
        "exact": round(sum(exact for _, exact, _ in rows) / n, 4),
        "beats_wrong": round(sum(better for _, _, better in rows) / n, 4),
    }


def _by(rows: list[Row], key: Callable[[Question], str]) -> dict[str, object]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row[0])].append(row)
    return {name: _shares(group) for name, group in sorted(groups.items())}


def _majority(asked: list[Question]) -> float:
    """Share that always giving the relation's most frequent answer would get right."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for question in asked:
        counts[question.relation, question.language][question.answer] += 1
    return round(sum(max(counter.values()) for counter in counts.values()) / len(asked), 4)


def known_everywhere(model: LanguageModel, corpus: Corpus) -> list[bool]:
    """For each fact, whether the edit prompt is answered exactly in all twelve languages."""
    prompts, answers, codes = [], [], []
    for subject, relation, thing in corpus.facts:
        for code in LANGUAGES:
            way = corpus.statements[relation][code]["statements"][0]
            prompts.append(way.replace("{}", corpus.names[subject][code]))
            answers.append(corpus.names[thing][code])
            codes.append(code)
    scores = model.log_probs(prompts, answers, codes, batch_size=128)
    every = len(LANGUAGES)
    return [
        all(score.is_greedy for score in scores[start : start + every])
        for start in range(0, len(scores), every)
    ]


def main(folder: str, target: str, sample: str = "1.0") -> None:
    """Measure a model folder and write a JSON report."""
    corpus = Corpus(facts.load(Path("build/facts.json")))
    model = load_model(folder)
    report = measure(model, corpus, float(sample))
    Path(target).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for test, row in report.items():
        assert isinstance(row, dict)
        exact = {code: value["exact"] for code, value in row["languages"].items()}
        sys.stderr.write(
            f"{test}: n {row['n']} exact {row['exact']} beats wrong {row['beats_wrong']}"
            f" majority {row['majority']} {exact}\n"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
