"""Where an answer begins and which tokens are the subject, in any script and tokenizer."""

from __future__ import annotations

import functools
import json

import pytest
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from memla.errors import DataError, SubjectNotFoundError
from memla.facts import EditRequest
from memla.models.tiny import CORPUS, tiny_model, tiny_tokenizer
from memla.models.tokens import (
    compose,
    continuation_ids,
    find_subject,
    prompt_ids,
    subject_token_span,
)

PAIRS = (
    ("The capital of Japan is", "Tokyo", "en"),
    ("日本の首都は", "東京", "ja"),
    ("法国的首都是", "巴黎", "zh"),
    ("Столица России", "Москва", "ru"),
    ("เมืองหลวงของไทยคือ", "กรุงเทพ", "th"),
    ("일본의 수도는", "도쿄", "ko"),
)


@functools.cache
def byte_level(kind: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE: plain, with a token before the text, or with one on either side."""
    tokenizer = tiny_tokenizer()
    if kind == "plain":
        return tokenizer
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    backend = tokenizer.backend_tokenizer
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A" + (" <|endoftext|>" if kind == "both" else ""),
        special_tokens=[("<s>", tokenizer.bos_token_id), ("<|endoftext|>", 0)],
    )
    return tokenizer


@functools.cache
def sentence_piece() -> PreTrainedTokenizerFast:
    """LLaMA 2's kind: a space before the text, BOS, and bytes for characters it does not know."""
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<unk>", "<s>"],
        limit_alphabet=60,
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS.splitlines(), trainer)
    state = json.loads(backend.to_str())
    vocabulary = state["model"]["vocab"]
    vocabulary.update({f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)})
    state["model"]["byte_fallback"] = True
    backend = Tokenizer.from_str(json.dumps(state))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", unk_token="<unk>")


@functools.cache
def normalising() -> PreTrainedTokenizerFast:
    """XGLM's kind: NFKC, line breaks taken for spaces, words that begin with a space mark."""
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Replace("\n", " "), normalizers.NFKC(), normalizers.Strip()]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=800, special_tokens=["<unk>"], show_progress=False)
    backend.train_from_iterator([CORPUS], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")


TOKENIZERS = {
    "byte-level": lambda: byte_level("plain"),
    "byte-level with BOS": lambda: byte_level("bos"),
    "byte-level with BOS and EOS": lambda: byte_level("both"),
    "sentencepiece": sentence_piece,
    "normalising": normalising,
}


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return TOKENIZERS[request.param]()


@pytest.mark.parametrize(("prompt", "answer", "language"), PAIRS)
def test_prompt_tokens_are_those_of_the_prompt_alone(tokenizer, prompt, answer, language) -> None:
    row = compose(tokenizer, prompt, answer, language)
    assert row.prompt_ids == prompt_ids(tokenizer, prompt)
    assert row.ids == row.prompt_ids + row.answer_ids


@pytest.mark.parametrize(("prompt", "answer", "language"), PAIRS)
def test_answer_tokens_read_as_the_answer(tokenizer, prompt, answer, language) -> None:
    row = compose(tokenizer, prompt, answer, language)
    text = tokenizer.decode(row.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    separator = "" if language in {"zh", "ja", "th"} else " "
    assert text.strip() == prompt + separator + answer
    assert tokenizer.decode(row.answer_ids).strip() == answer


@pytest.mark.parametrize(("prompt", "answer", "language"), PAIRS)
def test_no_special_token_stands_in_or_before_an_answer(
    tokenizer, prompt, answer, language
) -> None:
    row = compose(tokenizer, prompt, answer, language)
    special = {tokenizer.bos_token_id, tokenizer.eos_token_id}
    assert not special & set(row.answer_ids)
    assert row.prompt_ids[-1] not in special


def test_the_separator_follows_the_script_of_the_answer() -> None:
    plain = byte_level("plain")
    written = {
        language: plain.decode(compose(plain, "x", "y", language).answer_ids)
        for language in ("en", "zh", "ja", "th", "ru", "ko", "pl")
    }
    spaced = {language for language, text in written.items() if text == " y"}
    assert spaced == {"en", "ru", "ko", "pl"}


def test_the_separator_can_be_forced() -> None:
    plain = byte_level("plain")
    space = compose(plain, "首都是", "巴黎", "zh", separator="space")
    assert plain.decode(space.answer_ids) == " 巴黎"
    none = compose(plain, "capital:", "Paris", "en", separator="none")
    assert plain.decode(none.answer_ids) == "Paris"


def test_a_prompt_that_ends_in_space_gets_no_second_one() -> None:
    plain = byte_level("plain")
    row = compose(plain, "Столица ", "Москва", "ru")
    assert plain.decode(row.ids) == "Столица Москва"


def test_a_merge_across_the_boundary_is_undone_and_told() -> None:
    plain = byte_level("plain")
    whole = plain.encode("日本の首都は東京です")
    pieces = [plain.decode(whole[:cut]) for cut in range(1, len(whole))]
    prompt, answer = "法国的首", "都是巴黎"
    assert prompt not in pieces
    row = compose(plain, prompt, answer, "zh")
    assert row.boundary_merge
    assert row.prompt_ids == tuple(plain.encode(prompt))
    assert row.answer_ids == tuple(plain.encode(answer))
    assert not compose(plain, "Столица России", "Москва", "ru").boundary_merge


def test_a_tokenizer_that_merges_with_every_anchor_tokenises_the_answer_alone() -> None:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "東京": 1}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split("東京", "isolated")
    backend.normalizer = normalizers.Replace(Regex("^[.:\n]"), "")
    whole = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert continuation_ids(whole, "東京") == (1,)


def test_an_undone_merge_leaves_no_prefix_space() -> None:
    tokenizer = sentence_piece()
    assert tokenizer.decode(continuation_ids(tokenizer, "東京")) == "東京"
    assert tokenizer.convert_ids_to_tokens(continuation_ids(tokenizer, " Paris"))[0] != "▁▁"
    alone = tokenizer.encode("東京", add_special_tokens=False)
    assert tuple(alone) != continuation_ids(tokenizer, "東京")


@pytest.mark.parametrize(("prompt", "answer", "language"), PAIRS)
def test_answer_ids_are_those_inside_a_text(prompt, answer, language) -> None:
    model = tiny_model("gpt2")
    row = model.compose(prompt, answer, language)
    if not row.boundary_merge:
        assert model.answer_ids(answer, language) == row.answer_ids


def test_what_has_no_tokens_is_refused() -> None:
    plain = byte_level("plain")
    with pytest.raises(DataError, match="prompt ''"):
        compose(plain, "", "東京", "ja")
    with pytest.raises(DataError, match="answer ''"):
        compose(plain, "日本の首都は", "", "ja")


def test_an_empty_prompt_is_a_prompt_if_something_stands_before_it() -> None:
    assert compose(byte_level("bos"), "", "東京", "ja").prompt_length == 1


def covered(tokenizer: PreTrainedTokenizerFast, text: str, span: tuple[int, int]) -> str:
    first, last = subject_token_span(tokenizer, text, span)
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return text[offsets[first][0] : offsets[last - 1][1]]


STATEMENTS = (
    ("{}の首都は", "日本", "ja"),
    ("{}的首都是", "法国", "zh"),
    ("官方语言{}是", "中国", "zh"),
    ("เมืองหลวงของ{}คือ", "ไทย", "th"),
    ("Столица {} —", "Япония", "ru"),
    ("{} leży w", "Warszawa", "pl"),
    ("The capital of {} is", "鑫鑫", "en"),
    ("The capital of {} is", "🗼Ω", "en"),
)


@pytest.mark.parametrize(("prompt", "subject", "language"), STATEMENTS)
def test_the_span_covers_the_subject_and_little_else(tokenizer, prompt, subject, language) -> None:
    request = EditRequest(fact="f", language=language, prompt=prompt, subject=subject)
    text = covered(tokenizer, request.text, request.subject_span)
    assert subject in text
    first, last = subject_token_span(tokenizer, request.text, request.subject_span)
    before, after = request.subject_span
    offsets = tokenizer(request.text, return_offsets_mapping=True)["offset_mapping"]
    assert all(end <= before or start == end for start, end in offsets[:first])
    assert all(start >= after or start == end for start, end in offsets[last:])


def test_all_bytes_of_a_character_are_the_subjects() -> None:
    plain = byte_level("plain")
    assert len(plain.encode("鑫")) == 3
    assert subject_token_span(plain, "鑫是", (0, 1)) == (0, 3)
    first, last = subject_token_span(plain, "在鑫", (1, 2))
    assert last == len(plain.encode("在鑫"))
    assert plain.decode(plain.encode("在鑫")[first:last]) == "鑫"


def test_bos_is_no_subject() -> None:
    plain, with_bos = byte_level("plain"), byte_level("bos")
    first, last = subject_token_span(plain, "日本の首都", (0, 2))
    assert subject_token_span(with_bos, "日本の首都", (0, 2)) == (first + 1, last + 1)


def test_the_place_of_the_placeholder_wins_over_an_earlier_mention() -> None:
    request = EditRequest(
        fact="f", language="zh", prompt="日本的邻国是中国，{}的首都是", subject="日本"
    )
    plain = byte_level("plain")
    first, last = subject_token_span(plain, request.text, request.subject_span)
    ids = plain.encode(request.text)
    assert plain.decode(ids[:first]) == "日本的邻国是中国，"
    assert "日本" in plain.decode(ids[first:last])


def test_braces_in_the_subject_are_text() -> None:
    request = EditRequest(fact="f", language="ru", prompt="Язык {} — это", subject="{x}{")
    assert request.text == "Язык {x}{ — это"
    assert "{x}{" in covered(byte_level("plain"), request.text, request.subject_span)


@pytest.mark.parametrize("span", [(0, 0), (3, 3), (4, 2), (-1, 2), (0, 99)])
def test_a_span_of_nothing_is_refused(span) -> None:
    with pytest.raises(SubjectNotFoundError, match="日本の首都"):
        subject_token_span(byte_level("plain"), "日本の首都", span)


def test_mentions_are_found_letter_by_letter() -> None:
    assert find_subject("日本、日本人と日", "日本") == [(0, 2), (3, 5)]
    assert find_subject("аааа", "аа") == [(0, 2), (2, 4)]
    assert find_subject("Россия", "России") == []
    assert find_subject("ไทย", "") == []
