"""Carry out plans for ``memla evaluate --ray`` on the machines of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memla.errors import SettingError

if TYPE_CHECKING:
    from memla.editors.base import Editor
    from memla.evaluation.cluster import Cluster, Workers
    from memla.evaluation.results import Plan
    from memla.evaluation.shards import Shard
    from memla.evaluation.summary import Run


@dataclass(frozen=True, slots=True)
class OnRay:
    """What ``memla evaluate`` is told about a cluster."""

    address: str | None = None
    shards: int | None = None
    gpus_per_shard: int | None = None

    def check(self, *, out: Path | None, shard: str | None) -> None:
        """Make sure that the options go together.

        Raises:
            SettingError: They do not.
        """
        if self.address is None:
            for option, value in (
                ("--shards", self.shards),
                ("--gpus-per-shard", self.gpus_per_shard),
            ):
                if value is not None:
                    raise SettingError(
                        f"{option} {value} is for a cluster, and there is none",
                        hint="name its address with --ray; --shard does one part here",
                    )
            return
        if shard is not None:
            raise SettingError(
                f"--shard {shard} does one part here, and --ray does all of them",
                hint="leave one of them out; --shards says how many parts there are",
            )
        if out is None:
            raise SettingError(
                "--ray has no folder in which the machines put their parts together",
                hint="name one that all of them share with --out",
            )


@dataclass(frozen=True, slots=True)
class ClusterWorkplace:
    """Resolves and carries out plans on a cluster."""

    cluster: Cluster
    workers: Workers
    shards: int | None
    out: Path

    def resolve(self, plan: Plan, _editor: Editor) -> Plan:
        """The plan with everything in it that its names stand for."""
        return self.cluster.resolve(plan, out=self.out)

    def evaluate(self, plan: Plan, *, shard: Shard | None = None, **options: Any) -> Run:  # noqa: ANN401
        """Carry out a plan; for the options see `Cluster.evaluate`."""
        assert shard is None
        return self.cluster.evaluate(plan, n_shards=self.shards, workers=self.workers, **options)


@contextmanager
def connected(on_ray: OnRay, out: Path, device: str | None) -> Iterator[ClusterWorkplace]:
    """The cluster inside the ``with`` block, in which nothing else may write to stdout.

    Raises:
        MemlaError: There is none, or it lacks what a shard takes.
    """
    from memla.evaluation import cluster

    assert on_ray.address is not None
    # Ray tells on stdout of workers that are lost, where results belong.
    with redirect_stdout(sys.stderr), cluster.connected(on_ray.address) as found:
        workers = found.workers(device=device, gpus_per_shard=on_ray.gpus_per_shard or 1)
        yield ClusterWorkplace(found, workers, on_ray.shards, out)
