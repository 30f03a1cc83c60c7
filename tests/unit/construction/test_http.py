from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from memla.construction.answers import Answer
from memla.construction.http import WAIT_WITHOUT_ADVICE, Client, user_agent
from memla.construction.secrets import Secrets
from memla.errors import IncompleteAnswerError, ServiceError, SettingError
from tests.doubles.loopback import Answered, QuickClock
from tests.doubles.transports import transport

URL = "https://service.example/ask"
CONTACT = "me@example.org"


class Service:
    """Answers in turn, then always well; a request can be looked at afterwards."""

    def __init__(self, *answers: Answered) -> None:
        self.answers = list(answers)
        self.asked = []

    def __call__(self, asked):
        self.asked.append(asked)
        return self.answers.pop(0) if self.answers else Answered('{"สวัสดี": "你好"}')


def client_of(service, clock, **settings):
    return Client(CONTACT, clock=clock, transport=transport(service), **settings)


def test_every_request_says_who_asks_and_with_what(clock):
    service = Service()
    client_of(service, clock).post(URL, json={"q": "曼谷"}, service="s", key="abc")
    headers = service.asked[0].headers
    assert headers["user-agent"].startswith("memla/0.1.0 (me@example.org) httpx2/")
    assert headers["idempotency-key"] == "abc"
    assert service.asked[0].body == '{"q":"曼谷"}'


@pytest.mark.parametrize("contact", ["", "  ", "я@пример.рф", "a\nb@c", "(me@example.org)"])
def test_nobody_asks_without_a_contact_that_fits_in_a_header(contact):
    with pytest.raises(SettingError, match="contact"):
        user_agent(contact)


@pytest.mark.parametrize(
    ("answer", "pauses"),
    [
        (Answered("", 429, {"Retry-After": "17"}), [17.0]),
        (Answered("", 429), [WAIT_WITHOUT_ADVICE]),
        (Answered("", 429, {"Retry-After": "soon"}), [WAIT_WITHOUT_ADVICE]),
        (Answered("", 503, {"Retry-After": "5"}), [5.0]),
    ],
)
def test_a_service_that_asks_to_wait_is_left_alone_for_so_long(answer, pauses, clock):
    answered = client_of(Service(answer), clock).post(URL, json={}, service="s")
    assert answered.json() == {"สวัสดี": "你好"}
    assert clock.slept == pauses


def test_a_date_to_wait_for_is_understood():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < Answer("s", 429, "", {"retry-after": later}).retry_after <= 100
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert Answer("s", 429, "", {"retry-after": past}).retry_after == 0


def test_a_service_that_asks_to_wait_for_hours_ends_the_build_instead(clock):
    service = Service(Answered("", 429, {"Retry-After": "86400"}))
    with pytest.raises(ServiceError, match="86400 s") as caught:
        client_of(service, clock).post(URL, json={}, service="s")
    assert "kept" in caught.value.hint
    assert clock.slept == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_after_errors_of_the_server_pauses_grow(status, clock):
    service = Service(*[Answered("", status)] * 4)
    assert client_of(service, clock).post(URL, json={}, service="s").status == 200
    assert len(service.asked) == 5
    assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(clock.slept, start=1))


def test_pauses_are_the_same_with_the_same_seed():
    slept = []
    for seed in (1, 1, 2):
        clock = QuickClock()
        client_of(Service(*[Answered("", 502)] * 3), clock, seed=seed).post(
            URL, json={}, service="s"
        )
        slept.append(clock.slept)
    assert slept[0] == slept[1] != slept[2]


def test_the_last_attempts_answer_is_handed_on_whatever_it_is(clock):
    service = Service(*[Answered("занято", 503)] * 9)
    answer = client_of(service, clock, attempts=3).post(URL, json={}, service="s")
    assert (answer.status, answer.text, len(service.asked)) == (503, "занято", 3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
def test_what_asking_again_cannot_change_is_not_asked_again(status, clock):
    service = Service(Answered("", status, {"Location": "https://other.example"}))
    assert client_of(service, clock).post(URL, json={}, service="s").status == status
    assert len(service.asked) == 1


def test_an_answer_can_be_called_final(clock):
    service = Service(Answered("insufficient_quota", 429))
    answer = client_of(service, clock).post(
        URL, json={}, service="s", final=lambda found: "quota" in found.text
    )
    assert answer.status == 429
    assert clock.slept == []


def dripping(clock, seconds):
    def handle(request):
        def drops():
            for _ in range(100):
                clock.time += seconds
                yield "滴".encode()

        return httpx2.Response(200, content=drops())

    return httpx2.MockTransport(handle)


def test_an_answer_that_drips_is_not_waited_for(clock):
    with (
        Client(CONTACT, clock=clock, transport=dripping(clock, 5), timeout_seconds=60.0) as client,
        pytest.raises(IncompleteAnswerError, match="longer than 60 s"),
    ):
        client.post(URL, json={}, service="s", again_if_incomplete=False)
    assert clock.time == 65


def test_an_answer_that_flows_is_read_to_its_end(clock):
    with Client(CONTACT, clock=clock, transport=dripping(clock, 0.1)) as client:
        assert client.post(URL, json={}, service="s").text == "滴" * 100


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.ReadTimeout, IncompleteAnswerError),
        (httpx2.RemoteProtocolError, IncompleteAnswerError),
        (httpx2.ReadError, IncompleteAnswerError),
        (httpx2.ConnectError, ServiceError),
        (httpx2.ConnectTimeout, ServiceError),
    ],
)
def test_a_broken_connection_is_tried_again_and_then_named(error, kind, clock):
    attempts = []

    def handle(request):
        attempts.append(request)
        raise error("กุญแจ s3cret")

    secrets = Secrets()
    secrets.add("s3cret")
    client = Client(
        CONTACT,
        clock=clock,
        transport=httpx2.MockTransport(handle),
        attempts=3,
        secrets=secrets,
    )
    lost = []
    with pytest.raises(kind, match="'s'") as caught:
        client.post(URL, json={}, service="s", lost=lambda: lost.append(1))
    assert len(attempts) == 3
    # What never reached the service cannot have been charged for.
    assert len(lost) == (2 if kind is IncompleteAnswerError else 0)
    assert "s3cret" not in str(caught.value)


def test_requests_to_one_service_keep_their_distance(clock):
    client = client_of(Service(), clock, intervals={"slow": 2.0})
    starts = []
    for service in ("slow", "fast", "slow", "fast", "slow"):
        client.post(URL, json={}, service=service)
        starts.append(clock.time)
    assert starts == [0, 0, 2, 2, 4]


def test_a_service_asked_too_often_is_asked_half_as_often_up_to_once_a_minute(clock):
    client = client_of(Service(), clock, intervals={"baidu": 1.0})
    assert [client.slow_down("baidu") for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    assert client.slow_down("новый") == 1


def test_a_secret_never_comes_back_in_an_answer_or_a_log(clock, caplog):
    secrets = Secrets()
    secrets.add("ключ-s3cret")
    service = Service(Answered("invalid key ключ-s3cret", 401))
    client = client_of(service, clock, secrets=secrets)
    with caplog.at_level(logging.DEBUG):
        answer = client.post(
            URL, data={"key": "ключ-s3cret"}, headers={"X-Key": "s3cret"}, service="s"
        )
    assert answer.text == "invalid key ***"
    assert "s3cret" not in caplog.text + str(answer) + repr(client)


def test_an_answer_that_is_no_json_says_what_it_is():
    with pytest.raises(ServiceError, match=r"'s'.*<html> ошибка"):
        Answer("s", 200, "<html>\n ошибка").json()
