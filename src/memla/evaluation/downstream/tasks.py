"""Tasks of lm-eval, asked of a model in memory."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch

from memla.errors import DataError, MissingExtraError, UnknownNameError
from memla.evaluation.downstream.scores import Measure, Measured
from memla.models.language_model import LanguageModel

FEW_SHOT_SEED = 1234
"""Draws the examples before a question; lm-eval's own default."""
BOOTSTRAP_ITERATIONS = 1000
"""Draws for the standard error of metrics that have no formula for it."""


class Tasks:
    """Tasks by their names in lm-eval, groups and tags among them, loaded once.

    Args:
        names: What to ask.
        folder: Folder with tasks of the user's own in lm-eval's YAML format.
        limit: At most so many documents of each task.
        few_shot: Examples before each question; a task that says 0 itself has none.
        batch_size: Texts asked together.

    Raises:
        MissingExtraError: lm-eval is not installed.
        UnknownNameError: There is no such task.
        DataError: A task or its documents cannot be loaded.
    """

    name: Measure = "task"

    def __init__(
        self,
        names: Sequence[str],
        *,
        folder: str | None = None,
        limit: int | None = None,
        few_shot: int = 0,
        batch_size: int = 64,
    ) -> None:
        self._limit = limit
        self._batch_size = batch_size
        self._loaded = _load(names, folder)
        for task in self._loaded["tasks"].values():
            if task.get_config("num_fewshot") != 0:
                task.set_config(key="num_fewshot", value=few_shot)
            task.set_fewshot_seed(seed=FEW_SHOT_SEED)

    def measure(self, model: LanguageModel) -> Iterator[Measured]:
        """Every metric of every task, group and member of a group, as lm-eval gives it.

        Raises:
            DataError: A task is not for models of text, or runs code of the model's.
        """
        from lm_eval.evaluator import evaluate

        from memla.evaluation.downstream.harness_model import HarnessModel

        with _seeded():
            try:
                found = evaluate(
                    lm=HarnessModel(model, self._batch_size),
                    task_dict=self._loaded,
                    limit=self._limit,
                    bootstrap_iters=BOOTSTRAP_ITERATIONS,
                    log_samples=False,
                )
            except ValueError as error:
                raise DataError(f"lm-eval: {error}") from None
        for task, metrics in found["results"].items():
            yield from _numbers(task, metrics)


def _load(names: Sequence[str], folder: str | None) -> dict[str, Any]:
    """The tasks with their documents."""
    try:
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise MissingExtraError(
            "tasks need lm-eval, which is not installed",
            hint="pip install 'memla[downstream]'",
        ) from None
    manager = None
    if folder is not None:  # to look through all of lm-eval's own tasks takes seconds
        manager = TaskManager(include_path=folder, include_defaults=False)
    if manager is None or not set(names) <= set(manager.all_tasks):
        manager = TaskManager(include_path=folder)
    for name in names:
        if name not in manager.all_tasks:
            near = get_close_matches(name, manager.all_tasks, n=3)
            meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            raise UnknownNameError(
                f"lm-eval has no task {name!r}",
                hint=f"{meant}--task-folder names a folder with tasks of your own",
            )
    try:
        loaded: dict[str, Any] = manager.load(list(names))
    except Exception as error:  # whatever a task's file or the source of its documents comes to
        what = str(error).strip().partition("\n")[0]
        raise DataError(
            f"the documents of {', '.join(names)} cannot be loaded: {type(error).__name__}: {what}",
            hint="download the data set once while there is a network; see lm-eval's documentation",
        ) from None
    return loaded


def _numbers(task: str, metrics: Mapping[str, Any]) -> Iterator[Measured]:
    """lm-eval's ``acc,none`` and ``acc_stderr,none`` as one number each."""
    n = metrics.get("sample_len", 0)
    for key, value in metrics.items():
        metric, comma, filter_name = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        stderr = metrics.get(f"{metric}_stderr,{filter_name}")
        yield Measured(
            measure="task",
            task=task,
            metric=metric if filter_name == "none" else f"{metric} ({filter_name})",
            value=float(value),
            before=None,
            n=int(n),
            stderr=float(stderr) if isinstance(stderr, int | float) else None,
        )


@contextmanager
def _seeded() -> Iterator[None]:
    """lm-eval's seeds of the global generators, which some tasks draw from; then their old state.

    The numbers are those it uses unless told otherwise.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(0)
    np.random.seed(1234)  # noqa: NPY002
    torch.manual_seed(1234)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
