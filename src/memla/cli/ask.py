"""``memla ask``: one question to a model, with or without an edit."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from memla.cli import output
from memla.cli.options import (
    DeviceOption,
    DtypeOption,
    JsonOption,
    LanguageOption,
    ModelArgument,
)
from memla.errors import DataError
from memla.languages import parse_language


def ask(
    model: ModelArgument,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="Text the model is to continue.")],
    *,
    language: LanguageOption = "en",
    edits: Annotated[
        list[Path] | None,
        typer.Option("--edit", metavar="DIR", help="Folder of an edit to apply; can be repeated."),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Longest answer, in tokens.")
    ] = 24,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Ask a model, and see how probable it finds its own answer."""
    code = parse_language(language)
    text = prompt.strip()
    if not text:
        raise DataError("the prompt is empty", hint="memla ask mini 'The capital of France is'")
    with output.status("loading ..."):
        from memla.cli.loading import load
        from memla.editors.storage import load_edit

        read = [load_edit(folder) for folder in edits or ()]
        loaded = load(model, device=device, dtype=dtype)
    with ExitStack() as stack:
        for edit in read:
            stack.enter_context(edit.applied(loaded))
        (found,) = loaded.generate([text], max_new_tokens=max_new_tokens, stop="answer")
        log_prob = found.log_prob
        # The end mark is no part of the answer. What was not written as this language joins an
        # answer to its prompt keeps the probability of all that was written.
        ids = loaded.compose(text, found.text, code).answer_ids if found.text else ()
        if ids and found.token_ids[: len(ids)] == tuple(ids):
            (score,) = loaded.log_probs([text], [found.text], [code])
            log_prob = score.joint
    probability = math.exp(log_prob)
    if as_json:
        output.write_json({"answer": found.text, "p": probability})
    else:
        output.write(f"{output.text(found.text)}  [dim]{output.percent(probability)}[/]")
