from __future__ import annotations

import json

import pytest

from memla.construction.http import Client
from memla.construction.labels import MOST_ATTEMPTS, ApiNames, FoundNames, all_codes
from memla.construction.ledger import Ledger
from memla.errors import ServiceError
from tests.doubles.loopback import Answered
from tests.doubles.sparql import Wikidata, world
from tests.doubles.transports import transport
from tests.doubles.world import CITY


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"zh-hans": "曼谷", "zh-cn": "盘谷", "zh": "曼谷市"}, "曼谷"),
        ({"zh-cn": "盘谷", "zh": "曼谷市"}, "盘谷"),
        ({"zh": "曼谷市"}, "曼谷市"),
        ({"zh-hans": "龍國", "zh": "龙国"}, "龙国"),
        ({"zh": "龍國"}, None),
        ({"zh-hant": "龙国", "mul": "Bangkok"}, None),
    ],
)
def test_chinese_names_are_simplified_ones(labels, expected):
    assert FoundNames(labels).label("zh") == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [("pl", "Zork"), ("en", "Zork"), ("ru", None), ("ja", None), ("th", None), ("ko", None)],
)
def test_a_shared_name_stands_in_for_languages_in_latin_script_only(language, expected):
    assert FoundNames({"mul": "Zork"}).label(language) == expected


@pytest.mark.parametrize("name", ["Q142", "", " ", "{}市", "กรุง\u200bเทพ", "a  b", "Рим&amp;"])
def test_what_would_spoil_a_text_is_no_name(name):
    assert FoundNames({"th": name, "ru": name}).label("th") is None


def test_names_come_in_normal_form():
    assert FoundNames({"ja": "が"}).label("ja") == "が"


def test_other_names_are_without_the_usual_one_and_without_repeats():
    found = FoundNames(
        {"zh-hans": "法国", "zh": "法兰西"},
        {"zh-hans": ["法兰西共和国", "法国"], "zh": ["法蘭西", "法兰西共和国"]},
    )
    assert found.others("zh") == ("法兰西共和国", "法兰西")


def test_codes_are_asked_for_once():
    assert all_codes(("en", "zh", "fr", "th")) == (
        "en", "mul", "zh-hans", "zh-cn", "zh", "fr", "th"
    )  # fmt: skip


def names_of(respond, clock, tmp_path, languages=("en", "zh", "th")):
    client = Client("me@example.org", clock=clock, transport=transport(respond))
    return ApiNames(client, Ledger(tmp_path), "https://w.example/w/api.php", languages)


def test_names_are_asked_for_fifty_at_a_time_and_once(clock, tmp_path):
    wikidata = Wikidata()
    cities = world().of(CITY)[:120]
    for _ in range(2):
        found = names_of(wikidata, clock, tmp_path).find([*cities, "Q1"])
    assert wikidata.name_requests == 3
    assert set(found) == set(cities)
    assert found[cities[0]].label("th") == world().things[cities[0]].labels["th"]


def test_a_wiki_whose_copies_lag_is_given_time(clock, tmp_path):
    wikidata = Wikidata()
    lag = '{"error": {"code": "maxlag", "info": "Waiting for a database server"}}'
    wikidata.before = [Answered(lag, 200, {"Retry-After": "7"}), Answered(lag)]
    assert names_of(wikidata, clock, tmp_path).find(world().of(CITY)[:1])
    assert clock.slept == [7, 5]


def test_an_answer_that_broke_off_is_asked_for_again(clock, tmp_path):
    wikidata = Wikidata()
    wikidata.before = [Answered('{"entities": {"Q1": {"labels": {"th": {"value": "ไท')]
    assert names_of(wikidata, clock, tmp_path).find(world().of(CITY)[:1])
    assert clock.slept == [5]


def test_an_answer_that_always_breaks_off_ends_the_build(clock, tmp_path):
    asked = []

    def broken(request):
        asked.append(request)
        return Answered('{"entities": {"Q1": {"labels": {"ru": {"value": "Пар')

    with pytest.raises(ServiceError, match="wikidata-names"):
        names_of(broken, clock, tmp_path).find(["Q1"])
    assert len(asked) == MOST_ATTEMPTS


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"code": "no-such-entity", "info": "нет"}}',
        "<html>出错</html>",
        '["entities"]',
        '{"entities": ["Q1"]}',
        json.dumps({"entities": {"Q1": {"labels": {"th": "ไทย"}}}}),
    ],
)
def test_an_answer_without_names_ends_the_build(body, clock, tmp_path):
    with pytest.raises(ServiceError, match="wikidata-names"):
        names_of(lambda asked: Answered(body), clock, tmp_path).find(["Q1"])
