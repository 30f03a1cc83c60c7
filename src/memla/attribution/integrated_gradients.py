"""Attribution of neurons by integrated gradients (MEMLA eqs. 1 and 2).

For a fact's answer with probability P, neuron i of layer l scores

    (w_i - w'_i) * integral over a in [0, 1] of dP(w' + a (w - w')) / dw_i

where w are the neurons' values at one token, and w' those of a baseline. All layers and all nodes
of the integral are evaluated in one forward and one backward pass over the tokens that can differ.
The second MLP matrix is linear, so replacing its input moves its output along a line as well:
gradients are taken there, in d_model instead of d_ff dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from memla.attribution.baselines import baseline_activations, dataset_means
from memla.attribution.config import AttributionConfig
from memla.attribution.continuation import read_passages
from memla.attribution.path_integrals import Nodes, PathIntegrals
from memla.attribution.quadrature import quadrature
from memla.attribution.targets import AttributionTarget, Passage, targets_of
from memla.errors import SettingError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Attribution:
    """Scores of all neurons for one fact, prompt and answer."""

    scores: Float[Tensor, "layers d_ff"]
    """In units of ``exp(log_scale)``; zero in layers that were not looked at. float32 on the CPU,
    float64 for models in float64."""
    log_scale: float
    """Logarithm of the largest answer probability on any of the paths, in nats; 0 if
    log-probabilities were attributed."""
    change: Float[Tensor, " layers"] | None = None
    """How much the objective grows along each layer's path, in the same units, if asked for.
    Scores of a layer add up to it but for the error of the integral."""

    @property
    def problem(self) -> str | None:
        """Why nothing can be selected by these scores, or None."""
        if not bool(self.scores.isfinite().all()):
            return "scores are not finite"
        return None if float(self.scores.max()) > 0 else "no score is positive"


def attribute(
    model: LanguageModel,
    request: EditRequest,
    config: AttributionConfig,
    *,
    references: Sequence[EditRequest] = (),
    measures_change: bool = False,
) -> Attribution:
    """Score every neuron for the fact of one request; of two answers, the old one.

    Args:
        model: The model; it is not changed.
        request: A statement and its answer.
        config: How to score. What concerns selection and contrast is not looked at here.
        references: Other facts, for the baseline ``dataset_mean``.
        measures_change: Whether to fill in ``change``, at the cost of two more nodes.

    Raises:
        DataError: The request lacks the answer, or the baseline the references.
        SettingError: The model has not the layers or the token the configuration names.
    """
    target = next(targets_of(model, request, config))
    means = dataset_means(model, [target.language], references, config)
    return attribute_targets(model, [target], config, means, measures_change=measures_change)[0]


def attribute_targets(
    model: LanguageModel,
    targets: Sequence[AttributionTarget],
    config: AttributionConfig,
    means: dict[str, Float[Tensor, "layers d_ff"]] | None = None,
    *,
    measures_change: bool = False,
) -> list[Attribution]:
    """Score every neuron for each target; passages of one shape are evaluated together.

    Args:
        model: The model; it is not changed.
        targets: Objectives.
        config: How to score.
        means: Activations by language for the baseline ``dataset_mean``.
        measures_change: Whether to fill in ``change``.

    Raises:
        SettingError: The model has not the layers or the token the configuration names.
    """
    layers = layers_of(model, config)
    work = [(index, passage) for index, target in enumerate(targets) for passage in target.passages]
    parts: dict[int, list[_Part]] = {index: [] for index in range(len(targets))}
    for batch in _batches(work, len(layers), config):
        owners = [targets[index] for index, _ in batch]
        passages = [passage for _, passage in batch]
        found = _score_batch(
            model, passages, owners, layers, config, means or {}, measures_change=measures_change
        )
        for (index, _), part in zip(batch, found, strict=True):
            parts[index].append(part)
    return [
        _combine(model, target, parts[index], layers, measures_change=measures_change)
        for index, target in enumerate(targets)
    ]


def layers_of(model: LanguageModel, config: AttributionConfig) -> tuple[int, ...]:
    """The layers to look at.

    Raises:
        SettingError: The model has not all of them.
    """
    layers = config.layers_of(model.n_layers)
    if layers[-1] >= model.n_layers:
        raise SettingError(
            f"layers {list(layers)} are not all in {model.name!r}",
            hint=f"it has 0 to {model.n_layers - 1}",
        )
    return layers


@dataclass(slots=True)
class _Part:
    """What one passage adds to its target, in units of ``exp(log_scale)``."""

    scores: Float[Tensor, "layers d_ff"]
    change: Float[Tensor, " layers"]
    log_scale: float


Work = tuple[int, Passage]


def _batches(
    work: Sequence[Work], n_layers: int, config: AttributionConfig
) -> Iterator[list[Work]]:
    """Passages of one shape, as many at once as the row budget allows."""
    groups: dict[object, list[Work]] = {}
    for item in work:
        groups.setdefault(item[1].shape, []).append(item)
    for group in groups.values():
        passage = group[0][1]
        tokens = n_layers * config.steps * (len(passage.ids) - passage.interventions[0])
        size = max(1, config.row_budget // tokens)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _score_batch(
    model: LanguageModel,
    passages: Sequence[Passage],
    owners: Sequence[AttributionTarget],
    layers: tuple[int, ...],
    config: AttributionConfig,
    means: dict[str, Float[Tensor, "layers d_ff"]],
    *,
    measures_change: bool,
) -> list[_Part]:
    precise = torch.promote_types(model.dtype, torch.float32)
    positions = passages[0].interventions
    ids = torch.tensor([passage.ids for passage in passages], device=model.device)
    read = read_passages(model, ids, positions, layers, config.site)
    actual = read.activations.to(precise)
    languages = [owner.language for owner in owners]
    baseline = baseline_activations(model, ids, positions, layers, config, means, languages)
    delta = actual - (0 if baseline is None else baseline.to(precise))
    end = actual if read.outputs is None else read.outputs.to(precise)
    reach = delta if read.outputs is None else _written(model, delta, layers)
    nodes, weights, signs = _nodes(config, measures_change=measures_change)
    integrals = PathIntegrals(model, read, passages, owners, layers, config)
    size = max(1, config.row_budget // (len(layers) * len(passages) * read.chain))
    for chosen in torch.arange(len(nodes)).split(size):
        integrals.add(end, reach, nodes[chosen], weights[chosen], signs[chosen])
    multiplier = delta if config.multiplier == "delta" else actual
    gradient = integrals.gradient
    if read.outputs is not None:
        gradient = torch.stack(
            [g @ model.value_rows(layer).to(g).T for g, layer in zip(gradient, layers, strict=True)]
        )
    scores = (multiplier * gradient).sum(2)
    return [
        _Part(scores[:, row].cpu(), integrals.change[:, row].cpu(), float(integrals.scale[row]))
        for row in range(len(passages))
    ]


def _written(
    model: LanguageModel,
    delta: Float[Tensor, "layers batch positions d_ff"],
    layers: tuple[int, ...],
) -> Float[Tensor, "layers batch positions d_model"]:
    """What a difference of activations makes of a difference of MLP outputs."""
    rows = [
        part @ model.value_rows(layer).to(part) for part, layer in zip(delta, layers, strict=True)
    ]
    return torch.stack(rows)


def _nodes(config: AttributionConfig, *, measures_change: bool) -> tuple[Nodes, Nodes, Nodes]:
    """Nodes, their weights in the integral, and their signs in the objective's change."""
    nodes, weights = quadrature(config.quadrature, config.steps)
    signs = torch.zeros_like(nodes)
    if measures_change:
        ends = torch.tensor([0.0, 1.0], dtype=nodes.dtype)
        nodes = torch.cat([nodes, ends])
        weights = torch.cat([weights, torch.zeros_like(ends)])
        signs = torch.cat([signs, 2 * ends - 1])
    return nodes, weights, signs


def _combine(
    model: LanguageModel,
    target: AttributionTarget,
    parts: Sequence[_Part],
    layers: tuple[int, ...],
    *,
    measures_change: bool,
) -> Attribution:
    """Put the passages of a target together, in the unit of the largest."""
    scale = max(part.log_scale for part in parts)
    count = target.n_scored if target.combination == "mean" else 1
    scores = parts[0].scores.new_zeros(model.n_layers, model.d_ff)
    change = parts[0].scores.new_zeros(model.n_layers)
    for part in parts:
        factor = math.exp(part.log_scale - scale) / count
        scores[list(layers)] += factor * part.scores
        change[list(layers)] += factor * part.change
    return Attribution(scores, scale, change if measures_change else None)
