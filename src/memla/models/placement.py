"""Where the weights of a model are: on one device, or spread over several."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel

from memla.errors import MissingExtraError, ModelError

SPREAD = "auto"
"""Stands for all GPUs, each with some of the blocks."""


def parse_placement(
    device: str | Mapping[str, str | int],
) -> torch.device | str | dict[str, torch.device]:
    """A device of this machine, or what accelerate spreads the parts of a model by.

    Args:
        device: Name of a device, ``auto``, or the device of each part by its path in the model;
            a part's place is that of all in it, and the path of the whole model is empty.

    Raises:
        ModelError: There is no such device, or a map is empty.
        MissingExtraError: The model is to be spread, and accelerate is not installed.
    """
    if isinstance(device, str) and device != SPREAD:
        return parse_device(device)
    try:
        import accelerate  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "a model on several devices needs the package accelerate",
            hint="pip install 'memla[large]'",
        ) from None
    if isinstance(device, str):
        return device
    if not device:
        raise ModelError("the map of devices is empty", hint="{'': 'cpu'} is all on the CPU")
    return {part: _device_of(place) for part, place in device.items()}


def check_placement(model: PreTrainedModel) -> None:
    """Make sure that every weight is where it can be read and edited.

    Raises:
        ModelError: A part found no room on the devices and is fetched whenever it is needed.
    """
    away = [name for name, weight in model.named_parameters() if weight.is_meta]
    if away:
        raise ModelError(
            f"{len(away)} weights do not fit on the GPUs, the first: {away[0]!r}",
            hint="give more GPUs, or load it in bfloat16",
        )


def parse_device(device: str) -> torch.device:
    """The torch device of a name, if this machine has it.

    Raises:
        ModelError: There is no such device.
    """
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"device {device!r} is not on this machine", hint="cpu always is"
        ) from error
    if found.type == "meta":
        raise ModelError(f"device {device!r} holds no weights", hint="choose cpu or cuda")
    return found


def _device_of(place: str | int) -> torch.device:
    return parse_device(place if isinstance(place, str) else f"cuda:{place}")
