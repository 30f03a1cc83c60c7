"""Causal tracing: which states of a model carry a fact to its answer (ROME, section 2).

The subject's embeddings are corrupted with noise, so that the answer becomes unlikely. Then one
state is put back as it is in the clean run. What that gives back of the answer's probability is
the indirect effect of the state. ROME and MEMIT read off their layers where it is large in the
MLPs at the subject's last token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import torch
from jaxtyping import Float
from torch import Tensor

from memla.attribution.traced_runs import (
    Baseline,
    Site,
    embedding_module,
    read_baseline,
    restored_scores,
)
from memla.errors import DataError, SettingError
from memla.facts import EditRequest
from memla.models.language_model import LanguageModel
from memla.models.tokens import subject_token_span

__all__ = ["POSITIONS", "FactTracing", "Site", "Tracing", "position_groups", "trace"]

POSITIONS = (
    "first subject token",
    "middle subject tokens",
    "last subject token",
    "first token after",
    "further tokens",
    "last token",
)
"""Groups of positions in a prompt, from the subject on; nothing before it is corrupted."""
LAST_SUBJECT_TOKEN = POSITIONS[2]

WINDOW_SHARE = 10 / 48
"""Share of the layers whose MLPs or attentions are restored together: 10 of 48 in GPT-2 XL."""


@dataclass(frozen=True, slots=True, eq=False)
class FactTracing:
    """Effects in one statement, in probability of its answer."""

    fact: str
    language: str
    clean: float
    """Probability of the true answer."""
    corrupted: float
    """The same with the subject corrupted, mean over samples."""
    effects: Mapping[Site, Float[Tensor, "positions layers"]]
    """Indirect effect by group of positions and layer; NaN where the prompt has no such token."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracing:
    """Effects in all statements that were traced."""

    statements: tuple[FactTracing, ...]
    window: int
    """Layers restored together at the sites ``mlp`` and ``attention``."""
    samples: int
    noise: float
    """Standard deviation of the noise."""
    n_unknown: int
    """Statements left out, as the model does not give their answers."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the statements, in their order."""
        return tuple(dict.fromkeys(one.language for one in self.statements))

    def total_effect(self, language: str | None = None) -> tuple[float, float]:
        """Mean probability of the answer in the clean and in the corrupted run."""
        chosen = self._chosen(language)
        clean, corrupted = zip(*((one.clean, one.corrupted) for one in chosen), strict=True)
        return sum(clean) / len(chosen), sum(corrupted) / len(chosen)

    def effects(self, site: Site, language: str | None = None) -> Float[Tensor, "positions layers"]:
        """Average indirect effect in one language, or in all: rows as in ``POSITIONS``.

        NaN where no prompt has such a token.
        """
        return torch.stack([one.effects[site] for one in self._chosen(language)]).nanmean(0)

    def best_layer(
        self,
        site: Site = "mlp",
        position: str = LAST_SUBJECT_TOKEN,
        language: str | None = None,
    ) -> int:
        """The layer with the largest effect: the middle of its window, where there is one.

        Raises:
            DataError: No prompt has a token at that position.
        """
        row = self.effects(site, language)[POSITIONS.index(position)]
        if row.isnan().any():
            raise DataError(f"no prompt has a {position}", hint="trace other prompts")
        return int(row.argmax())

    def to_json(self) -> dict[str, object]:
        """All effects by language, and over all of them, in types that JSON has."""
        sites = list(self.statements[0].effects)
        return {
            "window": self.window,
            "samples": self.samples,
            "noise": self.noise,
            "n_statements": len(self.statements),
            "n_unknown": self.n_unknown,
            "positions": list(POSITIONS),
            "all": self._part(sites, None),
            "languages": {code: self._part(sites, code) for code in self.languages},
        }

    def _part(self, sites: Iterable[Site], language: str | None) -> dict[str, object]:
        clean, corrupted = self.total_effect(language)
        effects = {
            site: [
                [None if isnan(value) else value for value in row]
                for row in self.effects(site, language).tolist()
            ]
            for site in sites
        }
        return {"clean": clean, "corrupted": corrupted, "effects": effects}

    def _chosen(self, language: str | None) -> list[FactTracing]:
        chosen = [one for one in self.statements if language in (None, one.language)]
        if not chosen:
            raise DataError(
                f"nothing was traced in {language!r}",
                hint=f"there is {' '.join(self.languages)}",
            )
        return chosen


def trace(
    model: LanguageModel,
    requests: Sequence[EditRequest],
    *,
    sites: Sequence[Site] = ("block", "mlp"),
    samples: int = 10,
    noise: float = 3.0,
    window: int | None = None,
    known_only: bool = False,
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Tracing:
    """Restore one state after the other, and see how much of the answer comes back.

    Args:
        model: The model.
        requests: Statements with their true answers, in any languages.
        sites: What is restored: the output of one block, or of the MLPs or attentions of a
            window of layers.
        samples: Runs with other noise, averaged.
        noise: Standard deviation of the noise, in those of the subjects' embeddings.
        window: Number of layers restored together; by default the share of ROME's, 10 of 48.
        known_only: Leave out statements whose answer the model does not give by itself.
        seed: Decides the noise, together with fact, language and text.
        on_progress: Called after each statement.

    Raises:
        DataError: A statement has no true answer, or there is none to trace.
        SettingError: The number of samples, the noise or the window cannot be.
    """
    width = max(1, round(WINDOW_SHARE * model.n_layers)) if window is None else window
    _check(requests, samples, noise, width)
    spans = [_span(model, request) for request in requests]
    deviation = noise * _embedding_deviation(model, requests, spans)
    found = []
    for done, (request, span) in enumerate(zip(requests, spans, strict=True), start=1):
        size = (samples, span[1] - span[0])
        drawn = deviation * _draw(model, size, seed, request)
        sequence = model.compose(request.text, request.target_true or "", request.language)
        read = read_baseline(model, sequence, span, drawn, sites)
        if read.is_greedy or not known_only:
            effects = {site: _effects(model, read, site, width) for site in sites}
            found.append(
                FactTracing(request.fact, request.language, read.clean, read.corrupted, effects)
            )
        if on_progress is not None:
            on_progress("tracing", done, len(requests))
    if not found:
        raise DataError(
            f"{model.name} gives none of the {len(requests)} true answers by itself",
            hint="trace facts that it knows, or all of them",
        )
    return Tracing(tuple(found), width, samples, deviation, len(requests) - len(found))


def position_groups(span: tuple[int, int], prompt_length: int) -> dict[int, int]:
    """Which of ``POSITIONS`` each token is of, from the subject's first to the prompt's last.

    Args:
        span: Tokens of the subject, end exclusive.
        prompt_length: Number of tokens of the prompt.
    """
    first, after = span
    groups = {}
    for position in range(first, prompt_length):
        if position < after:
            group = 2 if position == after - 1 else 0 if position == first else 1
        elif position == prompt_length - 1:
            group = 5
        else:
            group = 3 if position == after else 4
        groups[position] = group
    return groups


def _effects(
    model: LanguageModel, read: Baseline, site: Site, window: int
) -> Float[Tensor, "positions layers"]:
    """Indirect effects of a statement; the mean over the tokens of each group."""
    groups = position_groups(read.span, read.sequence.prompt_length)
    effects = torch.full((len(POSITIONS), model.n_layers), float("nan"))
    for layer in range(model.n_layers):
        low = layer if site == "block" else max(0, layer - window // 2)
        high = layer + 1 if site == "block" else min(model.n_layers, layer - window // 2 + window)
        scores = restored_scores(model, read, site, range(low, high), list(groups))
        gained = scores - read.corrupted
        for group in set(groups.values()):
            own = [index for index, value in enumerate(groups.values()) if value == group]
            effects[group, layer] = gained[own].mean()
    return effects


def _span(model: LanguageModel, request: EditRequest) -> tuple[int, int]:
    return subject_token_span(model.tokenizer, request.text, request.subject_span)


@torch.no_grad()
def _embedding_deviation(
    model: LanguageModel, requests: Sequence[EditRequest], spans: Sequence[tuple[int, int]]
) -> float:
    """Standard deviation of the numbers in the embeddings of all subjects."""
    subjects = [
        model.tokenizer(request.text)["input_ids"][slice(*span)]
        for request, span in zip(requests, spans, strict=True)
    ]
    ids = torch.tensor([[token for subject in subjects for token in subject]])
    return float(embedding_module(model)(ids.to(model.device)).float().std())


def _draw(
    model: LanguageModel, size: tuple[int, int], seed: int, request: EditRequest
) -> Float[Tensor, "samples subject width"]:
    """Standard normal noise, the same for a statement whatever is traced beside it."""
    names = (str(seed), request.fact, request.language, request.text)
    digest = hashlib.sha256("\x1f".join(names).encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    probe = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    width = embedding_module(model)(probe).shape[-1]
    return torch.randn(*size, width, generator=generator).to(model.device)


def _check(requests: Sequence[EditRequest], samples: int, noise: float, window: int) -> None:
    if not requests:
        raise DataError("there is no statement to trace", hint="give one with its true answer")
    for request in requests:
        if request.target_true is None:
            raise DataError(
                f"statement {request.text!r} has no target_true, whose probability is traced",
                hint="give the true answer",
            )
    for name, value in (("samples", samples), ("noise", noise), ("window", window)):
        if not 0 < value < float("inf"):
            raise SettingError(f"{name} is {value}", hint="give a number above 0")
