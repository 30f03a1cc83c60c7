"""What every editor in ``EDITORS`` must hold, on toy models of every family."""

# ruff: noqa: D103 (the names of tests are sentences)
from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import torch

from memla.editors import EDITORS
from memla.editors.base import Editor, EditorConfig
from memla.editors.edits import Edit
from memla.editors.storage import load_edit, save_edit
from memla.errors import EditError
from memla.facts import EditCase, EditRequest, OtherFacts
from memla.models.language_model import LanguageModel
from memla.models.tiny import FAMILIES, tiny_model

every_editor = pytest.mark.parametrize("name", sorted(EDITORS))


def capital(
    language: str, subject: str, new: str | None, true: str, fact: str = "thailand"
) -> EditRequest:
    """A request to change the capital of a country."""
    prompts = {"en": "The capital of {} is", "zh": "{}的首都是", "th": "เมืองหลวงของ{}คือ"}
    return EditRequest(
        fact=fact,
        language=language,
        prompt=prompts[language],
        subject=subject,
        target_new=new,
        target_true=true,
    )


REQUESTS = {
    "th": capital("th", "ประเทศไทย", "เชียงใหม่", "กรุงเทพ"),
    "zh": capital("zh", "泰国", "清迈", "曼谷"),
    "en": capital("en", "Thailand", "Chiang Mai", "Bangkok"),
}
REFERENCES = (
    capital("th", "ญี่ปุ่น", None, "โตเกียว", "japan"),
    capital("zh", "日本", None, "东京", "japan"),
    capital("th", "ฝรั่งเศส", None, "ปารีส", "france"),
    capital("zh", "法国", None, "巴黎", "france"),
)


POOL = tuple(
    capital(language, country[language], None, city[language], fact)
    for fact, country, city in (
        ("japan", {"th": "ญี่ปุ่น", "zh": "日本"}, {"th": "โตเกียว", "zh": "东京"}),
        ("laos", {"th": "ลาว", "zh": "老挝"}, {"th": "เวียงจันทน์", "zh": "万象"}),
        ("nepal", {"th": "เนปาล", "zh": "尼泊尔"}, {"th": "กาฐมาณฑุ", "zh": "加德满都"}),
        ("france", {"th": "ฝรั่งเศส", "zh": "法国"}, {"th": "ปารีส", "zh": "巴黎"}),
        ("thailand", {"th": "ประเทศไทย", "zh": "泰国"}, {"th": "กรุงเทพ", "zh": "曼谷"}),
        ("bhutan", {"th": "ภูฏาน", "zh": "不丹"}, {"th": "ทิมพู", "zh": "廷布"}),
    )
    for language in ("th", "zh")
)


def pool_without(fact: str) -> OtherFacts:
    """The pool's statements of other facts."""
    return OtherFacts(POOL).without_facts([fact])


def requests_from(*sources: str, **other: EditRequest) -> tuple[EditRequest, ...]:
    """What an editor sees of the fact when it is edited in these languages."""
    case = EditCase(id="thailand", relation="capital", requests=REQUESTS | other)
    return case.requests_from(sources)


def built(name: str) -> Editor:
    """The editor with its default settings."""
    editor: Editor = EDITORS[name](None)  # type: ignore[call-arg]
    return editor


def state(model: LanguageModel) -> dict[str, torch.Tensor]:
    """Copies of all weights and buffers."""
    return {name: value.clone() for name, value in model.model.state_dict().items()}


def assert_untouched(model: LanguageModel, before: dict[str, torch.Tensor]) -> None:
    """Check that weights, gradients, modes and hooks are what they were."""
    for name, value in model.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)
    assert all(weight.grad is None for weight in model.model.parameters())
    assert not any(weight.requires_grad for weight in model.model.parameters())
    for module in model.model.modules():
        assert not module.training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in module.__dict__


def bytes_of(edit: Edit, folder: Path) -> dict[str, bytes]:
    """The edit's files."""
    return {path.name: path.read_bytes() for path in save_edit(edit, folder).iterdir()}


def answers(model: LanguageModel) -> list[float]:
    """Log-probabilities of the new answers, in nats."""
    chosen = list(REQUESTS.values())
    scores = model.log_probs(
        [request.text for request in chosen],
        [request.target_new or "" for request in chosen],
        [request.language for request in chosen],
    )
    return [score.joint for score in scores]


@every_editor
def test_an_editor_has_a_name_settings_and_presets(name: str) -> None:
    editor = built(name)
    assert isinstance(editor, Editor)
    assert editor.name == name
    config_class = type(editor.config)
    assert issubclass(config_class, EditorConfig)
    assert editor.config == config_class.preset("recommended")
    for preset in config_class.PRESETS:
        made = config_class.preset(preset)
        assert config_class.model_validate_json(made.to_json()) == made


@every_editor
@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_works_on_every_family_and_leaves_the_model_as_it_was(
    name: str, family: str
) -> None:
    model = tiny_model(family)
    before, answers_before = state(model), answers(model)
    edit = built(name).edit(model, requests_from("th"), references=REFERENCES)
    assert isinstance(edit, Edit)
    assert_untouched(model, before)
    with edit.applied(model) as edited:
        assert edited is model
        assert answers(edited) != answers_before
    assert_untouched(model, before)
    assert answers(model) == answers_before


@every_editor
@pytest.mark.parametrize("sources", [("zh",), ("th",), ("zh", "th", "en")])
def test_an_edit_can_be_made_in_any_language_and_in_several(
    name: str, sources: tuple[str, ...]
) -> None:
    model = tiny_model()
    edit = built(name).edit(model, requests_from(*sources), references=REFERENCES)
    with edit.applied(model):
        assert all(score <= 0 for score in answers(model))


@every_editor
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_taking_an_edit_back_restores_every_bit_after_an_exception(
    name: str, error: type[BaseException]
) -> None:
    model = tiny_model()
    before = state(model)
    edit = built(name).edit(model, requests_from("zh"), references=REFERENCES)
    with pytest.raises(error), edit.applied(model):
        raise error
    assert_untouched(model, before)


@every_editor
def test_an_edit_comes_off_from_inside_another(name: str) -> None:
    model = tiny_model()
    before = state(model)
    first = built(name).edit(model, requests_from("zh"), references=REFERENCES)
    second = built(name).edit(model, requests_from("th"), references=REFERENCES)
    with first.applied(model):
        once = answers(model)
        with second.applied(model):
            assert answers(model) != once
        assert answers(model) == once
    assert_untouched(model, before)


@every_editor
def test_the_same_seed_gives_the_same_edit(name: str, tmp_path: Path) -> None:
    made = []
    for number in range(2):
        torch.manual_seed(number)
        model = tiny_model()
        edit = built(name).edit(model, requests_from("th"), references=REFERENCES, seed=5)
        made.append(bytes_of(edit, tmp_path / str(number)))
    assert made[0] == made[1]


@every_editor
def test_what_was_edited_before_plays_no_part(name: str, tmp_path: Path) -> None:
    model, used, made = tiny_model(), built(name), []
    other = capital("zh", "日本", "京都", "东京", "japan")
    used.edit(model, [other], references=pool_without("japan"))
    for number, editor in enumerate((used, built(name))):
        edit = editor.edit(model, requests_from("th"), references=pool_without("thailand"))
        made.append(bytes_of(edit, tmp_path / str(number)))
    assert made[0] == made[1]


@every_editor
def test_random_numbers_of_others_are_left_alone(name: str) -> None:
    model = tiny_model()
    ours = torch.get_rng_state(), str(numpy.random.get_state())  # noqa: NPY002
    built(name).edit(model, requests_from("zh"), references=REFERENCES)
    assert torch.equal(torch.get_rng_state(), ours[0])
    assert str(numpy.random.get_state()) == ours[1]  # noqa: NPY002


@every_editor
def test_the_new_answer_in_a_language_that_is_not_edited_plays_no_part(
    name: str, tmp_path: Path
) -> None:
    other = capital("zh", "泰国", "普吉", "曼谷")
    made = []
    for number, requests in enumerate((requests_from("th"), requests_from("th", zh=other))):
        edit = built(name).edit(tiny_model(), requests, references=REFERENCES)
        made.append(bytes_of(edit, tmp_path / str(number)))
    assert made[0] == made[1]
    assert "清迈".encode() not in b"".join(made[0].values())


@every_editor
def test_a_description_is_json_and_says_how_the_edit_was_made(name: str) -> None:
    model = tiny_model()
    description = (
        built(name).edit(model, requests_from("zh"), references=REFERENCES, seed=3).describe()
    )
    text = json.dumps(description, ensure_ascii=False, allow_nan=False)
    assert description["method"] == name
    assert description["preset"] == "recommended"
    assert description["seed"] == 3
    assert description["model"] == model.name
    assert "泰国" in text


@every_editor
def test_an_edit_that_was_saved_does_the_same_when_it_is_loaded(name: str, tmp_path: Path) -> None:
    model = tiny_model()
    edit = built(name).edit(model, requests_from("th", "zh"), references=REFERENCES)
    loaded = load_edit(save_edit(edit, tmp_path / "การแก้ไข"))
    assert loaded.describe() == edit.describe()
    with edit.applied(model):
        expected = answers(model)
    with loaded.applied(model):
        assert answers(model) == expected


@every_editor
def test_requests_with_nothing_to_write_are_refused(name: str) -> None:
    requests = [request.without_target() for request in REQUESTS.values()]
    with pytest.raises(EditError, match="target_new"):
        built(name).edit(tiny_model(), requests)
    with pytest.raises(EditError, match="target_new"):
        built(name).edit(tiny_model(), [])
