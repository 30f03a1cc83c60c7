"""Samples in all languages: what is left of an edit when some of its texts fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from memla.benchmarks.check import statement_digest
from memla.construction.graph import Draft, PlannedEdit
from memla.construction.guidelines import Reason
from memla.construction.names import Names, edit_id
from memla.construction.quality import back_translation_reasons, check_translation
from memla.construction.rejects import Reject, Tally, rejected
from memla.construction.relations import Relations
from memla.construction.translation import Localised, Mode, Sample, Templates
from memla.construction.translators.base import Translator
from memla.facts import PLACEHOLDER

Found = Mapping[str, Sequence[Reason]]
"""What is wrong, by language."""


@dataclass(frozen=True, slots=True)
class Localisation:
    """An edit with its texts in all languages, the English ones first."""

    edit: PlannedEdit
    drafts: tuple[Draft, ...]


Judged = tuple[Localisation, Found]
"""An edit with its drafts, and what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Localisations:
    """What became of a set of edits."""

    kept: tuple[Localisation, ...]
    rejects: tuple[Reject, ...]
    tallies: tuple[Tally, ...]
    """How often each check that failed at all has passed."""


def translate_samples(
    samples: Sequence[Sample],
    languages: Iterable[str],
    names: Names,
    relations: Relations,
    translator: Translator | None,
    mode: Mode = "templates",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Localisations:
    """Samples in further languages, all of them at once; see `translated_samples`."""
    found = translated_samples(
        lambda: samples, languages, names, relations, translator, mode, on_progress
    )
    return settle(found, "translate")


def translated_samples(
    samples: Callable[[], Iterable[Sample]],
    languages: Iterable[str],
    names: Names,
    relations: Relations,
    translator: Translator | None,
    mode: Mode = "templates",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Judged]:
    """Samples in further languages, one at a time, with why texts could not be translated.

    Args:
        samples: Edits with their English drafts; they are gone through twice.
        languages: Languages wanted beside English.
        names: Names in all of them.
        relations: The relations and their templates.
        translator: Translates what memla has not by hand; None: nobody.
        mode: See `translate_drafts`.
        on_progress: Called with how many languages are done, and of how many.
    """
    others = [language for language in languages if language != "en"]
    made = {
        language: Templates(language, names, relations, translator, mode) for language in others
    }
    for number, sample in enumerate(samples()):
        for templates in made.values():
            templates.add(sample, number)
    for number, templates in enumerate(made.values(), start=1):
        templates.translate()
        on_progress(number, len(others))
    for number, sample in enumerate(samples()):
        own = {language: made[language].localised(sample, number) for language in others}
        drafts = [_draft(sample.draft, language, one) for language, one in own.items()]
        whole = Localisation(sample.edit, (sample.draft, *drafts))
        yield whole, {language: one.reasons for language, one in own.items()}


def check_localisations(
    localisations: Sequence[Localisation], names: Names, back: Translator | None = None
) -> Localisations:
    """Check the texts of every language, all at once; see `checked`."""
    return settle(checked(localisations, names, back), "check")


def checked(
    localisations: Iterable[Localisation], names: Names, back: Translator | None = None
) -> Iterator[Judged]:
    """What is wrong with the texts of each edit, one edit at a time.

    Args:
        localisations: Edits with their drafts.
        names: Names in all languages.
        back: Translates texts back into English, to compare them; None: that is not done.
    """
    found = ((one, _problems(one, names)) for one in localisations)
    return _unrepeated(iter(_compared([*found], back)) if back is not None else found, names)


def _problems(one: Localisation, names: Names) -> dict[str, list[Reason]]:
    english, *others = one.drafts
    return {draft.language: check_translation(draft, english, one.edit, names) for draft in others}


def _compared(
    found: list[tuple[Localisation, dict[str, list[Reason]]]], back: Translator
) -> list[tuple[Localisation, dict[str, list[Reason]]]]:
    """The same, with what a translation back into English shows; each text is sent once."""
    localisations = [one for one, _ in found]
    places = {edit_id(one.edit): number for number, one in enumerate(localisations)}
    for language in sorted({draft.language for one in localisations for draft in one.drafts}):
        for edit, reason in back_translation_reasons(_pairs(localisations, language), back):
            found[places[edit]][1][language].append(reason)
    return found


def _unrepeated(found: Iterable[Judged], names: Names) -> Iterator[Judged]:
    """The same, with statements that an edit before makes in the same words."""
    said: set[bytes] = set()
    for one, by_language in found:
        reasons = {language: [*own] for language, own in by_language.items()}
        own: dict[bytes, str] = {}
        for draft in one.drafts:
            subject = names.label(one.edit.triple.subject, draft.language)
            for field, text in _statements(draft):
                digest = statement_digest(draft.language, text.replace(PLACEHOLDER, subject))
                own[digest] = field
                if digest in said:
                    reasons.setdefault(draft.language, []).append(_repeated(field, text))
        failed = {reason.field for listed in reasons.values() for reason in listed}
        if without(one, failed) is not None:
            said |= {digest for digest, field in own.items() if field not in failed}
        yield one, reasons


def _statements(draft: Draft) -> Iterator[tuple[str, str]]:
    yield "prompt", draft.prompt
    for number, text in enumerate(draft.paraphrases):
        yield f"paraphrases.{number}", text


def _repeated(field: str, text: str) -> Reason:
    return Reason(
        check="duplicate prompt",
        field=field,
        text=text,
        found="says of the subject what another edit's text says",
        wanted="words that belong to one relation only",
    )


class Settling:
    """Leaves out the texts that something is wrong with, and edits that cannot do without them.

    A paraphrase, question or neighbour that fails in one language is left out in all; an edit
    without prompt, neighbours or any paraphrase in one language is left out as a whole.

    Args:
        stage: Name of the stage, for the log.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._failed: Counter[tuple[str, str]] = Counter()
        self.taken = 0
        """Edits that came in."""
        self.kept = 0
        """Edits that are left."""
        self.rejects: Counter[str] = Counter()
        """Reasons by check."""

    def settle(self, one: Localisation, found: Found) -> tuple[Localisation | None, list[Reject]]:
        """What is left of an edit, and what was said against its texts.

        Args:
            one: An edit with its drafts, which have the same fields in all languages.
            found: What is wrong with it.
        """
        failed = {reason.field for reasons in found.values() for reason in reasons}
        left = without(one, failed) if failed else one
        rejects = [
            reject
            for language, reasons in found.items()
            for reject in rejected(
                reasons, edit_id(one.edit), language, self._stage, excluded=left is None
            )
        ]
        self.taken += 1
        self.kept += left is not None
        self.rejects.update(reject.check for reject in rejects)
        self._failed.update({(reject.language, reject.check) for reject in rejects})
        return left, rejects

    @property
    def tallies(self) -> list[Tally]:
        """How often each check that failed at all has passed, by language."""
        return [
            Tally(language=language, check=check, passed=self.taken - count, failed=count)
            for (language, check), count in sorted(self._failed.items())
        ]


def settle(found: Iterable[Judged], stage: str) -> Localisations:
    """What is left of all edits; see `Settling`."""
    settling = Settling(stage)
    kept: list[Localisation] = []
    rejects: list[Reject] = []
    for one, by_language in found:
        left, own = settling.settle(one, by_language)
        kept += [left] if left is not None else []
        rejects += own
    return Localisations(tuple(kept), tuple(rejects), tuple(settling.tallies))


def without(one: Localisation, failed: set[str]) -> Localisation | None:
    """The edit without some of its texts, in all languages; None if it needs one of them."""
    paraphrases = _left("paraphrases", len(one.drafts[0].paraphrases), failed)
    questions = _left("questions", len(one.edit.chains), failed)
    neighbors = _left("neighbors", len(one.edit.neighbors), failed)
    optional = ("paraphrases.", "questions.", "neighbors.")
    needed = [name for name in failed if not name.startswith(optional)]
    lost = (one.edit.neighbors and not neighbors) or not paraphrases
    if needed or lost:
        return None
    edit = one.edit.model_copy(
        update={
            "chains": tuple(one.edit.chains[number] for number in questions),
            "neighbors": tuple(one.edit.neighbors[number] for number in neighbors),
        }
    )
    drafts = [
        draft.model_copy(
            update={
                "paraphrases": tuple(draft.paraphrases[number] for number in paraphrases),
                "questions": tuple(draft.questions[number] for number in questions),
            }
        )
        for draft in one.drafts
    ]
    return Localisation(edit, tuple(drafts))


def _left(kind: str, count: int, failed: set[str]) -> list[int]:
    return [number for number in range(count) if f"{kind}.{number}" not in failed]


def _draft(english: Draft, language: str, made: Localised) -> Draft:
    """The draft in another language; what could not be translated is empty."""
    texts = made.texts

    def several(kind: str, count: int) -> tuple[str, ...]:
        return tuple(texts.get(f"{kind}.{number}", "") for number in range(count))

    return english.model_copy(
        update={
            "language": language,
            "prompt": texts.get("prompt", ""),
            "paraphrases": several("paraphrases", len(english.paraphrases)),
            "neighbor_prompt": texts.get("neighbor_prompt", ""),
            "questions": several("questions", len(english.questions)),
        }
    )


def _pairs(localisations: Iterable[Localisation], language: str) -> list[tuple[Draft, Draft]]:
    """Drafts of a language beside the English ones."""
    return [
        (draft, one.drafts[0])
        for one in localisations
        for draft in one.drafts[1:]
        if draft.language == language
    ]
