"""ROME: the smallest update of one layer that maps subjects to new values."""

from memla.editors.rome.config import RomeConfig
from memla.editors.rome.editor import RomeEditor

__all__ = ["RomeConfig", "RomeEditor"]
