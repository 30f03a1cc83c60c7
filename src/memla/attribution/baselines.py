"""Where integration paths start: the neurons' values when the model knows less."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from memla.attribution.config import AttributionConfig
from memla.attribution.continuation import at_positions, capture_neurons
from memla.attribution.remembered import Recall
from memla.errors import DataError, SettingError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from memla.models.tokens import prompt_ids, subject_token_span

Activations = Float[Tensor, "layers batch positions d_ff"]


def baseline_activations(
    model: LanguageModel,
    ids: Int[Tensor, "batch tokens"],
    positions: Sequence[int],
    layers: Sequence[int],
    config: AttributionConfig,
    means: dict[str, Float[Tensor, "layers d_ff"]],
    languages: Sequence[str],
) -> Activations | None:
    """Values at which the paths of a batch of passages start; None for zero.

    Args:
        model: The model.
        ids: Tokens of the passages.
        positions: Where neurons are replaced, ascending.
        layers: Layers looked at.
        config: Which baseline, and whether special tokens are masked.
        means: Values by language, for ``dataset_mean``.
        languages: Language of each passage.

    Raises:
        SettingError: The tokenizer lacks the token that masks.
    """
    if config.baseline == "zero":
        return None
    if config.baseline == "dataset_mean":
        rows = torch.stack([means[language] for language in languages], dim=1)
        return rows[:, :, None].expand(-1, -1, len(positions), -1)
    return _masked_mean(model, ids, positions, layers, config)


def _masking_token(model: LanguageModel, config: AttributionConfig) -> int:
    name = {"sequential_mask": "eos", "pad": "pad", "unk": "unk"}[config.baseline]
    token = getattr(model.tokenizer, f"{name}_token_id")
    if token is None:
        raise SettingError(
            f"baseline {config.baseline!r} needs the {name} token, which {model.name!r} lacks",
            hint="choose baseline zero",
        )
    return int(token)


@torch.no_grad()
def _masked_mean(
    model: LanguageModel,
    ids: Int[Tensor, "batch tokens"],
    positions: Sequence[int],
    layers: Sequence[int],
    config: AttributionConfig,
) -> Activations:
    """Mean over the prompts with one token masked each.

    The published code builds one straight path from each masked prompt and averages them point by
    point, which is one straight path from their mean. A token after the position cannot change
    anything there, and is left out.
    """
    length = positions[-1] + 1
    batch, places = ids.shape[0], torch.arange(length, device=ids.device)
    variants = ids[:, None, :length].repeat(1, length, 1)
    variants[:, places, places] = _masking_token(model, config)
    special = torch.tensor(model.tokenizer.all_special_ids, dtype=torch.long, device=ids.device)
    is_masked = torch.ones_like(ids[:, :length], dtype=torch.bool)
    if not config.mask_special:
        is_masked = ~torch.isin(ids[:, :length], special)
    reaches = places[:, None] <= torch.tensor(positions, device=ids.device)
    counted = is_masked[:, :, None] & reaches
    counted = torch.where(counted.any(1, keepdim=True), counted, reaches)
    values = []
    for part in variants.flatten(0, 1).split(max(1, 4 * config.row_budget // length)):
        with capture_neurons(model, layers, config.site) as caught:
            # Without a mask transformers takes masking tokens for padding, and warns.
            model.hidden_states(part, torch.ones_like(part))
        values.append(at_positions(caught, part, positions, model.d_ff))
    table = torch.cat(values, dim=1).unflatten(1, (batch, length))
    table = table.to(torch.promote_types(model.dtype, torch.float32))
    weights = counted.to(table) / counted.sum(1, keepdim=True)
    return torch.einsum("lbvpf,bvp->lbpf", table, weights)


def dataset_means(
    model: LanguageModel,
    languages: Iterable[str],
    references: Sequence[EditRequest],
    config: AttributionConfig,
) -> dict[str, Float[Tensor, "layers d_ff"]]:
    """Mean values over the references of each language, for ``dataset_mean``.

    Empty for other baselines.

    Raises:
        DataError: A language has no references.
    """
    if config.baseline != "dataset_mean":
        return {}
    layers = config.layers_of(model.n_layers)
    recall, scoring = Recall(model), config.scoring(model.n_layers)
    means = {}
    for language in dict.fromkeys(languages):
        values = [
            recall.get(
                ("activations", scoring, request.text, request.subject_span),
                partial(_reference_activations, model, request, layers, config),
                _bytes_of,
            )
            for request in references
            if request.language == language
        ]
        if not values:
            raise DataError(
                f"baseline 'dataset_mean' has no references in language {language!r}",
                hint="give other facts in that language, or choose another baseline",
            )
        means[language] = torch.stack(values).mean(0)
    return means


def _bytes_of(values: Tensor) -> int:
    return values.nbytes


@torch.no_grad()
def _reference_activations(
    model: LanguageModel,
    request: EditRequest,
    layers: Sequence[int],
    config: AttributionConfig,
) -> Float[Tensor, "layers d_ff"]:
    ids = prompt_ids(model.tokenizer, request.text)
    place = len(ids) - 1
    if config.position == "subject_last":
        place = subject_token_span(model.tokenizer, request.text, request.subject_span)[1] - 1
    tokens = torch.tensor([ids], device=model.device)
    with capture_neurons(model, layers, config.site) as caught:
        model.hidden_states(tokens)
    return at_positions(caught, tokens, [place], model.d_ff)[:, 0, 0].float()
