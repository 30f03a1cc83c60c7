from __future__ import annotations

from memla.evaluation import recipe_runs
from memla.evaluation.locks import HeldElsewhereError
from memla.evaluation.recipe_runs import each_when_free


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
