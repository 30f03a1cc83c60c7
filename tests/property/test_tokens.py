"""What holds for the tokens of any text."""

from __future__ import annotations

import functools
import itertools

from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from memla.languages import LANGUAGES, answer_separator
from memla.models.tiny import tiny_tokenizer
from memla.models.tokens import compose, find_subject, subject_token_span

ALPHABET = "abéß Żя京都東の한ไทย์鑫🗼{}.,。\n"
TEXTS = st.text(ALPHABET, min_size=1, max_size=12)


@functools.cache
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny_tokenizer()


@given(prompt=TEXTS, answer=TEXTS, language=st.sampled_from(sorted(LANGUAGES)))
def test_a_composed_row_reads_as_prompt_and_answer(prompt, answer, language) -> None:
    row = compose(tokenizer(), prompt, answer, language)
    separator = "" if prompt[-1].isspace() else answer_separator(language)
    assert tokenizer().decode(row.ids) == prompt + separator + answer
    assert row.prompt_ids == tuple(tokenizer().encode(prompt))
    assert tokenizer().decode(row.answer_ids) == separator + answer


@given(before=TEXTS, subject=TEXTS, after=TEXTS)
def test_the_tokens_of_a_span_are_those_that_touch_it(before, subject, after) -> None:
    text = before + subject + after
    start, end = len(before), len(before) + len(subject)
    first, last = subject_token_span(tokenizer(), text, (start, end))
    ids = tokenizer().encode(text)
    assert 0 <= first < last <= len(ids)
    # Without the tokens of the span nothing of the subject is left, and they hold all of it.
    assert len(tokenizer().decode(ids[:first]).rstrip("\ufffd")) <= start
    assert len(tokenizer().decode(ids[last:]).lstrip("\ufffd")) <= len(after)
    assert subject in tokenizer().decode(ids[first:last])


@given(text=st.text("日本а", max_size=12), subject=st.text("日本а", min_size=1, max_size=2))
def test_found_subjects_are_in_the_text_and_apart(text, subject) -> None:
    spans = find_subject(text, subject)
    assert all(text[start:end] == subject for start, end in spans)
    assert len(spans) == text.count(subject)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
