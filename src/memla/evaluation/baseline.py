"""What the unedited model says to the probes of a case: asked once for all editors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from memla.errors import DataError
from memla.evaluation.locks import locked
from memla.evaluation.observations import EVERYTHING, Asked, Decoding, Observation
from memla.evaluation.observe import observe
from memla.evaluation.record_files import append_records, whole_lines
from memla.facts import Probe
from memla.models.language_model import LanguageModel
from memla.records import Record, parse_record


class Before(Record):
    """What the unedited model said to some probes that were asked together."""

    probes: str
    """SHA-256 of the probes."""
    observations: tuple[Observation, ...]


class Baseline:
    """Observations of the unedited model, kept in a file if there is one.

    The probes of a case are asked together and with no others, as they are after its edit. So the
    last digits of a probability, which a batch decides, depend on nothing but the case.

    Args:
        model: The unedited model.
        decoding: Length of its own answers.
        asked: What it is asked of which probe.
        folder: Where to keep the observations; other runs of the same weights find them there.
        fingerprint: Identity of the weights.

    Raises:
        DataError: The file is broken.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        decoding: Decoding,
        fingerprint: str,
        asked: Asked = EVERYTHING,
        folder: Path | None = None,
    ) -> None:
        self._model = model
        self._decoding = decoding
        self._asked = asked
        self._lines: dict[str, bytes | int] = {}  # by probes: the line, or where the file has it
        self._path: Path | None = None
        if folder is not None:
            identity = hashlib.sha256(
                f"by case {fingerprint} {decoding} {asked}".encode()
            ).hexdigest()
            self._path = folder / f"before-{identity[:16]}.jsonl"
            for where, start, line in whole_lines(self._path):
                self._lines[_read(line, where).probes] = start

    def __getitem__(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        line = self._lines[_key(probes)]
        if isinstance(line, int):
            assert self._path is not None
            with self._path.open("rb") as stream:
                stream.seek(line)
                line = stream.readline()
        return _read(line, str(self._path)).observations

    def ask(
        self,
        cases: Iterable[Sequence[Probe]],
        *,
        batch_size: int = 64,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Observe the probes of the cases that have not been observed yet."""
        by_key = {_key(probes): probes for probes in cases}
        missing = [(key, probes) for key, probes in by_key.items() if key not in self._lines]
        for done, (key, probes) in enumerate(missing, start=1):
            found = observe(
                self._model,
                probes,
                decoding=self._decoding,
                asked=self._asked,
                batch_size=batch_size,
            )
            self._keep(Before(probes=key, observations=tuple(found)))
            if on_progress is not None:
                on_progress(done, len(missing))

    def _keep(self, before: Before) -> None:
        if self._path is None:
            self._lines[before.probes] = before.to_json().encode()
            return
        with locked(self._path.with_suffix(".lock"), wait=True):  # other shards write here too
            self._lines[before.probes] = append_records(self._path, [before])


def _read(line: bytes, where: str) -> Before:
    """One line of the file.

    Raises:
        DataError: It is broken.
    """
    try:
        value = json.loads(line)
    except ValueError as error:
        raise DataError(
            f"{where}: not JSON: {error}", hint="remove the file; the model is asked again"
        ) from None
    return parse_record(Before, value, where)


def _key(probes: Sequence[Probe]) -> str:
    return hashlib.sha256("\n".join(probe.to_json() for probe in probes).encode()).hexdigest()
