"""Checks of translated drafts, and how texts and edits that fail are left out."""

from __future__ import annotations

import pytest

from memla.construction.chrf import chrf
from memla.construction.localisation import Localisation, check_localisations, settle, without
from memla.construction.quality import back_translation_reasons, check_translation
from memla.construction.translators.base import Translation
from tests.unit.construction.test_guidelines import GOOD, OTHERS, good


@pytest.fixture
def english():
    return good("en")


def checks(draft, english, edit, names):
    return {
        (reason.check, reason.field) for reason in check_translation(draft, english, edit, names)
    }


@pytest.mark.parametrize("language", OTHERS)
def test_a_good_translation_passes_every_check(language, english, edit, names):
    assert check_translation(good(language), english, edit, names) == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_in_the_wrong_script_is_rejected(language, english, edit, names):
    draft = good(language, prompt="La capitale de l'État {} est la ville de")
    assert ("script", "prompt") in checks(draft, english, edit, names)


@pytest.mark.parametrize(
    ("language", "change", "expected"),
    [
        ("zh", {"prompt": "{}的 capital 是"}, ("english words", "prompt")),
        ("ja", {"prompt": "{}の government がある都市は"}, ("english words", "prompt")),
        ("zh", {"prompt": "{}的首都為"}, ("traditional", "prompt")),
        ("ru", {"prompt": "В 1999 году столица: {},"}, ("numerals", "prompt")),
        ("th", {"prompt": "พ.ศ. 2542 เมืองหลวงของ{}คือ"}, ("numerals", "prompt")),
        ("ru", {"prompt": "{}" + " очень" * 40}, ("length", "prompt")),
        ("ja", {"prompt": "{}の\u200b首都は"}, ("characters", "prompt")),
        ("th", {"prompt": "เมืองหลวง&nbsp;ของ{}คือ"}, ("characters", "prompt")),
        ("zh", {"questions": ("{}所在国家的首都叫什么?",)}, ("question mark", "questions.0")),
        ("th", {"questions": ("เมืองหลวงของ{}คือเมืองใด?",)}, ("question mark", "questions.0")),
        ("ru", {"prompt": "Столица: {}: Берлин,"}, ("answer in prompt", "prompt")),
        ("ja", {"prompt": ""}, ("slot", "prompt")),
        ("zh", {"neighbor_prompt": "首都是"}, ("slot", "neighbor_prompt")),
        ("ru", {"prompt": " {} — столица:"}, ("characters", "prompt")),
    ],
)  # fmt: skip
def test_each_fault_of_a_translation_is_found(language, change, expected, english, edit, names):
    assert expected in checks(good(language, **change), english, edit, names)


def test_answers_that_contain_each_other_in_one_language_are_rejected(english, edit, names):
    names._entities["Q64"] = names._entities["Q64"].model_copy(
        update={"labels": names._entities["Q64"].labels | {"zh": "大巴黎"}}
    )
    assert ("answers overlap", "answers") in checks(good("zh"), english, edit, names)


@pytest.mark.parametrize("label", ["巴黎\u200b市", "法國"])
def test_a_name_that_cannot_be_used_is_rejected(label, english, edit, names):
    names._entities["Q142"] = names._entities["Q142"].model_copy(
        update={"labels": names._entities["Q142"].labels | {"zh": label}}
    )
    assert {field for _, field in checks(good("zh"), english, edit, names)} >= {"Q142"}


def test_a_text_is_like_itself_and_unlike_another():
    assert chrf("เมืองหลวงคือ", "เมืองหลวงคือ") == pytest.approx(100.0)
    assert chrf("столица", "首都是什么") == 0.0
    assert chrf("", "首都") == 0.0
    # Worked out by hand: runs of one character 3 of 4, of two 2 of 3, of three 1 of 2, of four 0.
    precision = recall = (3 / 4 + 2 / 3 + 1 / 2 + 0) / 4
    expected = 100 * 5 * precision * recall / (4 * precision + recall)
    assert chrf("abcd", "abce") == pytest.approx(expected)


class Back:
    """Translates every text back into one and the same."""

    name = "back"
    markup = None
    keeps_slots = False

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def translate(self, texts, source, target, *, marked=False):
        self.asked += [(source, target, text) for text in texts]
        return [Translation(self.answers.get(text, "The capital of XZQ1 is")) for text in texts]


def test_a_text_that_comes_back_as_something_else_is_rejected(english, edit, names):
    prompt, paraphrases, question = GOOD["zh"]
    answers = {
        text.replace("{}", "XZQ1"): original.replace("{}", "XZQ1")
        for text, original in zip(
            (*paraphrases, question), (*english.paraphrases, *english.questions), strict=True
        )
    }
    scores = []
    back = Back(answers)
    assert [
        *back_translation_reasons(
            [(good("zh"), english)], back, on_score=lambda *score: scores.append(score)
        )
    ] == []
    assert len(back.asked) == len(scores) == 4
    wrong = Back(answers | {prompt.replace("{}", "XZQ1"): "我不知道"})
    found = [*back_translation_reasons([(good("zh"), english)], wrong)]
    assert {reason.field for _, reason in found} == {"prompt", "neighbor_prompt"}
    assert found[0][0] == "P36:Q142"
    assert "comes back as '我不知道'" in found[0][1].found
    assert [*back_translation_reasons([], wrong)] == []


def localised(edit, **changes):
    drafts = [good(language, **changes.get(language, {})) for language in GOOD]
    return Localisation(edit, tuple(drafts))


def test_a_paraphrase_that_fails_in_one_language_is_left_out_in_all(edit, names):
    bad = localised(edit, ja={"paraphrases": ("パリは{}の", GOOD["ja"][1][1])})
    made = check_localisations([bad], names)
    (kept,) = made.kept
    assert {draft.language: draft.paraphrases for draft in kept.drafts} == {
        language: (texts[1][1],) for language, texts in GOOD.items()
    }
    assert [(reject.language, reject.excluded) for reject in made.rejects] == [("ja", False)]
    (tally,) = made.tallies
    assert (tally.language, tally.check) == ("ja", "answer in prompt")
    assert (tally.passed, tally.failed) == (0, 1)


@pytest.mark.parametrize("language", [*GOOD])
def test_a_paraphrase_that_an_earlier_edit_has_is_left_out(language, edit, names):
    """The same words for two relations: whoever completes them cannot know which is meant."""
    first = localised(edit)
    fact = edit.triple.model_copy(update={"relation": "P1376"})
    neighbors = tuple(one.model_copy(update={"relation": "P1376"}) for one in edit.neighbors)
    other = edit.model_copy(update={"triple": fact, "neighbors": neighbors, "chains": ()})
    # Other words everywhere, but for one paraphrase in one language.
    drafts = [
        draft.model_copy(
            update={
                "edit": "P1376:Q142",
                "questions": (),
                "prompt": f"{draft.prompt},",
                "paraphrases": tuple(
                    text if draft.language == language and not number else f"{text},"
                    for number, text in enumerate(draft.paraphrases)
                ),
            }
        )
        for draft in first.drafts
    ]
    made = check_localisations([first, Localisation(other, tuple(drafts))], names)
    assert made.kept[0] == first
    assert [len(draft.paraphrases) for draft in made.kept[1].drafts] == [1] * len(GOOD)
    (reject,) = made.rejects
    assert (reject.edit, reject.language, reject.check, reject.excluded) == (
        "P1376:Q142", language, "duplicate prompt", False,
    )  # fmt: skip
    alone = check_localisations([Localisation(other, tuple(drafts))], names)
    assert alone.rejects == ()


def test_a_question_that_fails_takes_its_chain_with_it(edit, names):
    bad = localised(edit, th={"questions": ("เมืองหลวงของประเทศฝรั่งเศสที่{}ตั้งอยู่คือเมืองใด",)})
    (kept,) = check_localisations([bad], names).kept
    assert kept.edit.chains == ()
    assert all(draft.questions == () for draft in kept.drafts)


@pytest.mark.parametrize("language", OTHERS)
def test_an_edit_without_a_prompt_in_one_language_is_left_out(language, edit, names):
    made = check_localisations([localised(edit, **{language: {"prompt": ""}})], names)
    assert made.kept == ()
    assert all(reject.excluded for reject in made.rejects)


def test_an_edit_needs_a_paraphrase_and_a_neighbour(edit):
    one = localised(edit)
    assert without(one, {"paraphrases.0", "paraphrases.1"}) is None
    assert without(one, {"neighbors.0"}) is None
    assert without(one, {"answers"}) is None
    assert without(one, set()) == one


def test_texts_that_come_back_wrong_are_settled_like_others(edit, names):
    answers = {
        text.replace("{}", "XZQ1"): original.replace("{}", "XZQ1")
        for language in OTHERS
        for text, original in zip(
            (GOOD[language][0], *GOOD[language][1], GOOD[language][2]),
            (GOOD["en"][0], *GOOD["en"][1], GOOD["en"][2]),
            strict=True,
        )
    }
    wrong = GOOD["ru"][1][0].replace("{}", "XZQ1")
    made = check_localisations([localised(edit)], names, Back(answers | {wrong: "天"}))
    assert [(one.language, one.field) for one in made.rejects] == [("ru", "paraphrases.0")]
    assert len(made.kept[0].drafts[0].paraphrases) == 1


def test_nothing_found_leaves_everything(edit):
    one = localised(edit)
    assert settle([(one, {"zh": []})], "check").kept == (one,)
