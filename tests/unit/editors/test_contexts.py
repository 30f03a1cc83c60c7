"""Texts before a prompt: in its language, whole, and remembered by one editor only."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from memla.editors.contexts import ContextConfig, Contexts
from memla.editors.phrases import ESSENCE, SENTENCE_ENDS, STARTERS
from memla.languages import LANGUAGES
from memla.models.tiny import tiny_model
from memla.models.tokens import prompt_ids


@pytest.mark.parametrize("table", [ESSENCE, STARTERS])
def test_there_are_phrases_in_every_language(table):
    assert table.keys() == LANGUAGES.keys()


def test_every_language_has_ten_words_to_begin_with_and_a_phrase_about_the_subject():
    assert all(len(set(words)) == 10 for words in STARTERS.values())
    assert all(phrase.count("{}") == 1 for phrase in ESSENCE.values())
    assert SENTENCE_ENDS.keys() <= LANGUAGES.keys()


@pytest.mark.parametrize("language", ["zh", "th", "ja", "ru", "en"])
def test_texts_begin_with_a_word_of_the_language_and_end_as_its_sentences_do(language):
    model = tiny_model()
    texts = Contexts(ContextConfig()).get(model, language, fingerprint="f")
    assert texts[0] == ""
    assert len(texts) > 10
    assert len(set(texts)) == len(texts)
    for text in texts[1:]:
        assert text.startswith(STARTERS[language])
        assert text.endswith(SENTENCE_ENDS.get(language, ". "))
        assert "\ufffd" not in text
        assert "\n" not in text


def test_a_text_is_what_the_model_writes_next():
    model = tiny_model()
    config = ContextConfig(n_short=2, short_length=3, n_long=1, long_length=6)
    texts = Contexts(config).get(model, "ru", fingerprint="f")
    words = STARTERS["ru"][:2]
    assert len(texts) == 4
    for text, word, length in zip(texts[1:], (*words, words[0]), (3, 3, 6), strict=True):
        written = model.generate([word], max_new_tokens=length)[0]
        whole = model.tokenizer.decode([*prompt_ids(model.tokenizer, word), *written.token_ids])
        kept = "".join(letter for letter in whole if letter.isalnum())
        assert "".join(letter for letter in text if letter.isalnum()) == kept


def test_the_authors_write_english_before_prompts_in_every_language():
    model = tiny_model()
    contexts = Contexts(ContextConfig(language="en"))
    thai = contexts.get(model, "th", fingerprint="f")
    assert thai == contexts.get(model, "en", fingerprint="f")
    assert all(text.isascii() or text[0].isascii() for text in thai[1:])


def test_texts_of_another_model_are_its_own():
    contexts = Contexts(ContextConfig())
    first = contexts.get(tiny_model(), "zh", fingerprint="one")
    second = contexts.get(tiny_model(seed=1), "zh", fingerprint="other")
    assert first != second
    assert contexts.get(tiny_model(), "zh", fingerprint="one") == first
    assert Contexts(ContextConfig()).get(tiny_model(seed=1), "zh", fingerprint="one") == second


def test_your_own_texts_take_the_place_of_the_models():
    config = ContextConfig(templates=("众所周知，{}", "{}", "ทุกคนรู้ว่า {}"))
    texts = Contexts(config).get(tiny_model(), "zh", fingerprint="f")
    assert texts == ("", "众所周知，", "ทุกคนรู้ว่า ")
    alone = Contexts(ContextConfig(templates=())).get(tiny_model(), "th", fingerprint="f")
    assert alone == ("",)


@pytest.mark.parametrize("template", ["没有", "{} ครับ", "{} и {}"])
def test_a_template_that_does_not_end_in_the_prompt_is_refused(template):
    with pytest.raises(ValidationError, match="does not end in its one"):
        ContextConfig(templates=(template,))
