"""What edits broke, written down once for each checkpoint of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from memla.errors import DataError
from memla.evaluation.downstream.examination import Examination
from memla.evaluation.downstream.material import Material
from memla.evaluation.downstream.scores import Checkpoint, Measured
from memla.evaluation.modes import Group
from memla.evaluation.plans import Plan
from memla.evaluation.results import RunFolder
from memla.models.language_model import LanguageModel
from memla.records import parse_record, read_text, write_atomically

BEFORE_FILE = "downstream_before.json"
"""What was measured of the unedited model, in a run's folder; its shards share it."""


class DamageBook:
    """Looks at a model that is being edited whenever it reaches a checkpoint that is not done.

    Args:
        plan: The plan; it has ``downstream``.
        material: Texts and prompts.
        unedited: The unedited model.
        groups: All groups that are edited here.
        folder: The run's; None keeps the checkpoints in memory.
        batch_size: Texts asked together.
        report: Called with how many checkpoints are done and how many there are.
    """

    def __init__(
        self,
        plan: Plan,
        material: Material,
        unedited: LanguageModel,
        groups: Sequence[Group],
        *,
        folder: RunFolder | None = None,
        batch_size: int = 64,
        report: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        assert plan.downstream is not None
        self._plan, self._settings = plan, plan.downstream
        self._material = material
        self._unedited = unedited
        self._folder = folder
        self._batch_size = batch_size
        self._report = report
        self._wanted = {key for group in groups for key in self._keys(group)}
        self._done = set() if folder is None else {one.key for one in folder.checkpoints()}
        self._examination: Examination | None = None
        self.kept: list[Checkpoint] = []
        """The checkpoints, where there is no folder."""

    def is_done(self, group: Group) -> bool:
        """Whether all checkpoints of a group are written down."""
        return self._done.issuperset(self._keys(group))

    def prepare(self) -> None:
        """Look at the model before it is edited; once for a run, whatever happens to it.

        Raises:
            MemlaError: It cannot be measured, or a task cannot be loaded.
        """
        path = None if self._folder is None else self._folder.path / BEFORE_FILE
        before = None if path is None else _read_before(path)
        self._examination = Examination(
            self._settings,
            self._material,
            self._unedited,
            batch_size=self._batch_size,
            before=before,
        )
        if path is not None and before is None:
            _write_before(path, self._examination.before)

    def look(self, model: LanguageModel | None, group: Group, edits: int, failed: int) -> None:
        """Measure the model, if this is a checkpoint that is not done.

        Args:
            model: The edited model; None: the edit could not be applied.
            group: What is being edited.
            edits: How many of its cases have been.
            failed: How many of those could not be.
        """
        key = (group.name, group.source, edits)
        if key in self._done or key not in self._wanted:
            return
        assert self._examination is not None, "the unedited model is gone"
        start = time.perf_counter()
        measured = self._examination.look(model)
        checkpoint = Checkpoint(
            source=group.source,
            group=group.name,
            edits=edits,
            failed=failed,
            seconds=time.perf_counter() - start,
            measured=measured,
        )
        if self._folder is None:
            self.kept.append(checkpoint)
        else:
            self._folder.append(checkpoint)
        self._done.add(key)
        self._report(len(self._done & self._wanted), len(self._wanted))

    def _keys(self, group: Group) -> set[tuple[str, str, int]]:
        reached = self._settings.checkpoints(self._plan.mode, len(group.cases))
        return {(group.name, group.source, edits) for edits in reached}


def _read_before(path: Path) -> list[Measured] | None:
    """What an earlier process measured; None: nothing yet."""
    if not path.exists():
        return None
    try:
        values = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}", hint="remove it") from None
    return [parse_record(Measured, value, str(path)) for value in values]


def _write_before(path: Path, before: Collection[Measured]) -> None:
    lines = ",\n".join(one.to_json() for one in before)
    write_atomically(path, f"[\n{lines}\n]\n")
