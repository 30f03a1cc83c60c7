"""LibreTranslate: a server that anybody can run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property

from memla.construction.answers import Answer
from memla.construction.http import Client
from memla.construction.ledger import Ledger, request_key
from memla.construction.translators.base import (
    Markup,
    Translation,
    ask_until_usable,
    check_status,
    in_batches,
)
from memla.errors import ServiceError, SettingError
from memla.languages import parse_language

URL = "http://127.0.0.1:5000"
SERVICE = "libretranslate"
OTHER_CODES = {"zh": ("zh-Hans", "zh", "zh-CN"), "zh-hant": ("zh-Hant", "zt", "zh-TW")}
"""Codes by which servers of different versions know a language, newest first."""
TEXTS_PER_REQUEST = 50
CHARACTERS_PER_REQUEST = 2000


class LibreTranslator:
    """A LibreTranslate server.

    Args:
        client: Sends requests.
        ledger: Keeps answers.
        url: The server's address.
        key: The server's key; empty if it asks for none.
    """

    name = "LibreTranslate"
    markup: Markup | None = "html"
    keeps_slots = False

    def __init__(self, client: Client, ledger: Ledger, *, url: str = URL, key: str = "") -> None:
        self._client = client
        self._ledger = ledger
        self._url = url
        self._key = key

    def translate(
        self, texts: Sequence[str], source: str, target: str, *, marked: bool = False
    ) -> list[Translation]:
        """Translations of the texts, in their order; see `Translator.translate`."""
        body = {
            "source": self._code(source),
            "target": self._code(target),
            "format": "html" if marked else "text",
        }
        found: list[Translation] = []
        for batch in in_batches(texts, TEXTS_PER_REQUEST, CHARACTERS_PER_REQUEST):
            found += self._batch({"q": list(batch), **body}, batch)
        return found

    def _code(self, language: str) -> str:
        code = parse_language(language)
        for known in OTHER_CODES.get(code, (code,)):
            if known in self._known:
                return known
        raise SettingError(
            f"the LibreTranslate server at {self._url!r} does not know the language {language!r}",
            hint=f"it has {' '.join(sorted(self._known))}; load its model, or leave it out",
        )

    @cached_property
    def _known(self) -> frozenset[str]:
        url = f"{self._url}/languages"

        def send() -> str:
            return ask_until_usable(
                self._client,
                lambda: self._client.get(url, service=SERVICE),
                lambda answer, attempt: None if _codes(answer) else 2.0**attempt,
            )

        text = self._ledger.ask(SERVICE, {"method": "GET", "url": url}, send)
        return frozenset(str(entry["code"]) for entry in json.loads(text))

    def _batch(self, body: dict[str, object], batch: Sequence[str]) -> list[Translation]:
        url = f"{self._url}/translate"
        request = {"method": "POST", "url": url, "body": body}
        key = request_key(SERVICE, request)
        secret = {"api_key": self._key} if self._key else {}

        def send() -> str:
            return ask_until_usable(
                self._client,
                lambda: self._client.post(
                    url,
                    json=body | secret,
                    service=SERVICE,
                    key=key,
                    lost=lambda: self._ledger.sent_again(SERVICE, request),
                ),
                lambda answer, attempt: _pause(answer, attempt, len(batch)),
            )

        characters = sum(len(text) for text in batch)
        text = self._ledger.ask(SERVICE, request, send, characters=characters)
        return [Translation(str(one)) for one in json.loads(text)["translatedText"]]


def _codes(answer: Answer) -> list[str]:
    check_status(answer)
    try:
        return [str(entry["code"]) for entry in answer.json()]
    except (ServiceError, LookupError, TypeError):
        return []


def _pause(answer: Answer, attempt: int, texts: int) -> float | None:
    """Seconds until the next attempt; None if the answer can be used."""
    check_status(answer)
    try:
        found = answer.json()["translatedText"]
    except (ServiceError, LookupError, TypeError):
        return 2.0**attempt
    return None if isinstance(found, list) and len(found) == texts else 2.0**attempt
