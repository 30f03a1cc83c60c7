"""What a word is, and which answers are the same."""

from __future__ import annotations

import pytest

from memla.errors import UnknownNameError
from memla.languages import MKEB_LANGUAGES, language_name, normalize_answer, words


@pytest.mark.parametrize(
    ("language", "text", "units"),
    [
        ("en", "The  Czech Republic.", ("czech", "republic")),
        ("fr", "Les Pays-Bas", ("les", "paysbas")),
        ("ru", "«Нижний Новгород»", ("нижний", "новгород")),
        ("de", "STRAẞE", ("strasse",)),
        ("ko", "서울 특별시", ("서울", "특별시")),
        ("zh", "约翰·史密斯", ("约", "翰", "史", "密", "斯")),
        ("zh", "iPhone15手机", ("iphone15", "手", "机")),
        ("zh", "Ａ座", ("a", "座")),
        ("ja", "東京タワー", ("東", "京", "タ", "ワ", "ー")),
        ("ja", "ｶﾞｷﾞ", ("ガ", "ギ")),
        ("ja", "佐々木", ("佐", "々", "木")),
        ("th", "น้ำเก่า", ("น้ำ", "เ", "ก่", "า")),
        ("th", "ใช้ GPT-2", ("ใ", "ช้", "gpt2")),
    ],
)
def test_a_text_is_divided_the_way_its_script_is_read(language, text, units):
    assert words(text, language) == units


@pytest.mark.parametrize("language", MKEB_LANGUAGES)
def test_nothing_but_marks_and_spaces_has_no_words(language):
    assert words(" 。!?  \u200b\n", language) == ()


def test_an_article_is_dropped_in_english_only():
    assert words("the a", "en") == ("the", "a"), "unless nothing else would remain"
    assert words("a Paris", "en") == ("paris",)
    assert words("a Москва", "ru") == ("a", "москва")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("กำ", "กํา"),
        ("Ёлка", "Ёлка"),
        ("東京。", " 東京 "),
        ("서울", "서울"),
        ("ﬁn\u00adland", "Finland"),
    ],
)
def test_two_ways_to_write_an_answer_are_the_same(first, second):
    assert normalize_answer(first) == normalize_answer(second)


def test_a_language_has_a_name_in_every_other():
    assert language_name("th") == "Thai"
    assert language_name("th", "th") == "ไทย"
    assert language_name("ja", "ru") == "японский"


def test_an_unknown_language_has_no_name():
    with pytest.raises(UnknownNameError, match="xx"):
        language_name("xx")
