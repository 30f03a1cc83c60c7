"""How the neurons of a fact are looked for: every choice the papers and their code leave open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from memla.languages import parse_language
from memla.records import Record
from memla.registry import unknown_name

Site = Literal["down_in", "pre_act"]
Baseline = Literal["sequential_mask", "zero", "dataset_mean", "pad", "unk"]
QuadratureRule = Literal[
    "midpoint", "left", "right", "trapezoid", "gauss_legendre", "linspace_inclusive"
]
MultiToken = Literal["teacher_forced", "joint", "joint_all", "first_token", "greedy_repeat"]
Answer = Literal["target_true", "target_new", "both", "greedy"]
Scope = Literal["global", "layer"]
Method = Literal["threshold", "top_k", "top_p_mass", "percentile"]


SELECTION = {
    "method",
    "scope",
    "threshold",
    "language_thresholds",
    "layers",
    "depth",
    "prompt_share",
    "cross_languages",
    "quorum",
    "contrast",
}
"""Settings that decide what is made of scores, and no score; of layers, which are looked at."""


class AttributionConfig(Record):
    """Settings of the search for knowledge neurons; the paper's symbols are in brackets.

    ``AttributionConfig()`` is what the equations of MEMLA say where they say something. Presets:

    ``paper``
        The defaults: integrated gradients of the old answer's probability at the last token of
        the prompt, from the mean of the prompts with one token masked, relative to one maximum
        over all layers; language-independent is what all languages share (eqs. 1 to 4).
    ``authors``
        What the published code does where it departs from the equations: neurons are read before
        the activation function, gradients are multiplied by the activation instead of its
        difference from the baseline, the sum takes the left ends of the steps, special tokens
        are masked too, later tokens of an answer follow the model's first greedy token again
        and again, and the intersection is over English, Chinese and French.
    ``recommended``
        What gave edits that travel and spare other facts in our own trials: attribution at the
        subject's last token, minus what other facts of the relation use as well, relative to each
        layer's maximum, in the first half of the model without its first layers (layer 0 holds
        the largest scores of all and would be nearly all that is found), and language-independent
        from a third of the languages on.
    """

    site: Site = "down_in"
    """Where a neuron's value is read and replaced: ``down_in``, the input of the second MLP
    matrix, or ``pre_act``, before the activation function (of the gate in gated MLPs)."""
    position: Literal["prompt_last", "subject_last"] = "prompt_last"
    """Token at which neurons are looked at: the prompt's last, or the subject's last."""
    baseline: Baseline = "sequential_mask"
    """Where the integration path starts [w']: ``sequential_mask``, the mean over prompts in which
    one token is replaced by the end-of-text token (``pad``, ``unk``: by those tokens); ``zero``;
    ``dataset_mean``, the mean over the reference facts of the language."""
    mask_special: bool = False
    """Whether the baseline also masks special tokens, such as a first BOS."""
    multiplier: Literal["delta", "activation"] = "delta"
    """What gradients are multiplied by: the difference from the baseline, which makes scores add
    up to the change of the objective, or the activation itself, as the published code does."""
    quadrature: QuadratureRule = "midpoint"
    """Nodes and weights of the integral over the path; the paper gives none."""
    steps: int = Field(default=20, ge=1, le=10_000)
    """Number of steps of the integral [m]: nodes, but for ``trapezoid``, which has one more."""
    objective: Literal["probability", "log_probability"] = "probability"
    """What is attributed. Probabilities are taken relative to the largest on the paths, so that
    an improbable answer does not vanish; this changes no selection."""
    answer: Answer = "target_true"
    """Whose probability: the old answer, the new one, both (each on its own, together in the
    selection), or the model's own greedy answer."""
    greedy_tokens: int = Field(default=4, ge=1)
    """At most so many tokens of the model's own answer, with ``answer = "greedy"``."""
    multi_token: MultiToken = "teacher_forced"  # noqa: S105
    """Answers of several tokens: ``teacher_forced``, mean over tokens, each after the right ones,
    with the intervention at the token before it; ``joint``, probability of the whole answer with
    one intervention; ``joint_all``, the same with the intervention also at the answer's tokens;
    ``first_token`` only; ``greedy_repeat``, the published code's: after each token the model's
    first greedy token is appended to the text once more. With ``subject_last`` the intervention
    is at the subject's last token in all of them (and at the answer's in ``joint_all``)."""
    method: Method = "threshold"
    """How neurons are chosen by score: ``threshold`` relative to the largest, ``top_k``,
    ``top_p_mass`` (the fewest that hold a share of the positive scores), or ``percentile``."""
    scope: Scope = "global"
    """Whether the largest score, k, mass or percentile is taken over the model or per layer."""
    threshold: float = Field(default=0.3, gt=0)
    """Share of the largest score a neuron must reach [t]; k for ``top_k``, the share of the mass
    for ``top_p_mass``, the quantile in (0, 1] for ``percentile``."""
    language_thresholds: dict[str, float] = Field(default_factory=dict)
    """Thresholds of single languages in place of ``threshold``."""
    layers: tuple[int, ...] | None = None
    """Only these layers are looked at, from 0; none given: all."""
    depth: tuple[float, float] | None = None
    """Only layers whose number, as a share of the number of layers, is at least the first and
    below the second are looked at; none given: all. Says for any model what ``layers`` says
    for one."""
    prompt_share: float = Field(default=0.0, ge=0, lt=1)
    """A neuron must be selected in more than this share of a language's prompts; 0 is their
    union."""
    cross_languages: tuple[str, ...] | None = None
    """Languages that decide which neurons are language-independent [K]; none given: all."""
    quorum: float = Field(default=1.0, gt=0, le=1)
    """Share of these languages a language-independent neuron is found in; 1 is eq. 3. Never fewer
    than two languages: in one alone nothing shows that a neuron is shared."""
    contrast: int = Field(default=0, ge=0)
    """From so many other facts of the relation the mean positive score is subtracted, so that
    neurons which every subject of the relation uses drop out; 0 is the paper's plain score."""
    row_budget: int = Field(default=1024, ge=1)
    """Tokens evaluated at once; bounds memory, changes nothing but rounding."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "paper": {},
        "authors": {
            "site": "pre_act",
            "mask_special": True,
            "multiplier": "activation",
            "quadrature": "left",
            "multi_token": "greedy_repeat",
            "cross_languages": ("en", "zh", "fr"),
        },
        "recommended": {
            "position": "subject_last",
            "baseline": "zero",
            "quadrature": "gauss_legendre",
            "steps": 8,
            "multi_token": "first_token",
            "scope": "layer",
            "threshold": 0.15,
            "depth": (0.1, 0.5),
            "quorum": 4 / 12,
            "contrast": 4,
        },
    }
    """Settings by preset, where they differ from the defaults."""

    @classmethod
    def preset(cls, name: str) -> Self:
        """The settings of a preset: ``paper``, ``authors`` or ``recommended``.

        Raises:
            UnknownNameError: There is no such preset.
        """
        if name not in cls.PRESETS:
            raise unknown_name("attribution preset", name, cls.PRESETS)
        return cls.model_validate(cls.PRESETS[name])

    @field_validator("cross_languages")
    @classmethod
    def _known_languages(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not value:
            raise ValueError("cross_languages names no language; leave it out for all")
        return None if value is None else tuple(dict.fromkeys(map(parse_language, value)))

    @field_validator("language_thresholds")
    @classmethod
    def _known_threshold_languages(cls, value: dict[str, float]) -> dict[str, float]:
        return {parse_language(code): threshold for code, threshold in value.items()}

    @field_validator("layers")
    @classmethod
    def _ordered_layers(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or min(value) < 0):
            raise ValueError("layers are counted from 0 and at least one is needed")
        return None if value is None else tuple(sorted(set(value)))

    @field_validator("depth")
    @classmethod
    def _ordered_depth(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0 <= value[0] < value[1] <= 1:
            raise ValueError("depth goes from a smaller to a larger share, both in [0, 1]")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for value in (self.threshold, *self.language_thresholds.values()):
            if self.method == "top_k" and (value < 1 or value != int(value)):
                raise ValueError(f"method top_k takes a whole number of neurons, not {value}")
            if self.method != "top_k" and not 0 < value <= 1:
                raise ValueError(f"method {self.method} takes a threshold in (0, 1], not {value}")
        return self

    def layers_of(self, n_layers: int) -> tuple[int, ...]:
        """The layers that are looked at in a model of so many.

        Never none: of a model so shallow that no layer lies in ``depth``, the nearest is taken.
        """
        chosen = self.layers if self.layers is not None else tuple(range(n_layers))
        if self.depth is None:
            return chosen
        low, high = (share * n_layers for share in self.depth)
        inside = tuple(layer for layer in chosen if low <= layer < high)
        return inside or (min(chosen, key=lambda layer: abs(layer - (low + high) / 2)),)

    def scoring(self, n_layers: int) -> str:
        """All settings that scores depend on in a model of so many layers, as JSON.

        Configurations that differ only in how neurons are selected give the same.
        """
        kept = self.model_dump_json(exclude=SELECTION)
        return f"{kept} {self.layers_of(n_layers)}"

    def threshold_for(self, language: str) -> float:
        """Threshold of a language: its own, or the common one."""
        return self.language_thresholds.get(language, self.threshold)
