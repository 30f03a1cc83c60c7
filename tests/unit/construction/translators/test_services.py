"""DeepL, LibreTranslate, a chat model and a local model behind the same protocol."""

from __future__ import annotations

import json

import pytest

from memla.construction.chat import ChatModel
from memla.construction.translators.base import Translator, in_batches
from memla.construction.translators.chat import ChatTranslator
from memla.construction.translators.deepl import DeeplTranslator
from memla.construction.translators.libretranslate import LibreTranslator
from memla.errors import ServiceError, SettingError
from tests.doubles import chat
from tests.doubles.chat import said
from tests.doubles.loopback import Answered, served
from tests.doubles.toy_translation import toy_translation

pytestmark = pytest.mark.enable_socket


class Server:
    """Answers with ``true``; hostile answers can be put before."""

    def __init__(self, true):
        self.true = true
        self.before = []
        self.asked = []

    def __call__(self, asked):
        self.asked.append(asked)
        return self.before.pop(0) if self.before else self.true(asked)


def deepl(asked):
    if asked.headers["authorization"] != "DeepL-Auth-Key geheim-key":
        return Answered("", 403)
    body = json.loads(asked.body)
    language = body["target_lang"].lower()[:2]
    return Answered(
        json.dumps(
            {"translations": [{"text": toy_translation(text, language)} for text in body["text"]]}
        )
    )


def libre(asked):
    if asked.path == "/languages":
        return Answered(json.dumps([{"code": code} for code in ("en", "zh-Hans", "th", "ru")]))
    body = json.loads(asked.body)
    texts = [toy_translation(text, body["target"][:2]) for text in body["q"]]
    return Answered(json.dumps({"translatedText": texts}))


@pytest.fixture
def deepl_server():
    return Server(deepl)


@pytest.fixture
def deepl_translator(deepl_server, client, ledger):
    with served(deepl_server) as url:
        yield DeeplTranslator(client, ledger, "geheim-key", url=url)


@pytest.fixture
def libre_server():
    return Server(libre)


@pytest.fixture
def libre_translator(libre_server, client, ledger):
    with served(libre_server) as url:
        yield LibreTranslator(client, ledger, url=url, key="geheim-key")


def translated(body):
    task = json.loads(body[-1]["content"])
    return json.dumps({"translations": [toy_translation(text, "zh") for text in task["texts"]]})


@pytest.fixture
def chat_server():
    return chat.ChatServer(translated)


@pytest.fixture
def chat_translator(chat_server, client, ledger):
    with served(chat_server) as url:
        model = ChatModel(client, ledger, base_url=f"{url}/v1", model="toy", key=chat.KEY)
        yield ChatTranslator(model)


@pytest.mark.parametrize("kind", ["deepl", "libre", "chat"])
def test_every_service_keeps_the_order_and_asks_only_once(kind, request, ledger):
    translator = request.getfixturevalue(f"{kind}_translator")
    assert isinstance(translator, Translator)
    texts = [f"text {number}" for number in range(70)]
    found = translator.translate(texts, "en", "zh")
    assert [one.text for one in found] == [toy_translation(text, "zh") for text in texts]
    before = ledger.total.requests
    assert translator.translate(texts, "en", "zh") == found
    assert ledger.total.requests == before


def test_deepl_protects_what_is_between_its_tags(deepl_translator, deepl_server):
    deepl_translator.translate(["The capital of <x>{}</x>"], "en", "pt", marked=True)
    body = json.loads(deepl_server.asked[0].body)
    assert (body["tag_handling"], body["ignore_tags"]) == ("xml", ["x"])
    assert (body["source_lang"], body["target_lang"]) == ("EN", "PT-PT")


@pytest.mark.parametrize(
    ("answer", "kind", "said_so"),
    [
        (Answered("", 456), ServiceError, "no credit left"),
        (Answered("", 403), SettingError, "does not accept the key"),
        (Answered('{"message": "target_lang not supported"}', 400), SettingError, "that language"),
        (Answered("", 413), ServiceError, "413"),
    ],
)
def test_deepl_stops_where_no_request_can_succeed(
    deepl_translator, deepl_server, answer, kind, said_so
):
    deepl_server.before = [answer]
    with pytest.raises(kind, match=said_so) as caught:
        deepl_translator.translate(["ประเทศไทย"], "en", "th")
    assert "geheim-key" not in str(caught.value)
    assert len(deepl_server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answered("", 429, {"Retry-After": "2"}),
        Answered("", 503),
        Answered("[]"),
        Answered('{"translations": []}'),
        Answered('{"transl'),
    ],
)
def test_deepl_is_asked_again_after_a_passing_trouble(deepl_translator, deepl_server, answer):
    deepl_server.before = [answer]
    assert deepl_translator.translate(["Москва"], "ru", "ja")[0].text
    assert len(deepl_server.asked) == 2


def test_an_answer_of_deepl_that_breaks_off_may_have_been_paid_for(
    deepl_translator, deepl_server, ledger
):
    deepl_server.before = [Answered('{"translations": [', 200, {"Content-Length": "999"})]
    assert deepl_translator.translate(["Столица"], "en", "ja")
    assert ledger.in_doubt["deepl"].characters == ledger.used["deepl"].characters == 7


def test_libretranslate_is_asked_which_code_it_has_for_chinese(libre_translator, libre_server):
    libre_translator.translate(["a"], "en", "zh", marked=True)
    body = json.loads(libre_server.asked[1].body)
    assert (body["target"], body["format"], body["api_key"]) == ("zh-Hans", "html", "geheim-key")


def test_libretranslate_names_a_language_that_it_lacks(libre_translator):
    with pytest.raises(SettingError, match="'pl'"):
        libre_translator.translate(["a"], "en", "pl")


@pytest.mark.parametrize(
    "answer",
    [Answered('{"translatedText": "one"}'), Answered("{}"), Answered("<html>"), Answered("", 500)],
)
def test_libretranslate_is_asked_again_after_a_passing_trouble(
    libre_translator, libre_server, answer
):
    libre_translator.translate(["a"], "en", "th")
    libre_server.before = [answer]
    assert libre_translator.translate(["b"], "en", "th")[0].text


def test_a_key_in_a_body_is_not_written(libre_translator, tmp_path):
    libre_translator.translate(["你好"], "zh", "ru")
    written = "".join(path.read_text("utf-8") for path in (tmp_path / "ledger").rglob("*.json"))
    assert "你好" in written
    assert "geheim-key" not in written


def test_a_chat_model_is_told_the_languages_and_to_keep_slots(chat_translator, chat_server):
    assert chat_translator.keeps_slots
    chat_translator.translate(["The capital of {} is {answer}."], "en", "zh")
    told = chat_server.bodies[0]["messages"][0]["content"]
    assert "from English to Chinese" in told
    assert "Keep {} and {answer}" in told


@pytest.mark.parametrize(
    "answer",
    [
        said('{"translations": ["一"]}'),
        said("不行"),
        said(None, refusal="no"),
        said("{", "length"),
    ],
)
def test_a_batch_that_a_model_spoils_is_translated_text_by_text(
    chat_translator, chat_server, answer
):
    chat_server.before = [lambda body: answer]
    found = chat_translator.translate(["one", "two"], "en", "zh")
    assert [one.text for one in found] == [toy_translation(text, "zh") for text in ("one", "two")]
    assert len(chat_server.bodies) == 3


def test_a_text_that_a_model_refuses_three_times_is_given_up(chat_translator, chat_server):
    chat_server.before = [lambda body: said(None, refusal="нет")] * 9
    (found,) = chat_translator.translate(["one"], "en", "zh")
    assert "нет" in found.problem
    assert len(chat_server.bodies) == 3


def test_a_text_longer_than_a_batch_is_a_batch():
    texts = ["短", "长" * 50, "中" * 5, "中" * 5]
    assert [len(batch) for batch in in_batches(texts, 10, 12)] == [1, 1, 2]
    assert [len(batch) for batch in in_batches(texts, 1, 1000)] == [1, 1, 1, 1]
    assert [*in_batches([], 10, 12)] == []
