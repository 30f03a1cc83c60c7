"""Read and replace activations inside a ``with`` block, on plain torch hooks.

Hooks are removed when the block ends, also after an exception. Modules that return a tuple, as some
blocks do, are read and replaced at its first element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]


@contextmanager
def capture_inputs(modules: Mapping[int, nn.Module]) -> Iterator[dict[int, Tensor]]:
    """Yield a dict that each forward pass fills with the input of every module.

    What is caught stays in the autograd graph. A second pass overwrites the first.
    """
    caught: dict[int, Tensor] = {}

    def hook_for(key: int) -> Callable[..., None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            caught[key] = _first_input(args, kwargs)

        return hook

    with ExitStack() as stack:
        for key, module in modules.items():
            handle = module.register_forward_pre_hook(hook_for(key), with_kwargs=True)
            stack.callback(handle.remove)
        yield caught


@contextmanager
def capture_outputs(modules: Mapping[int, nn.Module]) -> Iterator[dict[int, Tensor]]:
    """Yield a dict that each forward pass fills with the output of every module.

    What is caught stays in the autograd graph. A second pass overwrites the first.
    """
    caught: dict[int, Tensor] = {}

    def hook_for(key: int) -> Callable[..., Any]:
        def hook(_module: nn.Module, _args: object, output: Any) -> Any:  # noqa: ANN401
            caught[key] = _first_output(output)
            # Falcon adds to what its MLP returns in place, which would change what we caught.
            return _with_first_output(output, caught[key].clone())

        return hook

    with ExitStack() as stack:
        for key, module in modules.items():
            stack.callback(module.register_forward_hook(hook_for(key)).remove)
        yield caught


@contextmanager
def replace_output(module: nn.Module, function: Change) -> Iterator[None]:
    """Pass what the module returns through ``function``, which must not change it in place."""

    def hook(_module: nn.Module, _args: object, output: Any) -> Any:  # noqa: ANN401
        return _with_first_output(output, function(_first_output(output)))

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def replace_input(module: nn.Module, function: Change) -> Iterator[None]:
    """Pass what the module is given through ``function``, which must not change it in place."""

    def hook(
        _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        changed = function(_first_input(args, kwargs))
        if args:
            return (changed, *args[1:]), kwargs
        return args, kwargs | {next(iter(kwargs)): changed}

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def stopped_after(module: nn.Module) -> Iterator[None]:
    """End the ``with`` block once the module has returned; what follows in it is not computed.

    Enter it last: what is captured or replaced outside of it is so before the block ends.
    """
    signal = _Stopped()

    def hook(_module: nn.Module, _args: object, _output: object) -> None:
        raise signal

    handle = module.register_forward_hook(hook)
    try:
        yield
    except _Stopped as stopped:
        if stopped is not signal:
            raise
    finally:
        handle.remove()


class _Stopped(BaseException):
    """Leaves a forward pass; not an Exception, so that no model takes it for a failure."""


def _first_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    value = args[0] if args else next(iter(kwargs.values()))
    assert isinstance(value, Tensor)
    return value


def _first_output(output: Any) -> Tensor:  # noqa: ANN401
    value = output if isinstance(output, Tensor) else output[0]
    assert isinstance(value, Tensor)
    return value


def _with_first_output(output: Any, value: Tensor) -> Any:  # noqa: ANN401
    return value if isinstance(output, Tensor) else (value, *output[1:])
