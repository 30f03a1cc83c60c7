"""Edit one fact in Chinese on a toy model, look at it in two languages, and take it back."""

from __future__ import annotations

from memla import EDITORS, EditRequest, tiny_model

model = tiny_model("gpt2")
chinese = EditRequest(
    fact="capital-of-thailand",
    language="zh",
    prompt="{}的首都是",
    subject="泰国",
    target_new="清迈",
    target_true="曼谷",
)
thai = EditRequest(
    fact="capital-of-thailand",
    language="th",
    prompt="เมืองหลวงของ{}คือ",
    subject="ประเทศไทย",
    target_true="กรุงเทพมหานคร",
)
# The Thai request has no new answer: it only helps to find the neurons.
edit = EDITORS["memla"]().edit(model, [chinese, thai])


def probability(prompt: str, answer: str, language: str) -> float:
    """Probability of an answer as a continuation of a prompt."""
    return model.log_probs([prompt], [answer], [language])[0].probability


questions = (chinese.text, "清迈", "zh"), (thai.text, "เชียงใหม่", "th")
before = [probability(*question) for question in questions]
with edit.applied(model):
    after = [probability(*question) for question in questions]

for (prompt, answer, _), first, second in zip(questions, before, after, strict=True):
    print(f"{prompt} {answer}: {first:.2e} before, {second:.2e} after")
assert after[0] > before[0]
assert [probability(*question) for question in questions] == before
