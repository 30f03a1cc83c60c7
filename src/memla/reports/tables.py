"""Tables of a report, as text that any format can write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from memla.evaluation.results import AFTER_ALL, JOINT
from memla.evaluation.summary import TRANSFER, Cell
from memla.reports.groups import Group, Method
from memla.reports.neuron_sums import NeuronSums

SHOWN_FAILURES = 20
"""Failed cases that are listed of a method."""

NAMES = {"NS_retention": "NS kept"}
"""Metrics that a reader knows by another name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in one place of a table."""

    text: str
    note: str = ""
    """Said smaller, after it."""
    language: str = ""
    """Language of the text, where it is not English."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first column says what a row is."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    numbers: int = 0
    """Columns of numbers, which are the last."""
    is_text: bool = False
    """Whether it holds texts in many scripts, not numbers."""


def metric_name(metric: str) -> str:
    """The name of a metric for a reader."""
    plain = metric.removesuffix(AFTER_ALL)
    return NAMES.get(plain, plain) + (" after all" if plain != metric else "")


def source_name(source: str) -> str:
    """Languages of an edit; many are counted, not listed."""
    parts = source.split(JOINT)
    return source if len(parts) <= 3 else f"{len(parts)} languages together"


def source_entry(method: Method, source: str) -> Entry:
    """Languages of an edit, and whether cases are still to come."""
    return Entry(source_name(source), "unfinished" if method.is_unfinished(source) else "")


def number(cell: Cell | None) -> Entry:
    """A value with its 95 % interval and the prompts behind it."""
    if cell is None:
        return Entry("–")
    return Entry(f"{cell.value:.1f} [{cell.low:.1f}, {cell.high:.1f}]", f"n {cell.n}")


def counts(cells: Iterable[Cell | None]) -> str:
    """How many prompts are behind each of some numbers: ``n 60`` or ``n 60 to 250``."""
    found = sorted({cell.n for cell in cells if cell is not None})
    if not found:
        return "n 0"
    return f"n {found[0]}" if len(found) == 1 else f"n {found[0]} to {found[-1]}"


def comparisons(group: Group) -> Iterator[Table]:
    """Editors side by side for each language of the edit: what transfers, what is kept."""
    for source in group.sources:
        methods = [method for method in group.methods if source in method.sources]
        first = group.metrics[0]
        metrics = group.transferred(source)
        if not metrics:
            if JOINT in source:
                yield _in_edited_languages(group, source, methods)
            continue
        rows = [
            (
                Entry(method.label),
                Entry(method.cases(source)),
                number(method.cell(first, source, source)),
                *(number(method.cell(metric, source, TRANSFER)) for metric in metrics),
            )
            for method in methods
        ]
        yield Table(
            f"Editors compared, edited in {source_name(source)}: mean over the other languages, in"
            f" percent with 95 % intervals over cases; n prompts. {group.provenance}.",
            (
                *("editor", "cases", f"{metric_name(first)} in {source_name(source)}"),
                *(f"{metric_name(metric)} transfer" for metric in metrics),
            ),
            tuple(rows),
            numbers=2 + len(metrics),
        )


def _in_edited_languages(group: Group, source: str, methods: Sequence[Method]) -> Table:
    """Editors side by side where an edit was made in every language that was asked."""
    rows = [
        (
            Entry(method.label),
            Entry(method.cases(source)),
            *(number(method.cell(metric, source, source)) for metric in group.metrics),
        )
        for method in methods
    ]
    return Table(
        f"Editors compared, edited in {source_name(source)}: mean over these languages, in percent"
        f" with 95 % intervals over cases; n prompts. {group.provenance}.",
        ("editor", "cases", *map(metric_name, group.metrics)),
        tuple(rows),
        numbers=1 + len(group.metrics),
    )


def matrix(group: Group, metric: str) -> Table:
    """One metric: editors and source languages by target language."""
    columns = (*group.targets, TRANSFER)
    rows, used = [], []
    for method, source in pairs(group, metric):
        cells = [method.cell(metric, source, target) for target in columns]
        used += cells[:-1]
        values = (Entry("–" if cell is None else f"{cell.value:.1f}") for cell in cells)
        rows.append((Entry(method.label), source_entry(method, source), *values))
    return Table(
        f"{metric_name(metric)} in percent, by language of the edit (rows) and of the question"
        f" (columns); {counts(used)} prompts a language. {group.provenance}.",
        ("editor", "edited in", *columns),
        tuple(rows),
        numbers=len(columns),
    )


def pairs(group: Group, metric: str | None = None) -> list[tuple[Method, str]]:
    """Each method with each of its sources, or those of which a metric is known."""
    return [
        (method, source)
        for method in group.methods
        for source in group.sources
        if source in method.sources
        and (metric is None or any(method.cell(metric, source, t) for t in group.targets))
    ]


def costs(group: Group) -> Table | None:
    """Seconds for each edit; None where no edit was made."""
    rows = []
    for method in group.methods:
        seconds = sorted(value for run in method.runs for value in run.seen.seconds)
        sizes = [value for run in method.runs for value in run.seen.sizes]
        machines = {_machine(run.environment) for run in method.runs}
        if seconds:
            rows.append(
                (
                    Entry(method.label),
                    Entry("; ".join(sorted(machines))),
                    Entry(str(len(seconds))),
                    *(Entry(f"{value:.2f}") for value in (median(seconds), fmean(seconds))),
                    Entry(f"{seconds[-1]:.2f}"),
                    Entry(f"{median(sizes):.0f}" if sizes else "–"),
                )
            )
    if not rows:
        return None
    head = ("editor", "device", "n edits", "median s", "mean s", "longest s", "numbers stored")
    caption = "Cost: seconds for an edit, and numbers that an edit stores (median)."
    return Table(f"{caption} {group.provenance}.", head, tuple(rows), numbers=5)


def _machine(environment: dict[str, str]) -> str:
    found = [environment.get("device", "not known")]
    found += [f"torch {environment['torch']}"] if "torch" in environment else []
    return ", ".join(found)


def failures(group: Group) -> Table | None:
    """Cases that failed, with why; None where all went well."""
    rows = []
    for method in group.methods:
        failed = [one for run in method.runs for one in run.seen.failures]
        for case, source, reason in failed[:SHOWN_FAILURES]:
            rows.append((method.label, case, source_name(source), reason))
        if len(failed) > SHOWN_FAILURES:
            rows.append((method.label, f"{len(failed) - SHOWN_FAILURES} more", "", ""))
    if not rows:
        return None
    return Table(
        "Cases that failed. One that could not be edited counts with the answers of the unedited"
        f" model; one that could not be asked has no numbers. {group.provenance}.",
        ("editor", "case", "edited in", "reason"),
        tuple(tuple(map(Entry, row)) for row in rows),
        is_text=True,
    )


def overview(group: Group) -> Table:
    """The runs that the numbers are from."""
    rows = []
    for method in group.methods:
        for run in method.runs:
            plan = run.plan
            cases = ", ".join(
                f"{source_name(s)} {run.seen.cases[s]}" for s in plan.source_languages
            )
            state = "unfinished" if run.is_unfinished else "finished"
            failed = len(run.seen.failures)
            rows.append(
                (
                    *(method.label, run.path.name, plan.protocol, cases, state),
                    *(str(failed), str(plan.seed), plan.memla_version),
                )
            )
    head = ("editor", "run", "protocol", "cases by source", "state", "failed", "seed", "version")
    caption = f"Runs behind the numbers. {group.provenance}."
    return Table(caption, head, tuple(tuple(map(Entry, row)) for row in rows))


@dataclass(frozen=True, slots=True)
class Neurons:
    """How many neurons the edits of a method changed, on average over its edits in one source."""

    method: Method
    source: str
    n_edits: int
    shared: tuple[float, ...]
    """By layer: neurons that hold the fact in several languages."""
    specific: tuple[float, ...]
    """By layer: those of the source language alone."""


def neuron_sets(group: Group) -> list[Neurons]:
    """The neurons of each method and source whose edits tell them."""
    found = []
    for method, source in pairs(group):
        sums = neuron_sums(method, source)
        if sums.shared.n:
            shared, specific = sums.shared.means(), sums.specific.means()
            found.append(Neurons(method, source, sums.shared.n, shared, specific))
    return found


def neuron_sums(method: Method, *sources: str) -> NeuronSums:
    """What all edits of a method in some sources tell of their neurons."""
    sums = NeuronSums()
    for run in method.runs:
        for source in sources:
            if source in run.seen.neurons:
                sums.merge(run.seen.neurons[source])
    return sums


def neurons(group: Group, sets: Sequence[Neurons]) -> Table | None:
    """Sizes of the sets, and the share of each layer's neurons that languages have in common."""
    if not sets:
        return None
    n_layers = max(len(one.shared) for one in sets)
    rows = []
    for one in sets:
        both = list(zip(one.shared, one.specific, strict=True))
        shares = [f"{100 * s / (s + own):.0f}" if s + own else "–" for s, own in both]
        total, common = sum(one.shared) + sum(one.specific), sum(one.shared)
        values = (
            *(str(one.n_edits), f"{sum(one.specific):.1f}", f"{common:.1f}"),
            f"{100 * common / total:.0f}" if total else "–",
            *shares,
            *("–" for _ in range(n_layers - len(shares))),
        )
        names = (one.method.label, source_name(one.source))
        rows.append(tuple(map(Entry, (*names, *values))))
    layers = tuple(f"% layer {layer}" for layer in range(n_layers))
    head = ("editor", "edited in", "n edits", "own", "shared", "% shared", *layers)
    return Table(
        "Neurons that an edit changes, mean over edits: those of the source language alone (own),"
        " those it shares with other languages, and the shared ones in percent of both, in all and"
        f" in each layer. {group.provenance}.",
        head,
        tuple(rows),
        numbers=len(head) - 2,
    )
