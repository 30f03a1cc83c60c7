"""The MEMLA editor: two masked low-rank editors on located neurons (eqs. 5 to 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch

from memla.editors.base import edit_info, generator_for, written
from memla.editors.edits import WeightDelta
from memla.editors.memla.adapters import Factors, LayerEditors, attached, make_factors
from memla.editors.memla.coefficient import relative_size, scales, search, weight_norm
from memla.editors.memla.config import MemlaConfig
from memla.editors.memla.objective import (
    Evaluation,
    LossWeights,
    Objective,
    make_objective,
)
from memla.editors.memla.selection import (
    Allowed,
    Chosen,
    choose_neurons,
    random_neurons,
)
from memla.editors.memla.training import Schedule, Trained, train
from memla.editors.remembered import lower_blocks_remembered
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel


class MemlaEditor:
    """Write a fact into the neurons that hold it: those of the source language, and those shared.

    Requests in the other languages only help to find the shared neurons. Several source languages
    and several facts are written together: their losses add up, their neurons unite.

    Args:
        config: Its settings; None means the preset ``recommended``.
    """

    name = "memla"
    config_class = MemlaConfig

    def __init__(self, config: MemlaConfig | None = None) -> None:
        self.config = config or MemlaConfig()

    def edit(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        *,
        references: Sequence[EditRequest] = (),
        seed: int = 0,
    ) -> WeightDelta:
        """Work out the edit and leave the model bit for bit as it is.

        Args:
            model: The model to edit.
            requests: Those with ``target_new`` are written; the others help to locate neurons.
            references: Other facts, for contrast and for what should stay as it is. Those of
                the edited facts themselves are ignored.
            seed: Decides every random draw, together with the facts' names.

        Raises:
            EditError: No request has a new answer, no neuron was found, or training diverged.
        """
        targets = written(requests)
        facts = sorted({request.fact for request in targets})
        others = [request.without_target() for request in references if request.fact not in facts]
        chosen = self._choose(model, requests, others, seed, facts)
        locality = self._locality(requests, others, seed, facts)
        info = edit_info(self, model, requests, seed) | {
            "neurons": chosen.report(model.n_layers),
            "locality_prompts": len(locality),
            "locality_facts": sorted({request.fact for request in locality}),
        }
        if not chosen:
            return WeightDelta({}, model.fingerprint(), info | {"steps": 0, "stopped": "skipped"})
        editors = self._editors(model, chosen, generator_for(seed, "factors", *facts))
        with torch.enable_grad(), lower_blocks_remembered(model, min(editors)):
            objective = self._objective(model, targets, locality)
            trained, final, sizes = self._fit(model, objective, editors)
        return WeightDelta(
            {layer: editor.part(sizes[layer]["c"]) for layer, editor in editors.items()},
            model.fingerprint(),
            info | _outcome(trained, final, sizes),
        )

    def _choose(
        self,
        model: LanguageModel,
        requests: Sequence[EditRequest],
        references: Sequence[EditRequest],
        seed: int,
        facts: Sequence[str],
    ) -> Chosen:
        config = self.config
        chosen = choose_neurons(
            model,
            requests,
            references,
            config.identification,
            allowed=Allowed(not config.without_lse, not config.without_lie, config.layers),
            on_empty=config.on_empty,
            top_k=config.top_k,
        )
        if config.neurons == "random":
            return random_neurons(chosen, model.d_ff, generator_for(seed, "neurons", *facts))
        return chosen

    def _locality(
        self,
        requests: Sequence[EditRequest],
        references: Sequence[EditRequest],
        seed: int,
        facts: Sequence[str],
    ) -> list[EditRequest]:
        """The prompts that should stay as they are, drawn without regard to their order."""
        if self.config.locality_weight == 0:
            return []
        sources = {request.language for request in written(requests)}
        everywhere = self.config.locality_languages == "all"
        pool = sorted(
            {item for item in references if everywhere or item.language in sources},
            key=lambda item: (item.fact, item.language, item.text),
        )
        order = torch.randperm(len(pool), generator=generator_for(seed, "locality", *facts))
        drawn = [pool[index] for index in order.tolist()]
        if self.config.locality_choice == "relation":
            relations = {(request.language, request.prompt) for request in requests}
            drawn.sort(key=lambda item: (item.language, item.prompt) not in relations)
        return drawn[: self.config.locality_prompts]

    def _editors(
        self, model: LanguageModel, chosen: Chosen, generator: torch.Generator
    ) -> dict[int, LayerEditors]:
        config = self.config

        def factors(layer: int, neurons: Sequence[int], *, masked: bool) -> Factors | None:
            if not neurons:
                return None
            return make_factors(
                neurons,
                model=model,
                masked=masked,
                parametrisation=config.parametrisation,
                rank_per_neuron=config.rank_per_neuron,
                spread=1.0 if config.init == "unit" else None,
                device=model.value_rows(layer).device,
                generator=generator,
            )

        specific, shared = chosen.specific.layers, chosen.shared.layers
        return {
            layer: LayerEditors(
                factors(layer, specific.get(layer, ()), masked=not config.without_lsm),
                factors(layer, shared.get(layer, ()), masked=not config.without_lim),
                model.d_ff,
            )
            for layer in sorted({*specific, *shared})
        }

    def _objective(
        self,
        model: LanguageModel,
        targets: Sequence[EditRequest],
        locality: Sequence[EditRequest],
    ) -> Objective:
        config = self.config
        weights = LossWeights(
            new_weight=config.new_weight,
            nll_reduction=config.nll_reduction,
            old_term=config.old_term,
            old_weight=config.old_weight,
            locality_weight=config.locality_weight,
        )
        with_old = config.old_term != "none" or config.coefficient == "search"
        return make_objective(
            model, targets, locality, weights, config.answer_separator, with_old=with_old
        )

    def _fit(
        self, model: LanguageModel, objective: Objective, editors: Mapping[int, LayerEditors]
    ) -> tuple[Trained, Evaluation, dict[int, dict[str, float]]]:
        """Train the editors; then the coefficients, and the objective with them."""
        config = self.config
        schedule = Schedule(
            learning_rate=config.learning_rate,
            shared_learning_rate=config.shared_learning_rate or config.learning_rate,
            steps=config.steps,
            stop_loss=config.stop_loss,
            stop_probability=config.stop_probability,
        )
        norms = {layer: weight_norm(model.value_rows(layer)) for layer in editors}
        chosen = scales(config.coefficient, config.coefficient_value, editors, norms)
        inside = config.coefficient_when == "inside"
        seen = chosen if inside else scales("one", 1.0, editors, norms)
        with attached(model, editors, seen):
            trained = train(objective, editors, schedule)

        def evaluate(values: Mapping[int, float]) -> Evaluation:
            constant = {layer: partial(float, value) for layer, value in values.items()}
            with attached(model, editors, constant):
                return objective.evaluate()

        with torch.no_grad():
            if config.coefficient == "search":
                found = search(lambda value: evaluate(dict.fromkeys(editors, value)))
                values = dict.fromkeys(editors, found)
            else:
                values = {layer: float(scale()) for layer, scale in chosen.items()}
            sizes = {
                layer: {"rho": relative_size(editor, norms[layer]).item(), "c": values[layer]}
                for layer, editor in editors.items()
            }
            return trained, evaluate(values), sizes


def _outcome(
    trained: Trained, final: Evaluation, sizes: Mapping[int, Mapping[str, float]]
) -> dict[str, object]:
    return {
        "steps": trained.steps,
        "stopped": trained.reason,
        "before": trained.first.report(),
        "trained": trained.last.report(),
        "edited": final.report(),
        "coefficients": {str(layer): dict(size) for layer, size in sizes.items()},
    }
