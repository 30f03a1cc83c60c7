"""Baidu's service: signatures, batches and every hostile answer."""

from __future__ import annotations

import json

import pytest

from memla.construction.ledger import Ledger
from memla.construction.translators.baidu import BaiduTranslator, signature
from memla.construction.usage import Usage
from memla.errors import ServiceError, SettingError
from tests.doubles import baidu
from tests.doubles.loopback import Answered, served
from tests.doubles.toy_translation import toy_translation

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def server():
    return baidu.BaiduServer(toy_translation)


@pytest.fixture
def translator(server, client, ledger):
    with served(server) as url:
        yield BaiduTranslator(client, ledger, baidu.APPID, baidu.KEY, url=url)


def texts(translations):
    assert not any(one.problem for one in translations)
    return [one.text for one in translations]


def test_a_signature_is_that_of_baidus_own_example():
    signed = signature("2015063000000001", "apple", "1435660288", "12345678")
    assert signed == "f89f9594663708c1605f3d736d01d2d4"


def test_texts_in_any_script_are_signed_as_they_are(translator, server):
    found = texts(translator.translate(["苹果 100% & +", "แอปเปิล"], "zh", "ru"))
    assert len(found) == 2
    assert server.queries == ["苹果 100% & +\nแอปเปิล"]


@pytest.mark.parametrize("language", ["zh", "fr", "ja", "ko", "es", "th"])
def test_baidus_own_names_of_languages_are_used(translator, language):
    (found,) = texts(translator.translate(["The capital of France is"], "en", language))
    assert found == toy_translation("The capital of France is", language)


def test_texts_go_together_up_to_what_the_tier_allows(translator, server):
    many = [f"text number {number}" for number in range(100)]
    assert len(texts(translator.translate(many, "en", "zh"))) == 100
    assert len(server.queries) == 2
    assert all(len(query) <= 1000 for query in server.queries)


@pytest.mark.parametrize(
    ("hostile", "waits"),
    [
        (baidu.error("52001", "TIMEOUT"), [2.0]),
        (baidu.error("52002", "SYSTEM ERROR"), [2.0]),
        (baidu.error("54003", "Invalid Access Limit"), [1.0]),
        (baidu.error("54005", "Long query"), [3.0]),
        (Answered("<html>busy</html>"), [2.0]),
        (Answered('{"trans_result": [{"src"'), [2.0]),
        (Answered("[]"), [2.0]),
        (Answered("{}"), [2.0]),
        (Answered('{"trans_result": null}'), [2.0]),
        (Answered('{"trans_result": ["столица"]}'), [2.0]),
        (Answered('{"trans_result": [{"dst": 5}]}'), [2.0]),
        (Answered("", 429, {"Retry-After": "7"}), [7.0]),
        (Answered("", 502), [None]),
    ],
)
def test_an_answer_that_may_be_better_next_time_is_asked_for_again(
    translator, server, clock, hostile, waits
):
    server.before = [hostile]
    assert texts(translator.translate(["Столица"], "en", "ja"))
    assert len(server.queries) == 2
    for wait in waits:
        assert wait is None or wait in clock.slept


def test_an_answer_that_breaks_off_is_asked_for_again_and_may_have_been_paid_for(
    translator, server, ledger, tmp_path
):
    server.before = [Answered('{"trans_result": [', 200, {"Content-Length": "999"})] * 2
    assert texts(translator.translate(["Столица", "เมือง"], "en", "ja"))
    assert len(server.queries) == 3
    assert ledger.used["baidu"].requests == 1
    doubt = {"baidu": Usage(requests=2, characters=2 * len("Столица\nเมือง"))}
    assert ledger.in_doubt == Ledger(tmp_path / "ledger").in_doubt == doubt


def test_after_a_frequency_error_all_further_requests_are_slower(translator, server, clock):
    server.before = [baidu.error("54003"), baidu.error("54003")]
    texts(translator.translate(["一"], "zh", "en"))
    before = clock.time
    texts(translator.translate(["二"], "zh", "en"))
    texts(translator.translate(["三"], "zh", "en"))
    assert clock.time - before >= 2.0


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("54004", ServiceError, "no credit left"),
        ("58001", SettingError, "en to th"),
        ("52003", SettingError, "does not accept the key"),
        ("54001", SettingError, "does not accept the key"),
        ("90107", SettingError, "does not accept the key"),
        ("58000", ServiceError, "this machine's address"),
        ("58002", ServiceError, "58002"),
    ],
)
def test_an_answer_that_cannot_get_better_stops_at_once(translator, server, code, kind, said):
    server.before = [baidu.error(code, "no")]
    with pytest.raises(kind, match=said) as caught:
        translator.translate(["เมืองหลวง"], "en", "th")
    assert caught.value.hint
    assert len(server.queries) == 1
    assert baidu.KEY not in str(caught.value)


def test_a_refused_text_is_named_and_the_others_are_translated(translator, server):
    server.refused = {"坏"}
    found = translator.translate(["好", "坏", "美"], "zh", "ru")
    assert [bool(one.text) for one in found] == [True, False, True]
    assert "refused" in found[1].problem


def test_a_service_that_never_answers_in_its_form_is_given_up(translator, server):
    server.before = [Answered("busy")] * 50
    with pytest.raises(ServiceError, match="could not be used"):
        translator.translate(["よ"], "ja", "en")
    assert len(server.queries) == 6


def test_a_batch_that_comes_back_in_another_number_of_lines_is_sent_text_by_text(
    translator, server
):
    one_line = {"trans_result": [{"src": "a", "dst": "甲乙"}]}
    server.before = [Answered(json.dumps(one_line))]
    assert len(texts(translator.translate(["a", "b"], "en", "zh"))) == 2
    assert server.queries == ["a\nb", "a", "b"]


def test_nothing_is_paid_for_twice_and_no_secret_is_written(
    translator, server, client, ledger, secrets, tmp_path
):
    first = translator.translate(["Привет", "สวัสดี"], "ru", "en")
    again = BaiduTranslator(
        client,
        Ledger(tmp_path / "ledger", secrets=secrets),
        baidu.APPID,
        baidu.KEY,
        url=translator._url,
    )
    assert again.translate(["Привет", "สวัสดี"], "ru", "en") == first
    assert server.paid == ["Привет", "สวัสดี"]
    assert ledger.used["baidu"].characters == len("Привет\nสวัสดี")
    written = "".join(path.read_text("utf-8") for path in (tmp_path / "ledger").rglob("*.json"))
    assert "Привет" in written
    assert baidu.KEY not in written
    assert "sign" not in written


def test_a_wrong_key_is_a_setting_to_mend(server, client, ledger):
    with served(server) as url, pytest.raises(SettingError, match="does not accept the key"):
        BaiduTranslator(client, ledger, baidu.APPID, "wrong", url=url).translate(["a"], "en", "zh")


def test_a_language_without_a_code_is_named(translator):
    with pytest.raises(SettingError, match="'sw'"):
        translator.translate(["a"], "en", "sw")
