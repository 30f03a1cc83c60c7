"""What can be wrong with the texts of one record, seen together."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from memla.benchmarks import text_checks
from memla.benchmarks.mkeb_record import MkebRecord
from memla.facts import PLACEHOLDER
from memla.languages import find_language

Severity = Literal["error", "warning"]

PROMPTS = {
    "prompt": "edit",
    "paraphrase_prompts": "paraphrase",
    "neighborhood_prompts": "neighborhood",
    "multi_hop_questions": "question",
}
"""Which field holds which kind of prompt; the texts of all others are names."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a text."""

    severity: Severity
    check: str
    message: str


@dataclass(frozen=True, slots=True)
class Line:
    """One text of a record, as it stands in the file."""

    field: str
    language: str
    index: int
    text: str
    key: str

    @property
    def kind(self) -> str:
        """``edit``, ``paraphrase``, ``neighborhood``, ``question`` or ``name``."""
        return PROMPTS.get(self.field, "name")

    @property
    def place(self) -> tuple[str, int]:
        """What the text has in common with its translations."""
        return self.field, self.index


def lines(raw: dict[str, Any]) -> Iterator[Line]:
    """Every text of a record that has passed the check of its shape."""
    for language, edit in raw["edit"].items():
        for field in ("prompt", "subject", "target_new", "target_true"):
            if edit[field] is not None:
                yield Line(field, language, 0, edit[field], f"edit.{language}.{field}")
    for field in (
        "paraphrase_prompts",
        "neighborhood_prompts",
        "neighborhood_answers",
        "neighborhood_subjects",
        "multi_hop_questions",
        "multi_hop_new_answer",
    ):
        for language, texts in (raw.get(field) or {}).items():
            listed = [texts] if isinstance(texts, str) else texts
            for index, text in enumerate(listed):
                yield Line(field, language, index, text, f"{field}.{language}.{index}")


def complaints(record: MkebRecord, raw: dict[str, Any]) -> Iterator[tuple[Line, Complaint]]:
    """What is wrong with each text of a record.

    Args:
        record: The record; its parallel lists have the same lengths.
        raw: What it was read from, where texts are not yet normalised.
    """
    known = [line for line in lines(raw) if find_language(line.language) is not None]
    for line in known:
        for complaint in _complain("error", "characters", text_checks.characters(line.text)):
            yield line, complaint
    normal = [_normal(line) for line in known]
    english = {line.place: line.text for line in normal if line.language == "en"}
    names = {language: tuple(_names(record, language)) for language in record.languages}
    for line in normal:
        found = [*_alone(line, names[line.language]), *_in_record(record, line)]
        if line.language != "en" and line.place in english:
            found += _translated(line, english[line.place])
        for complaint in found:
            yield line, complaint
    yield from _repeated(normal)


def _normal(line: Line) -> Line:
    text = unicodedata.normalize("NFC", line.text)
    return line if text == line.text else replace(line, text=text)


def _repeated(normal: Iterable[Line]) -> Iterator[tuple[Line, Complaint]]:
    """Prompts that stand twice in one list."""
    seen: dict[tuple[str, str, str], str] = {}
    for line in normal:
        first = seen.setdefault((line.field, line.language, line.text), line.key)
        if line.kind != "name" and first != line.key:
            yield line, Complaint("warning", "duplicate prompt", f"is the same as {first}")


def _names(record: MkebRecord, language: str) -> Iterator[str]:
    """Names that may stand in a text of this language, whatever their script."""
    edit = record.edit[language]
    yield from (PLACEHOLDER, edit.subject, edit.new, edit.true)
    yield from record.neighborhood_answers.get(language, ())
    yield from (record.neighborhood_subjects or {}).get(language, ())
    yield from record.new_answers(language)
    yield from (names[language] for names in (record.labels or {}).values() if language in names)
    for name, others in (record.aliases or {}).get(language, {}).items():
        yield from (name, *others)


def _complain(severity: Severity, check: str, message: str | None) -> Iterator[Complaint]:
    if message is not None:
        yield Complaint(severity, check, message)


def _alone(line: Line, names: Iterable[str]) -> Iterator[Complaint]:
    """What is wrong with the text by itself."""
    text, language = line.text, line.language
    yield from _complain("warning", "traditional", text_checks.traditional(text, language))
    if line.kind == "name":
        return
    rest = text_checks.without(text, names)
    yield from _complain("warning", "script", text_checks.own_script(rest, language))
    yield from _complain("warning", "english words", text_checks.english_words(rest, language))
    yield from _complain("error", "question mark", text_checks.question_mark(text, language))
    if line.kind != "question":
        yield from _complain("error", "final punctuation", text_checks.final_punctuation(text))


def _translated(line: Line, english: str) -> Iterator[Complaint]:
    """What is wrong with the text beside the English one."""
    numbers = text_checks.other_numerals(line.text, english, line.language)
    yield from _complain("warning", "numerals", numbers)
    if line.kind != "name":
        length = text_checks.odd_length(line.text, english)
        yield from _complain("warning", "length", length)


def _in_record(record: MkebRecord, line: Line) -> Iterator[Complaint]:
    """What is wrong with the text beside the others of its language."""
    edit = record.edit[line.language]
    if line.kind in ("edit", "paraphrase"):
        for name, answer in (("new", edit.new), ("old", edit.true)):
            text = line.text.replace(PLACEHOLDER, edit.subject)
            if text_checks.contains(text, answer, line.language):
                yield Complaint("error", "answer in prompt", f"has the {name} answer, {answer!r}")
    if line.kind == "paraphrase":
        yield from _paraphrase(record, line)
    elif line.kind == "neighborhood":
        yield from _neighbor(record, line)
    elif line.kind == "question":
        yield from _question(record, line)
    elif line.field == "target_new":
        yield from _targets(line, edit.true)


def _paraphrase(record: MkebRecord, line: Line) -> Iterator[Complaint]:
    edit = record.edit[line.language]
    if edit.subject not in line.text:
        yield Complaint("warning", "subject", f"does not name the subject, {edit.subject!r}")
    if line.text.casefold() == edit.prompt.replace(PLACEHOLDER, edit.subject).casefold():
        yield Complaint("error", "same as edit", "is the edit prompt itself")


def _neighbor(record: MkebRecord, line: Line) -> Iterator[Complaint]:
    answer = record.neighborhood_answers[line.language][line.index]
    new = record.edit[line.language].new
    if answer.casefold() == new.casefold():
        yield Complaint("error", "neighbour answer", f"has the new answer, {new!r}, as its own")
    if text_checks.contains(line.text, answer, line.language):
        yield Complaint("error", "answer in prompt", f"has its answer, {answer!r}")
    subjects = (record.neighborhood_subjects or {}).get(line.language)
    if subjects is not None and subjects[line.index] not in line.text:
        message = f"does not name its subject, {subjects[line.index]!r}"
        yield Complaint("warning", "subject", message)


def _targets(line: Line, true: str) -> Iterator[Complaint]:
    new, old = line.text.casefold(), true.casefold()
    if old and new != old and (new in old or old in new):
        message = f"{line.text!r} and target_true {true!r} contain each other"
        yield Complaint("warning", "overlapping targets", message)


def _question(record: MkebRecord, line: Line) -> Iterator[Complaint]:
    answer = record.new_answers(line.language)[line.index]
    if text_checks.contains(line.text, answer, line.language):
        yield Complaint("error", "answer in prompt", f"has its answer, {answer!r}")
    for name in sorted(_intermediates(record, line) - {answer}):
        if text_checks.contains(line.text, name, line.language):
            yield Complaint("error", "intermediate entity", f"names {name!r}, a step of its chain")
    head = _head(record, line)
    if head is not None and head not in line.text:
        yield Complaint("warning", "subject", f"does not name where its chain begins, {head!r}")


def _intermediates(record: MkebRecord, line: Line) -> set[str]:
    """Names, with aliases, of what the question must leave to the model to find."""
    edit = record.edit[line.language]
    labels = record.labels or {}
    ends = [triples for triples in _chain(record, line) if triples]
    middle = {triple[2] for triples in ends for triple in triples[:-1]}
    names = {labels[entity][line.language] for entity in middle if _has(labels, entity, line)}
    names |= {edit.new, edit.true} - {edit.subject}
    if head := _head(record, line):
        names -= {head}
    aliases = (record.aliases or {}).get(line.language, {})
    return names | {alias for name in names for alias in aliases.get(name, ())}


def _head(record: MkebRecord, line: Line) -> str | None:
    """Name of the chain's first entity, if the record tells."""
    triples = next(iter(_chain(record, line)), ())
    labels = record.labels or {}
    if triples and _has(labels, triples[0][0], line):
        return labels[triples[0][0]][line.language]
    return None


def _chain(record: MkebRecord, line: Line) -> tuple[tuple[tuple[str, str, str], ...], ...]:
    chains = record.chain or ()
    if len(chains) == 1:
        return chains[0].before, chains[0].after
    if line.index < len(chains):
        return chains[line.index].before, chains[line.index].after
    return ()


def _has(labels: dict[str, dict[str, str]], entity: str, line: Line) -> bool:
    return line.language in labels.get(entity, {})
