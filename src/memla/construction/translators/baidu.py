"""Baidu's general text translation: signed requests, one text a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from memla.construction.answers import Answer
from memla.construction.http import Client
from memla.construction.ledger import Ledger, request_key
from memla.construction.translators.base import (
    Markup,
    Translation,
    ask_until_usable,
    check_status,
    in_batches,
    no_credit,
    refused_key,
    service_code,
)
from memla.errors import ServiceError, SettingError

URL = "https://fanyi-api.baidu.com/api/trans/vip/translate"
SERVICE = "baidu"
CODES = {
    "en": "en",
    "zh": "zh",
    "zh-hant": "cht",
    "fr": "fra",
    "de": "de",
    "ja": "jp",
    "ko": "kor",
    "pt": "pt",
    "ru": "ru",
    "it": "it",
    "es": "spa",
    "pl": "pl",
    "th": "th",
}
REFUSED = "20003"
LONG_QUERIES_PAUSE = 3.0
"""Seconds."""
_RETRY = {"52001", "52002"}
_KEY = {"52003", "54001", "90107"}


def signature(appid: str, text: str, salt: str, key: str) -> str:
    """What proves that a request comes from the owner of the key: MD5 over the text as it is."""
    signed = f"{appid}{text}{salt}{key}".encode()
    return hashlib.md5(signed, usedforsecurity=False).hexdigest()


class BaiduTranslator:
    """Baidu's general text translation.

    Args:
        client: Sends requests; it waits between those of the service ``baidu``.
        ledger: Keeps answers.
        appid: Of the account.
        key: Of the account.
        url: Address of the service.
        characters_per_request: What the account's tier allows: 1,000 in the standard one.
    """

    name = "Baidu general text translation"
    markup: Markup | None = None
    keeps_slots = False

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        appid: str,
        key: str,
        *,
        url: str = URL,
        characters_per_request: int = 1000,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._appid = appid
        self._key = key
        self._url = url
        self._most = characters_per_request

    def translate(
        self, texts: Sequence[str], source: str, target: str, *, marked: bool = False
    ) -> list[Translation]:
        """Translations of the texts, in their order; see `Translator.translate`."""
        assert not marked, "Baidu has no markup"
        codes = service_code(source, CODES, SERVICE), service_code(target, CODES, SERVICE)
        lines = [" ".join(text.split()) for text in texts]
        found: list[Translation] = []
        for batch in in_batches(lines, len(lines) or 1, self._most):
            found += self._batch(batch, *codes)
        return found

    def _batch(self, batch: Sequence[str], source: str, target: str) -> list[Translation]:
        value = self._ask("\n".join(batch), source, target)
        results = value.get("trans_result", [])
        if len(results) == len(batch):
            return [Translation(result["dst"]) for result in results]
        if len(batch) > 1:
            # One refused text, or one that was split, spoils a batch.
            return [one for text in batch for one in self._batch([text], source, target)]
        if str(value.get("error_code")) == REFUSED:
            return [Translation(problem="was refused by the translation service")]
        return [Translation(problem=f"came back as {len(results)} texts, not one")]

    def _ask(self, text: str, source: str, target: str) -> dict[str, Any]:
        request = {"method": "POST", "url": self._url, "q": text, "from": source, "to": target}
        key = request_key(SERVICE, request)
        salt = key[:10]
        form = {
            "q": text,
            "from": source,
            "to": target,
            "appid": self._appid,
            "salt": salt,
            "sign": signature(self._appid, text, salt, self._key),
        }

        def send() -> str:
            return ask_until_usable(
                self._client,
                lambda: self._client.post(
                    self._url,
                    data=form,
                    service=SERVICE,
                    key=key,
                    lost=lambda: self._ledger.sent_again(SERVICE, request),
                ),
                lambda answer, attempt: self._pause(answer, attempt, f"{source} to {target}"),
            )

        value = json.loads(self._ledger.ask(SERVICE, request, send, characters=len(text)))
        assert isinstance(value, dict)
        return value

    def _pause(self, answer: Answer, attempt: int, pair: str) -> float | None:
        """Seconds until the next attempt; None if the answer can be used."""
        check_status(answer)
        try:
            value = answer.json()
        except ServiceError:
            return 2.0**attempt
        if not isinstance(value, dict):
            return 2.0**attempt
        code = str(value.get("error_code", "52000"))
        if code in _RETRY:
            return 2.0**attempt
        if code == "54003":
            return self._client.slow_down(SERVICE)
        if code == "54005":
            return LONG_QUERIES_PAUSE
        if code == REFUSED:
            return None
        if code == "52000":
            return None if _are_texts(value.get("trans_result")) else 2.0**attempt
        raise _final(answer, code, str(value.get("error_msg", "")), pair)


def _are_texts(results: object) -> bool:
    return isinstance(results, list) and all(
        isinstance(one, dict) and isinstance(one.get("dst"), str) for one in results
    )


def _final(answer: Answer, code: str, message: str, pair: str) -> Exception:
    """The error for a code after which no request can succeed."""
    if code == "54004":
        return no_credit(answer)
    if code == "58001":
        return SettingError(
            f"Baidu does not translate from {pair} (58001)",
            hint="leave the language out, or take another [translation] backend",
        )
    if code in _KEY:
        return refused_key(answer)
    if code in ("58000", "58003"):
        return ServiceError(
            f"Baidu does not serve this machine's address ({code} {message})",
            hint="allow the address in the console of the account",
        )
    return ServiceError(
        f"Baidu answers {code} {message}", hint="look the code up in its documentation"
    )
