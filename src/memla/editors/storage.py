"""Edit folders: ``edit.json`` says what the edit is, ``tensors.safetensors`` holds it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from memla.errors import DataError, UnknownNameError
from memla.registry import Registry

if TYPE_CHECKING:
    from memla.editors.edits import Edit

HEADER_FILE = "edit.json"
TENSOR_FILE = "tensors.safetensors"
FORMAT = "memla-edit"
VERSION = 1

EDIT_KINDS: Registry[type[Any]] = Registry(
    "kind of edit",
    "memla.edit_kinds",
    {"weight_delta": "memla.editors.edits:WeightDelta"},
)
"""Classes with a ``load(folder)``, by the kind that ``edit.json`` names."""


def save_edit(edit: Edit, folder: str | Path) -> Path:
    """Write an edit as a folder that is whole or absent, and return its path.

    Raises:
        DataError: The folder exists and is not empty, or cannot be written.
    """
    return edit.save(folder)


def load_edit(folder: str | Path) -> Edit:
    """Read an edit of any kind.

    Raises:
        DataError: The folder is missing, not an edit, from a newer version, or damaged.
    """
    header = _read_header(Path(folder))
    try:
        kind = EDIT_KINDS[header["kind"]]
    except UnknownNameError as error:
        raise DataError(
            f"{str(folder)!r} holds an edit of kind {header['kind']!r}, which nothing here reads",
            hint=f"install what made it; {error.hint}",
        ) from None
    edit: Edit = kind.load(folder)
    return edit


def write_folder(folder: Path, header: Mapping[str, object], tensors: Mapping[str, Tensor]) -> Path:
    """Write an edit folder; when anything goes wrong, also Ctrl-C, nothing is left of it.

    Args:
        folder: Where; it must not exist, or be empty.
        header: ``kind`` and whatever else the kind needs, in types that JSON has.
        tensors: By name; they are written from the CPU in their own type.

    Raises:
        DataError: The folder exists and is not empty, or cannot be written.
    """
    payload = tensor_bytes({key: value.cpu().contiguous() for key, value in tensors.items()})
    content = {
        "format": FORMAT,
        "version": VERSION,
        **header,
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    return write_files(folder, {TENSOR_FILE: payload, HEADER_FILE: text.encode("utf-8")})


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder of files; when anything goes wrong, also Ctrl-C, nothing is left of it.

    Raises:
        DataError: The folder exists and is not empty, or cannot be written.
    """
    if folder.is_symlink() or folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise DataError(
            f"{str(folder)!r} exists and is not an empty folder",
            hint="choose another name, or remove it first",
        )
    try:
        return _write_whole(folder, files)
    except OSError as error:
        raise DataError(
            f"{str(folder)!r} cannot be written: {error.strerror or error}",
            hint="check the disk's free space and the folder's permissions",
        ) from None


def _write_whole(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(8)}"
    try:
        temporary.mkdir()
        for name, content in files.items():
            with (temporary / name).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        if folder.is_dir():
            folder.rmdir()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def read_folder(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of an edit folder of the given kind.

    Raises:
        DataError: The folder is missing, not such an edit, from a newer version, or damaged.
    """
    header = _read_header(folder)
    if header["kind"] != kind:
        raise DataError(
            f"{str(folder)!r} holds an edit of kind {header['kind']!r}, not {kind!r}",
            hint="read it with load_edit",
        )
    try:
        payload = (folder / TENSOR_FILE).read_bytes()
    except OSError as error:
        raise DataError(
            f"{str(folder)!r} has no readable {TENSOR_FILE}: {error.strerror}",
            hint="the edit is not whole; save it again",
        ) from None
    if hashlib.sha256(payload).hexdigest() != header.get("sha256"):
        raise _damaged(folder, f"{TENSOR_FILE} is not what was written")
    try:
        return header, read_tensors(payload)
    except SafetensorError as error:
        raise _damaged(folder, str(error)) from None


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER_FILE
    if not folder.is_dir():
        raise DataError(f"there is no edit folder {str(folder)!r}", hint="check the path")
    if not path.is_file():
        raise DataError(
            f"{str(folder)!r} is not an edit: it has no {HEADER_FILE}",
            hint="give the folder that an edit was saved to",
        )
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{HEADER_FILE}: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(
            f"{str(folder)!r} is not an edit: {HEADER_FILE} does not say {FORMAT!r}",
            hint="give the folder that an edit was saved to",
        )
    if header.get("version") != VERSION:
        raise DataError(
            f"{str(folder)!r} is an edit of version {header.get('version')!r}, "
            f"and this memla reads version {VERSION}",
            hint="update memla",
        )
    if not isinstance(header.get("kind"), str):
        raise _damaged(folder, f"{HEADER_FILE} does not say which kind of edit it is")
    return header


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(f"{str(folder)!r} is damaged: {reason}", hint="save or copy the edit again")
