"""How far the shards of a run are, seen from outside: by what is new in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from memla.evaluation.results import CaseResult, FileName, RunFolder
from memla.evaluation.runner import ProgressCallback, ScoreCallback
from memla.records import parse_record, read_text

PHASES: dict[FileName, str] = {"cases": "edits", "after_all": "after all"}
"""Files of a run, and what progress calls their phases."""


class RunWatch:
    """Tells what shards add to a run.

    Args:
        folder: The run's folder, which need not be there yet. What is in it now is not new.
        on_score: Called with each new score.
        on_progress: Called with phase, done and total.
    """

    def __init__(
        self,
        folder: RunFolder,
        on_score: ScoreCallback | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        self._folder = folder
        self._on_score = on_score
        self._on_progress = on_progress
        self._read: dict[Path, int] = {}
        self._seen: dict[FileName, set[tuple[str, str]]] = {name: set() for name in PHASES}
        for name in PHASES:
            list(self._new(name))

    def look(self) -> None:
        """Tell what is new since the last look."""
        for name, phase in PHASES.items():
            for result in self._new(name):
                if self._on_score is not None:
                    for score in result.scores(self._folder.plan()):
                        self._on_score(score)
                if self._on_progress is not None:
                    self._on_progress(phase, len(self._seen[name]), self._total())

    def _new(self, name: FileName) -> Iterator[CaseResult]:
        """Results that have not been seen, once each."""
        for path in self._folder.files(name):
            with path.open("rb") as stream:
                stream.seek(self._read.get(path, 0))
                for line in stream:
                    if not line.endswith(b"\n"):  # somebody is writing it
                        break
                    self._read[path] = self._read.get(path, 0) + len(line)
                    result = parse_record(CaseResult, json.loads(line), str(path))
                    if (key := (result.case, result.source)) not in self._seen[name]:
                        self._seen[name].add(key)
                        yield result

    def _total(self) -> int:
        case_ids = json.loads(read_text(self._folder.path / "case_ids.json"))
        return len(case_ids) * len(self._folder.plan().source_languages)
