from __future__ import annotations

import pytest

from memla.errors import DataError, DeviceError, DeviceMemoryError, EditError
from memla.evaluation import recipe_runs
from memla.evaluation.locks import HeldElsewhereError
from memla.evaluation.recipe_runs import Shelf, carry_out, each_when_free
from memla.evaluation.recipes import NamedPlan
from memla.evaluation.results import Plan


def test_what_is_held_elsewhere_is_worked_on_last_and_comes_back_in_its_place():
    tried = []

    def work(item: str) -> str:
        tried.append(item)
        if item == "泰" and tried.count(item) < 3:
            raise HeldElsewhereError("another process is at work")
        return item.upper()

    waited = []
    found = each_when_free(["泰", "ru", "ja"], work, on_wait=waited.append, pause=0.0)

    assert found == ["泰", "RU", "JA"]
    assert tried == ["泰", "ru", "ja", "泰", "泰"]
    assert waited == [1]


def test_it_is_tried_again_only_after_a_pause_and_only_where_all_are_held(monkeypatch):
    paused = []
    monkeypatch.setattr(recipe_runs.time, "sleep", paused.append)
    held = {"a": 3, "b": 1}

    def work(item: str) -> str:
        if held[item] > 0:
            held[item] -= 1
            raise HeldElsewhereError("another process is at work")
        return item

    assert each_when_free(["a", "b"], work, pause=7.0) == ["a", "b"]
    assert paused == [7.0, 7.0]


class Failing(Shelf):
    """A place where no run can be made."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def evaluate(self, *_: object, **__: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error", [EditError("every case failed"), DeviceMemoryError("память мала")]
)
def test_a_run_that_cannot_be_made_does_not_hinder_those_after_it(tmp_path, error):
    named = NamedPlan(variant="rome", source="th", plan=Plan(model="mini", benchmark="mkeb-geo"))
    made = carry_out(named, Failing(error), tmp_path)
    assert (made.run, made.error) == (None, str(error))


@pytest.mark.parametrize("error", [DataError("диск полон"), DeviceError("диск полон")])
def test_a_disk_or_a_device_that_fails_hinders_all_of_them(tmp_path, error):
    named = NamedPlan(variant="rome", source="th", plan=Plan(model="mini", benchmark="mkeb-geo"))
    with pytest.raises(type(error), match="диск"):
        carry_out(named, Failing(error), tmp_path)
