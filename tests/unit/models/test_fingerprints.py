from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from memla.models import fingerprints
from memla.models.fingerprints import weights_digest


class Weights(nn.Module):
    """Weights of several types and sizes: less than a sum, a few sums, and bytes left over."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        self.small = nn.Parameter(torch.randn(3, generator=draw))
        self.large = nn.Parameter(torch.randn(96, 192, generator=draw))
        self.bfloat = nn.Parameter(torch.randn(5, 1031, generator=draw).bfloat16())
        self.view = nn.Parameter(torch.randn(4099, generator=draw)[1:])
        self.across = nn.Parameter(torch.randn(64, 65, generator=draw).T)


def plainly(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(module.named_parameters()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        values = weight.detach().contiguous().view(torch.int16)
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def test_the_digest_is_that_of_all_bytes_the_first_time_and_later():
    module = Weights()
    assert weights_digest(module) == plainly(module)
    assert weights_digest(module) == plainly(module)
    with torch.no_grad():
        module.large[2, 7] += 1
    assert weights_digest(module) == plainly(module)


@pytest.mark.parametrize("name", ["small", "large", "bfloat", "view", "across"])
def test_a_change_past_autograd_is_seen_in_every_place(name):
    module = Weights()
    weight = getattr(module, name)
    known = weights_digest(module)
    for place in (0, weight.numel() // 2, weight.numel() - 1):
        flat = weight.data.as_strided((weight.numel(),), (1,), weight.storage_offset())
        saved = flat[place].clone()
        flat[place] = saved + 0.5
        assert weights_digest(module) != known
        flat[place] = saved
        assert weights_digest(module) == known


def test_rows_that_change_places_are_seen():
    module = Weights()
    known = weights_digest(module)
    module.large.data[[0, 1]] = module.large.data[[1, 0]]
    assert weights_digest(module) != known
    assert weights_digest(module) == plainly(module)


def test_known_weights_are_not_read_whole_again(monkeypatch):
    module, twin = Weights(), Weights()
    known = weights_digest(module)

    def refuse(_: nn.Module) -> str:
        raise AssertionError("they were known")

    monkeypatch.setattr(fingerprints, "_whole_digest", refuse)
    assert weights_digest(twin) == known


def test_only_so_many_weights_are_remembered(monkeypatch):
    monkeypatch.setattr(fingerprints, "MOST_KNOWN", 2)
    module = nn.Linear(2, 2)
    for value in range(5):
        with torch.no_grad():
            module.weight.fill_(value)
        weights_digest(module)
    assert len(fingerprints._known) == 2
