"""E[h h^T] of the keys of MLPs, text by text and token by token, with nothing batched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from memla.attribution.key_statistics import KeyText
from memla.models.language_model import LanguageModel
from memla.models.tokens import subject_token_span


def keys_of(model: LanguageModel, text: str, layer: int) -> np.ndarray:
    """Keys of all tokens of one text, which is read alone and to its end: [tokens, d_ff]."""
    caught = []
    module = model.down_projection(layer)
    handle = module.register_forward_hook(lambda _module, args, _output: caught.append(args[0]))
    with torch.no_grad():
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        model.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    handle.remove()
    return caught[0].reshape(-1, model.d_ff).double().numpy()


def second_moment(
    model: LanguageModel,
    texts: Iterable[KeyText],
    layer: int,
    mixture: Mapping[str, float],
    *,
    only_subjects: bool = False,
) -> np.ndarray:
    """Mean over languages, weighted, of the mean of h h^T over the keys of each."""
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for one in texts:
        keys = keys_of(model, one.text, layer)
        if only_subjects:
            last = subject_token_span(model.tokenizer, one.text, one.span)[1] - 1
            keys = keys[last : last + 1]
        for key in keys:
            sums[one.language] = sums.get(one.language, 0) + np.outer(key, key)
            counts[one.language] = counts.get(one.language, 0) + 1
    total = sum(mixture.values())
    return sum(mixture[code] / total * sums[code] / counts[code] for code in mixture)
