"""What is looked at beside the edited facts, and after how many edits."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from memla.errors import SettingError
from memla.records import Record


class Downstream(Record):
    """How to measure what edits break."""

    after: tuple[int, ...] = Field(default=(1, 10, 100, 1000), min_length=1)
    """Numbers of edits after which a sequence is looked at; those above its size are left out.
    A batch is looked at once, when all of it is written."""
    tasks: tuple[str, ...] = ()
    """Names of tasks of lm-eval, such as ``piqa``."""
    task_folder: str | None = None
    """Folder with tasks of your own in lm-eval's YAML format."""
    task_limit: int | None = Field(default=None, ge=1)
    """At most so many documents of each task."""
    few_shot: int = Field(default=0, ge=0)
    """Examples before each question of a task."""
    text: str | None = None
    """JSON Lines file of held-out text, ``{"language": "th", "text": "..."}``. None: statements of
    facts that are not edited, each its prompt and its true answer."""
    texts: int = Field(default=64, ge=0)
    """Number of those facts, where there is no file."""
    facts: int = Field(default=64, ge=0)
    """Number of facts, never edited, on which the drift of answers is measured."""
    digest: str | None = None
    """SHA-256 of the texts, the facts and the tasks' files, filled in when the run starts."""

    @field_validator("after")
    @classmethod
    def _in_order(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if min(values) < 1:
            raise ValueError(f"edits are counted from 1, not {min(values)}")
        return tuple(sorted(set(values)))

    @model_validator(mode="after")
    def _has_something_to_measure(self) -> Self:
        if not (self.tasks or self.text or self.texts or self.facts):
            raise SettingError(
                "downstream has no tasks, no texts and no facts to look at",
                hint="name tasks or a text, or leave texts and facts at their defaults",
            )
        return self

    def checkpoints(self, mode: str, size: int) -> tuple[int, ...]:
        """After how many edits of a group of this size it is looked at; the last may be all."""
        return (size,) if mode == "batch" else tuple(one for one in self.after if one <= size)
