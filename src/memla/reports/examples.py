"""Tables of single cases: what was said before and after the edit, in every language."""

from __future__ import annotations

from collections.abc import Iterator

from memla.languages import language_name
from memla.reports.groups import Group, Method
from memla.reports.reading import Answered, Example
from memla.reports.tables import Entry, Table, source_name


def examples(group: Group) -> Iterator[Table]:
    """What was said before and after the edit, in every language."""
    for method in group.methods:
        for run in method.runs:
            for _, example in run.seen.examples:
                yield from _example(group, method, example)


def _example(group: Group, method: Method, example: Example) -> Iterator[Table]:
    what = f"{method.label}, case {example.case}, edited in {source_name(example.source)}"
    for answers, about in (
        (example.edited, "the edited fact"),
        (example.neighbors, "another fact, which should stay"),
    ):
        if answers:
            is_edited = answers is example.edited
            head = ("new answer", "old answer") if is_edited else ("right answer",)
            yield Table(
                f"{what}: {about}; n 1 case. {group.provenance}.",
                ("language", "question", *head, "before", "after"),
                tuple(_answer(one, with_other=is_edited) for one in answers),
                is_text=True,
            )


def _answer(one: Answered, *, with_other: bool) -> tuple[Entry, ...]:
    texts = (one.question, one.right, *([one.other] if with_other else []), one.before, one.after)
    return (
        Entry(language_name(one.language), one.language),
        *(Entry(text, language=one.language) for text in texts),
    )
