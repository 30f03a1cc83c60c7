"""Files of key statistics: safetensors with a header, whole or absent, checked when read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memla.errors import DataError
from memla.records import written_whole

FORMAT = "memla-key-statistics"
VERSION = 1


def write_file(path: Path, header: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors and a header in types that JSON has; the file is whole or absent.

    Raises:
        DataError: The file cannot be written; what stood there before is untouched.
    """
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = {
        "format": FORMAT,
        "version": VERSION,
        **header,
        "sha256": {name: _digest(tensor) for name, tensor in kept.items()},
    }
    with written_whole(path) as new:
        try:
            save_file(kept, new, metadata={"memla": json.dumps(content, ensure_ascii=False)})
        except SafetensorError as error:  # a full disk, among others
            raise DataError(
                f"{str(path)!r} cannot be written: {error}",
                hint="check the disk's free space and the folder's permissions",
            ) from None


def read_header(path: Path) -> dict[str, Any]:
    """What a file says of itself, without its tensors.

    Raises:
        DataError: The file is missing, not one of key statistics, of a newer version, or damaged.
    """
    return _read(path, ())[0]


def read_file(
    path: Path, names: Sequence[str] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file.

    Args:
        path: A file that ``write_file`` wrote.
        names: Only these tensors; all without it. Those the file lacks are left out.

    Raises:
        DataError: The file is missing, not one of key statistics, of a newer version, or damaged.
    """
    return _read(path, names)


def _read(path: Path, names: Sequence[str] | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise DataError(
            f"there is no file of key statistics {str(path)!r}",
            hint="make it with `memla statistics MODEL --benchmark mkeb-geo --out FILE`",
        )
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as opened:
            header = _header(path, (opened.metadata() or {}).get("memla"))
            found = list(opened.keys())
            for name in found if names is None else names:
                if name in found:
                    tensors[name] = opened.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, str(error)) from None
    known = header.get("sha256")
    for name, tensor in tensors.items():
        if not isinstance(known, dict) or known.get(name) != _digest(tensor):
            raise _damaged(path, f"tensor {name!r} is not what was written")
    return header, tensors


def _header(path: Path, text: str | None) -> dict[str, Any]:
    header: object = None
    with contextlib.suppress(ValueError, TypeError):
        header = json.loads(text or "")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(
            f"{str(path)!r} is not a file of key statistics",
            hint="give a file that `memla statistics` wrote",
        )
    if header.get("version") != VERSION:
        raise DataError(
            f"{str(path)!r} is of version {header.get('version')!r}, "
            f"and this memla reads version {VERSION}",
            hint="update memla",
        )
    return header


def _digest(tensor: Tensor) -> str:
    flat = tensor.contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().data).hexdigest()


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(
        f"{str(path)!r} is damaged: {reason}", hint="make it again with `memla statistics`"
    )
