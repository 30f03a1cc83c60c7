"""Settings that are left open are filled in by the model's family and size."""

from __future__ import annotations

import pytest
from pydantic import Field

from memla.editors.base import EditorConfig
from memla.editors.contexts import ContextConfig
from memla.editors.published import is_published, relative_layers, resolved
from memla.models.tiny import tiny_model


class Open(EditorConfig):
    layers: tuple[int, ...] | None = None
    clamp: float | None = None
    steps: int = 20
    contexts: ContextConfig = Field(default_factory=ContextConfig)


PUBLISHED = {("gpt2", 3, 32): {"layers": (2,), "clamp": 0.75}, ("llama", 3, 32): {"clamp": 4.0}}
GENERAL = {"layers": (0, 1), "clamp": 1.0}


def test_published_settings_come_before_general_ones():
    assert resolved(Open(), tiny_model("gpt2"), PUBLISHED, GENERAL).layers == (2,)
    assert resolved(Open(), tiny_model("gpt2"), PUBLISHED, GENERAL).clamp == 0.75
    assert resolved(Open(), tiny_model("llama"), PUBLISHED, GENERAL).layers == (0, 1)
    assert resolved(Open(), tiny_model("llama"), PUBLISHED, GENERAL).clamp == 4.0
    assert resolved(Open(), tiny_model("bloom"), PUBLISHED, GENERAL).clamp == 1.0


def test_what_is_set_stays_as_it_is():
    own = Open(clamp=2.0, steps=3, contexts=ContextConfig(templates=("因此，{}",)))
    filled = resolved(own, tiny_model("gpt2"), PUBLISHED, GENERAL)
    assert filled == own.model_copy(update={"layers": (2,)})


def test_a_model_is_told_by_its_size_and_not_by_its_name():
    renamed = tiny_model("gpt2")
    renamed.name = "有名なモデル"
    assert is_published(renamed, PUBLISHED)
    assert not is_published(tiny_model("gpt2", n_layers=2), PUBLISHED)
    assert not is_published(tiny_model("bloom"), PUBLISHED)


@pytest.mark.parametrize(
    ("n_layers", "lowest", "highest", "layers"),
    [
        (12, 0.0, 1.0, tuple(range(12))),
        (48, 0.35, 0.35, (16,)),
        (1, 0.2, 0.8, (0,)),
        (3, 0.5, 0.5, (1,)),
    ],
)
def test_layers_are_found_by_depth(n_layers, lowest, highest, layers):
    assert relative_layers(n_layers, lowest, highest) == layers
