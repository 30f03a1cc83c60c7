"""Find the neurons that hold a fact, in each of three languages and in all of them."""

from __future__ import annotations

from memla import AttributionConfig, EditRequest, locate_neurons, tiny_model

PROMPTS = {
    "zh": ("{}的首都是", "法国", "巴黎"),
    "ja": ("{}の首都は", "フランス", "パリ"),
    "ru": ("Столица страны {} —", "Франция", "Париж"),
}

model = tiny_model("gpt2")
requests = [
    EditRequest(
        fact="capital-of-france",
        language=language,
        prompt=prompt,
        subject=subject,
        target_true=answer,
    )
    for language, (prompt, subject, answer) in PROMPTS.items()
]
found = locate_neurons(model, requests, AttributionConfig.preset("paper"))
for language, neurons in found.per_language.items():
    print(f"{language}: {len(neurons)} neurons, by layer {neurons.by_layer(model.n_layers)}")
print(f"in all languages: {sorted(found.shared)}")
assert set(found.per_language) == set(PROMPTS)
