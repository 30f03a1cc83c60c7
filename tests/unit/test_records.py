from __future__ import annotations

import gzip
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from memla.errors import DataError
from memla.records import (
    Record,
    Text,
    json_lines,
    parse_record,
    read_json_lines,
    read_text,
    write_atomically,
)


class Label(Record):
    language: str
    text: Text = Field(min_length=1)


def test_a_record_cannot_be_changed():
    with pytest.raises(ValidationError):
        Label(language="th", text="ไทย").text = "ลาว"


def test_text_is_brought_into_normal_form():
    assert Label(language="ko", text=unicodedata.normalize("NFD", "한국")).text == "한국"


@given(st.text(min_size=1))
def test_a_record_comes_back_from_its_line(text):
    label = Label(language="zh", text=text)
    assert Label.model_validate_json(label.to_json()) == label
    assert "\n" not in label.to_json()


def test_text_stays_readable_in_the_file():
    assert Label(language="ja", text="日本").to_json() == '{"language": "ja", "text": "日本"}'


def test_a_misspelt_key_is_named_with_its_place():
    with pytest.raises(DataError, match=r"labels\.jsonl, line 3: langauge: Extra inputs"):
        parse_record(
            Label, {"language": "ru", "langauge": "ru", "text": "да"}, "labels.jsonl, line 3"
        )


def test_the_first_of_several_complaints_is_given_and_the_others_counted():
    with pytest.raises(DataError, match=r"language: Field required.*\(and 1 more\)"):
        parse_record(Label, {}, "here")


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(DataError) as error:
        parse_record(Label, {"language": "th", "text": ["ก" * 200]}, "here")
    assert error.value.message.endswith("...")
    assert len(error.value.message) < 150


def test_a_value_that_is_no_object_is_refused():
    with pytest.raises(DataError, match="here: value"):
        parse_record(Label, "标签", "here")


def test_text_is_read_plain_or_compressed_and_without_its_mark(tmp_path):
    plain, compressed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes("\ufeffสวัสดี".encode())
    compressed.write_bytes(gzip.compress("สวัสดี".encode()))
    assert read_text(plain) == read_text(compressed) == "สวัสดี"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        read_text(tmp_path / "没有.txt")
    with pytest.raises(DataError, match="is a folder"):
        read_text(tmp_path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 100)[:20])
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path / "cut.gz")
    (tmp_path / "koi8.txt").write_bytes("привет".encode("koi8-r"))
    with pytest.raises(DataError, match="is not UTF-8: byte 0"):
        read_text(tmp_path / "koi8.txt")


def test_lines_keep_their_numbers_and_separators_inside_texts(tmp_path):
    path = tmp_path / "a.jsonl"
    text = "一\u2028二\u0085三"
    path.write_text(f'\n{json.dumps({"a": text}, ensure_ascii=False)}\n\n{{"b": 1}}\n', "utf-8")
    assert list(read_json_lines(path)) == [(2, {"a": text}), (4, {"b": 1})]


def test_a_broken_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"ก": \n', "utf-8")
    with pytest.raises(DataError, match="line 2: not JSON"):
        list(read_json_lines(path))
    path.write_text('["ก"]\n', "utf-8")
    with pytest.raises(DataError, match="line 1: expected an object"):
        list(read_json_lines(path))


def test_a_file_is_written_whole_into_a_new_folder(tmp_path):
    path = tmp_path / "новая" / "a.jsonl"
    write_atomically(path, json_lines([Label(language="th", text="ไทย")]))
    assert path.read_text("utf-8") == '{"language": "th", "text": "ไทย"}\n'
    write_atomically(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert [file.name for file in path.parent.iterdir()] == ["a.jsonl"]


def test_others_may_read_a_written_file_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "отчёт.html", "ไทย")
    finally:
        os.umask(before)
    assert (tmp_path / "отчёт.html").stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("旧", "utf-8")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memla.records.os.fsync", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        write_atomically(path, "新")
    assert path.read_text("utf-8") == "旧"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "ไฟล์").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        write_atomically(Path(tmp_path / "ไฟล์" / "a.txt"), "x")
