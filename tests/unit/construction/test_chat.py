"""A chat server that answers in every way it can."""

from __future__ import annotations

import json

import pytest

from memla.construction.chat import ChatModel
from memla.construction.ledger import Ledger
from memla.construction.usage import Limits
from memla.errors import LimitError, ServiceError, SettingError
from tests.doubles import chat
from tests.doubles.chat import said
from tests.doubles.loopback import Answered, served

pytestmark = pytest.mark.enable_socket

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "list": {"type": "array"}},
    "required": ["text", "list"],
    "additionalProperties": False,
}
GOOD = {"text": "{}的首都是", "list": ["Столица {} —", "เมืองหลวงของ{}คือ"]}
ASKED = [{"role": "user", "content": "请写一句话"}]


@pytest.fixture
def server():
    return chat.ChatServer(lambda messages: json.dumps(GOOD))


@pytest.fixture
def model(server, client, ledger):
    with served(server) as url:
        yield ChatModel(client, ledger, base_url=f"{url}/v1", model="toy", key=chat.KEY)


def test_an_object_is_asked_for_by_its_schema(model, server):
    assert model.ask(ASKED, "sample", SCHEMA).value == GOOD
    (body,) = server.bodies
    wanted = body["response_format"]["json_schema"]
    assert (wanted["strict"], wanted["schema"]) == (True, SCHEMA)
    assert (body["model"], body["temperature"], body["seed"]) == ("toy", 0.0, 0)


@pytest.mark.parametrize("known", [{"json_object", "text"}, {"text"}])
def test_a_server_that_knows_no_schema_is_asked_in_a_weaker_form(model, server, known):
    server.formats = known
    assert model.ask(ASKED, "sample", SCHEMA).value == GOOD
    assert model.ask(ASKED, "sample", SCHEMA, variant=1).value == GOOD
    forms = [body.get("response_format", {"type": "text"})["type"] for body in server.bodies]
    assert forms[-2:] == [("json_object" if "json_object" in known else "text")] * 2
    assert len(forms) == 5 - len(known)


def test_a_server_that_takes_no_form_is_an_error(model, server):
    server.formats = set()
    with pytest.raises(ServiceError, match="not supported"):
        model.ask(ASKED, "sample", SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        "Here it is:\n```json\n" + json.dumps(GOOD, indent=2, ensure_ascii=False) + "\n```",
        '<think>{"text": "no", "list": []}</think>' + json.dumps(GOOD),
        'An example {like this} or {"a": 1}: ' + json.dumps(GOOD) + " 完",
    ],
)
def test_an_object_is_found_between_other_words(model, server, content):
    server.before = [lambda body: said(content)]
    assert model.ask(ASKED, "sample", SCHEMA).value == GOOD


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        (said('{"text": "เมือง', "length"), "length"),
        (said(None, refusal="I cannot"), "refusal"),
        (said("", "content_filter"), "refusal"),
        (said("我不知道"), "json"),
        (said(None), "json"),
        (said('{"text": "只有一个"}'), "shape"),
        (said('{"text": "", "list": []}'), "shape"),
        (said('{"text": "да", "list": "нет"}'), "shape"),
        (said('{"text": "да", "list": [1]}'), "shape"),
        (said('{"a":' * 100_000), "json"),
        (Answered('{"choices": [{"message": "да", "finish_reason": 7}]}'), "json"),
        (Answered('{"choices": [{"message": {"content": 5}}], "usage": "много"}'), "json"),
        (Answered('{"choices": [{"message": {}}], "usage": {"prompt_tokens": -1}}'), "json"),
    ],
)
def test_an_answer_without_a_usable_object_says_why(model, server, answer, check):
    server.before = [lambda body: answer]
    reply = model.ask(ASKED, "sample", SCHEMA)
    assert reply.value is None
    assert reply.check == check
    assert reply.problem
    assert len(server.bodies) == 1


def test_a_text_that_comes_in_parts_is_put_together(model, server):
    text = json.dumps(GOOD, ensure_ascii=False)
    parts = [{"type": "text", "text": text[:9]}, {"type": "text", "text": text[9:]}, "?", 5]
    answer = {"choices": [{"message": {"role": "assistant", "content": parts}}]}
    server.before = [lambda body: Answered(json.dumps(answer))]
    assert model.ask(ASKED, "sample", SCHEMA).value == GOOD


def test_a_server_that_counts_no_tokens_is_taken_to_have_used_some(model, server, ledger):
    """Otherwise limits would not hold for it."""
    text = json.dumps(GOOD, ensure_ascii=False)
    answer = {"choices": [{"message": {"content": text}}], "usage": None}
    server.before = [lambda body: Answered(json.dumps(answer))]
    model.ask(ASKED, "sample", SCHEMA)
    assert ledger.total.input_tokens >= len(ASKED[0]["content"]) // 3
    assert len(text) // 3 <= ledger.total.output_tokens <= len(text)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answered("slow down", 429, {"Retry-After": "11"}), 11.0),
        (Answered("oops", 500), None),
        (Answered("oops", 503), None),
        (Answered("<html>gateway</html>"), 2.0),
        (Answered('{"choices": []}'), 2.0),
        (Answered('{"choices": [{"mess'), 2.0),
        (Answered("[" * 100_000), 2.0),
    ],
)
def test_a_server_in_trouble_is_asked_again(model, server, clock, answer, wait):
    server.before = [lambda body: answer]
    assert model.ask(ASKED, "sample", SCHEMA).value == GOOD
    assert clock.slept
    assert wait is None or wait in clock.slept


@pytest.mark.parametrize(
    ("answer", "kind", "said_so"),
    [
        (Answered('{"error": {"code": "insufficient_quota"}}', 429), ServiceError, "no credit"),
        (Answered("payment required", 402), ServiceError, "no credit"),
        (Answered("no", 401), SettingError, "does not accept the key"),
        (Answered("no such model", 404), SettingError, "nothing is there"),
        (Answered("teapot", 418), ServiceError, "teapot"),
    ],
)
def test_an_answer_that_cannot_get_better_stops_at_once(model, server, answer, kind, said_so):
    server.before = [lambda body: answer]
    with pytest.raises(kind, match=said_so) as caught:
        model.ask(ASKED, "sample", SCHEMA)
    assert caught.value.hint
    assert chat.KEY not in str(caught.value)
    assert len(server.bodies) == 1


def test_an_answer_is_asked_and_paid_for_once_and_counted(model, server, ledger):
    assert model.ask(ASKED, "sample", SCHEMA) == model.ask(ASKED, "sample", SCHEMA)
    assert len(server.bodies) == 1
    used = ledger.used["chat"]
    assert (used.requests, used.input_tokens, used.output_tokens) == (1, 100, 20)
    assert model.ask(ASKED, "sample", SCHEMA, variant=1).value == GOOD
    assert [body["seed"] for body in server.bodies] == [0, 1]
    assert len({*server.keys}) == 2


def test_an_answer_that_breaks_off_may_have_been_paid_for(model, server, ledger):
    server.before = [lambda body: Answered('{"choices": [', 200, {"Content-Length": "999"})]
    assert model.ask(ASKED, "sample", SCHEMA).value == GOOD
    (doubt,) = ledger.in_doubt.values()
    assert doubt.requests == ledger.total.requests == 1


def test_a_limit_of_tokens_holds_before_a_request_is_sent(server, client, tmp_path):
    ledger = Ledger(tmp_path / "small", limits=Limits(tokens=500))
    with served(server) as url:
        model = ChatModel(client, ledger, base_url=f"{url}/v1", model="toy", key=chat.KEY)
        with pytest.raises(LimitError, match="tokens"):
            model.ask(ASKED, "sample", SCHEMA)
    assert server.bodies == []


def test_no_key_is_written(model, tmp_path):
    model.ask(ASKED, "sample", SCHEMA)
    written = "".join(path.read_text("utf-8") for path in (tmp_path / "ledger").rglob("*.json"))
    assert "请写一句话" in written
    assert chat.KEY not in written
