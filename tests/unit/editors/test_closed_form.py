"""Cheap solves against direct ones, and what spreading over layers writes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from memla.editors.closed_form import alphaedit_update, memit_update, null_space, spread
from memla.editors.covariance import Covariance
from memla.editors.edits import LowRank, WeightDelta
from memla.editors.keys import Memory, attached, look, memory_of
from memla.errors import EditError
from memla.models import tiny
from memla.models.language_model import LanguageModel
from memla.testing.test_editors import REQUESTS
from tests.reference import memit as reference

D_FF = 40
PREFIXES = {"zh": ("", "因为。"), "th": ("", "เพราะ "), "en": ("", "I said. ", "You. ")}


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def given(matrix: Tensor) -> Covariance:
    return Covariance(matrix, layer=0, n_keys=len(matrix))


def moment(d_ff: int = D_FF, *, ridge: float = 0.1) -> Covariance:
    factor = draw(d_ff, d_ff, seed=9)
    return given(factor @ factor.T / d_ff + ridge * torch.eye(d_ff, dtype=torch.float64))


def memories_of(model: LanguageModel) -> list[Memory]:
    return [memory_of(model, REQUESTS[code], PREFIXES[code]) for code in ("zh", "th", "en")]


@pytest.mark.parametrize("n", [1, 7, 10, 11, 30, 60])
@pytest.mark.parametrize("weight", [0.05, 3.0, 15000.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_memits_cheap_solve_is_the_direct_one(n: int, weight: float, *, weighted: bool) -> None:
    covariance, keys = moment(), draw(D_FF, n)
    importance = draw(n, seed=1).abs() if weighted else torch.ones(n, dtype=torch.float64)
    expected = torch.linalg.solve(
        weight * covariance.matrix + keys @ torch.diag(importance) @ keys.T,
        keys @ torch.diag(importance),
    )
    found = memit_update(covariance, weight, keys, importance=importance if weighted else None)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_a_memory_of_no_importance_is_not_written() -> None:
    covariance, keys = moment(), draw(D_FF, 3)
    found = memit_update(covariance, 1.0, keys, importance=torch.tensor([1.0, 0.0, 2.0]))
    assert torch.equal(found[:, 1], torch.zeros(D_FF, dtype=torch.float64))
    others = memit_update(covariance, 1.0, keys[:, [0, 2]], importance=torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(found[:, [0, 2]], others, rtol=1e-10, atol=1e-12)


def test_a_joint_update_is_that_of_the_keys_together_and_not_the_sum_of_each_alone() -> None:
    covariance, keys = moment(), draw(D_FF, 3)
    keys[:, 2] = keys[:, 0] + 0.1 * keys[:, 2]
    joint = memit_update(covariance, 0.01, keys)
    alone = torch.cat(
        [memit_update(covariance, 0.01, keys[:, [index]]) for index in range(3)], dim=1
    )
    exact = memit_update(covariance, 0.0, keys)
    torch.testing.assert_close(keys.T @ exact, torch.eye(3).double(), rtol=0, atol=1e-9)
    assert (keys.T @ joint - torch.eye(3)).abs().max() < 0.5
    assert (keys.T @ alone - torch.eye(3)).abs().max() > 0.9


def test_the_same_key_twice_shares_what_is_written_and_cannot_be_written_exactly() -> None:
    covariance, keys = moment(), draw(D_FF, 1).expand(-1, 2)
    found = memit_update(covariance, 0.01, keys)
    torch.testing.assert_close(found[:, 0], found[:, 1])
    with pytest.raises(EditError, match="2 keys cannot be solved"):
        memit_update(covariance, 0.0, keys)


def preserved_and_basis(threshold: float = 1e-6) -> tuple[Tensor, Tensor]:
    known = draw(D_FF, 12, seed=3)
    basis = null_space(given(known @ known.T / 12), threshold, relative=True)
    return known, basis


def test_the_null_space_is_what_the_counted_keys_do_not_reach() -> None:
    known, basis = preserved_and_basis()
    projector = basis @ basis.T
    assert basis.shape == (D_FF, D_FF - 12)
    torch.testing.assert_close(projector @ projector, projector, rtol=0, atol=1e-12)
    torch.testing.assert_close(projector @ known, torch.zeros_like(known), rtol=0, atol=1e-6)


def test_a_relative_threshold_does_not_depend_on_the_keys_scale() -> None:
    small, large = moment(ridge=0.0), given(1e6 * moment(ridge=0.0).matrix)
    sizes = [null_space(one, 0.1, relative=True).shape[1] for one in (small, large)]
    assert sizes[0] == sizes[1] > 0
    assert null_space(small, 0.1, relative=False).shape[1] > 0
    with pytest.raises(EditError, match="no eigenvalue"):
        null_space(large, 1e-9, relative=False)


@pytest.mark.parametrize("n", [1, 6, 9, 20])
@pytest.mark.parametrize("p", [0, 4, 25])
def test_alphaedits_fast_solve_is_the_direct_one(n: int, p: int) -> None:
    _, basis = preserved_and_basis()
    keys, preserved = draw(D_FF, n, seed=4), draw(D_FF, p, seed=5)
    projector = basis @ basis.T
    counted = keys @ keys.T + preserved @ preserved.T
    system = projector @ counted + 10 * torch.eye(D_FF, dtype=torch.float64)
    expected = torch.linalg.solve(system, projector @ keys)
    found = alphaedit_update(basis, keys, preserved, 10.0)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_alphaedit_changes_nothing_at_the_keys_it_preserves() -> None:
    known, basis = preserved_and_basis()
    adjustment = alphaedit_update(basis, draw(D_FF, 3), draw(D_FF, 0), 1e-6)
    assert (known.T @ adjustment).abs().max() < 1e-8
    assert (draw(D_FF, 3).T @ adjustment - torch.eye(3)).abs().max() < 1e-6


def update_of(model: LanguageModel, weight: float) -> tuple[Covariance, object]:
    covariance = moment(model.d_ff)
    return covariance, lambda _layer, keys: memit_update(covariance, weight, keys)


@pytest.mark.parametrize("family", ["gpt2", "bloom", "falcon", "llama"])
def test_one_layer_writes_the_values_exactly_when_nothing_else_counts(family: str) -> None:
    model = tiny.tiny_model(family)
    model.model.double()
    memories = [memory_of(model, request, ("",)) for request in REQUESTS.values()]
    _, update = update_of(model, 0.0)
    targets = draw(3, model.d_model)
    for site in ("block", "mlp"):
        made = spread(model, memories, targets, (1,), site=site, update=update)
        with attached(model, made):
            _, present = look(model, memories, key_layers=(), value_layer=1, site=site)
        torch.testing.assert_close(present, targets, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "gemma3", "falcon", "bloom", "gptj", "opt"])
@pytest.mark.parametrize("site", ["block", "mlp"])
@pytest.mark.parametrize("share", ["linear", "sqrt"])
def test_spreading_over_two_layers_reads_keys_and_values_again(
    family: str, site: str, share: str
) -> None:
    model = tiny.tiny_model(family)
    model.model.double()
    covariance, update = update_of(model, 0.5)
    targets = draw(3, model.d_model)
    codes = ("zh", "th", "en")
    expected = reference.write(
        model,
        [REQUESTS[code] for code in codes],
        [PREFIXES[code] for code in codes],
        targets,
        (0, 2),
        covariance=dict.fromkeys((0, 2), covariance.matrix),
        weight=0.5,
        site=site,
        share=share,
    )
    before = model.fingerprint()
    made = spread(model, memories_of(model), targets, (2, 0), site=site, update=update, share=share)
    assert model.fingerprint() == before
    assert list(made) == [0, 2]
    for layer, part in made.items():
        torch.testing.assert_close(
            part.dense(model.d_ff), expected[layer], rtol=0, atol=2e-5 * expected[layer].abs().max()
        )


def test_more_layers_come_closer_behind_a_norm_than_if_it_were_left_out_of_account() -> None:
    model = tiny.tiny_model("gemma2")
    memories = memories_of(model)
    _, update = update_of(model, 0.01)
    _, start = look(model, memories, key_layers=(), value_layer=1, site="block")
    targets = start + 0.3 * draw(3, model.d_model)
    made = spread(model, memories, targets, (1,), site="block", update=update)
    without = {1: LowRank(made[1].up, targets - start)}
    left = []
    for updates in (made, without):
        with attached(model, updates):
            _, present = look(model, memories, key_layers=(), value_layer=1, site="block")
        left.append((targets - present).norm() / (targets - start).norm())
    assert left[0] < 0.75 * left[1]


def test_what_is_attached_is_what_the_edit_writes(tiny_model: LanguageModel) -> None:
    memories = memories_of(tiny_model)
    _, update = update_of(tiny_model, 0.1)
    made = spread(tiny_model, memories, draw(3, 32), (0, 1), site="block", update=update)
    stored = {layer: LowRank(part.up.float(), part.down.float()) for layer, part in made.items()}
    with attached(tiny_model, made):
        _, hooked = look(tiny_model, memories, key_layers=(), value_layer=1, site="block")
    with WeightDelta(stored, tiny_model.fingerprint()).applied(tiny_model):
        _, written = look(tiny_model, memories, key_layers=(), value_layer=1, site="block")
    torch.testing.assert_close(hooked, written, rtol=0, atol=1e-4)
