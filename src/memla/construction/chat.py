"""Models behind a server that speaks OpenAI's chat protocol, asked for JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from memla.construction.answers import Answer
from memla.construction.http import Client
from memla.construction.ledger import Ledger, request_key
from memla.construction.translators.base import ask_until_usable, check_status, no_credit
from memla.construction.usage import Usage
from memla.errors import ServiceError

Message = Mapping[str, str]
Schema = Mapping[str, Any]

FORMATS = ("json_schema", "json_object", "text")
"""Ways to ask for JSON, the strictest first; servers that do not know one reject it."""
_FORMAT_REJECTED = frozenset({400, 415, 422, 501})
_THOUGHTS = regex.compile(r"<think>.*?</think>", regex.DOTALL)


class _FormatRejectedError(Exception):
    """The server does not take requests in this form."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer))
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered: an object, or why there is none."""

    value: Mapping[str, Any] | None = None
    check: str = ""
    """``refusal``, ``length``, ``json`` or ``shape``, if there is no object."""
    problem: str = ""
    text: str = ""
    """What it wrote."""


class ChatModel:
    """A model that answers with JSON objects.

    Args:
        client: Sends requests.
        ledger: Keeps answers.
        base_url: The server's address up to ``/chat/completions``.
        model: Its name, as the server knows it.
        key: The server's key; empty if it asks for none.
        service: Name under which its requests are counted.
        temperature: Of the choice of words.
        seed: For servers that heed it.
        max_tokens: Most tokens of an answer.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        *,
        base_url: str,
        model: str,
        key: str = "",
        service: str = "chat",
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 1024,
    ) -> None:
        self.model = model
        self.temperature = temperature
        self.seed = seed
        self._client = client
        self._ledger = ledger
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._key = key
        self._service = service
        self._max_tokens = max_tokens
        self._formats = list(FORMATS)

    def ask(
        self, messages: Sequence[Message], name: str, schema: Schema, *, variant: int = 0
    ) -> Reply:
        """The model's answer to a conversation.

        Args:
            messages: The conversation so far.
            name: What the answer is called in the schema.
            schema: JSON schema of the answer: an object, all of whose keys are required.
            variant: Added to the seed, to have another answer to the same question.

        Raises:
            ServiceError: The server gives no usable answer.
            SettingError: The key is not accepted, or the address or model wrong.
            LimitError: The request would exceed a limit.
        """
        while True:
            body = {
                "model": self.model,
                "messages": [dict(message) for message in messages],
                "temperature": self.temperature,
                "seed": self.seed + variant,
                "max_tokens": self._max_tokens,
                **_response_format(self._formats[0], name, schema),
            }
            try:
                text = self._send(body)
            except _FormatRejectedError as error:
                if len(self._formats) == 1:
                    check_status(error.answer)
                self._formats.pop(0)
            else:
                return read_reply(json.loads(text), schema)

    def _send(self, body: dict[str, Any]) -> str:
        request = {"method": "POST", "url": self._url, "body": body}
        key = request_key(self._service, request)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}

        def send() -> str:
            return ask_until_usable(
                self._client,
                lambda: self._client.post(
                    self._url,
                    json=body,
                    headers=headers,
                    service=self._service,
                    key=key,
                    final=_out_of_quota,
                    lost=lambda: self._ledger.sent_again(self._service, request),
                ),
                _pause,
            )

        # A character is about a third of a token at least; the exact number comes with the answer.
        sent = len(json.dumps(body["messages"], ensure_ascii=False)) // 3
        return self._ledger.ask(
            self._service,
            request,
            send,
            most_tokens=sent + self._max_tokens,
            usage=lambda text: _usage(json.loads(text), sent),
        )


def read_reply(envelope: Mapping[str, Any], schema: Schema) -> Reply:
    """The object in a server's answer, wherever the model put it."""
    choice = envelope["choices"][0]
    message = _message(choice)
    content = _content(message)
    reason = choice.get("finish_reason")
    if message.get("refusal") or reason == "content_filter":
        why = message.get("refusal") or "its filter found something"
        return Reply(check="refusal", problem=f"the model refused: {why}", text=content)
    if reason == "length":
        return Reply(check="length", problem="the answer was cut off; be brief", text=content)
    value = next(
        (found for found in _objects(content) if set(schema["required"]) <= set(found)), None
    )
    if value is None:
        if not any(True for _ in _objects(content)):
            return Reply(check="json", problem="the answer holds no JSON object", text=content)
        keys = ", ".join(schema["required"])
        return Reply(check="shape", problem=f"the object lacks one of: {keys}", text=content)
    problem = _misfit(value, schema)
    if problem is not None:
        return Reply(check="shape", problem=problem, text=content)
    return Reply(value, text=content)


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    message = choice.get("message")
    return message if isinstance(message, dict) else {}


def _content(message: Mapping[str, Any]) -> str:
    """What a model wrote; some servers send it in parts."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _objects(content: str) -> Iterator[dict[str, Any]]:
    """JSON objects in a text, outermost first, also between other words."""
    text = _THOUGHTS.sub("", content)
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except RecursionError:
            return
        except ValueError:
            end = start + 1
        else:
            if isinstance(value, dict):
                yield value
        start = text.find("{", end)


def _misfit(value: Mapping[str, Any], schema: Schema) -> str | None:
    """Which key has not what the schema says: a text, or a list of texts."""
    for key, kind in schema["properties"].items():
        found = value.get(key)
        if kind["type"] == "string" and not (isinstance(found, str) and found.strip()):
            return f"{key!r} must be a text"
        if kind["type"] == "array" and not (
            isinstance(found, list) and all(isinstance(one, str) and one.strip() for one in found)
        ):
            return f"{key!r} must be a list of texts"
    return None


def _response_format(form: str, name: str, schema: Schema) -> dict[str, Any]:
    if form == "text":
        return {}
    if form == "json_object":
        return {"response_format": {"type": "json_object"}}
    described = {"name": name, "strict": True, "schema": dict(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def _out_of_quota(answer: Answer) -> bool:
    return answer.status == 429 and "insufficient_quota" in answer.text


def _pause(answer: Answer, attempt: int) -> float | None:
    """Seconds until the next attempt; None if the answer can be used."""
    if _out_of_quota(answer):
        raise no_credit(answer)
    if answer.status in _FORMAT_REJECTED:
        raise _FormatRejectedError(answer)
    check_status(answer)
    try:
        value = answer.json()
        usable = isinstance(value["choices"][0], dict)
    except (ServiceError, LookupError, TypeError):
        usable = False
    return None if usable else 2.0**attempt


def _usage(envelope: Mapping[str, Any], sent: int) -> Usage:
    """The tokens that a server counted; if it does not tell, about as many as there must be."""
    told = envelope.get("usage")
    used = told if isinstance(told, dict) else {}
    written = 1 + len(_content(_message(envelope["choices"][0]))) // 3
    return Usage(
        input_tokens=_count(used.get("prompt_tokens"), sent),
        output_tokens=_count(used.get("completion_tokens"), written),
    )


def _count(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value >= 0 else otherwise
