"""What checks types and shapes at run time while the tests run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from beartype import beartype
from beartype.roar import BeartypeDecorHintPep673Exception

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., Any]")


def check(function: Function) -> Function:
    """beartype, except for hints with ``Self``.

    jaxtyping decorates methods one by one, and beartype understands ``Self`` only when it sees
    the whole class. Arguments of such a method
    are still checked; only what it returns is not.
    """
    try:
        return beartype(function)
    except BeartypeDecorHintPep673Exception:
        return function
