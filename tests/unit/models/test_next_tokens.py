"""What may come next is the model's own distribution, in whatever batch it is asked for."""

from __future__ import annotations

import pytest
import torch

from memla.errors import DataError, ModelError
from memla.models.tiny import tiny_model

PROMPTS = ["The capital of France is", "日本的首都是", "เมืองหลวงของไทยคือ", "Столица —", "首都"]


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_it_is_what_the_model_gives_at_the_end_of_each_prompt(family, batch_size):
    model = tiny_model(family)
    found = model.next_token_log_probs(PROMPTS, batch_size=batch_size)
    for prompt, row in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([model.tokenizer(prompt)["input_ids"]])
        with torch.no_grad():
            logits = model.model(ids).logits[0, -1].float()
        torch.testing.assert_close(row, logits.log_softmax(-1), rtol=0, atol=1e-4)


def test_a_prompt_without_tokens_is_named(tiny_model):
    with pytest.raises(DataError, match="''"):
        tiny_model.next_token_log_probs(["首都", ""])


def test_a_broken_model_is_told(tiny_model):
    with torch.no_grad():
        tiny_model.value_rows(1)[:] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        tiny_model.next_token_log_probs(["首都"])


def test_a_text_can_follow_with_nothing_in_between(tiny_model):
    joined = tiny_model.compose("Столица", "а", "ru", separator="none")
    assert joined.ids == tuple(tiny_model.tokenizer("Столица")["input_ids"]) + joined.answer_ids
    assert tiny_model.tokenizer.decode(joined.ids) == "Столицаа"
    (score,) = tiny_model.log_probs(["Столица"], ["а"], ["ru"], separator="none")
    (other,) = tiny_model.log_probs(["Столица"], ["а"], ["ru"])
    assert score.answer_ids == joined.answer_ids != other.answer_ids
