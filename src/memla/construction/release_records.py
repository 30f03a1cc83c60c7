"""Edits with their texts in all languages as records of MKEB's format."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from memla.benchmarks.mkeb_record import Chain, MkebEdit, MkebRecord
from memla.construction.graph import Draft, PlannedEdit, Triple
from memla.construction.localisation import Localisation
from memla.construction.names import Names, answers_of, edit_id, entities_of, head_of
from memla.construction.relations import Relations
from memla.facts import PLACEHOLDER


def to_record(one: Localisation, names: Names, relations: Relations) -> MkebRecord:
    """The record of an edit; its number and split are given later."""
    edit, fact = one.edit, one.edit.triple
    english = one.drafts[0]
    by_language = {draft.language: draft for draft in one.drafts}
    relation = relations[fact.relation].name if fact.relation in relations else fact.relation
    return MkebRecord(
        example_id=0,
        relation_description=relation,
        edit={language: _edit(draft, edit, names) for language, draft in by_language.items()},
        **_lists(by_language, edit, names),
        id=edit_id(edit),
        relation=relation,
        property=fact.relation,
        chain=tuple(
            Chain(before=_hops(chain.before), after=_hops(chain.after)) for chain in edit.chains
        ),
        labels=_labels(edit, by_language, names),
        aliases=_aliases(edit, by_language, names),
        provenance={
            "subject": fact.subject,
            "target_true": fact.object,
            "target_new": edit.target_new,
            "neighbors": [neighbor.subject for neighbor in edit.neighbors],
            "sitelinks": fact.sitelinks,
            "drafted_by": english.made_by,
            "attempts": english.attempts,
            "corrected": [],
        },
    )


def _edit(draft: Draft, edit: PlannedEdit, names: Names) -> MkebEdit:
    language = draft.language
    new, *new_aliases = names.all(edit.target_new, language)
    true, *true_aliases = names.all(edit.triple.object, language)
    return MkebEdit(
        prompt=draft.prompt,
        subject=names.label(edit.triple.subject, language),
        target_new=new,
        target_true=true,
        new_aliases=tuple(new_aliases),
        true_aliases=tuple(true_aliases),
    )


def _lists(drafts: Mapping[str, Draft], edit: PlannedEdit, names: Names) -> dict[str, Any]:
    """The texts that a record has several of, by field and language."""
    found: dict[str, dict[str, list[str]]] = {
        "paraphrase_prompts": {},
        "neighborhood_prompts": {},
        "neighborhood_answers": {},
        "neighborhood_subjects": {},
        "multi_hop_questions": {},
        "multi_hop_new_answer": {},
    }
    for language, draft in drafts.items():
        subject = names.label(edit.triple.subject, language)
        neighbors = [names.label(each.subject, language) for each in edit.neighbors]
        heads = [names.label(head_of(edit, n), language) for n in range(len(edit.chains))]
        made = {
            "paraphrase_prompts": [_filled(text, subject) for text in draft.paraphrases],
            "neighborhood_prompts": [_filled(draft.neighbor_prompt, name) for name in neighbors],
            "neighborhood_answers": [names.label(each.object, language) for each in edit.neighbors],
            "neighborhood_subjects": neighbors,
            "multi_hop_questions": [
                _filled(text, head) for text, head in zip(draft.questions, heads, strict=True)
            ],
            "multi_hop_new_answer": [
                names.label(answers_of(edit, n)[1], language) for n in range(len(edit.chains))
            ],
        }
        for field, texts in made.items():
            found[field][language] = texts
    return found


def _filled(template: str, name: str) -> str:
    return template.replace(PLACEHOLDER, name)


def _hops(triples: Iterable[Triple]) -> tuple[tuple[str, str, str], ...]:
    return tuple((triple.subject, triple.relation, triple.object) for triple in triples)


def _labels(edit: PlannedEdit, languages: Iterable[str], names: Names) -> dict[str, dict[str, str]]:
    """Names of the chains' entities."""
    chained = {
        end
        for chain in edit.chains
        for triple in (*chain.before, *chain.after)
        for end in (triple.subject, triple.object)
    }
    return {
        entity: {language: names.label(entity, language) for language in languages}
        for entity in sorted(chained)
    }


def _aliases(
    edit: PlannedEdit, languages: Iterable[str], names: Names
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Other names of all that the record speaks of: language to name to its aliases."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for language in languages:
        known = (names.all(entity, language) for entity in sorted({*entities_of(edit)}))
        listed = {name: tuple(others) for name, *others in known if others}
        if listed:
            found[language] = listed
    return found


def splits_of(records: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """The split of each record; records about the same subject are in the same one.

    Subjects come in an order that the seed decides; each goes where most is missing.

    Args:
        records: What the records are called, such as ``P36:Q142``.
        shares: Share of each split.
        seed: Decides who goes where.
    """
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(records):
        groups.setdefault(name.rpartition(":")[2], []).append(place)
    have = dict.fromkeys(shares, 0)
    chosen = [""] * len(records)
    for subject in sorted(groups, key=lambda name: _chance(name, seed)):
        split = max(shares, key=lambda name: shares[name] * len(records) - have[name])
        have[split] += len(groups[subject])
        for place in groups[subject]:
            chosen[place] = split
    return chosen


def _chance(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} splits {name}".encode()).hexdigest()


def statements(record: MkebRecord) -> Iterator[tuple[str, str]]:
    """The edit prompt in each language, with its subject."""
    for language, edit in record.edit.items():
        yield language, edit.prompt.replace(PLACEHOLDER, edit.subject)


def to_object(record: MkebRecord) -> dict[str, Any]:
    """A record as it stands in a file: without keys that say nothing."""
    raw = record.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return {key: value for key, value in raw.items() if key == "example_id" or value != {}}
