"""DeepL's translation service."""

from __future__ import annotations

import json
from collections.abc import Sequence

from memla.construction.answers import Answer
from memla.construction.http import Client
from memla.construction.ledger import Ledger, request_key
from memla.construction.translators.base import (
    Markup,
    Translation,
    ask_until_usable,
    check_status,
    in_batches,
    service_code,
)
from memla.errors import ServiceError, SettingError

URL = "https://api-free.deepl.com"
SERVICE = "deepl"
SOURCES = {
    code: code.upper()
    for code in ("en", "zh", "fr", "de", "ja", "ko", "pt", "ru", "it", "es", "pl", "th")
}
TARGETS = SOURCES | {"en": "EN-US", "zh": "ZH-HANS", "zh-hant": "ZH-HANT", "pt": "PT-PT"}
"""As a target, some languages are known by their variants only."""
TEXTS_PER_REQUEST = 50
CHARACTERS_PER_REQUEST = 30_000


class DeeplTranslator:
    """DeepL's translation service.

    Args:
        client: Sends requests.
        ledger: Keeps answers.
        key: Of the account.
        url: Of the free or the paid service.
    """

    name = "DeepL"
    markup: Markup | None = "xml"
    keeps_slots = False

    def __init__(self, client: Client, ledger: Ledger, key: str, *, url: str = URL) -> None:
        self._client = client
        self._ledger = ledger
        self._key = key
        self._url = f"{url}/v2/translate"

    def translate(
        self, texts: Sequence[str], source: str, target: str, *, marked: bool = False
    ) -> list[Translation]:
        """Translations of the texts, in their order; see `Translator.translate`."""
        body: dict[str, object] = {
            "source_lang": service_code(source, SOURCES, SERVICE),
            "target_lang": service_code(target, TARGETS, SERVICE),
        }
        if marked:
            body |= {"tag_handling": "xml", "ignore_tags": ["x"]}
        found: list[Translation] = []
        for batch in in_batches(texts, TEXTS_PER_REQUEST, CHARACTERS_PER_REQUEST):
            found += self._batch({"text": list(batch), **body}, batch)
        return found

    def _batch(self, body: dict[str, object], batch: Sequence[str]) -> list[Translation]:
        request = {"method": "POST", "url": self._url, "body": body}
        key = request_key(SERVICE, request)
        headers = {"Authorization": f"DeepL-Auth-Key {self._key}"}

        def send() -> str:
            return ask_until_usable(
                self._client,
                lambda: self._client.post(
                    self._url,
                    json=body,
                    headers=headers,
                    service=SERVICE,
                    key=key,
                    lost=lambda: self._ledger.sent_again(SERVICE, request),
                ),
                lambda answer, attempt: _pause(answer, attempt, len(batch)),
            )

        characters = sum(len(text) for text in batch)
        text = self._ledger.ask(SERVICE, request, send, characters=characters)
        return [Translation(str(one["text"])) for one in json.loads(text)["translations"]]


def _pause(answer: Answer, attempt: int, texts: int) -> float | None:
    """Seconds until the next attempt; None if the answer can be used."""
    if answer.status == 400 and "target_lang" in answer.text:
        raise SettingError(
            f"DeepL does not translate into that language: {answer}",
            hint="leave the language out, or take another [translation] backend",
        )
    check_status(answer)
    try:
        usable = len([one["text"] for one in answer.json()["translations"]]) == texts
    except (ServiceError, LookupError, TypeError):
        usable = False
    return None if usable else 2.0**attempt
