"""A model and a benchmark, and what is worked out of them once for all plans that need them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from memla.benchmarks import Benchmark, BenchmarkCard, load_benchmark
from memla.editors.base import Editor
from memla.errors import DataError
from memla.evaluation.downstream.material import Material, gather
from memla.evaluation.f1_units import tokenizer_digest
from memla.evaluation.results import Plan, source_parts
from memla.facts import EditCase
from memla.models.language_model import LanguageModel


def check_languages(card: BenchmarkCard, wanted: Iterable[str]) -> None:
    """Make sure that a benchmark has something in each language.

    Raises:
        DataError: It has nothing in one.
    """
    for language in wanted:
        if language not in card.languages:
            raise DataError(
                f"benchmark {card.name!r} has nothing in language {language!r}",
                hint="it has: " + " ".join(card.languages),
            )


@dataclass(frozen=True)
class Selection:
    """The cases of a plan."""

    cases: tuple[EditCase, ...]
    """Those to edit."""
    references: tuple[EditCase, ...]
    """Those that become references."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of them, in whatever order."""
        digest = hashlib.sha256()
        for line in sorted(case.to_json() for case in (*self.cases, *self.references)):
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


class Materials:
    """What plans of one model and one benchmark have in common.

    Reading a benchmark's cases and hashing a model's weights take from a second to minutes; here
    both are done once.

    Args:
        model: The model. Its weights stay as they are as long as this is used.
        benchmark: The cases.
    """

    def __init__(self, model: LanguageModel, benchmark: Benchmark) -> None:
        self.model = model
        self.benchmark = benchmark
        self._splits: dict[str, tuple[EditCase, ...]] = {}
        self._others: dict[str, tuple[EditCase, ...]] = {}
        self._selections: dict[tuple[str, str | bool | None, tuple[str, ...]], Selection] = {}

    @cached_property
    def _everything(self) -> tuple[EditCase, ...]:
        return self.benchmark.cases()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model's weights."""
        return self.model.fingerprint()

    def select(self, plan: Plan) -> Selection:
        """The cases of a plan.

        Raises:
            DataError: There are none, or nothing is there in one of the plan's languages.
        """
        card = self.benchmark.card
        sources = {part for source in plan.source_languages for part in source_parts(source)}
        check_languages(card, (*sorted(sources), *plan.target_languages))
        there = (case for case in self._cases(plan.split) if sources <= set(case.requests))
        cases = tuple(islice(there, plan.limit))
        if not cases:
            sizes = ", ".join(f"{name} ({size})" for name, size in card.sizes.items())
            raise DataError(
                f"benchmark {card.name!r} has no cases in split {plan.split!r}",
                hint=f"choose one of its splits with split (--split): {sizes}",
            )
        ids = tuple(case.id for case in cases)
        key = (plan.split, plan.references if plan.use_references else False, ids)
        if key not in self._selections:
            references = self._references(plan.references) if plan.use_references else ()
            self._selections[key] = Selection(cases, references)
        return self._selections[key]

    def others(self, plan: Plan) -> Material | None:
        """What the plan measures beside the cases it edits; None: nothing.

        Raises:
            DataError: There is nothing beside them, or a file cannot be read.
        """
        if plan.downstream is None:
            return None
        selection = self.select(plan)
        return gather(
            plan.downstream,
            self._everything,
            languages=plan.target_languages or self.benchmark.card.languages,
            edited=selection.cases,
            references=selection.references,
            seed=plan.seed,
        )

    def resolve(self, plan: Plan, editor: Editor) -> Plan:
        """The plan with everything in it that its names stand for.

        Raises:
            DataError: The plan has no cases, or a file it names cannot be read.
        """
        downstream, others = plan.downstream, self.others(plan)
        if downstream is not None and others is not None:
            digest = others.digest(downstream)
            downstream = downstream.model_copy(update={"digest": digest})
        return plan.model_copy(
            update={
                "downstream": downstream,
                "model_fingerprint": self.fingerprint,
                "dtype": str(self.model.dtype).removeprefix("torch."),
                "cases_digest": self.select(plan).digest,
                "editor": editor.name,
                "settings": editor.config.model_dump(mode="json"),
                "target_languages": plan.target_languages or tuple(self.benchmark.card.languages),
                "f1_tokenizer_digest": plan.f1_tokenizer and tokenizer_digest(plan.f1_tokenizer),
            }
        )

    def _cases(self, split: str) -> tuple[EditCase, ...]:
        if split not in self._splits:
            is_there = split in self.benchmark.card.sizes
            self._splits[split] = tuple(self.benchmark.cases(split=split)) if is_there else ()
        return self._splits[split]

    def _references(self, name: str | None) -> tuple[EditCase, ...]:
        if name is None:
            return self._cases("train") if self.benchmark.card.sizes.get("train") else ()
        if name not in self._others:
            other = load_benchmark(name)
            self._others[name] = other.cases(split="train" if "train" in other.card.sizes else None)
        return self._others[name]
