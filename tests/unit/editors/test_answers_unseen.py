"""What no editor may see: answers in languages that it is not given, new or old."""

from __future__ import annotations

import pytest
import torch

from memla.editors import EDITORS
from memla.models.tiny import tiny_model
from memla.testing.test_editors import REFERENCES, capital, requests_from

QUICK = {
    "memit": {"steps": 3, "contexts": {"templates": ()}},
    "rome": {"steps": 3, "contexts": {"templates": ()}},
    "ft": {"steps": 3},
    "pmet": {"steps": 3, "contexts": {"templates": ()}},
    "alphaedit": {"steps": 3, "contexts": {"templates": ()}},
}
CROSSKEY = [
    {"steps": 3, "keys": keys, "locality": locality}
    for keys, locality in (
        ("labels", "subject_keys"),
        ("both", "neighbor_keys"),
        ("prompts", "null_space"),
        ("source", "text"),
    )
]
CASES = [*QUICK.items(), *(("crosskey", {**one, "nullspace_threshold": 1.0}) for one in CROSSKEY)]
SAID = {
    "zh": capital("zh", "泰国", "清迈", "曼谷"),
    "en": capital("en", "Thailand", "Chiang Mai", "Bangkok"),
}
OTHERWISE = {
    "zh": capital("zh", "泰国", "普吉", "大城"),
    "en": capital("en", "Thailand", "Phuket", "Ayutthaya"),
}


def tensors(name, settings, requests, references):
    editor = EDITORS[name]
    config = editor.config_class.preset("recommended", settings)
    model = tiny_model()
    edit = editor(config).edit(model, requests, references=references)
    return {layer: part.dense(model.d_ff) for layer, part in edit.deltas.items()}


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_answers_in_languages_that_are_not_edited_change_no_bit(name, settings):
    # The benchmark may list the edited fact among the references, with its answers.
    made = [
        tensors(
            name,
            settings,
            requests_from("th", **answers),
            (*REFERENCES, *(one.without_target() for one in answers.values())),
        )
        for answers in (SAID, OTHERWISE)
    ]
    # Nor do they play a part by being there: without any true answer the edit is the same.
    unsaid = {code: one.model_copy(update={"target_true": None}) for code, one in SAID.items()}
    made.append(tensors(name, settings, requests_from("th", **unsaid), REFERENCES))
    for other in made[1:]:
        assert set(other) == set(made[0])
        for layer, change in made[0].items():
            assert torch.equal(change, other[layer])
            assert change.abs().max() > 0
