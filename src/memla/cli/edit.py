"""``memla edit``: work out an edit and save it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from memla.cli import output
from memla.cli.fact_files import (
    named_requests,
    read_references,
    requests_from_options,
    sources_of,
)
from memla.cli.options import (
    DEFAULT_BENCHMARK,
    DEFAULT_MODEL,
    DeviceOption,
    DtypeOption,
    EditorOption,
    FileOption,
    JsonOption,
    LanguageOption,
    ModelArgument,
    NameOption,
    PresetOption,
    PromptOption,
    ReferencesOption,
    SeedOption,
    SetOption,
    SubjectOption,
    TargetNewOption,
    TargetTrueOption,
    parse_settings,
)
from memla.errors import DataError, SettingError
from memla.languages import language_name

if TYPE_CHECKING:
    from memla.facts import EditRequest
    from memla.models.language_model import LanguageModel


def edit(
    model: ModelArgument = DEFAULT_MODEL,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write; must not exist.")
    ],
    prompt: PromptOption = None,
    subject: SubjectOption = None,
    target_new: TargetNewOption = None,
    target_true: TargetTrueOption = None,
    language: LanguageOption = "en",
    names: NameOption = None,
    file: FileOption = None,
    references: ReferencesOption = DEFAULT_BENCHMARK,
    editor: EditorOption = "memla",
    preset: PresetOption = "recommended",
    settings: SetOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    as_json: JsonOption = False,
) -> None:
    """Change a fact and save the edit as a folder; the model itself stays as it is.

    A file with --file holds the fact in several languages: requests with target_new are written,
    the others help to find where the model keeps the fact. For crosskey the subject's names do,
    as in --name zh=伦敦.
    """
    refuse_existing(out)
    changes = parse_settings(settings)
    requests = requests_from_options(
        prompt=prompt,
        subject=subject,
        target_new=target_new,
        target_true=target_true,
        language=language,
        file=file,
    )
    if not requests:
        raise SettingError(
            "there is no fact to edit", hint="give --prompt, --subject and --target-new, or --file"
        )
    requests = named_requests(requests, names)
    written = sources_of(requests)
    with output.status("loading ..."):
        from memla.cli.loading import load
        from memla.evaluation.results import Plan
        from memla.evaluation.runner import make_editor

        made = make_editor(Plan(editor=editor, preset=preset, settings=changes))
        others = read_references(references).without(requests)
        loaded = load(model, device=device, dtype=dtype)
    with output.status("editing ..."):
        before = _answers(loaded, written)
        found = made.edit(loaded, requests, references=others, seed=seed)
        with found.applied(loaded):
            after = _answers(loaded, written)
        folder = found.save(out)
    if as_json:
        languages = {
            request.language: {"before": first, "after": second}
            for request, first, second in zip(written, before, after, strict=True)
        }
        result = {"folder": str(folder), "editor": made.name, "languages": languages}
        output.write_json(result | {"edit": found.describe()})
    else:
        output.write(_table(folder, written, before, after))


def _table(
    folder: Path,
    requests: Sequence[EditRequest],
    before: Sequence[dict[str, Any]],
    after: Sequence[dict[str, Any]],
) -> Table:
    columns = ("language", "before", "after", "p(new), %")
    table = output.table(f"The edit is in {folder}", *columns, numbers=1)
    for request, first, second in zip(requests, before, after, strict=True):
        table.add_row(
            language_name(request.language),
            output.text(first["answer"]),
            output.text(second["answer"]),
            output.percent_change(first["p_new"], second["p_new"]),
        )
    return table


def refuse_existing(folder: Path) -> None:
    """Make sure that nothing would be overwritten, before any work is done.

    Raises:
        DataError: There is a file, or a folder that is not empty.
    """
    try:
        taken = folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise DataError(f"{str(folder)!r} cannot be used: {error.strerror}") from None
    if taken:
        raise DataError(f"{str(folder)!r} exists already", hint="name another folder")


def _answers(model: LanguageModel, requests: Sequence[EditRequest]) -> list[dict[str, Any]]:
    """Answer and probabilities for each request."""
    prompts = [request.text for request in requests]
    languages = [request.language for request in requests]
    said = model.generate(prompts, max_new_tokens=24, stop="answer")
    answers: list[dict[str, Any]] = [
        {"answer": one.text, "p_new": None, "p_true": None} for one in said
    ]
    for key, name in (("p_new", "target_new"), ("p_true", "target_true")):
        asked = [index for index, one in enumerate(requests) if getattr(one, name) is not None]
        scores = model.log_probs(
            [prompts[index] for index in asked],
            [getattr(requests[index], name) for index in asked],
            [languages[index] for index in asked],
        )
        for index, score in zip(asked, scores, strict=True):
            answers[index][key] = math.exp(score.joint)
    return answers
