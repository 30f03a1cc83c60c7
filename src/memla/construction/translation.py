"""Getting the texts of drafts into another language: template by template, or each by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from memla.construction.frames import frame
from memla.construction.graph import Draft, PlannedEdit
from memla.construction.guidelines import Reason
from memla.construction.names import Names, head_of
from memla.construction.placeholders import (
    INFLECTED,
    PROOF,
    Job,
    Outcome,
    Populated,
    Way,
    translate_templates,
    ways,
)
from memla.construction.relabelling import Example
from memla.construction.relations import Relations, nested_question
from memla.construction.slots import ANSWER, cleaned
from memla.construction.translators.base import Translator

ENGLISH = "en"
MOST_EXAMPLES = 5

Mode = Literal["templates", "text"]
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """An edit, and its texts in English."""

    edit: PlannedEdit
    draft: Draft


@dataclass(frozen=True, slots=True)
class Localised:
    """The texts of an edit in another language, as far as they could be translated."""

    texts: dict[str, str]
    """By field: ``prompt``, ``paraphrases.0``, ..., ``neighbor_prompt``, ``questions.0``, ..."""
    reasons: tuple[Reason, ...]
    """Why the others could not."""


@dataclass(slots=True)
class _Template:
    """One text to translate, and the names it can be tried with."""

    text: str
    place: str
    """Field of the first draft that has it."""
    relation: str
    made: str = ""
    """Its translation, if memla has one by hand."""
    examples: list[Example] = field(default_factory=list)

    @property
    def is_question(self) -> bool:
        return self.place.startswith("questions")

    def job(self) -> Job:
        if self.is_question:
            return Job(self.text, tuple(self.examples))
        end = "" if self.text.endswith(":") else "."
        return Job(f"{self.text} {ANSWER}{end}", tuple(self.examples))


def fields(draft: Draft) -> Iterator[tuple[str, str]]:
    """Name and text of every template of a draft."""
    yield "prompt", draft.prompt
    for number, text in enumerate(draft.paraphrases):
        yield f"paraphrases.{number}", text
    yield "neighbor_prompt", draft.neighbor_prompt
    for number, text in enumerate(draft.questions):
        yield f"questions.{number}", text


def translate_drafts(
    samples: Sequence[Sample],
    language: str,
    names: Names,
    relations: Relations,
    translator: Translator | None,
    mode: Mode = "templates",
) -> list[Localised]:
    """The texts of drafts in another language; names stay slots.

    In the mode ``templates`` each distinct text is translated once, unless memla has it by hand;
    in the mode ``text`` each is translated by itself, with its own names.

    Args:
        samples: Edits with their English drafts.
        language: Language wanted.
        names: Names in both languages.
        relations: The relations and their templates.
        translator: Translates what memla does not have; None: nobody.
        mode: See above.

    Returns:
        What became of each sample, in their order.
    """
    templates = Templates(language, names, relations, translator, mode)
    for number, sample in enumerate(samples):
        templates.add(sample, number)
    templates.translate()
    return [templates.localised(sample, number) for number, sample in enumerate(samples)]


class Templates:
    """The distinct templates of samples, and their translations; see `translate_drafts`.

    First all samples are added, then everything is translated, then each sample is asked for.
    """

    def __init__(
        self,
        language: str,
        names: Names,
        relations: Relations,
        translator: Translator | None,
        mode: Mode = "templates",
    ) -> None:
        self._templates: dict[_Key, _Template] = {}
        self._outcomes: dict[_Key, Outcome] = {}
        self._language = language
        self._names = names
        self._relations = relations
        self._translator = translator
        self._mode = mode

    def add(self, sample: Sample, number: int) -> None:
        """Note the templates of a sample.

        Args:
            sample: The sample.
            number: Its place among all samples.
        """
        for name, text in fields(sample.draft):
            key = self._key(sample, number, name, text)
            if key not in self._templates:
                self._templates[key] = self._new(sample, name, text)
            self._add_example(self._templates[key], sample, name)

    def translate(self) -> None:
        """Translate all templates that were added."""
        self._outcomes = _outcomes(
            self._templates, self._language, self._translator, self._relations
        )

    def localised(self, sample: Sample, number: int) -> Localised:
        """The texts of a sample that was added under this number."""
        texts, reasons = {}, []
        for name, english in fields(sample.draft):
            outcome = self._outcomes[self._key(sample, number, name, english)]
            if outcome.text:
                texts[name] = outcome.text
                continue
            reasons.append(
                Reason(
                    check="translation",
                    field=name,
                    text=english,
                    found="; ".join(outcome.problems),
                    wanted="a translation with the same slots and the answer last",
                )
            )
        return Localised(texts, tuple(reasons))

    def _key(self, sample: Sample, number: int, name: str, text: str) -> _Key:
        """What makes a template another one: its words, or its place."""
        if self._mode == "text":
            return str(number), name
        if name.startswith("questions"):
            return text, "question"
        return text, sample.edit.triple.relation

    def _new(self, sample: Sample, name: str, text: str) -> _Template:
        made = ""
        if self._mode == "templates":
            made = _by_hand(sample, name, text, self._language, self._relations)
        return _Template(text, name, sample.edit.triple.relation, made)

    def _add_example(self, template: _Template, sample: Sample, name: str) -> None:
        most = MOST_EXAMPLES if self._mode == "templates" else 1
        if template.made or len(template.examples) >= most:
            return
        example = _example(sample, name, self._language, self._names)
        if example is not None and example not in template.examples:
            template.examples.append(example)


def _by_hand(sample: Sample, name: str, text: str, language: str, relations: Relations) -> str:
    """The translation that memla has of a text of its own; empty if there is none."""
    kind, _, number = name.partition(".")
    ids = [sample.edit.triple.relation]
    if kind == "questions":
        ids = [triple.relation for triple in sample.edit.chains[int(number)].before]
    path = [relations[one] for one in ids if one in relations]
    if len(path) < len(ids) or not all({ENGLISH, language} <= {*one.templates} for one in path):
        return ""
    if kind == "questions":
        own = nested_question(path, ENGLISH) == text
        return nested_question(path, language) if own else ""
    english, other = path[0].template(ENGLISH), path[0].template(language)
    pairs = [
        (english.prompt, other.prompt),
        (english.neighbor_prompt or english.prompt, other.neighbor_prompt or other.prompt),
        *zip(english.paraphrases, other.paraphrases, strict=False),
    ]
    return dict(reversed(pairs)).get(text, "")


def _example(sample: Sample, name: str, language: str, names: Names) -> Example | None:
    """Names to fill a template with; None if the two could not be told apart."""
    edit = sample.edit
    fact = edit.triple
    if name == "neighbor_prompt" and edit.neighbors:
        fact = edit.neighbors[0]
    subject, answer = fact.subject, fact.object
    if name.startswith("questions"):
        subject = answer = head_of(edit, int(name.partition(".")[2]))
    example = Example(
        names.label(subject, ENGLISH),
        names.label(answer, ENGLISH),
        names.all(subject, language),
        names.all(answer, language),
    )
    both = ((example.subject, example.answer), (example.subject_names[0], example.answer_names[0]))
    if subject != answer and any(one in two or two in one for one, two in both):
        return None
    return example


def _outcomes(
    templates: Mapping[_Key, _Template],
    language: str,
    translator: Translator | None,
    relations: Relations,
) -> dict[_Key, Outcome]:
    found = {key: Outcome(one.made, "by hand") for key, one in templates.items() if one.made}
    left = [key for key in templates if key not in found]
    if translator is None:
        problem = "there is no translator, and memla has no translation by hand"
        return found | {key: Outcome(problems=(problem,)) for key in left}
    for chosen in _plan(language, translator):
        left = [key for key in templates if key not in found or not found[key].text]
        if chosen is None:
            made = _framed([templates[key] for key in left], language, translator, relations)
        else:
            jobs = [templates[key].job() for key in left]
            made = translate_templates(jobs, ENGLISH, language, translator, chosen)
        for key, outcome in zip(left, made, strict=True):
            earlier = found[key].problems if key in found else ()
            problems = (*earlier, *outcome.problems)
            found[key] = Outcome(outcome.text, outcome.way, problems)
    return found


def _plan(language: str, translator: Translator) -> list[Sequence[Way] | None]:
    """Which ways to try, in which order; None stands for frames."""
    all_ways = ways(translator)
    if language not in INFLECTED:
        return [all_ways, None]
    # The other ways would hide that a name has to be inflected.
    rest = [way for way in all_ways if not isinstance(way, Populated)]
    return [[PROOF], None, rest]


def _framed(
    templates: Iterable[_Template], language: str, translator: Translator, relations: Relations
) -> list[Outcome]:
    """Statements of the form "name: noun", for those that no sentence was found for."""
    templates = list(templates)
    wanted = {
        one.relation: relations[one.relation].name
        for one in templates
        if not one.is_question and one.relation in relations
    }
    nouns: dict[str, str] = {}
    if wanted:
        answers = translator.translate([*wanted.values()], ENGLISH, language)
        nouns = {
            relation: cleaned(answer.text).rstrip(".。")
            for relation, answer in zip(wanted, answers, strict=True)
        }
    outcomes = []
    for one in templates:
        noun = "" if one.is_question else nouns.get(one.relation, "")
        kind, _, number = one.place.partition(".")
        place = int(number) + 1 if kind == "paraphrases" else 0
        outcomes.append(Outcome(frame(noun, language, place), "frame") if noun else Outcome())
    return outcomes
