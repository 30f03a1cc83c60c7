"""All services of a build behind one address: Wikidata, a chat model, Baidu."""

from __future__ import annotations

import json
import threading
from collections import Counter
from functools import lru_cache

from memla.languages import LANGUAGES, MKEB_LANGUAGES, language_name
from tests.doubles import baidu, chat
from tests.doubles.loopback import Answered, Asked
from tests.doubles.sparql import Wikidata, world
from tests.doubles.toy_translation import toy_translation

ENVIRONMENT = {
    "OPENAI_API_KEY": chat.KEY,
    "BAIDU_APP_ID": baidu.APPID,
    "BAIDU_KEY": baidu.KEY,
}
_known: dict[tuple[str, str], Answered] = {}
"""What Wikidata answered, for all tests of a process: the toy graph is slow and never changes."""


@lru_cache
def names_in(language: str) -> dict[str, str]:
    """What things of the toy world are called in a language, by their English names."""
    found = {}
    for thing in world().things.values():
        codes = ("zh-hans", "zh") if language == "zh" else (language, "mul")
        own = next((thing.labels[code] for code in codes if code in thing.labels), None)
        if own is not None and "en" in thing.labels:
            found[thing.labels["en"]] = own
    return found


def translate(text: str, language: str) -> str:
    """A toy translation in which names of the toy world have their own forms."""
    words = {word.strip(".,:?") for word in text.split()}
    names = {word: own for word, own in names_in(language).items() if word in words}
    return toy_translation(text, language, names)


def write(messages: list[dict[str, str]]) -> str:
    """What the model answers, to a writer's task or to a translator's."""
    texts = json.loads(messages[1]["content"]).get("texts")
    if texts is None:
        return chat.sample(messages)
    name = messages[0]["content"].split(" to ", 1)[1].split(".", 1)[0]
    language = next(code for code in LANGUAGES if language_name(code) == name)
    return json.dumps({"translations": [translate(text, language) for text in texts]})


class Services:
    """Answers for all of them, and counts what it answered."""

    def __init__(self) -> None:
        self.wikidata = Wikidata()
        self.chat = chat.ChatServer(write)
        self.baidu = baidu.BaiduServer(translate)
        self.answered: Counter[str] = Counter()
        """How often each request was answered, by the key that names it."""
        self.charged: set[str] = set()
        """Requests that cost something, by the key that names them: each is charged for once."""
        self.stop_after: int | None = None
        """After so many answers, all requests are refused."""
        self.asked_to_pay = threading.Event()
        """A request that costs something has come."""
        self.may_answer = threading.Event()
        """Requests that cost something wait for it."""
        self.may_answer.set()
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answered:
        if asked.path.startswith(("/v1/", "/baidu")):
            self.asked_to_pay.set()
            self.may_answer.wait(60)
        if self.stop_after is not None and sum(self.answered.values()) >= self.stop_after:
            return Answered("closed", 403)
        with self._lock:
            answer = self._answer(asked)
            if answer.status == 200:
                key = asked.headers.get("idempotency-key", "")
                self.answered[key] += 1
                if asked.path.startswith(("/v1/", "/baidu")):
                    self.charged.add(key)
        return answer

    def _answer(self, asked: Asked) -> Answered:
        if asked.path.startswith("/v1/"):
            return self.chat(asked)
        if asked.path.startswith("/baidu"):
            return self.baidu(asked)
        known = asked.path, asked.body
        if known not in _known:
            _known[known] = self.wikidata(asked)
        return _known[known]


def settings(
    url: str,
    *,
    size: int,
    relations: tuple[str, ...],
    drafter: str = "templates",
    languages: tuple[str, ...] = MKEB_LANGUAGES,
) -> str:
    """Settings of a build with the services at an address."""
    return f"""\
[dataset]
name = "toy-mkeb"
languages = {json.dumps(languages)}
size = {size}
spare = 0.1
seed = 3

[wikidata]
contact = "me@example.org"
endpoint = "{url}/sparql"
api = "{url}/w/api.php"
relations = {json.dumps(relations)}
limit_per_relation = 120
interval_seconds = 0

[drafts]
drafter = "{drafter}"
base_url = "{url}/v1"
model = "toy-writer"
price_per_million_input_tokens = 1.0
price_per_million_output_tokens = 2.0

[translation]
backend = "baidu"
base_url = "{url}/baidu"
interval_seconds = 0
price_per_million_characters = 10.0

[limits]
cost = 100.0

[release]
title = "Toy facts, 玩具, ของเล่น"
snapshot = "2026-11-21"
"""
