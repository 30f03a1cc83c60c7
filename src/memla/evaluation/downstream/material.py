"""Texts and facts that edits are not about, and should leave as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field, field_validator

from memla.errors import DataError, MissingExtraError
from memla.evaluation.downstream.settings import Downstream
from memla.facts import EditCase, EditRequest
from memla.languages import parse_language
from memla.models.tokens import join
from memla.records import Record, Text, parse_record, read_json_lines


class HeldText(Record):
    """A text in one language, or a prompt up to where an answer would stand."""

    language: str
    """ISO 639-1 code."""
    text: Text = Field(min_length=1)

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        return parse_language(value)


@dataclass(frozen=True, slots=True)
class Material:
    """What is asked of a model beside the facts that are edited."""

    texts: tuple[HeldText, ...] = ()
    """For perplexity."""
    prompts: tuple[HeldText, ...] = ()
    """For drift: statements up to their answers."""

    def digest(self, settings: Downstream) -> str:
        """SHA-256 of it, of the tasks' files and of lm-eval's version.

        Raises:
            MissingExtraError: There are tasks, and lm-eval is not installed.
            DataError: There is no such folder of tasks.
        """
        digest = hashlib.sha256()
        for part in (self.texts, self.prompts):
            digest.update("".join(one.to_json() + "\n" for one in part).encode() + b"\f")
        if settings.tasks:
            digest.update(_harness_version().encode())
        if settings.tasks and settings.task_folder is not None:
            _add_files(digest, Path(settings.task_folder))
        return digest.hexdigest()


def gather(
    settings: Downstream,
    cases: Iterable[EditCase],
    *,
    languages: Sequence[str],
    edited: Collection[EditCase] = (),
    references: Collection[EditCase] = (),
    seed: int = 0,
) -> Material:
    """The texts and prompts to ask.

    Facts are drawn by the seed from cases that are neither edited nor seen by the editor; where
    there are none, from those it sees as references.

    Args:
        settings: How many, and which file of texts.
        cases: All there are.
        languages: Those of prompts and statements.
        edited: Cases that are edited; what states one of their facts plays no part.
        references: Cases that editors see.
        seed: Decides which are drawn.

    Raises:
        DataError: The file of texts is broken, there are no facts beside those edited, or they
            say nothing in any of the languages.
    """
    texts = () if settings.text is None else read_texts(Path(settings.text))
    n_texts = settings.texts if settings.text is None else 0
    if not n_texts and not settings.facts:
        return Material(texts)
    drawn = _drawn(cases, edited, references, seed)
    if not drawn:
        raise DataError(
            "there are no facts beside those that are edited",
            hint="leave some out with --limit; or set facts and texts of downstream to 0",
        )
    stated = [case.requests for case in drawn[:n_texts]]
    asked = [case.requests for case in drawn[: settings.facts]]
    found = Material(
        texts=texts + tuple(_statements(stated, languages)),
        prompts=tuple(
            HeldText(language=language, text=requests[language].text)
            for language in languages
            for requests in asked
            if language in requests
        ),
    )
    if not found.texts and not found.prompts:
        raise DataError(
            f"the facts beside those that are edited say nothing in {' '.join(languages)}",
            hint="name other languages; or set facts and texts of downstream to 0",
        )
    return found


def read_texts(path: Path) -> tuple[HeldText, ...]:
    """The texts of a JSON Lines file.

    Raises:
        DataError: It cannot be read, a line is no text with its language, or there are none.
    """
    texts = tuple(
        parse_record(HeldText, value, f"{path}, line {number}")
        for number, value in read_json_lines(path)
    )
    if not texts:
        raise DataError(
            f"{str(path)!r} has no texts", hint='a line of it: {"language": "th", "text": "..."}'
        )
    return texts


def _drawn(
    cases: Iterable[EditCase],
    edited: Collection[EditCase],
    references: Collection[EditCase],
    seed: int,
) -> list[EditCase]:
    """Cases about other facts, in an order that is drawn by the seed and their ids."""
    ids = {case.id for case in edited}
    stated = {text for case in edited for text in _stated(case)}
    seen = {case.id for case in references}
    others = [case for case in cases if case.id not in ids and stated.isdisjoint(_stated(case))]
    unseen = [case for case in others if case.id not in seen]
    return sorted(unseen or others, key=lambda case: (_draw(seed, case.id), case.id))


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"downstream\x1f{seed}\x1f{name}".encode()).digest()


def _stated(case: EditCase) -> set[str]:
    return {request.text for fact in case.facts for request in fact.values()}


def _statements(
    facts: Sequence[dict[str, EditRequest]], languages: Sequence[str]
) -> Iterable[HeldText]:
    for language in languages:
        for requests in facts:
            request = requests.get(language)
            if request is not None and request.target_true is not None:
                separator = join(request.text, language)
                text = request.text + separator + request.target_true
                yield HeldText(language=language, text=text)


def _harness_version() -> str:
    """Version of lm-eval.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return version("lm_eval")
    except PackageNotFoundError:
        raise MissingExtraError(
            "tasks need lm-eval, which is not installed", hint="pip install 'memla[downstream]'"
        ) from None


def _add_files(digest: hashlib._Hash, folder: Path) -> None:
    """Take the files of a folder into a digest, with their places in it.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder of tasks {str(folder)!r}", hint="check the path")
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
