"""What the MEMLA editor writes, where, and when it stops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from memla.attribution.knowledge_neurons import locate_neurons
from memla.editors.edits import Dense, LowRank, RowSparse, WeightDelta
from memla.editors.memla.coefficient import SEARCHED, gauss_sigmoid, search
from memla.editors.memla.config import MemlaConfig
from memla.editors.memla.editor import MemlaEditor
from memla.editors.memla.objective import Evaluation
from memla.errors import EditError, NoNeuronsError, SettingError, UnknownNameError
from memla.facts import EditRequest
from memla.models import tiny
from memla.models.language_model import LanguageModel
from memla.testing.test_editors import REFERENCES, REQUESTS, capital, requests_from

RUSSIAN = EditRequest(
    fact="russia",
    language="ru",
    prompt="Столица {} —",
    subject="России",
    target_new="Тула",
    target_true="Москва",
)


def edited(
    model: LanguageModel,
    *requests: EditRequest,
    preset: str = "recommended",
    references: tuple[EditRequest, ...] = (),
    seed: int = 0,
    **changes: object,
) -> WeightDelta:
    settings: dict[str, object] = {"steps": 3, **changes}
    if preset == "recommended":
        # A model of three layers has few to spare: look at all of them.
        everywhere = {"depth": None, "scope": "global", "threshold": 0.1}
        settings["identification"] = everywhere | dict(settings.get("identification", {}))
    config = MemlaConfig.preset(preset, settings)
    return MemlaEditor(config).edit(
        model, requests or requests_from("zh"), references=references, seed=seed
    )


def rows_of(edit: WeightDelta) -> dict[int, list[int]]:
    rows = {}
    for layer, part in edit.deltas.items():
        assert isinstance(part, RowSparse)
        rows[layer] = part.rows.tolist()
    return rows


def size_of(edit: WeightDelta, d_ff: int) -> float:
    return math.sqrt(sum(float(part.dense(d_ff).square().sum()) for part in edit.deltas.values()))


def details(edit: WeightDelta) -> dict[str, Any]:
    return dict(edit.describe())


def test_the_new_answer_becomes_more_probable_by_what_the_edit_reports(
    tiny_model: LanguageModel,
) -> None:
    request = capital("zh", "泰国", "东京", "曼谷")
    edit = edited(tiny_model, request, steps=30)
    report = details(edit)
    with edit.applied(tiny_model):
        score = tiny_model.log_probs([request.text], ["东京"], ["zh"])[0]
    assert report["edited"]["p_new"][0] == pytest.approx(score.probability, rel=1e-3)
    assert report["edited"]["p_new"][0] > 100 * report["before"]["p_new"][0]


def test_only_the_chosen_neurons_rows_change(tiny_model: LanguageModel) -> None:
    before = {layer: tiny_model.value_rows(layer).clone() for layer in range(3)}
    edit = edited(tiny_model)
    chosen = rows_of(edit)
    with edit.applied(tiny_model):
        for layer in range(3):
            changed = (tiny_model.value_rows(layer) != before[layer]).any(dim=1)
            assert changed.nonzero().flatten().tolist() == chosen.get(layer, [])


def test_the_rows_are_the_specific_and_the_shared_neurons(tiny_model: LanguageModel) -> None:
    report = details(edited(tiny_model))["neurons"]
    both = rows_of(edited(tiny_model))
    specific = rows_of(edited(tiny_model, without_lie=True))
    shared = rows_of(edited(tiny_model, without_lse=True))
    assert report["n_specific"] == sum(map(len, specific.values())) > 0
    assert report["n_shared"] == sum(map(len, shared.values())) > 0
    for layer, rows in both.items():
        assert rows == sorted(specific.get(layer, []) + shared.get(layer, []))
        assert len(set(rows)) == len(rows)
        in_layer = report["specific_by_layer"][layer] + report["shared_by_layer"][layer]
        assert in_layer == len(rows)


def test_an_edit_tells_which_neurons_every_two_languages_have_in_common(
    tiny_model: LanguageModel,
) -> None:
    requests = requests_from("zh")
    common = details(edited(tiny_model, *requests))["neurons"]["common_by_layer"]
    identification = MemlaConfig.preset(
        "recommended", {"identification": {"depth": None, "scope": "global", "threshold": 0.1}}
    ).identification
    located = locate_neurons(tiny_model, requests, identification).per_language
    languages = list(located)
    assert len(common) == len(languages) * (len(languages) + 1) // 2 > 1
    for pair, sizes in common.items():
        first, second = pair.split("+")
        assert sizes == list((located[first] & located[second]).by_layer(3))
    assert any(map(any, common.values()))


@pytest.mark.parametrize("mask", ["without_lsm", "without_lim"])
def test_an_editor_without_its_mask_changes_every_row(tiny_model: LanguageModel, mask: str) -> None:
    low_rank = edited(tiny_model, **{mask: True}).deltas[0]
    assert isinstance(low_rank, LowRank)
    assert (low_rank.dense(64) != 0).any(dim=1).all()
    dense = edited(tiny_model, parametrisation="dense_rows", **{mask: True}).deltas[0]
    assert isinstance(dense, Dense)


@pytest.mark.parametrize("parametrisation", ["dense_rows", "factor_n0", "factor_d0"])
def test_every_parametrisation_writes(tiny_model: LanguageModel, parametrisation: str) -> None:
    report = details(edited(tiny_model, parametrisation=parametrisation))
    assert report["trained"]["loss"] < report["before"]["loss"]


def test_training_stops_before_the_step_when_the_answer_is_probable(
    tiny_model: LanguageModel,
) -> None:
    edit = edited(tiny_model, stop_probability=1e-40)
    assert details(edit)["steps"] == 0
    assert details(edit)["stopped"] == "probability"
    assert size_of(edit, 64) == 0


def test_training_stops_when_the_loss_is_small_and_when_the_steps_are_over(
    tiny_model: LanguageModel,
) -> None:
    by_loss = details(edited(tiny_model, stop_loss=1e6))
    assert (by_loss["steps"], by_loss["stopped"]) == (0, "loss")
    by_steps = details(edited(tiny_model))
    assert (by_steps["steps"], by_steps["stopped"]) == (3, "steps")


def test_a_training_that_diverges_is_an_error() -> None:
    model = tiny.tiny_model("gpt2")
    model.model.to(torch.float16)
    with pytest.raises(EditError, match="lower learning_rate"):
        edited(model, learning_rate=1e3, init="unit")


def test_the_constant_coefficient_scales_what_was_trained(tiny_model: LanguageModel) -> None:
    full = edited(tiny_model, coefficient="one")
    half = edited(tiny_model, coefficient="constant", coefficient_value=0.5)
    for layer, part in full.deltas.items():
        torch.testing.assert_close(
            half.deltas[layer].dense(64), 0.5 * part.dense(64), rtol=0, atol=0
        )
    assert details(half)["coefficients"]["0"]["c"] == 0.5
    assert details(half)["trained"] == details(full)["trained"]
    assert details(half)["edited"] != details(half)["trained"]


def test_the_gauss_sigmoid_coefficient_damps_by_relative_size(tiny_model: LanguageModel) -> None:
    for rho, expected in [(0.0, 0.85), (0.25, 0.88), (1.0, 0.75), (2.0, 0.48), (9.0, 0.40)]:
        assert gauss_sigmoid(torch.tensor(rho)).item() == pytest.approx(expected, abs=0.006)
    full = edited(tiny_model, coefficient="one")
    edit = edited(tiny_model, coefficient="gauss_sigmoid")
    for layer, sizes in details(edit)["coefficients"].items():
        weight = tiny_model.value_rows(int(layer))
        rho = full.deltas[int(layer)].dense(64).norm() / weight.norm()
        assert sizes["rho"] == pytest.approx(rho.item(), rel=1e-5)
        assert sizes["c"] == pytest.approx(gauss_sigmoid(rho).item(), rel=1e-5)


def test_a_coefficient_inside_is_seen_by_the_training(tiny_model: LanguageModel) -> None:
    inside = edited(tiny_model, coefficient="gauss_sigmoid", coefficient_when="inside")
    report = details(inside)
    assert report["edited"]["loss"] == pytest.approx(report["trained"]["loss"], rel=1e-5)
    after = edited(tiny_model, coefficient="gauss_sigmoid")
    assert size_of(inside, 64) != size_of(after, 64)


def test_the_search_takes_the_smallest_coefficient_that_suffices(
    tiny_model: LanguageModel,
) -> None:
    def evaluation(value: float) -> Evaluation:
        new, old = torch.tensor([math.log(value)]), torch.tensor([math.log(0.95)])
        return Evaluation(torch.zeros(()), new, old, (0,), torch.zeros(()))

    assert search(lambda value: evaluation(min(0.999, value + 0.3))) == 0.7
    assert search(lambda value: evaluation(value / 2)) == 1.0
    report = details(edited(tiny_model, coefficient="search"))
    assert report["coefficients"]["0"]["c"] in SEARCHED


def test_random_neurons_are_as_many_in_each_layer_but_others(tiny_model: LanguageModel) -> None:
    located, control = edited(tiny_model), edited(tiny_model, neurons="random")
    assert details(control)["neurons"]["source"] == "random"
    for key in ("specific_by_layer", "shared_by_layer"):
        assert details(control)["neurons"][key] == details(located)["neurons"][key]
    assert rows_of(control) != rows_of(located)
    assert rows_of(control) == rows_of(edited(tiny_model, neurons="random"))
    assert rows_of(control) != rows_of(edited(tiny_model, neurons="random", seed=1))


def test_an_edit_keeps_to_the_layers_it_is_given(tiny_model: LanguageModel) -> None:
    assert set(edited(tiny_model, layers=(1,)).deltas) == {1}


NOTHING_SHARED = {
    "without_lse": True,
    "identification": {"threshold": 0.9, "quorum": 1.0},
}


def test_without_neurons_the_threshold_is_lowered_until_there_are_some(
    tiny_model: LanguageModel,
) -> None:
    report = details(edited(tiny_model, on_empty="relax", **NOTHING_SHARED))["neurons"]
    assert report["source"] == "relaxed"
    assert report["relaxed"] >= 1
    assert report["n_shared"] >= 1


def test_without_neurons_the_highest_scores_are_taken_if_asked(
    tiny_model: LanguageModel,
) -> None:
    report = details(edited(tiny_model, on_empty="top_k", top_k=40, **NOTHING_SHARED))["neurons"]
    assert report["source"] == "top_k"
    assert 1 <= report["n_shared"] <= 40


def test_without_neurons_a_fact_is_skipped_or_refused_if_asked(
    tiny_model: LanguageModel,
) -> None:
    edit = edited(tiny_model, on_empty="skip", **NOTHING_SHARED)
    assert edit.deltas == {}
    assert details(edit)["stopped"] == "skipped"
    with edit.applied(tiny_model):
        pass
    with pytest.raises(NoNeuronsError, match="thailand"):
        edited(tiny_model, on_empty="error", **NOTHING_SHARED)


def test_other_facts_stay_closer_with_the_locality_term(tiny_model: LanguageModel) -> None:
    request = capital("zh", "泰国", "东京", "曼谷")
    free = edited(tiny_model, request, references=REFERENCES, locality_weight=0.0, steps=20)
    kept = edited(tiny_model, request, references=REFERENCES, locality_weight=10.0, steps=20)
    assert details(kept)["locality_prompts"] == 2
    assert details(free)["locality_prompts"] == 0

    def drift(edit: WeightDelta) -> float:
        rows = {"prompts": ["日本的首都是"], "answers": ["东京"], "languages": ["zh"]}
        before = tiny_model.log_probs(**rows)[0].joint
        with edit.applied(tiny_model):
            return abs(tiny_model.log_probs(**rows)[0].joint - before)

    assert drift(kept) < drift(free)


def test_locality_prompts_are_drawn_whatever_their_order_and_never_of_the_edited_fact(
    tiny_model: LanguageModel,
) -> None:
    own = (REQUESTS["zh"], capital("zh", "暹罗", None, "曼谷"))
    one = edited(tiny_model, references=REFERENCES, locality_prompts=1)
    for references in (REFERENCES[::-1], (*own, *REFERENCES)):
        other = edited(tiny_model, references=references, locality_prompts=1)
        assert size_of(other, 64) == size_of(one, 64)
    everywhere = edited(tiny_model, references=REFERENCES, locality_languages="all")
    assert details(everywhere)["locality_prompts"] == 4


def test_locality_prompts_of_the_edited_relation_are_drawn_first(tiny_model: LanguageModel) -> None:
    rivers = tuple(
        EditRequest(fact=name, language="zh", prompt="流经{}的河是", subject=name, target_true="河")
        for name in ("甲", "乙", "丙", "丁")
    )
    edit = edited(tiny_model, references=(*rivers, *REFERENCES), locality_prompts=2)
    assert details(edit)["locality_facts"] == ["france", "japan"]
    facts = {
        fact
        for seed in range(5)
        for fact in details(
            edited(
                tiny_model,
                references=(*rivers, *REFERENCES),
                locality_prompts=2,
                locality_choice="any",
                seed=seed,
            )
        )["locality_facts"]
    }
    assert facts & {"甲", "乙", "丙", "丁"}


def test_several_languages_and_facts_are_written_at_once(tiny_model: LanguageModel) -> None:
    alone = [edited(tiny_model, *requests_from("zh", "th")), edited(tiny_model, RUSSIAN)]
    together = edited(tiny_model, *requests_from("zh", "th"), RUSSIAN, steps=30)
    report = details(together)
    assert len(report["edited"]["p_new"]) == 3
    for before, after in zip(report["before"]["p_new"], report["edited"]["p_new"], strict=True):
        assert after > before
    for layer, rows in rows_of(together).items():
        union = {row for edit in alone for row in rows_of(edit).get(layer, [])}
        assert set(rows) == union


def test_each_fact_needs_a_new_answer(tiny_model: LanguageModel) -> None:
    with pytest.raises(EditError, match="russia"):
        edited(tiny_model, *requests_from("zh"), RUSSIAN.without_target())


def test_the_two_editors_can_have_their_own_rates(tiny_model: LanguageModel) -> None:
    shared = rows_of(edited(tiny_model, without_lse=True))
    edit = edited(tiny_model, shared_learning_rate=1e-12)
    part = edit.deltas[0]
    assert isinstance(part, RowSparse)
    sizes = dict(zip(part.rows.tolist(), part.update.norm(dim=1).tolist(), strict=True))
    assert all((size < 1e-9) == (row in shared[0]) for row, size in sizes.items())


def test_the_old_answer_can_be_pushed_down(tiny_model: LanguageModel) -> None:
    request = capital("zh", "日本", "清迈", "东京")
    pushed = edited(tiny_model, request, old_term="unlikelihood", old_weight=50.0, steps=10)
    assert details(pushed)["edited"]["p_old"][0] < details(pushed)["before"]["p_old"][0]
    assert details(edited(tiny_model, request))["edited"]["p_old"] == []


def test_an_edit_can_be_made_where_gradients_are_switched_off(tiny_model: LanguageModel) -> None:
    with torch.no_grad():
        edit = edited(tiny_model)
    assert size_of(edit, 64) > 0


def test_parameters_are_float32_when_the_model_is_not() -> None:
    model = tiny.tiny_model("llama")
    model.model.to(torch.bfloat16)
    edit = edited(model)
    for part in edit.deltas.values():
        assert isinstance(part, RowSparse)
        assert part.update.dtype == torch.float32


def test_seeds_decide_the_draws(tiny_model: LanguageModel) -> None:
    assert size_of(edited(tiny_model), 64) != size_of(edited(tiny_model, seed=1), 64)


def test_presets_say_what_the_paper_and_its_code_say() -> None:
    paper, authors = MemlaConfig.preset("paper"), MemlaConfig.preset("authors")
    assert MemlaConfig() == MemlaConfig.preset("recommended")
    assert (paper.rank_per_neuron, paper.learning_rate, paper.steps) == (4, 1e-3, 60)
    assert paper.coefficient == "gauss_sigmoid"
    assert (authors.coefficient, authors.coefficient_value) == ("constant", 0.5)
    assert paper.identification.quorum == 1.0
    assert paper.locality_weight == 0
    assert paper.preset_name == "paper"
    assert MemlaConfig.preset("paper", {"steps": 1}).preset_name == "custom"


def test_changes_reach_nested_settings_and_keep_the_rest() -> None:
    config = MemlaConfig.preset("paper", {"identification": {"threshold": 0.2}})
    expected = MemlaConfig.preset("paper").identification.model_copy(update={"threshold": 0.2})
    assert config.identification == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepps": 3}, "stepps"),
        ({"steps": -1}, "steps"),
        ({"identification": {"threshold": 2.0}}, "threshold"),
        ({"without_lse": True, "without_lie": True}, "nothing to edit with"),
        ({"coefficient": "search", "coefficient_when": "inside"}, "search"),
        ({"layers": ()}, "layers"),
    ],
)
def test_settings_that_cannot_be_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        MemlaConfig.preset("recommended", changes)
    with pytest.raises(UnknownNameError, match="papier"):
        MemlaConfig.preset("papier")
