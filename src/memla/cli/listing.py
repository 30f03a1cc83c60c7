"""``memla editors``, ``benchmarks`` and ``models``: what there is."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from memla.cli import output
from memla.cli.options import JsonOption
from memla.errors import MemlaError

NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Only this one, with all there is to say.")
]


def editors(name: NameArgument = None, *, as_json: JsonOption = False) -> None:
    """List the editors, or tell the settings of one."""
    from memla.editors import EDITORS

    found = [_editor(one, detailed=name is not None) for one in ([name] if name else EDITORS)]
    columns = ("name", "presets", "about")
    _show("Editors", found, columns, detailed=name is not None, as_json=as_json)


def benchmarks(name: NameArgument = None, *, as_json: JsonOption = False) -> None:
    """List the benchmarks, or show the card of one; a file in MKEB's format has one, too."""
    from memla.benchmarks import BENCHMARKS, load_benchmark

    if name is not None:
        found = [load_benchmark(name).card.model_dump(mode="json")]
    else:
        found = [_benchmark(one) for one in BENCHMARKS]
    columns = ("name", "languages", "sizes", "licence")
    _show("Benchmarks", found, columns, detailed=name is not None, as_json=as_json)


def models(name: NameArgument = None, *, as_json: JsonOption = False) -> None:
    """List the models that come with memla, or tell how one is built, also of your own."""
    from memla import bundled

    if name is not None:
        found = [_model(name)]
    else:
        found = [{"name": one, "about": "comes with memla"} for one in bundled.MODELS]
    _show("Models", found, ("name", "about"), detailed=name is not None, as_json=as_json)


def _editor(name: str, *, detailed: bool) -> dict[str, Any]:
    from memla.editors import EDITORS

    kind: Any = EDITORS[name]
    found: dict[str, Any] = {
        "name": name,
        "about": (inspect.getdoc(kind) or "").partition("\n")[0],
        "presets": list(kind.config_class.PRESETS),
    }
    if detailed:
        found["settings"] = kind.config_class().model_dump(mode="json")
    return found


def _benchmark(name: str) -> dict[str, Any]:
    from memla.benchmarks import load_benchmark

    try:
        return load_benchmark(name).card.model_dump(mode="json")
    except MemlaError as error:
        return {"name": name, "problem": error.message}


def _model(name: str) -> dict[str, Any]:
    from memla.models.loading import load_model

    model = load_model(name)
    return {
        "name": model.name,
        "family": model.architecture.family,
        "layers": model.n_layers,
        "d_model": model.d_model,
        "d_ff": model.d_ff,
        "vocabulary": model.architecture.vocab_size,
        "parameters": sum(weight.numel() for weight in model.model.parameters()),
        "fingerprint": model.fingerprint(),
    }


def _show(
    title: str,
    found: Sequence[dict[str, Any]],
    columns: Sequence[str],
    *,
    detailed: bool,
    as_json: bool,
) -> None:
    if as_json:
        output.write_json(list(found))
        return
    if detailed:
        table = output.table(str(found[0]["name"]), "", "")
        for key, value in found[0].items():
            for label, entry in _flat(key, value):
                table.add_row(output.text(label), output.text(entry))
    else:
        table = output.table(title, *columns)
        for one in found:
            texts = [_text(one.get(column, "")) for column in columns]
            if "problem" in one:
                texts[-1] = one["problem"]
            table.add_row(*map(output.text, texts))
    output.write(table)


def _flat(key: str, value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict) or not value:
        return [(key, _text(value))]
    return [row for name, inner in value.items() for row in _flat(f"{key}.{name}", inner)]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(_text, value))
    return "" if value is None else str(value)
