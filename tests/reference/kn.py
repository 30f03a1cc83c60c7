"""Knowledge-neuron surgery neuron by neuron, on a copy of the weights as they are stored.

Scores are those of ``tests/reference/attribution.py``; everything else is loops over numbers.
"""

from __future__ import annotations

from tests.reference.attribution import attribution


def neurons(model, prompt, answer, *, steps, share):
    """Neurons (layer, index) whose score reaches a share of the largest of all layers.

    Zero baseline, midpoints, probability of the answer's first token.
    """
    scores = attribution(
        model,
        prompt,
        answer[:1],
        semantics="teacher_forced",
        nodes=[(step + 0.5) / steps for step in range(steps)],
        weights=[1 / steps] * steps,
    )
    largest = max(scores.flatten().tolist())
    return [
        (layer, index)
        for layer, row in enumerate(scores.tolist())
        for index, score in enumerate(row)
        if score >= share * largest
    ]


def written(model, found, table, old, new, *, lambda_old, lambda_new):
    """Copies of the second MLP matrices, as stored, after surgery.

    Args:
        model: A LanguageModel.
        found: Neurons.
        table: Embedding of each token [vocab, d_model].
        old: Tokens taken out.
        new: Tokens put in.
        lambda_old: Their weight.
        lambda_new: Their weight.
    """
    result = {}
    for layer in sorted({layer for layer, _ in found}):
        weight = model.down_projection(layer).weight.detach().clone()
        for other, index in found:
            if other != layer:
                continue
            for dimension in range(model.d_model):
                gain = lambda_new * sum(table[token][dimension] for token in new) / len(new)
                loss = lambda_old * sum(table[token][dimension] for token in old) / len(old)
                place = (index, dimension)
                if type(model.down_projection(layer)).__name__ != "Conv1D":
                    place = (dimension, index)
                weight[place] += gain - loss
        result[layer] = weight
    return result
