"""Answers to requests, kept so that nothing is asked or paid for twice, and what they cost."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from memla.construction.doubts import Doubts
from memla.construction.secrets import Secrets
from memla.construction.usage import Limits, Price, Usage
from memla.errors import DataError, LimitError
from memla.records import Record, read_text, write_atomically


class Entry(Record):
    """One answered request, as it stands in a file."""

    service: str
    request: dict[str, Any]
    """What was asked, without secrets."""
    usage: Usage
    answer: str


def request_key(service: str, request: Mapping[str, Any]) -> str:
    """SHA-256 of a request: the name of its file, and what an ``Idempotency-Key`` tells a service.

    Args:
        service: Name of the service.
        request: All that decides the answer (method, address, body) and nothing secret.
    """
    content = json.dumps([service, request], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", errors="surrogatepass")).hexdigest()


class Ledger:
    """A folder with one file for each answer.

    An answer is on disk before anybody sees it, so a build that is killed asks again at most for
    what was under way, and under the same key: a service that heeds it charges once. For others
    a note is on disk before a request is sent; what was sent and not answered counts against the
    limits as if it had been charged for. Threads can share a ledger, processes cannot.

    Args:
        folder: Where the answers are; it may not exist yet.
        limits: What may be sent and spent.
        prices: By service; a service without one is free.
        secrets: What must not be written.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        limits: Limits | None = None,
        prices: Mapping[str, Price] | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._limits = limits or Limits()
        self._prices = dict(prices or {})
        self._secrets = secrets or Secrets()
        self._lock = threading.Lock()
        self._under_way = Usage()
        self._used: dict[str, Usage] = {}
        self._doubts = Doubts(self._folder)
        for path in sorted(self._folder.glob("*/*.json")):
            entry = self._read(path)
            self._count(entry.service, entry.usage)

    @property
    def used(self) -> dict[str, Usage]:
        """What all answers in the folder took, by service, sorted by name."""
        with self._lock:
            return dict(sorted(self._used.items()))

    @property
    def in_doubt(self) -> dict[str, Usage]:
        """Most that unanswered requests may have taken beside `used`, by service.

        They were under way when a build was stopped, or their answers broke off.
        """
        return self._doubts.usage

    @property
    def total(self) -> Usage:
        """What all answers in the folder took."""
        return sum(self.used.values(), Usage())

    def known(self, service: str, request: Mapping[str, Any]) -> str | None:
        """The answer to a request, if there is one already."""
        path = self._path(service, request)
        return self._read(path).answer if path.exists() else None

    def ask(
        self,
        service: str,
        request: Mapping[str, Any],
        send: Callable[[], str],
        *,
        characters: int = 0,
        most_tokens: int = 0,
        usage: Callable[[str], Usage] | None = None,
    ) -> str:
        """The answer to a request: the one that is kept, else what ``send`` brings.

        If ``send`` raises, nothing is kept.

        Args:
            service: Name of the service.
            request: All that decides the answer (method, address, body) and nothing secret.
            send: Sends the request and returns an answer worth keeping.
            characters: How many of them the service will count.
            most_tokens: Most tokens that the request and its answer may take, for the limits.
            usage: Reads the tokens that were used from the answer.

        Raises:
            LimitError: The request would exceed a limit; it was not sent.
            DataError: The folder cannot be read or written.
        """
        known = self.known(service, request)
        if known is not None:
            return known
        expected = self._priced(
            service, Usage(requests=1, characters=characters, output_tokens=most_tokens)
        )
        path = self._path(service, request)
        with self._reserved(service, expected), self._doubts.until_kept(path, service, expected):
            answer = self._secrets.hide(send())
            used = usage(answer) if usage else Usage()
            exact = {"requests": 1, "characters": characters}
            entry = Entry(
                service=service,
                request=json.loads(self._secrets.hide(json.dumps(request, ensure_ascii=False))),
                usage=self._priced(service, used.model_copy(update=exact)),
                answer=answer,
            )
            write_atomically(path, entry.to_json() + "\n")
            with self._lock:
                self._count(service, entry.usage)
        return answer

    def sent_again(self, service: str, request: Mapping[str, Any]) -> None:
        """Note that a request under way is sent once more, as its answer broke off."""
        self._doubts.sent_again(self._path(service, request))

    def _path(self, service: str, request: Mapping[str, Any]) -> Path:
        key = request_key(service, request)
        return self._folder / key[:2] / f"{key}.json"

    def _read(self, path: Path) -> Entry:
        try:
            return Entry.model_validate_json(read_text(path))
        except ValidationError:
            raise DataError(
                f"{str(path)!r} is no kept answer",
                hint="delete it; its request will be sent again",
            ) from None

    def _count(self, service: str, usage: Usage) -> None:
        self._used[service] = self._used.get(service, Usage()) + usage

    def _priced(self, service: str, usage: Usage) -> Usage:
        cost = self._prices.get(service, Price()).of(usage)
        return usage.model_copy(update={"cost_micros": cost})

    @contextmanager
    def _reserved(self, service: str, expected: Usage) -> Iterator[None]:
        """Keep room within the limits for a request while it is under way."""
        with self._lock:
            known = [*self._used.values(), *self._doubts.usage.values()]
            spent = sum(known, self._under_way)
            self._check(service, spent + expected)
            self._under_way += expected
        try:
            yield
        finally:
            with self._lock:
                before = self._under_way.model_dump()
                self._under_way = Usage(**{name: before[name] - less for name, less in expected})

    def _check(self, service: str, then: Usage) -> None:
        found = {
            "requests": then.requests,
            "characters": then.characters,
            "tokens": then.input_tokens + then.output_tokens,
            "cost": then.cost,
        }
        for name, value in found.items():
            limit = getattr(self._limits, name)
            if limit is not None and value > limit:
                raise LimitError(
                    f"the next request to {service!r} could bring limits.{name} to {value:g},"
                    f" but it is {limit:g}",
                    hint="raise it in [limits] and start again; all answers so far are kept",
                )
