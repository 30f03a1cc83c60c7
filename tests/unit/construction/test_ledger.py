from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memla.construction.ledger import Ledger, request_key
from memla.construction.secrets import Secrets
from memla.construction.usage import Limits, Price, Usage
from memla.errors import DataError, IncompleteAnswerError, LimitError, ServiceError, SettingError

REQUEST = {"method": "POST", "url": "https://a.example", "q": "首都はどこ"}


class Sender:
    def __init__(self, answer="東京"):
        self.answer = answer
        self.sent = 0

    def __call__(self):
        self.sent += 1
        return self.answer


def test_nothing_is_asked_twice_also_after_a_restart(tmp_path):
    send = Sender()
    first = Ledger(tmp_path).ask("s", REQUEST, send)
    assert first == Ledger(tmp_path).ask("s", REQUEST, send) == "東京"
    assert send.sent == 1


def test_the_same_request_to_another_service_is_another_request(tmp_path):
    send, ledger = Sender(), Ledger(tmp_path)
    ledger.ask("baidu", REQUEST, send)
    ledger.ask("deepl", REQUEST, send)
    ledger.ask("deepl", {**REQUEST, "q": "столица"}, send)
    assert send.sent == 3


def test_the_order_of_a_requests_parts_does_not_matter():
    backwards = dict(reversed(REQUEST.items()))
    assert request_key("s", REQUEST) == request_key("s", backwards)
    assert len(request_key("s", REQUEST)) == 64


def test_an_answer_is_on_disk_before_it_is_used(tmp_path):
    Ledger(tmp_path).ask("s", REQUEST, Sender("กรุงเทพ"))
    (path,) = tmp_path.glob("*/*.json")
    assert path.stem == request_key("s", REQUEST)
    assert json.loads(path.read_text(encoding="utf-8"))["answer"] == "กรุงเทพ"


def test_a_failure_is_not_kept_and_costs_nothing(tmp_path):
    ledger = Ledger(tmp_path, limits=Limits(requests=1))

    def fail():
        raise DataError("нет")

    for _ in range(3):
        with pytest.raises(DataError, match="нет"):
            ledger.ask("s", REQUEST, fail)
    assert list(tmp_path.glob("*/*")) == []
    assert ledger.total == Usage()
    assert ledger.ask("s", REQUEST, Sender()) == "東京"


def test_what_was_used_is_known_after_a_restart_by_service(tmp_path):
    prices = {"chat": Price(input_tokens=2, output_tokens=10), "baidu": Price(characters=7)}
    ledger = Ledger(tmp_path, prices=prices)
    ledger.ask("baidu", REQUEST, Sender(), characters=100)
    ledger.ask(
        "chat",
        REQUEST,
        Sender(),
        usage=lambda text: Usage(input_tokens=10, output_tokens=len(text)),
    )
    expected = {
        "baidu": Usage(requests=1, characters=100, cost_micros=700),
        "chat": Usage(requests=1, input_tokens=10, output_tokens=2, cost_micros=40),
    }
    assert ledger.used == Ledger(tmp_path).used == expected
    assert ledger.total.cost == pytest.approx(0.00074, rel=0, abs=1e-12)


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(requests=2), "requests"),
        (Limits(characters=100), "characters"),
        (Limits(tokens=200), "tokens"),
        (Limits(cost=0.0005), "cost"),
    ],
)
def test_a_request_beyond_a_limit_is_not_sent(limits, name, tmp_path):
    send = Sender()

    def ask(ledger, number):
        price = {"s": Price(characters=1, output_tokens=2)}
        ledger = Ledger(tmp_path, limits=ledger, prices=price)
        usage = Usage(output_tokens=90)
        ledger.ask(
            "s",
            {"q": number},
            send,
            characters=45,
            most_tokens=100,
            usage=lambda text: usage,
        )

    ask(limits, 1)
    ask(limits, 2)
    with pytest.raises(LimitError, match=f"limits.{name}") as caught:
        ask(limits, 3)
    assert isinstance(caught.value, SettingError)
    assert send.sent == 2
    ask(limits, 1)
    assert send.sent == 2
    ask(Limits(), 3)


def test_requests_under_way_count_so_threads_cannot_pass_a_limit_together(tmp_path):
    ledger = Ledger(tmp_path, limits=Limits(requests=3))

    def ask(number):
        try:
            return ledger.ask("s", {"q": number}, Sender())
        except LimitError:
            return None

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(12)))
    assert answers.count("東京") == 3


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_costs_do_not_depend_on_the_order_in_which_they_arise(prices, chance):
    used = [Usage(cost_micros=Price(characters=price).of(Usage(characters=3))) for price in prices]
    shuffled = random.Random(chance.random()).sample(used, len(used))
    assert sum(used, Usage()) == sum(shuffled, Usage())


def test_a_secret_gets_into_no_file(tmp_path):
    secrets = Secrets()
    secrets.add("ключ-s3cret")
    ledger = Ledger(tmp_path, secrets=secrets)
    request = {"headers": {"Authorization": "Bearer ключ-s3cret"}}
    assert ledger.ask("s", request, Sender("your key is ключ-s3cret")) == "your key is ***"
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*/*"))
    assert "s3cret" not in written
    assert "***" in written


def test_a_damaged_answer_says_how_to_go_on(tmp_path):
    Ledger(tmp_path).ask("s", REQUEST, Sender())
    (path,) = tmp_path.glob("*/*.json")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="no kept answer") as caught:
        Ledger(tmp_path)
    assert "delete it" in caught.value.hint


def stopped(error):
    def send():
        raise error

    return send


def test_what_was_under_way_when_a_build_was_stopped_counts_as_spent(tmp_path):
    """A service may have charged for it: Baidu and DeepL heed no Idempotency-Key."""
    paid = {"prices": {"baidu": Price(characters=10.0)}, "limits": Limits(characters=30)}
    with pytest.raises(KeyboardInterrupt):
        Ledger(tmp_path, **paid).ask("baidu", REQUEST, stopped(KeyboardInterrupt()), characters=12)
    again = Ledger(tmp_path, **paid)
    expected = Usage(requests=1, characters=12, cost_micros=120)
    assert again.in_doubt == {"baidu": expected}
    assert again.total == Usage()
    assert again.ask("baidu", REQUEST, Sender("กรุงเทพ"), characters=12) == "กรุงเทพ"
    # Answered once, perhaps charged for twice; so there is room for less.
    assert Ledger(tmp_path, **paid).in_doubt == again.in_doubt == {"baidu": expected}
    assert again.total == expected
    with pytest.raises(LimitError, match="characters to 36"):
        Ledger(tmp_path, **paid).ask("baidu", {**REQUEST, "q": "首"}, Sender(), characters=12)


def test_a_request_that_was_stopped_twice_counts_twice(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            Ledger(tmp_path).ask("s", REQUEST, stopped(KeyboardInterrupt()), most_tokens=7)
    assert Ledger(tmp_path).in_doubt == {"s": Usage(requests=2, output_tokens=14)}


@pytest.mark.parametrize(
    ("error", "doubtful"),
    [
        (IncompleteAnswerError("поздно"), True),
        (ServiceError("54004"), False),
        (SettingError("ключ"), False),
        (LookupError("чужое"), False),
    ],
)
def test_only_what_was_not_answered_to_its_end_is_in_doubt(tmp_path, error, doubtful):
    ledger = Ledger(tmp_path)
    with pytest.raises(type(error)):
        ledger.ask("s", REQUEST, stopped(error), characters=3)
    assert bool(ledger.in_doubt) == bool(Ledger(tmp_path).in_doubt) == doubtful


def test_what_was_answered_or_is_free_leaves_no_doubt(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.ask("s", REQUEST, Sender(), characters=3)
    with pytest.raises(KeyboardInterrupt):
        ledger.ask("wikidata", REQUEST, stopped(KeyboardInterrupt()))
    assert ledger.in_doubt == Ledger(tmp_path).in_doubt == {}
    assert not [*tmp_path.glob("*/*.sent")]


def test_a_kill_between_an_answer_and_its_tidying_leaves_no_doubt(tmp_path):
    ledger = Ledger(tmp_path)
    kept = []

    def send():
        (path,) = tmp_path.glob("*/*.sent")
        kept.append((path, path.read_bytes()))
        return "北京"

    ledger.ask("s", REQUEST, send, characters=3)
    path, content = kept[0]
    path.write_bytes(content)
    assert Ledger(tmp_path).in_doubt == {}
