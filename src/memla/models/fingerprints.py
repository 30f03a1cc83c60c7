"""The identity of a model's weights."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

WORDS = 512
"""Words of 64 bits that are summed into one, each times a number of its own."""
ROWS = 1 << 11
"""Sums that are made at once, which bounds the memory for the products."""
MOST_KNOWN = 64
"""Weights whose digests are remembered."""

_known: OrderedDict[bytes, str] = OrderedDict()


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of all weights, with their names, types and shapes.

    Weights that were seen before are known by weighted sums of their words, modulo 2^64, which are
    made where the weights are and cost a small part of it. Other weights have the same sums with a
    chance of about 2^-60, whatever was changed and however.
    """
    seen = _summed(model)
    if seen not in _known:
        _known[seen] = _whole_digest(model)
        while len(_known) > MOST_KNOWN:
            _known.popitem(last=False)
    return _known[seen]


def _whole_digest(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        digest.update(_description(name, weight))
        digest.update(_bytes(weight).cpu().numpy().data)
    return digest.hexdigest()


@torch.no_grad()
def _summed(model: nn.Module) -> bytes:
    """A digest of the weighted sums of all words, and of the bytes that do not fill a sum."""
    digest = hashlib.sha256()
    drawn = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (WORDS,), generator=drawn) * 2 + 1
    by_device: dict[torch.device, Tensor] = {}
    for name, weight in sorted(model.named_parameters()):
        digest.update(_description(name, weight))
        content = _bytes(weight)
        whole = content.numel() // (8 * WORDS) * (8 * WORDS)
        # A view needs an address that is a multiple of a word's size.
        aligned = content if content.storage_offset() % 8 == 0 else content.clone()
        words = aligned[:whole].view(torch.int64).view(-1, WORDS)
        share = by_device.setdefault(weight.device, factors.to(weight.device))
        sums = torch.cat([(part * share).sum(1) for part in words.split(ROWS)])
        for part in (sums, content[whole:]):
            digest.update(part.cpu().numpy().data)
    return digest.digest()


def _description(name: str, weight: Tensor) -> bytes:
    return f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode()


def _bytes(weight: Tensor) -> UInt8[Tensor, " bytes"]:
    return weight.detach().contiguous().reshape(-1).view(torch.uint8)
