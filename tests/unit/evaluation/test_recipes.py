"""A recipe says which plans make a table; what is wrong with one is told by file, key and name."""

from __future__ import annotations

import pytest

from memla.editors import EDITORS
from memla.errors import DataError, MemlaError, SettingError, UnknownNameError
from memla.evaluation.recipe_files import is_recipe, read_recipe, read_toml
from memla.evaluation.recipes import RecipeEntry, RecipeRun, read_recipe_run

HEAD = 'title = "編集と質問"\n[plan]\nsource_languages = ["ja", "th"]\n'


@pytest.fixture
def recipe(tmp_path):
    """Write a recipe and read it."""

    def read(text, name="рецепт"):
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return read_recipe(path)

    return read


def test_a_variant_and_each_of_its_sources_make_a_plan_of_their_own(recipe):
    made = recipe(
        HEAD
        + '[[variants]]\neditor = "ft"\n'
        + '[[variants]]\nname = "zugleich"\neditor = "memla"\nsource_languages = ["ja+th"]\n'
    )
    plans = made.variants_with_plans()
    found = [(one.variant, one.source, one.plan.source_languages) for one in plans]
    assert found == [
        ("ft", "ja", ("ja",)),
        ("ft", "th", ("th",)),
        ("zugleich", "ja+th", ("ja+th",)),
    ]


def test_the_name_is_that_of_the_file_if_the_recipe_has_none(recipe):
    assert recipe(HEAD + "[[variants]]\n", "таблица").name == "таблица"
    assert recipe('name = "ตาราง"\n' + HEAD + "[[variants]]\n").name == "ตาราง"


def test_a_star_stands_for_every_editor_but_those_another_variant_is_named_after(recipe):
    made = recipe(
        HEAD
        + '[[variants]]\neditor = "*"\n'
        + '[[variants]]\nname = "kn"\neditor = "kn"\nsettings = { old = "greedy" }\n'
        + '[[variants]]\nname = "kn, 強い"\neditor = "kn"\nsettings = { lambda_new = 9.0 }\n'
    )
    names = list(made.variant_names)
    assert names == [*(one for one in EDITORS if one != "kn"), "kn", "kn, 強い"]
    plans = {one.variant: one.plan for one in made.variants_with_plans()}
    assert plans["kn"].settings == {"old": "greedy"}
    assert {one.plan.preset for one in made.variants_with_plans()} == {"recommended"}


def test_presets_and_values_are_in_the_names(recipe):
    made = recipe(
        HEAD
        + '[[variants]]\neditor = "memla"\npreset = "paper"\n'
        + '[[variants]]\nname = "{editor} по {value}"\neditor = "ft"\n'
        + 'sweep = { setting = "steps", values = [1, 20] }\n'
        + '[[variants]]\neditor = "memla"\n'
        + 'sweep = { setting = "identification.cross_languages", values = [["en", "th"]] }\n'
    )
    assert made.variant_names == (
        "memla (paper)",
        "ft по 1",
        "ft по 20",
        "memla, identification.cross_languages = en, th",
    )


def test_a_sweep_reaches_nested_settings_and_leaves_those_beside_them(recipe):
    made = recipe(
        HEAD
        + '[[variants]]\neditor = "memla"\nsettings = { identification = { quorum = 0.5 } }\n'
        + 'sweep = { setting = "identification.threshold", values = [0.1, 0.4] }\n'
    )
    plans = [one for one in made.variants_with_plans() if one.source == "ja"]
    assert [one.plan.settings["identification"] for one in plans] == [
        {"quorum": 0.5, "threshold": 0.1},
        {"quorum": 0.5, "threshold": 0.4},
    ]
    assert [(one.setting, one.value) for one in plans] == [
        ("identification.threshold", 0.1),
        ("identification.threshold", 0.4),
    ]


def test_a_sweep_may_vary_a_key_of_the_plan(recipe):
    made = recipe(
        HEAD
        + '[[variants]]\neditor = "rome"\nmode = "batch"\n'
        + 'sweep = { plan_key = "group_size", values = [2, 8] }\n'
    )
    assert [one.plan.group_size for one in made.variants_with_plans({})][::2] == [2, 8]
    with pytest.raises(SettingError, match="'group_size' is what variant"):
        made.variants_with_plans({"group_size": 4})


def test_a_setting_that_is_swept_cannot_be_given(recipe):
    made = recipe(
        HEAD
        + '[[variants]]\neditor = "memla"\n'
        + 'sweep = { setting = "identification.threshold", values = [0.1, 0.4] }\n'
    )
    plans = made.variants_with_plans({"settings": {"identification": {"quorum": 0.5}}})
    assert [one.plan.settings["identification"]["threshold"] for one in plans] == [
        *(0.1, 0.1),
        *(0.4, 0.4),
    ]
    with pytest.raises(SettingError, match=r"'identification\.threshold' is what variant"):
        made.variants_with_plans({"settings": {"identification": {"threshold": 0.9}}})


def test_what_is_given_counts_more_than_the_recipe(recipe):
    made = recipe(
        HEAD + 'limit = 500\n[[variants]]\neditor = "ft"\nlimit = 100\nsource_languages = ["ru"]\n'
    )
    [plan] = made.variants_with_plans()
    assert (plan.plan.limit, plan.source) == (100, "ru")
    [plan] = made.variants_with_plans({"limit": 3, "source_languages": ["th"]})
    assert (plan.plan.limit, plan.source) == (3, "th")


def test_what_is_given_of_a_nested_key_leaves_the_rest(recipe):
    made = recipe(
        HEAD
        + 'mode = "sequential"\ngroup_size = 10\ndownstream = { facts = 5 }\n'
        + '[[variants]]\neditor = "ft"\n'
    )
    plan = made.variants_with_plans({"downstream": {"texts": 7}})[0].plan
    assert plan.downstream is not None
    assert (plan.downstream.facts, plan.downstream.texts) == (5, 7)


WRONG = {
    "key of a recipe": ('titel = "x"\n' + HEAD + "[[variants]]\n", "'titel'", "'title'"),
    "key of a plan above": ('title = "x"\nlimit = 3\n[[variants]]\n', "'limit'", "under [plan]"),
    "key in plan": (HEAD + "limits = 3\n[[variants]]\n", "'limits'", "'limit'"),
    "key in a variant": (HEAD + '[[variants]]\neditr = "ft"\n', "'editr'", "'editor'"),
    "key in a sweep": (
        HEAD + '[[variants]]\nsweep = { value = [1], setting = "steps" }\n',
        "'value'",
        "'values'",
    ),
    "key in a contrast": (
        HEAD + '[[variants]]\n[[contrasts]]\nof = "memla"\nto = "memla"\n',
        "'to'",
        "against",
    ),
    "unknown key to sweep": (
        HEAD + '[[variants]]\nsweep = { plan_key = "sed", values = [1] }\n',
        "'sed'",
        "'seed'",
    ),
    "nothing to sweep": (
        HEAD + "[[variants]]\nsweep = { values = [1] }\n",
        "'setting'",
        "plan_key",
    ),
    "no value to sweep": (
        HEAD + '[[variants]]\nsweep = { setting = "steps", values = [] }\n',
        "values",
        "at least 1",
    ),
    "two of one name": (HEAD + "[[variants]]\n[[variants]]\n", "'memla'", "name of its own"),
    "contrast of nobody": (
        HEAD + '[[variants]]\n[[contrasts]]\nof = "мемла"\nagainst = "memla"\n',
        "'мемла'",
        "memla",
    ),
    "no variants": (HEAD, "variants", "at least 1"),
    "variants as a table": (HEAD + "[variants]\n", "'variants'", "[[variants]]"),
    "plan as a value": ('title = "x"\nplan = 3\n[[variants]]\n', "'plan'", "3"),
    "no title": ("[[variants]]\n", "title", "required"),
    "name with a folder": ('name = "表/三"\n' + HEAD + "[[variants]]\n", "'表/三'", "file"),
    "name of a folder above": ('name = ".."\n' + HEAD + "[[variants]]\n", "'..'", "file"),
    "empty name": ('name = " "\n' + HEAD + "[[variants]]\n", "' '", "file"),
    "name of two lines": ('name = "ตา\\nราง"\n' + HEAD + "[[variants]]\n", "ราง", "file"),
}


@pytest.mark.parametrize(("text", "named", "way_out"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_with_the_file_and_the_way_out(recipe, text, named, way_out):
    with pytest.raises(MemlaError) as caught:
        recipe(text, "ошибка")
    said = str(caught.value)
    assert "ошибка.toml" in said
    assert named in said
    assert way_out in said


def test_a_value_of_another_kind_is_told_with_its_variant(recipe):
    made = recipe(HEAD + '[[variants]]\nname = "ผิด"\nlimit = "много"\n')
    with pytest.raises(DataError, match=r"'ผิด'.*limit.*'много'"):
        made.variants_with_plans()


def test_an_unknown_language_is_told(recipe):
    made = recipe(HEAD + '[[variants]]\nname = "ผิด"\nsource_languages = ["qqq"]\n')
    with pytest.raises(UnknownNameError, match=r"'ผิด'.*qqq"):
        made.variants_with_plans()


def test_the_keys_of_one_plan_are_no_recipe(tmp_path):
    path = tmp_path / "план.toml"
    path.write_text('editor = "ft"\nsource_languages = ["zh"]\n', encoding="utf-8")
    assert not is_recipe(read_toml(path))
    path.write_text("editor = ", encoding="utf-8")
    with pytest.raises(DataError, match=r"план\.toml: not TOML"):
        read_toml(path)


def test_the_runs_of_a_recipe_come_back_from_their_file(tmp_path):
    entry = RecipeEntry(variant="случайные", source="zh+th", run="memla-x", setting="t", value=0.5)
    made = RecipeRun(name="表3", title="表", metrics=("QS",), entries=(entry,))
    path = tmp_path / made.file_name
    path.write_text(made.to_json(), encoding="utf-8")
    assert path.name == "recipe-表3.json"
    assert read_recipe_run(path) == made
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="not JSON"):
        read_recipe_run(path)
