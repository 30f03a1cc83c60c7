from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from memla import registry
from memla.errors import UnknownNameError
from memla.facts import EditCase
from memla.registry import Registry


@pytest.fixture
def plugins(monkeypatch):
    """Entry points as another package would declare them."""
    points = [
        EntryPoint("theirs", "memla.facts:Probe", "memla.tests"),
        EntryPoint("case", "memla.facts:Probe", "memla.tests"),
    ]
    monkeypatch.setattr(
        registry, "entry_points", lambda group: points if group == "memla.tests" else []
    )


@pytest.fixture
def things():
    return Registry(
        "thing", "memla.tests", {"case": "memla.facts:EditCase", "absent": "memla.nowhere:X"}
    )


def test_a_name_gives_what_it_stands_for(things):
    assert things["case"] is EditCase


def test_names_come_in_order_without_importing_anything(things):
    assert list(things) == ["absent", "case"]
    assert len(things) == 2
    assert "absent" in things
    assert "ไม่มี" not in things


def test_an_unknown_name_suggests_the_nearest_and_lists_all(things):
    with pytest.raises(UnknownNameError) as error:
        things["cases"]
    assert error.value.message == "there is no thing named 'cases'"
    assert error.value.hint == "did you mean 'case'? known: absent, case"


def test_a_name_unlike_any_other_gets_no_suggestion(things):
    with pytest.raises(UnknownNameError, match=r"named 'ภาษาไทย' \(known: absent, case\)"):
        things["ภาษาไทย"]


@pytest.mark.usefixtures("plugins")
def test_another_package_adds_names_but_hides_none(things):
    assert list(things) == ["absent", "case", "theirs"]
    assert things["case"] is EditCase
    assert things["theirs"].__name__ == "Probe"
