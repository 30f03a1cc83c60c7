"""A report as a page, as Markdown, as LaTeX and as a table of numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from memla.reports.drawing import printable
from memla.reports.groups import MINI_NOTE, is_ours
from memla.reports.report import Report, Section
from memla.reports.tables import Entry, Table


def to_html(report: Report) -> str:
    """One page that needs nothing beside itself: no network, no script, no file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    def finalize(value: object) -> object:
        return printable(value) if type(value) is str else value

    def prose(text: str) -> Markup:
        marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(printable(text))))
        return Markup(marked)  # noqa: S704 - it was escaped before it was marked

    environment = Environment(
        loader=PackageLoader("memla.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    return environment.get_template("report.html.j2").render(report=report) + "\n"


def to_markdown(report: Report) -> str:
    """The tables as GitHub's Markdown."""
    lines = [f"# {_markdown(report.title)}", ""]
    for note in report.notes:
        lines += [_prose(note), ""]
    for chapter in report.chapters:
        lines += [f"## {_markdown(chapter.group.title)}", ""]
        for note in chapter.group.notes:
            lines += [_prose(note), ""]
        for section in chapter.sections:
            lines += [f"### {section.title}", ""]
            for note in section.notes:
                lines += [_prose(note), ""]
            for table in _all_tables(section):
                lines += [*_markdown_table(table), ""]
    return "\n".join(lines)


def _all_tables(section: Section) -> Iterator[Table]:
    yield from (table for _, table in section.figures if table is not None)
    yield from section.tables


def _markdown_table(table: Table) -> Iterator[str]:
    yield from (_markdown(table.caption), "")
    plain = len(table.header) - table.numbers
    yield _row(map(_markdown, table.header))
    yield _row("---" if index < plain else "---:" for index in range(len(table.header)))
    for row in table.rows:
        yield _row(_markdown(_joined(entry)) for entry in row)


def _row(cells: Iterator[str] | map[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _joined(entry: Entry) -> str:
    return f"{entry.text} {entry.note}".strip()


def _prose(text: str) -> str:
    """A paragraph in Markdown; what stands between backticks is code."""
    return re.sub(r"\\`([\w .-]+)\\`", r"`\1`", _markdown(text))


def _markdown(text: str) -> str:
    """A text that says in Markdown what it says, in a table too."""
    plain = printable(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", plain)


WAITING = 18
"""Tables after which LaTeX is told to print them: older ones keep no more, and all stop at some
number, where no text is between them."""


def to_latex(report: Report) -> str:
    """The tables of numbers, to be put into a document that loads ``booktabs`` and ``graphicx``.

    Texts in many scripts are left out: they need fonts that the document may not have.
    """
    lines = [
        "% \\usepackage{booktabs}, and \\usepackage{graphicx} for the width of tables",
        *(f"% {printable(note)}" for note in report.notes),
    ]
    n_tables = 0
    for chapter in report.chapters:
        heads = (chapter.group.title, *chapter.group.notes)
        lines += ["", *(f"% {_latex(text)}" for text in heads)]
        for section in chapter.sections:
            for table in (one for one in _all_tables(section) if not one.is_text):
                n_tables += 1
                lines += ["", *_latex_table(table)]
                lines += [] if n_tables % WAITING else ["\\clearpage"]
    return "\n".join(lines) + "\n"


def _latex_table(table: Table) -> Iterator[str]:
    plain = len(table.header) - table.numbers
    yield "\\begin{table}"
    yield f"\\caption{{{_latex(table.caption)}}}"
    yield "\\centering\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
    yield f"\\begin{{tabular}}{{{'l' * plain}{'r' * table.numbers}}}"
    yield "\\toprule"
    yield " & ".join(map(_latex, table.header)) + " \\\\"
    yield "\\midrule"
    for row in table.rows:
        yield " & ".join(map(_latex_entry, row)) + " \\\\"
    yield from ("\\bottomrule", "\\end{tabular}}", "\\end{table}")


def _latex_entry(entry: Entry) -> str:
    # The braces keep a "[" at the start of a row from being read as an option of "\\".
    small = f" {{\\scriptsize {_latex(entry.note)}}}" if entry.note else ""
    return f"{{{_latex(entry.text)}}}{small}"


_LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    # Not \textquotedbl, which the encoding that a document has by itself lacks.
    '"': "\\char34{}",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in printable(text))


COLUMNS = (
    *("recipe", "editor", "run", "model", "model_note", "benchmark", "split", "protocol"),
    *("state", "metric", "source", "target", "value", "low", "high", "n"),
)
"""Columns of the table of numbers."""


def rows(report: Report) -> Iterator[dict[str, object]]:
    """Every number of every run, with all that belongs to it."""
    for chapter in report.chapters:
        for method in chapter.group.methods:
            for run in method.runs:
                plan = run.plan
                known = {
                    "recipe": chapter.group.recipe.name if chapter.group.recipe else "",
                    "editor": method.label,
                    "run": run.path.name,
                    "model": plan.model,
                    "model_note": MINI_NOTE if is_ours(plan.model) else "",
                    "benchmark": plan.benchmark,
                    "split": plan.split,
                }
                for cell in run.cells:
                    is_unfinished = run.is_unfinished_in(cell.source)
                    state = {"state": "unfinished" if is_unfinished else "finished"}
                    yield known | state | cell.model_dump(mode="json")


def to_csv(report: Report) -> str:
    """Every number on a line, in percent."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        writer.writerow({name: _no_formula(value) for name, value in row.items()})
    return stream.getvalue()


def _no_formula(value: object) -> object:
    """A text that a spreadsheet does not take for something to compute."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
