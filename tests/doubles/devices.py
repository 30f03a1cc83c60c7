"""Devices that are not there: tensors lie in this machine's memory and say they lie elsewhere.

As on GPUs, no operation takes tensors of two devices, except scalars and the places of an index.
What is computed is what a CPU computes. So a model can be spread over two devices where there is
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from memla.models.language_model import LanguageModel

FIRST, SECOND = torch.device("meta", 0), torch.device("meta", 1)
CPU = torch.device("cpu")
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


class TwoDevicesError(RuntimeError):
    """An operation got tensors of two devices."""


class Placed(Tensor):
    """A tensor that says it lies on another device."""

    content: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor, device: torch.device) -> Placed:
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=device,
            requires_grad=inner.requires_grad,
        )
        made.content = inner
        return made

    def __repr__(self) -> str:
        return f"Placed({self.content!r}, {self.device})"

    def tolist(self) -> Any:
        return self.content.tolist()

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(listed(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(listed(index), value)

    @classmethod
    def __torch_dispatch__(cls, function, _types, args=(), kwargs=None):
        return computed(function, args, dict(kwargs or {}))


def listed(index: Any) -> Any:
    """An index without lists, of which torch makes tensors past every mode."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(
        torch.tensor(part, dtype=None if part else torch.long) if isinstance(part, list) else part
        for part in parts
    )


class Lists(TorchFunctionMode):
    """Makes tensors of lists here and moves them, as torch makes none of them past every mode."""

    def __torch_function__(self, function, _types, args=(), kwargs=None):
        given = dict(kwargs or {})
        if function is torch.tensor and given.get("device") is not None:
            device = given.pop("device")
            return function(*args, **given).to(device)
        return function(*args, **given)


@contextmanager
def devices() -> Iterator[None]:
    """Have the devices that are not there inside the ``with`` block."""
    known = optimizer._get_fused_kernels_supported_devices
    optimizer._get_fused_kernels_supported_devices = lambda: [*known(), "meta"]
    try:
        with Devices(), Lists():
            yield
    finally:
        optimizer._get_fused_kernels_supported_devices = known


class Devices(TorchDispatchMode):
    """Makes tensors on devices that are not there inside a ``with`` block."""

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        return computed(function, args, dict(kwargs or {}))


def computed(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a function gives, on the device of what it was given."""
    target = kwargs.get("device")
    name = function.overloadpacket.__name__
    if name == "copy_":
        source = args[1].content if isinstance(args[1], Placed) else args[1]
        (args[0].content if isinstance(args[0], Placed) else args[0]).copy_(source)
        return args[0]
    device = target if target is not None else common_device(name, args, kwargs)
    if target is not None:
        kwargs["device"] = CPU
    inner_args, inner_kwargs = tree_map_only(Placed, lambda one: one.content, (args, kwargs))
    result = function(*inner_args, **inner_kwargs)
    if not function._schema.returns:
        return None
    if name.endswith("_") and not name.startswith("__"):
        return args[0]
    if device.type != "meta":
        return result
    return tree_map_only(Tensor, lambda one: Placed(one, device), result)


def common_device(name: str, args: Any, kwargs: Any) -> torch.device:
    """The device of all tensors."""
    looked_at = (args[0], *args[2:]) if name in INDEXED else args
    tensors = [one for one in tree_flatten((looked_at, kwargs))[0] if isinstance(one, Tensor)]
    devices = {one.device for one in tensors if one.ndim > 0} or {one.device for one in tensors}
    if len(devices) > 1:
        raise TwoDevicesError(f"{name} got tensors on {sorted(map(str, devices))}")
    return devices.pop() if devices else CPU


def spread(model: LanguageModel, first: int) -> LanguageModel:
    """Put all but the first blocks of a model, its norm and its head on the second device.

    Like accelerate, every part moves what it is given to where it is.

    Args:
        model: A model of this machine; its parts are replaced.
        first: Number of blocks that lie on the first device, with the embeddings.
    """
    root = model.model
    blocks = [model.block(layer) for layer in range(model.n_layers)]
    later = {id(part) for block in blocks[first:] for part in block.modules()}
    embeddings = root.get_input_embeddings().weight
    moved: dict[int, nn.Parameter] = {}
    for path, module in list(root.named_modules()):
        is_end = any(word in path for word in ("norm", "ln_f", "head")) and "embed" not in path
        in_block = any(module is part for block in blocks for part in block.modules())
        device = SECOND if id(module) in later or (is_end and not in_block) else FIRST
        for name, weight in list(module._parameters.items()):
            if weight is None:
                continue
            place = FIRST if weight is embeddings else device
            if id(weight) not in moved:
                moved[id(weight)] = nn.Parameter(Placed(weight.data, place), requires_grad=False)
            module._parameters[name] = moved[id(weight)]
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = Placed(buffer, device)
        if module in blocks or any(one is not None for one in module._parameters.values()):
            follow(module)
    return model


def follow(module: nn.Module) -> None:
    """Have a module move what it is given to where its first weight is."""
    inner = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        device = next(module.parameters()).device
        args, kwargs = tree_map_only(Tensor, lambda one: one.to(device), (args, kwargs))
        return inner(*args, **kwargs)

    module.forward = forward
