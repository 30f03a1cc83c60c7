from __future__ import annotations

import pytest

from memla.construction.config import read_config
from memla.errors import DataError, SettingError
from memla.languages import MKEB_LANGUAGES

SMALLEST = '[dataset]\nname = "мой-набор"\n'
GOOD = '[dataset]\nname = "my-set"\n[wikidata]\ncontact = "me@example.org"\n'


def config_of(tmp_path, text):
    path = tmp_path / "build.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_a_name_and_a_contact_are_all_that_is_needed(tmp_path):
    config = config_of(tmp_path, GOOD)
    assert config.dataset.languages == MKEB_LANGUAGES
    assert config.drafts.drafter == "templates"
    assert config.wikidata.parallel == 1
    assert config.wikidata.endpoint == "https://query.wikidata.org/sparql"


def test_languages_are_put_in_order_with_english_first(tmp_path):
    config = config_of(tmp_path, GOOD.replace("\n[w", '\nlanguages = ["th", "jpn", "zh-CN"]\n[w'))
    assert config.dataset.languages == ("en", "zh", "ja", "th")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALLEST, "dataset.name"),
        ('[dataset]\nname = "x"\n', "wikidata"),
        (GOOD.replace("me@example.org", "someone"), "wikidata.contact 'someone'"),
        (GOOD.replace("me@example.org", "я@пример.рф"), "wikidata.contact 'я@пример.рф'"),
        (GOOD + "min_sitelink = 3\n", "no setting 'wikidata.min_sitelink'"),
        (GOOD + '["ไทย"]\n', "no setting 'ไทย'"),
        (GOOD + "shards = 3\n", "wikidata.shards is 3"),
        (GOOD + 'relations = ["capital"]\n', "wikidata.relations has 'capital'"),
        (GOOD + 'endpoint = "query.wikidata.org"\n', "wikidata.endpoint"),
        (GOOD + '[drafts]\ndrafter = "chat"\n', "drafts.model is empty"),
        (GOOD + '[translation]\nmode = "text"\n', "needs a translator"),
        (GOOD.replace("\n[w", "\nsplits = {train = 0.5}\n[w"), "dataset.splits"),
        (GOOD.replace("\n[w", '\nsplits = {"../试" = 1.0}\n[w'), "dataset.splits has '../试'"),
        (GOOD.replace("\n[w", "\nsplits = {train = nan}\n[w"), "dataset.splits"),
        (GOOD.replace("\n[w", "\nspare = inf\n[w"), "dataset.spare"),
        (GOOD + "[limits]\ncost = nan\n", "limits.cost"),
        (GOOD + '[release]\nsnapshot = "2026-13-45"\n', "release.snapshot"),
        ('[dataset]\nname = "x"\n[wikidata]\nshards = 4\n', "wikidata.contact is missing"),
        (GOOD + "[", "not TOML"),
    ],
)
def test_a_setting_that_cannot_be_is_named(text, message, tmp_path):
    with pytest.raises(SettingError) as caught:
        config_of(tmp_path, text)
    assert message in caught.value.message
    assert caught.value.hint or "TOML" in message


def test_a_missing_contact_is_asked_for_with_the_reason(tmp_path):
    with pytest.raises(SettingError) as caught:
        config_of(tmp_path, GOOD.replace("contact", "# я:"))
    assert "the operators ask for it" in caught.value.hint
    with pytest.raises(SettingError) as caught:
        config_of(tmp_path, GOOD.partition("[wiki")[0])
    assert caught.value.hint == "add a section [wikidata]"


def test_a_misspelt_setting_is_told_the_right_one(tmp_path):
    with pytest.raises(SettingError) as caught:
        config_of(tmp_path, GOOD + "min_sitelink = 3\n")
    assert caught.value.hint.startswith("did you mean 'min_sitelinks'?")


@pytest.mark.parametrize(
    "line",
    [
        'api_key = "sk-s3cret-ключ"',
        'api_key_env = "sk-s3cret-ключ"',
        'base_url = "https://me:s3cret@chat.example/v1"',
        'base_url = "https://chat.example/v1?key=s3cret"',
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(line, tmp_path):
    with pytest.raises(SettingError) as caught:
        config_of(tmp_path, f"{GOOD}[drafts]\n{line}\n")
    assert "s3cret" not in str(caught.value)


def test_a_limit_on_cost_needs_prices(tmp_path):
    text = GOOD + '[limits]\ncost = 5\n[translation]\nbackend = "baidu"\n'
    with pytest.raises(SettingError, match=r"translation\.price_per_million_characters"):
        config_of(tmp_path, text)
    config = config_of(tmp_path, text + "price_per_million_characters = 7\n")
    assert config.translation.price().characters == 7


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="没有"):
        read_config(tmp_path / "没有.toml")
