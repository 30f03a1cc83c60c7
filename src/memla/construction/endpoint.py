"""A SPARQL endpoint as it is met in practice: slow, busy, cut short."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self, TypeVar, runtime_checkable

from memla.construction.answers import Answer
from memla.construction.http import Client
from memla.construction.ledger import Ledger, request_key
from memla.construction.queries import ENTITY
from memla.errors import IncompleteAnswerError, ServiceError

SERVICE = "wikidata"
"""Name of the endpoint in the ledger."""

Row = tuple[str, ...]
"""Values of the variables that were asked for: identifiers of entities, texts, numbers."""


@runtime_checkable
class Part(Protocol):
    """A part of what is asked for, which can be made smaller."""

    def halves(self) -> tuple[Self, ...]:
        """Parts that make up the same; none if it is as small as can be."""
        ...


PartType = TypeVar("PartType", bound=Part)


class Batch(tuple[str, ...]):
    """Entities that are asked for together."""

    __slots__ = ()

    def halves(self) -> tuple[Batch, ...]:
        """Two batches of half the size."""
        if len(self) < 2:
            return ()
        middle = len(self) // 2
        return Batch(self[:middle]), Batch(self[middle:])


def batches(entities: Sequence[str], size: int) -> list[Batch]:
    """Entities in batches of a size, in their order."""
    return [Batch(entities[start : start + size]) for start in range(0, len(entities), size)]


class Endpoint:
    """Answers queries, each once: what was answered before comes from the ledger.

    Args:
        client: Sends them.
        ledger: Keeps answers.
        url: The endpoint's address.
        parallel: Queries at a time.
    """

    def __init__(self, client: Client, ledger: Ledger, url: str, *, parallel: int = 1) -> None:
        self._client = client
        self._ledger = ledger
        self._url = url
        self._parallel = parallel

    def rows(
        self, parts: Sequence[PartType], query: Callable[[PartType], str], variables: Sequence[str]
    ) -> Iterator[list[Row]]:
        """Rows of a query for each part, in the parts' order.

        A part that times out is asked for in two halves, and so on.

        Args:
            parts: What to ask for.
            query: The query for a part.
            variables: What to take from each row; ``l@`` is the language of ``l``.

        Raises:
            ServiceError: The endpoint refuses, or the smallest part times out.
            LimitError: A query would exceed a limit.
        """
        if self._parallel == 1:
            yield from (self._part(part, query, variables) for part in parts)
            return
        with ThreadPoolExecutor(self._parallel) as threads:
            yield from threads.map(lambda part: self._part(part, query, variables), parts)

    def _part(
        self, part: PartType, query: Callable[[PartType], str], variables: Sequence[str]
    ) -> list[Row]:
        try:
            return self.select(query(part), variables)
        except IncompleteAnswerError:
            halves = part.halves()
            if not halves:
                raise
        return [row for half in halves for row in self._part(half, query, variables)]

    def select(self, query: str, variables: Sequence[str]) -> list[Row]:
        """Rows of one query, without those that lack a value or have an unknown one.

        Raises:
            IncompleteAnswerError: The query takes the endpoint too long.
            ServiceError: The endpoint refuses it, or does not answer it.
            LimitError: It would exceed a limit.
        """
        request = {"method": "POST", "url": self._url, "query": query}
        text = self._ledger.ask(SERVICE, request, lambda: self._send(query, request))
        rows = (_row(binding, variables) for binding in _bindings(text))
        return [row for row in rows if row is not None]

    def _send(self, query: str, request: dict[str, str]) -> str:
        answer = self._client.post(
            self._url,
            data={"query": query},
            headers={"Accept": "application/sparql-results+json"},
            service=SERVICE,
            key=request_key(SERVICE, request),
            final=_timed_out,
            again_if_incomplete=False,
        )
        if _timed_out(answer) or answer.status == 504:
            raise IncompleteAnswerError(
                f"{SERVICE!r} stopped a query that took too long",
                hint="raise wikidata.min_sitelinks, or use another endpoint",
            )
        if answer.status != 200:
            raise ServiceError(f"{answer} is an error", hint=_HINTS.get(answer.status, _OTHER_HINT))
        _bindings(answer.text)
        return answer.text


_HINTS = {
    400: "the endpoint does not understand SPARQL 1.1; set wikidata.endpoint to another",
    403: "this machine is blocked, often for a day; check wikidata.contact before trying again",
    404: "check wikidata.endpoint",
    429: "the endpoint is busy; try again later, what was answered so far is kept",
}
_OTHER_HINT = "try again later, what was answered so far is kept"


def _timed_out(answer: Answer) -> bool:
    """Whether the query itself is too slow, so that asking again does not help."""
    return answer.status == 500 and "TimeoutException" in answer.text


def _bindings(text: str) -> list[dict[str, dict[str, str]]]:
    """The bindings of a result.

    A public endpoint that runs out of time has often begun to answer; then the status says that
    all is well, and the JSON breaks off, with a stack trace behind it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise IncompleteAnswerError(
            f"the answer of {SERVICE!r} is not whole", hint="raise wikidata.shards"
        ) from None
    found = value.get("results") if isinstance(value, dict) else None
    bindings = found.get("bindings") if isinstance(found, dict) else None
    if not isinstance(bindings, list) or not all(map(_is_binding, bindings)):
        raise ServiceError(
            f"the answer of {SERVICE!r} is no SPARQL result: {text[:80]!r}",
            hint="check wikidata.endpoint",
        )
    return bindings


def _is_binding(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(term, dict) and isinstance(term.get("value"), str) for term in value.values()
    )


def _row(binding: dict[str, dict[str, str]], variables: Sequence[str]) -> Row | None:
    """Values of a row; unknown values have no identifier."""
    values = (_value(binding, variable) for variable in variables)
    found = tuple(value for value in values if value is not None)
    return found if len(found) == len(variables) else None


def _value(binding: dict[str, dict[str, str]], variable: str) -> str | None:
    name, language, _ = variable.partition("@")
    term = binding.get(name, {})
    if language:
        return term.get("xml:lang")
    if term.get("type") != "uri":
        return None if term.get("type") == "bnode" else term.get("value")
    value = term["value"]
    # Unknown values are addresses of another kind at some endpoints, blank nodes at others.
    return value.removeprefix(ENTITY) if value.startswith(ENTITY) else None
