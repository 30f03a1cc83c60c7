"""Asking web services politely: who asks, how often, how long to wait, when to give up."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from memla.construction.answers import Answer
from memla.construction.clock import Clock, SystemClock
from memla.construction.secrets import Secrets
from memla.errors import IncompleteAnswerError, MissingExtraError, ServiceError, SettingError

if TYPE_CHECKING:
    import httpx2

TRANSIENT = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later."""
WAIT_WITHOUT_ADVICE = 60.0
"""Seconds to wait after a 429 that does not say how long."""
LONGEST_BACKOFF = 60.0
"""Seconds."""
LONGEST_INTERVAL = 60.0
"""Most seconds between two requests that a service can ask for by being busy."""


def _never(answer: Answer) -> bool:
    return False


def user_agent(contact: str) -> str:
    """Who asks, in the form that Wikimedia demands: program, contact, library.

    Raises:
        SettingError: The contact is empty, or cannot stand in a header.
    """
    contact = contact.strip()
    if not contact or not contact.isascii() or not contact.isprintable() or set("()") & {*contact}:
        raise SettingError(
            f"contact {contact!r} cannot be sent to a service",
            hint="give the e-mail address or web page at which its operators can reach you",
        )
    return f"memla/{version('memla')} ({contact}) httpx2/{version('httpx2')}"


class Client:
    """Sends requests one service at a time, slowly enough, and again where that may help.

    Threads can share one.

    Args:
        contact: E-mail address or web page of whoever runs this.
        secrets: What to hide in answers and messages.
        timeout_seconds: Longest time of one attempt, from its start to the last byte.
        attempts: How often a request is sent before giving up; the first counts.
        intervals: Least seconds between the starts of two requests, by service.
        longest_wait_seconds: If a service asks to wait longer, give up instead.
        seed: Of the jitter in waiting times.
        clock: Time; the machine's own by default.
        transport: What carries requests, for tests.

    Raises:
        MissingExtraError: httpx2 is not installed.
        SettingError: The contact cannot be sent.
    """

    def __init__(
        self,
        contact: str,
        *,
        secrets: Secrets | None = None,
        timeout_seconds: float = 70.0,
        attempts: int = 6,
        intervals: Mapping[str, float] | None = None,
        longest_wait_seconds: float = 900.0,
        seed: int = 0,
        clock: Clock | None = None,
        transport: object = None,
    ) -> None:
        self._library = _import_httpx2()
        self._headers = {"User-Agent": user_agent(contact), "Accept": "application/json"}
        self._secrets = secrets or Secrets()
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._intervals = dict(intervals or {})
        self._longest_wait = longest_wait_seconds
        self._chance = random.Random(seed)  # noqa: S311
        self._clock = clock or SystemClock()
        self._next_start: dict[str, float] = {}
        self._lock = threading.Lock()
        # Redirects are not followed: they would carry a key to a place that nobody named.
        self._client: httpx2.Client = self._library.Client(
            transport=transport, timeout=timeout_seconds, headers=self._headers
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def post(
        self,
        url: str,
        *,
        json: object = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        service: str,
        key: str | None = None,
        final: Callable[[Answer], bool] = _never,
        again_if_incomplete: bool = True,
        lost: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send a body and read the whole answer.

        Statuses 429, 500, 502, 503 and 504 are tried again; what comes in the last attempt is
        returned, whatever its status.

        Args:
            url: Where to.
            json: Body to send as JSON; or else ``data``, a form.
            data: Fields of a form.
            headers: Further headers.
            service: Name of the service, for its pace and for messages.
            key: Names the request, so that a service that sees it twice charges once.
            final: Whether an answer is not to be asked for again, whatever its status.
            again_if_incomplete: Whether an answer that was late or cut short is asked for again.
            lost: Called each time before it is: the service may have charged for it.

        Raises:
            IncompleteAnswerError: No attempt was answered to its end in time.
            ServiceError: The service cannot be reached, or asks to wait too long.
        """
        everything = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        body = {"json": json} if data is None else {"data": dict(data)}
        request = self._client.build_request("POST", url, headers=everything, **body)
        return self._send(request, service, final, again=again_if_incomplete, lost=lost)

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        service: str,
    ) -> Answer:
        """Read an address, as patiently as ``post``; parameters must hold no secrets."""
        request = self._client.build_request("GET", url, params=params, headers=headers)
        return self._send(request, service, _never, again=True)

    def slow_down(self, service: str) -> float:
        """Double the time between requests to a service that was asked too often; the new one."""
        with self._lock:
            interval = min(max(2 * self._intervals.get(service, 0.0), 1.0), LONGEST_INTERVAL)
            self._intervals[service] = interval
        return interval

    def wait(self, seconds: float) -> None:
        """Let time pass, where a service asks for it in its own way."""
        self._clock.sleep(seconds)

    def _send(
        self,
        request: httpx2.Request,
        service: str,
        final: Callable[[Answer], bool],
        *,
        again: bool,
        lost: Callable[[], None] = lambda: None,
    ) -> Answer:
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            self._keep_pace(service)
            try:
                answer = self._once(request, service)
            except ServiceError as error:
                incomplete = isinstance(error, IncompleteAnswerError)
                if last or (incomplete and not again):
                    raise
                if incomplete:
                    lost()
                pause = self._backoff(attempt)
            else:
                if last or answer.status not in TRANSIENT or final(answer):
                    return answer
                pause = self._pause(answer, attempt)
            self._clock.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, request: httpx2.Request, service: str) -> Answer:
        """One attempt: an answer of any status, whole and in time."""
        deadline = self._clock.now() + self._timeout
        with self._translated(service):
            response = self._client.send(request, stream=True)
            try:
                content = b"".join(self._until(deadline, response.iter_bytes(), service))
            finally:
                response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        text = self._secrets.hide(content.decode("utf-8", errors="replace"))
        return Answer(service, response.status_code, text, headers)

    def _until(self, deadline: float, parts: Iterator[bytes], service: str) -> Iterator[bytes]:
        for part in parts:
            if self._clock.now() > deadline:
                raise IncompleteAnswerError(
                    f"the answer of {service!r} took longer than {self._timeout:g} s",
                    hint="raise timeout_seconds, or ask for less",
                )
            yield part

    @contextmanager
    def _translated(self, service: str) -> Iterator[None]:
        """Errors of the library as ours, with nothing secret in them or behind them."""
        library = self._library
        try:
            yield
        except (library.ReadTimeout, library.WriteTimeout, library.PoolTimeout):
            raise IncompleteAnswerError(
                f"{service!r} did not answer within {self._timeout:g} s",
                hint="raise timeout_seconds, or ask for less",
            ) from None
        except (library.RemoteProtocolError, library.ReadError, library.DecodingError) as error:
            reason = self._secrets.hide(str(error))
            raise IncompleteAnswerError(
                f"the answer of {service!r} broke off: {reason}", hint="try again later"
            ) from None
        except (library.HTTPError, library.InvalidURL) as error:
            reason = self._secrets.hide(str(error))
            raise ServiceError(
                f"{service!r} cannot be reached: {reason}", hint="check its address and the network"
            ) from None

    def _keep_pace(self, service: str) -> None:
        """Wait until the service may be asked again; threads take turns."""
        with self._lock:
            now = self._clock.now()
            start = max(now, self._next_start.get(service, now))
            self._next_start[service] = start + self._intervals.get(service, 0.0)
        if start > now:
            self._clock.sleep(start - now)

    def _pause(self, answer: Answer, attempt: int) -> float:
        """Seconds until the next attempt: what the service asks for, else ours."""
        advised = answer.retry_after
        if advised is None:
            busy = answer.status == 429
            return WAIT_WITHOUT_ADVICE if busy else self._backoff(attempt)
        if advised > self._longest_wait:
            raise ServiceError(
                f"{answer.service!r} asks to wait {advised:.0f} s before the next request",
                hint="start again then; what was answered so far is kept",
            )
        return advised

    def _backoff(self, attempt: int) -> float:
        with self._lock:
            jitter = self._chance.uniform(0.5, 1.0)
        return float(min(2.0**attempt, LONGEST_BACKOFF) * jitter)


def _import_httpx2() -> Any:  # noqa: ANN401
    try:
        import httpx2
    except ImportError:
        raise MissingExtraError(
            "building a benchmark needs httpx2, which is not installed",
            hint="pip install 'memla[construct]'",
        ) from None
    return httpx2
