"""What a worker of a cluster does: load the model, and carry out one shard of a plan.

Nothing here knows of Ray. A worker may end at any moment; the next one finds in the shared folder
what it has finished, and goes on from there.
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memla.errors import ClusterError, DataError, EditError, MemlaError
from memla.evaluation.locks import HeldElsewhereError
from memla.evaluation.plans import Plan
from memla.evaluation.shards import Shard

if TYPE_CHECKING:
    from memla.evaluation.materials import Materials

LOCK_PATIENCE_SECONDS = 120
"""How long a shard waits for a process that holds it. A disk in a network takes up to a minute and
a half to notice that the machine that held a lock is gone."""

LOCK_RETRY_SECONDS = 2
"""How long it waits before it looks again."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all workers on a plan are told."""

    plan: dict[str, Any]
    """The plan as JSON."""
    out: str
    """The shared folder of runs."""
    marker: str
    """A file in it, by which a worker knows that it sees the same folder."""
    working_folder: str
    """Where relative paths of the plan begin, if it is there."""
    device: str
    """Where to load the model."""
    batch_size: int
    """Texts asked together."""
    memla_version: str
    """Version that asks."""


def resolve_there(job: Job) -> Plan | MemlaError:
    """The plan as its run has it; an error is a result too, so that it is not tried again."""
    try:
        with _place(job) as (plan, materials):
            return _resolved(plan, materials)
    except MemlaError as error:
        return error


def carry_out_there(job: Job, shard: Shard) -> MemlaError | None:
    """Do what is left of a shard.

    Returns:
        Why it cannot be done. That all edits of a shard failed is no reason: they are results,
        and other shards may have other cases.
    """
    try:
        with _place(job) as (plan, materials):
            if _resolved(plan, materials) != plan:
                raise ClusterError(
                    f"worker {platform.node()!r} has another model or other cases by the "
                    "names of the plan",
                    hint="give every machine of the cluster the same files",
                )
            _carry_out(job, plan, materials, shard)
    except EditError:
        return None
    except MemlaError as error:
        return error
    return None


def _carry_out(job: Job, plan: Plan, materials: Materials, shard: Shard) -> None:
    from memla.evaluation.runner import evaluate

    start = time.monotonic()
    while True:
        try:
            evaluate(plan, out=job.out, materials=materials, batch_size=job.batch_size, shard=shard)
        except HeldElsewhereError:
            if time.monotonic() - start > LOCK_PATIENCE_SECONDS:
                raise
            time.sleep(LOCK_RETRY_SECONDS)
        else:
            return


@contextmanager
def _place(job: Job) -> Iterator[tuple[Plan, Materials]]:
    """What is needed, in the folder where the plan's paths begin."""
    node = platform.node()
    if version("memla") != job.memla_version:
        raise ClusterError(
            f"worker {node!r} has memla {version('memla')}, and {job.memla_version} asks",
            hint="install one version on all machines of the cluster",
        )
    if not Path(job.out, job.marker).exists():
        raise DataError(
            f"worker {node!r} does not see folder {job.out!r}",
            hint="name a folder that all machines share with --out, or run --shard on each and "
            "put the parts together with memla merge",
        )
    there = Path(job.working_folder).is_dir()
    with contextlib.chdir(job.working_folder) if there else contextlib.nullcontext():
        plan = Plan.model_validate(job.plan)
        names = (plan.model, plan.revision, plan.dtype, plan.benchmark, plan.benchmark_format)
        yield plan, _materials(*names, job.device)


def _resolved(plan: Plan, materials: Materials) -> Plan:
    from memla.evaluation.runner import make_editor

    return materials.resolve(plan, make_editor(plan))


@lru_cache(maxsize=1)
def _materials(
    model: str,
    revision: str | None,
    dtype: str,
    benchmark: str,
    benchmark_format: str | None,
    device: str,
) -> Materials:
    """Model and cases; a process that does several shards loads them once."""
    from memla.benchmarks import load_benchmark
    from memla.evaluation.materials import Materials
    from memla.models.loading import load_model

    cases = load_benchmark(benchmark, file_format=benchmark_format)
    return Materials(load_model(model, revision=revision, dtype=dtype, device=device), cases)
