"""Edit folders: what is written is read back; what is broken is named."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from memla.editors.edits import Dense, LowRank, RowSparse, WeightDelta
from memla.editors.storage import HEADER_FILE, TENSOR_FILE, load_edit, save_edit
from memla.errors import DataError


@pytest.fixture
def edit() -> WeightDelta:
    generator = torch.Generator().manual_seed(0)
    return WeightDelta(
        {
            0: RowSparse(torch.tensor([3, 7]), torch.randn(2, 8, generator=generator)),
            2: LowRank(
                torch.randn(16, 2, generator=generator), torch.randn(2, 8, generator=generator)
            ),
            11: Dense(torch.randn(16, 8, generator=generator).double()),
        },
        "0123456789abcdef",
        {"method": "memla", "subject": "กรุงเทพมหานคร", "answer": "東京", "steps": 3},
    )


@pytest.fixture
def small_files() -> Iterator[None]:
    """As on a full disk: no file may grow beyond 100 bytes."""
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, old_limit[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
    signal.signal(signal.SIGXFSZ, old_handler)


def test_what_is_saved_is_loaded_to_the_last_bit(edit: WeightDelta, tmp_path: Path) -> None:
    folder = save_edit(edit, tmp_path / "東京" / "edit")
    loaded = load_edit(folder)
    assert isinstance(loaded, WeightDelta)
    assert loaded.fingerprint == edit.fingerprint
    assert loaded.info == edit.info
    assert loaded.describe() == edit.describe()
    for layer, part in edit.deltas.items():
        assert type(loaded.deltas[layer]) is type(part)
        for name, tensor in part.tensors().items():
            read = loaded.deltas[layer].tensors()[name]
            torch.testing.assert_close(read, tensor, rtol=0, atol=0)


def test_the_header_is_text_that_a_person_can_read(edit: WeightDelta, tmp_path: Path) -> None:
    folder = edit.save(tmp_path / "edit")
    assert sorted(path.name for path in folder.iterdir()) == [HEADER_FILE, TENSOR_FILE]
    text = (folder / HEADER_FILE).read_text(encoding="utf-8")
    assert "กรุงเทพมหานคร" in text
    assert json.loads(text)["format"] == "memla-edit"


def test_an_edit_that_changes_nothing_is_saved_and_loaded(tmp_path: Path) -> None:
    folder = WeightDelta({}, "abc", {"fact": "столица"}).save(tmp_path / "edit")
    assert load_edit(folder).describe()["layers"] == {}


def test_a_folder_with_something_in_it_is_refused_and_kept(
    edit: WeightDelta, tmp_path: Path
) -> None:
    (tmp_path / "日記.txt").write_text("大切", encoding="utf-8")
    with pytest.raises(DataError, match="not an empty folder"):
        edit.save(tmp_path)
    with pytest.raises(DataError, match="not an empty folder"):
        edit.save(tmp_path / "日記.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["日記.txt"]


def test_an_empty_folder_is_used(edit: WeightDelta, tmp_path: Path) -> None:
    folder = tmp_path / "вот"
    folder.mkdir()
    assert load_edit(edit.save(folder)).describe() == edit.describe()


def test_a_full_disk_leaves_nothing(edit: WeightDelta, tmp_path: Path, small_files: None) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        edit.save(tmp_path / "edit")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_saving_leaves_nothing(
    edit: WeightDelta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        edit.save(tmp_path / "edit")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no edit folder"):
        load_edit(tmp_path / "無い")


def test_a_foreign_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"it has no edit\.json"):
        load_edit(tmp_path)
    (tmp_path / HEADER_FILE).write_text('{"別": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="does not say 'memla-edit'"):
        load_edit(tmp_path)
    (tmp_path / HEADER_FILE).write_text("[1]", encoding="utf-8")
    with pytest.raises(DataError, match="does not say 'memla-edit'"):
        load_edit(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 99"),
        ({"kind": "память"}, "память"),
        ({"kind": None}, "which kind"),
        ({"layers": {"0": "wide"}}, "does not hold a whole edit"),
        ({"layers": {"нет": "dense"}}, "does not hold a whole edit"),
        ({"layers": {"5": "dense"}}, "does not hold a whole edit"),
        ({"layers": [1]}, "does not hold a whole edit"),
    ],
)
def test_a_header_that_cannot_be_is_named(
    edit: WeightDelta, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = edit.save(tmp_path / "edit")
    header = json.loads((folder / HEADER_FILE).read_text(encoding="utf-8")) | change
    (folder / HEADER_FILE).write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load_edit(folder)


def test_damage_is_noticed(edit: WeightDelta, tmp_path: Path) -> None:
    folder = edit.save(tmp_path / "edit")
    tensors = folder / TENSOR_FILE
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    with pytest.raises(DataError, match="is not what was written"):
        load_edit(folder)
    tensors.unlink()
    with pytest.raises(DataError, match=r"no readable tensors\.safetensors"):
        load_edit(folder)
    (folder / HEADER_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is damaged"):
        load_edit(folder)
