"""``memla merge``: one run of the shards that several machines made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memla.cli import output


def merge(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="One run folder, or one of each machine.")
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of runs for the merged one.")
    ],
) -> None:
    """Put the shards of a run together, after a look at whether they are all there.

    Their plans must be equal, no case may be in two folders, and none may be missing. The merged
    run has the lines of one that was never divided, in the same order.
    """
    from memla.evaluation import merging

    output.write_unbroken(str(merging.merge(runs, out)))
