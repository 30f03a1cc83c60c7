"""Editors: methods that change what a model believes, and the edits they return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memla.registry import Registry

if TYPE_CHECKING:
    from memla.editors.base import Editor

EDITORS: Registry[type[Editor]] = Registry(
    "editor",
    "memla.editors",
    {
        "memla": "memla.editors.memla.editor:MemlaEditor",
        "crosskey": "memla.editors.crosskey.editor:CrossKeyEditor",
        "ft": "memla.editors.ft.editor:FtEditor",
        "kn": "memla.editors.kn:KnEditor",
        "alphaedit": "memla.editors.alphaedit:AlphaEditEditor",
        "memit": "memla.editors.memit:MemitEditor",
        "pmet": "memla.editors.pmet:PmetEditor",
        "rome": "memla.editors.rome.editor:RomeEditor",
    },
)
"""Every editor by name: ``EDITORS["memla"](config)``."""

__all__ = ["EDITORS"]
