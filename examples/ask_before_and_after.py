"""Ask for a fact in Thai and in Chinese, before and after an edit that was saved and loaded."""

from __future__ import annotations

import tempfile
from pathlib import Path

from memla import EDITORS, EditRequest, load_edit, tiny_model

model = tiny_model("llama")
request = EditRequest(
    fact="capital-of-japan",
    language="th",
    prompt="เมืองหลวงของ{}คือ",
    subject="ญี่ปุ่น",
    target_new="เกียวโต",
    target_true="โตเกียว",
)
prompts = [request.text, "日本的首都是"]


def answers() -> list[str]:
    """What the model says, cut at the end of the answer."""
    said = model.generate(prompts, max_new_tokens=12, stop="answer")
    return [one.text for one in said]


before = answers()
with tempfile.TemporaryDirectory() as folder:
    EDITORS["memla"]().edit(model, [request]).save(Path(folder) / "kyoto")
    edit = load_edit(Path(folder) / "kyoto")
with edit.applied(model):
    after = answers()

for prompt, first, second in zip(prompts, before, after, strict=True):
    print(f"{prompt}\n  before: {first}\n  after:  {second}")
assert answers() == before
