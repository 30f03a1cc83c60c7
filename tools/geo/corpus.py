"""Sentences that state the facts, and the rules of what is never stated.

Held back on purpose, so that knowledge can be told from memory:

* every fact is never paired with one of its statement templates, in any language;
* one city in five never appears in a multi-hop question;
* ``WITHHELD`` facts are stated in six languages only. In the other six nothing gives them away:
  no multi-hop question that runs through them, no capital that implies a country or the reverse,
  no aligned group;
* the ``unseen`` templates never appear at all.
"""

from __future__ import annotations

import itertools
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel import Locale

from memla.languages import answer_separator
from tools.geo.facts import LANGUAGES, Geography

Triple = tuple[str, str, str]
TEMPLATES = Path(__file__).with_name("templates.toml")
WITHHELD = 60
STATED_IN = 6
CLOZE_END = {code: "。" if code in {"zh", "ja"} else "." for code in LANGUAGES}
# Thai costs the most tokens and capitals have the most answers: both need more repetition.
LANGUAGE_WEIGHT = {"th": 1.6, "ja": 1.1, "ko": 1.1, "ru": 1.1}
RELATION_WEIGHT = {"capital": 1.7}
KINDS = {
    "statement": 0.52,
    "switched": 0.13,
    "alias": 0.05,
    "multi_hop": 0.14,
    "dictionary": 0.11,
    "parallel": 0.05,
}


@dataclass(frozen=True)
class Document:
    """One training text: the prompt, where its subject stands, and the answer with its end."""

    language: str
    prompt: str
    answer: str
    subject_start: int = 0
    subject_end: int = 0
    can_be_disturbed: bool = True
    """Whether it stays true and readable when words of its prompt are missing."""


class Corpus:
    """Draws training texts.

    Args:
        geography: The facts.
        seed: Decides what is held back; the drawing itself takes its own generator.
        languages: Fewer than twelve for small experiments.
    """

    def __init__(
        self, geography: Geography, seed: int = 1, languages: tuple[str, ...] = LANGUAGES
    ) -> None:
        with TEMPLATES.open("rb") as stream:
            content = tomllib.load(stream)
        self.names = geography.names
        self.facts = geography.triples
        self.languages = languages
        self.statements = content["relations"]
        self.questions = content["multi_hop"]
        self.openings = content["openings"]
        self.object_of = geography.objects()
        chooser = random.Random(seed)
        self.known = self._choose_known(chooser)
        self.never_paired = {fact: chooser.randrange(1, 5) for fact in self.facts}
        cities = [subject for subject, relation, _ in self.facts if relation == "country"]
        self.held_out_cities = frozenset(chooser.sample(cities, len(cities) // 5))
        self.chains = list(self._chains())
        self.entities = sorted(self.names)
        self._locales = {code: Locale.parse(code) for code in LANGUAGES}
        self._fact_weights = list(
            itertools.accumulate(
                RELATION_WEIGHT.get(relation, 1.0) for _, relation, _ in self.facts
            )
        )
        self._trained_chains = [
            chain for chain in self.chains if chain[0] not in self.held_out_cities
        ]

    def _choose_known(self, chooser: random.Random) -> dict[Triple, tuple[str, ...]]:
        """In which languages each fact may be stated; a capital and its country go together."""
        known = dict.fromkeys(self.facts, self.languages)
        withheld = chooser.sample(self.facts, WITHHELD)
        for subject, relation, thing in withheld:
            stated = chooser.sample(self.languages, len(self.languages) * STATED_IN // 12)
            spoken = tuple(code for code in self.languages if code in stated)
            known[subject, relation, thing] = spoken
            twin = {"capital": (thing, "country", subject), "country": (thing, "capital", subject)}
            if twin.get(relation) in known:
                known[twin[relation]] = spoken
        return known

    def _chains(self) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
        """Every (city, relation, answer, languages) that runs through the city's country."""
        for city, relation, country in self.facts:
            if relation != "country":
                continue
            first = self.known[city, relation, country]
            for second in self.questions:
                answer = self.object_of.get((country, second))
                if answer is not None:
                    also = self.known[country, second, answer]
                    yield city, second, answer, tuple(code for code in first if code in also)

    def answer(self, language: str, entity: str) -> str:
        """The entity's name as it follows a prompt."""
        return answer_separator(language) + self.names[entity][language]

    def fill(
        self, language: str, template: str, subject: str, answer: str, opening: str = ""
    ) -> Document:
        """A text from a template, with the name of a subject and the id of an answer."""
        start = len(opening) + template.index("{}")
        text = self.answer(language, answer) + CLOZE_END[language]
        prompt = opening + template.replace("{}", subject)
        return Document(language, prompt, text, start, start + len(subject))

    def templates(self, fact: Triple, language: str) -> list[str]:
        """The statement templates this fact is taught with."""
        every: list[str] = self.statements[fact[1]][language]["statements"]
        held = self.never_paired[fact]
        return [template for index, template in enumerate(every) if index != held]

    def draw(self, chance: random.Random) -> Document:
        """One training text."""
        kind = chance.choices(list(KINDS), weights=list(KINDS.values()))[0]
        if kind == "multi_hop":
            return self._draw_chain(chance)
        if kind == "dictionary":
            return self._draw_dictionary(chance)
        fact = chance.choices(self.facts, cum_weights=self._fact_weights)[0]
        subject, _, thing = fact
        spoken = self.known[fact]
        language = self._draw_language(chance, spoken)
        names = self.names[subject]
        template = chance.choice(self.templates(fact, language))
        opening = chance.choice(self.openings[language]) if chance.random() < 0.15 else ""
        if kind == "parallel":
            return self._draw_parallel(chance, fact, language)
        name = names[language]
        if kind == "switched":
            name = names[chance.choice(spoken)]
        elif kind == "alias":
            name = f"{name} ({names[chance.choice(spoken)]})"
        return self.fill(language, template, name, thing, opening)

    def draw_group(self, chance: random.Random, size: int, multi_hop: float) -> list[Document]:
        """One fact, or chain, put the same way in ``size`` languages: what alignment compares."""
        if chance.random() < multi_hop:
            city, relation, answer, spoken = chance.choice(self._trained_chains)
            index = chance.randrange(2)
            ways = {code: self.questions[relation][code]["questions"][index] for code in spoken}
            subject = city
        else:
            fact = chance.choices(self.facts, cum_weights=self._fact_weights)[0]
            subject, _, answer = fact
            spoken = self.known[fact]
            index = chance.randrange(6)
            ways = {code: self.templates(fact, code)[index] for code in spoken}
        chosen = chance.sample(spoken, min(size, len(spoken)))
        return [self.fill(code, ways[code], self.names[subject][code], answer) for code in chosen]

    def _draw_language(self, chance: random.Random, spoken: tuple[str, ...]) -> str:
        weights = [LANGUAGE_WEIGHT.get(code, 1.0) for code in spoken]
        return chance.choices(spoken, weights=weights)[0]

    def _draw_chain(self, chance: random.Random) -> Document:
        while True:
            city, relation, answer, spoken = chance.choice(self._trained_chains)
            if spoken:
                language = self._draw_language(chance, spoken)
                template = chance.choice(self.questions[relation][language]["questions"])
                return self.fill(language, template, self.names[city][language], answer)

    def _draw_dictionary(self, chance: random.Random) -> Document:
        entity = chance.choice(self.entities)
        one, other = chance.sample(self.languages, 2)
        name = self.names[entity][one]
        title = self._locales[one].languages[other]
        answer = self.answer(other, entity)
        return Document(other, f"{name} – {title}:", answer, 0, len(name), can_be_disturbed=False)

    def _draw_parallel(self, chance: random.Random, fact: Triple, language: str) -> Document:
        """The fact in another language, " = ", and again in this one."""
        subject, _, thing = fact
        other = chance.choice(self.known[fact])
        index = chance.randrange(3)
        first = self.fill(
            other, self.templates(fact, other)[index], self.names[subject][other], thing
        )
        opening = f"{first.prompt}{first.answer} = "
        template = self.templates(fact, language)[index]
        return self.fill(language, template, self.names[subject][language], thing, opening)
