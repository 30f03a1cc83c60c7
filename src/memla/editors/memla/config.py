"""Settings of MEMLA, and the presets that follow the paper, its authors' code, and our trials."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from memla.attribution.config import AttributionConfig
from memla.editors.base import EditorConfig
from memla.models.tokens import Separator

Parametrisation = Literal["dense_rows", "factor_n0", "factor_d0"]
CoefficientMode = Literal["constant", "gauss_sigmoid", "one", "search"]


class MemlaConfig(EditorConfig):
    """Settings of MEMLA; the paper's symbols are in brackets.

    The paper gives neither loss, optimiser, learning rate, steps, stopping rule, initial values,
    [n] nor the function [c]. The preset ``paper`` takes them from the authors' code, ``authors``
    also does what that code does differently from the equations, and ``recommended``, the
    defaults, is what made an edit travel between languages in our trials with a small
    12-language GPT-2: neurons attributed at the subject's last token by contrast with other facts,
    a quorum of the languages instead of all, and a term that keeps other facts in place.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]]

    identification: AttributionConfig = Field(
        default_factory=lambda: AttributionConfig.preset("recommended")
    )
    """How knowledge neurons are located (eqs. 1 to 4)."""
    layers: tuple[int, ...] | None = None
    """Layers that may be edited; unset, all with located neurons. Applied after selection, so
    that thresholds stay relative to the whole model."""
    on_empty: Literal["relax", "top_k", "skip", "error"] = "relax"
    """What to do when no neuron is left to edit: lower the threshold by a fifth, ten times at
    most; take the ``top_k`` highest scores; return an edit that changes nothing; or stop with
    an error. Not given in the paper; the authors' code fails."""
    top_k: int = Field(default=5, ge=1)
    """Neurons that ``on_empty = "top_k"`` takes."""
    neurons: Literal["located", "random"] = "located"
    """Edit the located neurons, or, as a control, as many random ones in the same layers."""

    parametrisation: Parametrisation = "factor_n0"
    """The editor's parameters: the neurons' rows themselves, or two factors of which the one on
    the neurons' side (n0, the paper's B = 0) or on the model's side (d0) starts at zero."""
    rank_per_neuron: int = Field(default=2, ge=1)
    """Rank of an editor for each of its neurons in a layer [n]. Not given in the paper; 4 in the
    authors' code. As the rank is never below the number of neurons it does not bound the update;
    it only decides in which directions steps are taken. Unused by ``dense_rows``."""
    init: Literal["unit", "scaled"] = "scaled"
    """Spread of the factor that is not zero: 1, or one over the root of the rank. Not given in
    the paper; 1 in the authors' code. Scaled, a step's size does not grow with the number of
    neurons."""

    new_weight: float = Field(default=1.0, gt=0)
    """Weight of the new answer's negative log-likelihood. Not given in the paper; 2.5 in the
    authors' code."""
    nll_reduction: Literal["sum", "mean"] = "mean"
    """Over the new answer's tokens. Sum in the authors' code; the mean treats short and long
    answers alike when several languages are written at once."""
    old_term: Literal["probability", "unlikelihood", "none"] = "none"
    """What is added for the old answer: its probability P, -log(1 - P), or nothing. Not given in
    the paper; P in the authors' code. Skipped where a request has no ``target_true``."""
    old_weight: float = Field(default=2.0, ge=0)
    """Weight of that term; 2 in the authors' code."""
    locality_weight: float = Field(default=5.0, ge=0)
    """Weight of the divergence KL(before || edited) of the next token after other facts' prompts,
    taken from ``references``. The paper has no such term, and in our trials an edit without it
    overwrote most other facts. Without references there is none."""
    locality_prompts: int = Field(default=16, ge=1)
    """Number of those prompts at most; drawn with the edit's seed."""
    locality_languages: Literal["source", "all"] = "source"
    """Languages of those prompts: the ones the edit is written in, or all that are given."""

    locality_choice: Literal["relation", "any"] = "relation"
    """Which of them are drawn first: those of the edited fact's relation, told by their prompt
    in the same language, which an edit disturbs most; or any."""

    learning_rate: float = Field(default=1e-2, gt=0, le=1e3)
    """Adam's step for the language-specific editor, and for both unless the next is set. Not
    given in the paper; 1e-3 in the authors' code, whose initial factor is larger."""
    shared_learning_rate: float | None = Field(default=None, gt=0, le=1e3)
    """Adam's step for the language-independent editor."""
    steps: int = Field(default=60, ge=0)
    """Steps at most; 60 in the authors' code."""
    stop_loss: float = Field(default=1e-2, ge=0)
    """Training ends before the step at which the whole loss is below this."""
    stop_probability: float = Field(default=0.96, gt=0)
    """Training ends before the step at which every new answer is more probable than this; above
    1, never. 0.96 in the authors' code."""

    coefficient: CoefficientMode = "one"
    """The function c of eq. 8, by layer. Not given in the paper. ``gauss_sigmoid`` is the likely
    function of the paper, found unused in the authors' code: 0.65 exp(-rho^2 / 2) + 0.4
    sigmoid(2 rho), rho = ||update||_F / ||W||_F. ``constant`` is what that code uses. ``search``
    takes the smallest of 0.3, 0.4 .. 1 with which every new answer has a probability of 0.9 and
    beats the old."""
    coefficient_value: float = Field(default=0.5, gt=0)
    """The constant; 0.5 in the authors' code."""
    coefficient_when: Literal["inside", "after"] = "after"
    """Whether training sees the coefficient, or it scales what was trained. Not given in the
    paper; after in the authors' code, so their stopping rule looks at the unscaled edit."""
    answer_separator: Separator = "auto"
    """What joins a prompt and its answer; the authors' code puts a space in every language."""

    without_lse: bool = False
    """Ablation: leave the language-specific editor out."""
    without_lie: bool = False
    """Ablation: leave the language-independent editor out."""
    without_lsm: bool = False
    """Ablation: let the language-specific editor change all neurons of its layers."""
    without_lim: bool = False
    """Ablation: let the language-independent editor change all neurons of its layers."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.without_lse and self.without_lie:
            raise ValueError("without_lse and without_lie together leave nothing to edit with")
        if self.coefficient == "search" and self.coefficient_when == "inside":
            raise ValueError("coefficient 'search' needs coefficient_when 'after'")
        if self.layers is not None and (not self.layers or min(self.layers) < 0):
            raise ValueError(f"layers are numbered from 0, got {list(self.layers)}")
        return self


_AUTHORS: Mapping[str, object] = {
    "identification": AttributionConfig.preset("authors").model_dump(),
    "on_empty": "error",
    "rank_per_neuron": 4,
    "init": "unit",
    "new_weight": 2.5,
    "nll_reduction": "sum",
    "old_term": "probability",
    "old_weight": 2.0,
    "locality_weight": 0.0,
    "learning_rate": 1e-3,
    "coefficient": "constant",
    "answer_separator": "space",
}

MemlaConfig.PRESETS = MappingProxyType(
    {
        "recommended": {},
        "paper": {
            **_AUTHORS,
            "identification": AttributionConfig.preset("paper").model_dump(),
            "on_empty": "relax",
            "coefficient": "gauss_sigmoid",
            "answer_separator": "auto",
        },
        "authors": _AUTHORS,
    }
)
