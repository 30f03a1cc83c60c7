"""Names of entities in every language: where they are asked for, and which of them will do."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import regex

from memla.benchmarks import text_checks
from memla.construction import queries
from memla.construction.answers import Answer
from memla.construction.endpoint import Batch, Endpoint, batches
from memla.construction.http import Client
from memla.construction.ledger import Ledger, request_key
from memla.errors import ServiceError
from memla.facts import PLACEHOLDER
from memla.languages import language_of

SERVICE = "wikidata-names"
"""Name of the wiki's API in the ledger."""
SHARED = "mul"
"""Code of names that languages in Latin script share."""
CHINESE = ("zh-hans", "zh-cn", "zh")
"""Codes of Chinese, from surely simplified to mixed."""
API_BATCH = 50
"""Most entities in one request that the API allows."""
QUERY_BATCH = 200
BUSY_SECONDS = 5.0
MOST_ATTEMPTS = 20
"""Attempts while the wiki says that its copies lag behind, or its answers break off."""
BROKEN_OFF = "broken off"
"""What we call an answer that is not whole, beside the API's own codes."""

_IDENTIFIER = regex.compile(r"[QP]\d+")


@dataclass(frozen=True, slots=True)
class FoundNames:
    """What an entity is called, by the source's codes of languages."""

    labels: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)

    def label(self, language: str) -> str | None:
        """The usual name in a language, if it is fit for a benchmark."""
        usable = (_usable(self.labels.get(code, ""), language) for code in codes_of(language))
        return next((name for name in usable if name is not None), None)

    def others(self, language: str) -> tuple[str, ...]:
        """Other names that are fit, each once, without the usual one."""
        found = (
            _usable(name, language)
            for code in codes_of(language)
            for name in (*self.aliases.get(code, ()), self.labels.get(code, ""))
        )
        label = self.label(language)
        return tuple(dict.fromkeys(name for name in found if name and name != label))


def codes_of(language: str) -> tuple[str, ...]:
    """Codes under which names of a language are looked for, the best first.

    Chinese without a script mixes simplified and traditional characters, so it comes last. Names
    shared by Latin-script languages stand in for no other script.
    """
    if language == "zh":
        return CHINESE
    return (language, SHARED) if language_of(language).script == "Latn" else (language,)


def all_codes(languages: Iterable[str]) -> tuple[str, ...]:
    """Codes under which names of the languages are looked for, each once."""
    return tuple(dict.fromkeys(code for language in languages for code in codes_of(language)))


def _usable(name: str, language: str) -> str | None:
    """The name in normal form; None if it would spoil a text."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or PLACEHOLDER in name or _IDENTIFIER.fullmatch(name):
        return None
    if text_checks.characters(name) or text_checks.traditional(name, language):
        return None
    return name


@runtime_checkable
class NameSource(Protocol):
    """Where names come from."""

    def find(self, entities: Sequence[str]) -> dict[str, FoundNames]:
        """Names of entities; those that have none are left out."""
        ...


class EndpointNames:
    """Names from the SPARQL endpoint.

    Args:
        endpoint: The endpoint.
        languages: Languages that are wanted.
    """

    def __init__(self, endpoint: Endpoint, languages: Iterable[str]) -> None:
        self._endpoint = endpoint
        self._codes = all_codes(languages)

    def find(self, entities: Sequence[str]) -> dict[str, FoundNames]:
        """Names of entities, in two queries for every 200 of them."""
        found: dict[str, FoundNames] = defaultdict(FoundNames)
        for entity, name, code in self._rows(entities, aliases=False):
            # Two labels of one language are an error there; the choice must not change.
            found[entity].labels[code] = min(name, found[entity].labels.get(code, name))
        for entity, name, code in sorted(self._rows(entities, aliases=True)):
            found[entity].aliases.setdefault(code, []).append(name)
        return dict(found)

    def _rows(self, entities: Sequence[str], *, aliases: bool) -> Iterator[tuple[str, ...]]:
        def query(batch: Batch) -> str:
            return queries.names(batch, self._codes, aliases=aliases)

        parts = batches(entities, QUERY_BATCH)
        for rows in self._endpoint.rows(parts, query, ("e", "l", "l@")):
            yield from rows


class ApiNames:
    """Names from the wiki's own API, which costs it less than queries.

    Args:
        client: Sends requests.
        ledger: Keeps answers.
        url: The API's address.
        languages: Languages that are wanted.
    """

    def __init__(self, client: Client, ledger: Ledger, url: str, languages: Iterable[str]) -> None:
        self._client = client
        self._ledger = ledger
        self._url = url
        self._codes = all_codes(languages)

    def find(self, entities: Sequence[str]) -> dict[str, FoundNames]:
        """Names of entities, in a request for every 50 of them.

        Raises:
            ServiceError: The API refuses, or stays busy.
        """
        found = {}
        for batch in batches(entities, API_BATCH):
            for entity, value in _entities(self._text(batch)).items():
                if "missing" not in value:
                    found[entity] = _names(value)
        return found

    def _text(self, batch: Batch) -> str:
        form = self._form(batch)
        request = {"method": "POST", "url": self._url, "form": form}
        return self._ledger.ask(SERVICE, request, lambda: self._send(form, request))

    def _form(self, batch: Batch) -> dict[str, str]:
        return {
            "action": "wbgetentities",
            "ids": "|".join(batch),
            "props": "labels|aliases",
            "languages": "|".join(self._codes),
            "format": "json",
            "maxlag": "5",
        }

    def _send(self, form: dict[str, str], request: dict[str, Any]) -> str:
        key = request_key(SERVICE, request)
        for _ in range(MOST_ATTEMPTS):
            answer = self._client.post(self._url, data=form, service=SERVICE, key=key)
            problem = _problem(answer)
            if problem is None:
                _entities(answer.text)
                return answer.text
            if problem not in {"maxlag", "ratelimited", "readonly", BROKEN_OFF}:
                break
            self._client.wait(answer.retry_after or BUSY_SECONDS)
        raise ServiceError(f"{answer} is an error", hint="check wikidata.api, or try again later")


def _problem(answer: Answer) -> str | None:
    """The API's code of an error, which comes with status 200, or that the answer broke off."""
    if answer.status == 200 and _is_broken_off(answer.text):
        return BROKEN_OFF
    value = answer.json() if answer.status == 200 else {"error": {"code": str(answer.status)}}
    error = value.get("error") if isinstance(value, dict) else None
    return str(error.get("code")) if isinstance(error, dict) else None


def _is_broken_off(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return text.lstrip().startswith("{")
    except RecursionError:
        pass
    return False


def _entities(text: str) -> dict[str, dict[str, Any]]:
    value = json.loads(text)
    found = value.get("entities") if isinstance(value, dict) else None
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise ServiceError(
            f"the answer of {SERVICE!r} has no entities: {text[:80]!r}", hint="check wikidata.api"
        )
    return found


def _names(value: Mapping[str, Any]) -> FoundNames:
    """Names of one entity; a kind that is empty comes as a list instead of an object."""
    labels, aliases = value.get("labels") or {}, value.get("aliases") or {}
    try:
        return FoundNames(
            {code: str(name["value"]) for code, name in labels.items()},
            {code: [str(name["value"]) for name in names] for code, names in aliases.items()},
        )
    except (AttributeError, KeyError, TypeError):
        raise ServiceError(
            f"the answer of {SERVICE!r} has names in no known form: {str(value)[:80]!r}",
            hint="check wikidata.api",
        ) from None
