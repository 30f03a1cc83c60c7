"""Integrated gradients as the equations say them: layer by layer, node by node, whole sequences.

Nothing is cached, packed or shared. The neurons themselves are replaced, d_ff numbers at a time,
and automatic differentiation goes through everything after them. Probabilities are taken as they
are. Only the model's public forward pass and plain torch hooks are used.
"""

from __future__ import annotations

import torch

TEACHER_FORCED, JOINT, JOINT_ALL = "teacher_forced", "joint", "joint_all"


def attribution(
    model,
    prompt,
    answer,
    *,
    semantics,
    site="down_in",
    position=None,
    nodes,
    weights,
    mask_token=None,
    skipped=(),
    multiplier="delta",
    logarithm=False,
    unit=1.0,
    layers=None,
):
    """Scores [layers, d_ff] in float64, divided by ``unit``.

    Args:
        model: A LanguageModel, of which only the HF model and the modules at the site are used.
        prompt: Token ids.
        answer: Token ids.
        semantics: What is done about answers of several tokens.
        site: ``down_in`` or ``pre_act``.
        position: Index of the token at which neurons are replaced; None: the last of the context.
        nodes: Points in [0, 1].
        weights: Their weights.
        mask_token: Token of the sequential masking; None: baseline zero.
        skipped: Token ids that are not masked.
        multiplier: ``delta`` or ``activation``.
        logarithm: Whether log-probabilities are attributed.
        unit: What probabilities are divided by.
        layers: Only these.
    """
    scores = torch.zeros(model.n_layers, model.d_ff, dtype=torch.float64)
    for layer in range(model.n_layers) if layers is None else layers:
        for context, places, scored, share in _contexts(prompt, answer, semantics, position):
            actual = _neurons(model, layer, site, context, places)
            baseline = torch.zeros_like(actual)
            if mask_token is not None:
                baseline = _masked(model, layer, site, context, places, mask_token, skipped)
            delta = actual - baseline
            factor = delta if multiplier == "delta" else actual
            for node, weight in zip(nodes, weights, strict=True):
                values = (baseline + node * delta).clone().requires_grad_()
                log_probs = _log_probs(model, layer, site, context, places, values, scored)
                if semantics == TEACHER_FORCED:
                    objective = log_probs.sum() if logarithm else (log_probs.exp() / unit).sum()
                else:
                    total = log_probs.sum()
                    objective = total if logarithm else total.exp() / unit
                (gradient,) = torch.autograd.grad(objective, values)
                scores[layer] += share * weight * (factor * gradient).double().sum(0)
    return scores


def _contexts(prompt, answer, semantics, position):
    """Tokens read, positions replaced, (place, token) scored, and weight of each context."""
    last = len(prompt) - 1
    if semantics == TEACHER_FORCED:
        for index, token in enumerate(answer):
            context = [*prompt, *answer[:index]]
            end = last + index
            yield context, [end if position is None else position], [(end, token)], 1 / len(answer)
    else:
        context = [*prompt, *answer[:-1]]
        places = [last if position is None else position]
        if semantics == JOINT_ALL:
            places += range(last + 1, len(context))
        yield context, places, [(last + i, token) for i, token in enumerate(answer)], 1.0


def _neurons(model, layer, site, context, places):
    """Values of the neurons of one layer at some positions: [positions, d_ff]."""
    caught = []
    if site == "down_in":
        module = model.down_projection(layer)
        handle = module.register_forward_pre_hook(lambda _m, args: caught.append(args[0].clone()))
    else:
        module = model.up_projection(layer)
        handle = module.register_forward_hook(lambda _m, _a, out: caught.append(out.clone()))
    with torch.no_grad():
        model.model(input_ids=torch.tensor([context]), use_cache=False)
    handle.remove()
    table = caught[0].reshape(len(context), -1)
    return table[places, : model.d_ff]


def _masked(model, layer, site, context, places, mask_token, skipped):
    """Mean of the neurons' values over contexts with one token replaced, for each position."""
    rows = []
    for index, place in enumerate(places):
        maskable = [j for j in range(place + 1) if context[j] not in skipped]
        values = []
        for j in maskable or range(place + 1):
            changed = list(context)
            changed[j] = mask_token
            values.append(_neurons(model, layer, site, changed, places)[index])
        rows.append(torch.stack(values).mean(0))
    return torch.stack(rows)


def _log_probs(model, layer, site, context, places, values, scored):
    """Log-probabilities of the scored tokens with the neurons replaced, in float64."""

    def replaced(tensor):
        table = tensor.reshape(len(context), -1)
        changed = table.clone()
        changed[places, : model.d_ff] = values
        return changed.reshape(tensor.shape)

    if site == "down_in":
        module = model.down_projection(layer)
        handle = module.register_forward_pre_hook(lambda _m, args: (replaced(args[0]),))
    else:
        module = model.up_projection(layer)
        handle = module.register_forward_hook(lambda _m, _a, out: replaced(out))
    logits = model.model(input_ids=torch.tensor([context]), use_cache=False).logits[0]
    handle.remove()
    table = logits.double().log_softmax(-1)
    return torch.stack([table[place, token] for place, token in scored])
