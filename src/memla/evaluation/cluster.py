"""Carry out plans on a Ray cluster, one task for each shard.

Every shard writes to its own file in the run's folder, which all machines share. So a worker can be
lost at any moment: Ray gives its shard to another one, which goes on with the case in flight.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from memla.errors import ClusterError, DataError, MemlaError, MissingExtraError, SettingError
from memla.evaluation.cluster_progress import RunWatch
from memla.evaluation.cluster_tasks import Job, carry_out_there, resolve_there
from memla.evaluation.merging import merge_in_place
from memla.evaluation.plans import Plan
from memla.evaluation.results import RunFolder
from memla.evaluation.runner import ProgressCallback, ScoreCallback, checked
from memla.evaluation.shards import Shard
from memla.evaluation.summary import Run, read_run

RETRIES = 10
"""How often a shard is begun again after its worker was lost."""

POLL_SECONDS = 1.0
"""How often the shared folder is looked at."""

CONNECT_SECONDS = 10.0
"""How long an address may take to answer."""

LOCAL_STORE_BYTES = 100_000_000
"""Memory that the workers of a Ray started here share; they pass each other next to nothing."""


@dataclass(frozen=True, slots=True)
class Workers:
    """What a shard is given, and how many shards can be at work."""

    device: str
    gpus: int
    at_once: int


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """A Ray cluster inside the ``with`` block; one that this process is connected to stays.

    Args:
        address: ``host:port`` of the cluster's head, ``auto`` for the one this machine belongs to,
            ``ray://host:port`` for a client's connection, or ``local`` to start one here.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: There is no cluster at that address.
    """
    ray = _ray()
    if ray.is_initialized():
        yield Cluster(ray)
        return
    _connect(ray, address)
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


class Cluster:
    """A Ray cluster; :func:`connected` makes one.

    Args:
        ray: Ray's module, connected.
    """

    def __init__(self, ray: Any) -> None:  # noqa: ANN401
        self._ray = ray

    def workers(self, *, device: str | None = None, gpus_per_shard: int = 1) -> Workers:
        """What a shard gets: GPUs, if the cluster has some and no other device is named.

        Args:
            device: Where workers load the model. None: on their GPU if there are any, spread over
                them if a shard has several, and else on the CPU.
            gpus_per_shard: GPUs of a shard.

        Raises:
            SettingError: No machine of the cluster has so many, or the device is none of them.
        """
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = [int(node.get("GPU", 0)) for node in nodes]
        on_gpus = not device or device.startswith(("cuda", "auto"))
        if not on_gpus and gpus_per_shard > 1:
            raise SettingError(
                f"a shard is to have {gpus_per_shard} GPUs, and its device is {device!r}",
                hint="leave one of --gpus-per-shard and --device out",
            )
        if not on_gpus or (not device and gpus_per_shard == 1 and not any(gpus)):
            cpus = sum(int(node.get("CPU", 0)) for node in nodes)
            return Workers(device or "cpu", 0, max(cpus, 1))
        if max(gpus, default=0) < gpus_per_shard:
            raise SettingError(
                f"no machine of the cluster has GPUs for a shard, which takes {gpus_per_shard}",
                hint="`ray status` shows what there is",
            )
        at_once = sum(count // gpus_per_shard for count in gpus)
        return Workers(
            device or ("cuda" if gpus_per_shard == 1 else "auto"), gpus_per_shard, at_once
        )

    def resolve(self, plan: Plan, *, out: str | Path) -> Plan:
        """The plan as its run has it, worked out on the CPU of a worker; nothing is edited.

        Args:
            plan: What is to be done.
            out: Folder of runs, on a disk that all machines share.

        Raises:
            MemlaError: The plan cannot be carried out there.
        """
        with _job(plan, Path(out), "cpu", 1) as job:
            task = self._task(resolve_there, 0, "memla plan").remote(job)
            answer: Plan | MemlaError = self._answer(task, "the plan")
        if isinstance(answer, MemlaError):
            raise answer
        return answer

    def evaluate(
        self,
        plan: Plan,
        *,
        out: str | Path,
        n_shards: int | None = None,
        workers: Workers | None = None,
        batch_size: int = 64,
        on_score: ScoreCallback | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Run:
        """Carry out a plan, or what is left of it; the scores are those of a run made here.

        Args:
            plan: What to do. Workers load models and files by the names that the plan has,
                relative ones from the folder that this process works in.
            out: Folder of runs, on a disk that all machines share.
            n_shards: Number of tasks; by default as many as can be at work, but not more than
                the plan's limit.
            workers: What a shard gets; see :meth:`workers`.
            batch_size: Texts asked together.
            on_score: Called with each score that is new.
            on_progress: Called with phase, done and total.

        Raises:
            MemlaError: The plan cannot be carried out, workers were lost again and again, or
                every case failed. What was finished is kept.
        """
        workers = workers or self.workers()
        count = n_shards or min(workers.at_once, plan.limit or workers.at_once)
        shards = [Shard(number, count) for number in range(1, count + 1)]
        if plan.model_fingerprint is None or plan.cases_digest is None:
            plan = self.resolve(plan, out=out)
        folder = RunFolder(Path(out) / plan.run_name)
        watch = RunWatch(folder, on_score, on_progress)
        with _job(plan, Path(out), workers.device, batch_size) as job:
            tasks = {
                self._task(carry_out_there, workers.gpus, f"memla {shard}").remote(
                    job, shard
                ): shard
                for shard in shards
            }
            self._wait(tasks, watch.look)
        return checked(read_run(merge_in_place(folder.path)))

    def _task(self, function: Callable[..., object], gpus: int, name: str) -> Any:  # noqa: ANN401
        task = self._ray.remote(function)
        return task.options(
            num_cpus=1,
            num_gpus=gpus,
            max_retries=RETRIES,
            name=name,
            scheduling_strategy="SPREAD" if gpus else "DEFAULT",
        )

    def _wait(self, tasks: Mapping[Any, Shard], look: Callable[[], None]) -> None:
        """Wait for all tasks; one that cannot be done ends the others too."""
        pending = list(tasks)
        try:
            while pending:
                done, pending = self._ray.wait(pending, timeout=POLL_SECONDS)
                look()
                for task in done:
                    error: MemlaError | None = self._answer(task, f"shard {tasks[task]}")
                    if error is not None:
                        raise error
        finally:
            for task in pending:
                self._ray.cancel(task, force=True)

    def _answer(self, task: Any, what: str) -> Any:  # noqa: ANN401
        """What a task gave.

        Raises:
            ClusterError: It ended by something else than an error of ours.
        """
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ClusterError(
                f"{what} failed on the cluster: {reason}",
                hint="what was finished is kept, and the same command goes on; every machine "
                "needs this version of memla, and `ray logs` tells more",
            ) from error


@contextmanager
def _job(plan: Plan, out: Path, device: str, batch_size: int) -> Iterator[Job]:
    """What workers are told, while there is a file in the folder that they look for."""
    marker = out.absolute() / f".shared-{uuid.uuid4().hex}"
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError as error:
        raise DataError(f"{str(out)!r} cannot be written: {error.strerror or error}") from None
    try:
        yield Job(
            plan=plan.model_dump(mode="json"),
            out=str(marker.parent),
            marker=marker.name,
            working_folder=str(Path.cwd()),
            device=device,
            batch_size=batch_size,
            memla_version=version("memla"),
        )
    finally:
        marker.unlink(missing_ok=True)


def _ray() -> ModuleType:
    # Ray tells its makers of every cluster it starts unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtraError(
            "a cluster needs the package ray", hint="pip install 'memla[cluster]'"
        ) from None
    return ray


def _connect(ray: Any, address: str) -> None:  # noqa: ANN401
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": LOCAL_STORE_BYTES}
    hint = "`ray status` shows a cluster of this machine; --ray local starts one here"
    try:
        _knock(address)
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ClusterError(f"no Ray cluster at {address!r}: {reason}", hint=hint) from None


def _knock(address: str) -> None:
    """Make sure that somebody is there; Ray itself tries for two minutes, with a lot of noise."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
