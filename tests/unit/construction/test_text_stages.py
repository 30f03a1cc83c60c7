"""From planned edits to drafts in all languages, through files."""

from __future__ import annotations

import json

import pytest

from memla.construction.chat import ChatModel
from memla.construction.drafting import ChatDrafter, TemplateDrafter
from memla.construction.files import read_records
from memla.construction.frames import frame
from memla.construction.graph import Draft, PlannedEdit
from memla.construction.guidelines import check_draft
from memla.construction.localisation import translate_samples
from memla.construction.rejects import Reject
from memla.construction.relations import shipped_relations
from memla.construction.text_stages import (
    check_stage,
    draft_stage,
    filter_stage,
    read_localisations,
    translate_stage,
)
from memla.construction.translation import Sample, translate_drafts
from memla.construction.translators.base import Translation
from memla.errors import DataError
from memla.languages import MKEB_LANGUAGES
from memla.records import json_lines, write_atomically
from tests.doubles import chat
from tests.doubles.chat import said, sample
from tests.doubles.loopback import served
from tests.doubles.toy_translation import toy_translation
from tests.unit.construction.conftest import CAPITALS, LANGUAGES, planned

RELATIONS = shipped_relations()
OTHERS = LANGUAGES[1:]


class Toy:
    """The toy translator, which knows names."""

    name = "toy"
    markup = None
    keeps_slots = False

    def __init__(self, names, entities):
        self.names = {
            language: {
                names.label(entity, "en"): names.label(entity, language) for entity in entities
            }
            for language in LANGUAGES
        }
        self.asked = []
        self.lost = ()
        """Texts with one of these words are not translated."""

    def translate(self, texts, source, target, *, marked=False):
        self.asked += [(target, text) for text in texts]
        return [
            Translation(problem="was refused")
            if any(word in text for word in self.lost)
            else Translation(toy_translation(text, target, self.names[target]))
            for text in texts
        ]


@pytest.fixture
def toy(names):
    return Toy(names, [*CAPITALS, *CAPITALS.values(), "Q243"])


@pytest.fixture
def edits(edit):
    return [
        edit,
        planned("Q183", "Q90", "Q17"),
        planned("Q17", "Q2887", "Q869"),
        planned("Q869", "Q64", "Q298"),
    ]


@pytest.fixture
def folder(tmp_path, edits):
    write_atomically(tmp_path / "3" / "edits.jsonl", json_lines(edits))
    return tmp_path


def unworded(relations=RELATIONS):
    """The relations with English templates only, as most have."""
    return {
        name: relation.model_copy(update={"templates": {"en": relation.templates["en"]}})
        for name, relation in relations.items()
    }


def samples(edits, relations=RELATIONS):
    drafter = TemplateDrafter(relations)
    return [Sample(edit, drafter.draft(edit).draft) for edit in edits]


def through(folder, names, translator, relations=RELATIONS, mode="templates"):
    drafter = TemplateDrafter(relations)
    draft_stage(folder / "3", folder / "4", drafter)
    filter_stage(folder / "4", folder / "5", names, drafter)
    translate_stage(folder / "5", folder / "6", names, relations, LANGUAGES, translator, mode)
    return check_stage(folder / "6", folder / "7", names)


def test_templates_by_hand_need_no_translator_in_any_language(folder, names, edits):
    report = through(folder, names, None)
    assert (report.taken, report.kept) == (4, 4)
    assert [*read_records(folder / "7" / "edits.jsonl", PlannedEdit)] == edits
    for one in read_localisations(folder / "7"):
        assert [draft.language for draft in one.drafts] == list(LANGUAGES)
        for draft in one.drafts:
            assert draft.prompt == RELATIONS["P36"].templates[draft.language].prompt
    first = next(read_localisations(folder / "7"))
    assert "{}" in first.drafts[1].questions[0]


@pytest.mark.parametrize("mode", ["templates", "text"])
def test_all_stages_pass_with_a_translator_and_twice_give_the_same_bytes(folder, names, toy, mode):
    relations = unworded()
    report = through(folder, names, toy, relations, mode)
    rejects = [*read_records(folder / "7" / "rejects.jsonl", Reject)]
    assert report.kept == 4, rejects
    first = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    assert through(folder, names, toy, relations, mode) == report
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == first


def test_a_template_is_translated_once_however_many_edits_have_it(names, toy, edits):
    relations = unworded()
    translate_drafts(samples(edits, relations), "zh", names, relations, toy)
    prompts = [text for _, text in toy.asked if text.startswith("The capital of")]
    # Once for each pair of names it is tried with, not once for each edit and field.
    assert len(prompts) == len({*prompts}) == 5
    toy.asked.clear()
    translate_drafts(samples(edits, relations) * 50, "zh", names, relations, toy)
    again = [text for _, text in toy.asked if text.startswith("The capital of")]
    assert len(again) <= 5


def test_names_are_never_translated_but_put_in_from_the_graph(names, toy, edits):
    relations = unworded()
    (first, *_) = translate_drafts(samples(edits, relations), "th", names, relations, toy)
    assert all(text.count("{}") == 1 for text in first.texts.values())
    assert not any("ฝรั่งเศส" in text for text in first.texts.values())


def test_text_mode_translates_each_text_with_its_own_names(names, toy, edits):
    relations = unworded()
    translate_drafts(samples(edits, relations), "ja", names, relations, toy, "text")
    asked = [text for _, text in toy.asked]
    assert "The capital of France is Paris." in asked
    assert "The capital of Thailand is Bangkok." in asked


def test_an_inflected_language_gets_statements_that_need_no_grammar(folder, names, edits):
    relations = unworded()
    genitive = {
        "France": "Франции",
        "Germany": "Германии",
        "Japan": "Японии",
        "Thailand": "Таиланда",
    }

    class Inflecting(Toy):
        def __init__(self, names, entities):
            super().__init__(names, entities)
            self.names["ru"] |= genitive

    toy = Inflecting(names, [*CAPITALS, *CAPITALS.values(), "Q243"])
    (first, *_) = translate_drafts(samples(edits, relations), "ru", names, relations, toy)
    noun = toy_translation("capital", "ru")
    assert first.texts["prompt"] == f"{{}} — {noun}:"
    assert first.texts["paraphrases.0"] == f"{noun} ({{}}):"
    assert first.texts["paraphrases.1"] == f"Тема: {{}}; {noun}:"
    assert first.texts["questions.0"].endswith("?")
    report = through(folder, names, toy, relations)
    assert (report.kept, report.rejects) == (4, {})


@pytest.mark.parametrize("language", [*MKEB_LANGUAGES, "zh-hant"])
def test_frames_are_paraphrases_of_each_other_by_the_guidelines(language, edit, names):
    prompt, *paraphrases = (frame("首都", language, number) for number in range(3))
    if language == "en":
        # A language without frames of its own has two.
        paraphrases = paraphrases[:1]
    draft = Draft(
        edit="P36:Q142",
        language="en",
        prompt=prompt,
        paraphrases=tuple(paraphrases),
        neighbor_prompt=prompt,
        questions=("Which city?",),
        made_by="frames",
    )
    checks = {reason.check for reason in check_draft(draft, edit, names)}
    assert not checks & {"paraphrase repeats", "answer not last"}


@pytest.mark.parametrize(
    ("language", "text"),
    [("zh", "{}的首都是"), ("ja", "{}の首都は"), ("th", "首都ของ{}คือ"), ("pl", "{} — 首都:")],
)
def test_a_frame_joins_a_name_and_a_noun(language, text):
    assert frame("首都", language, 0) == text
    assert len({frame("首都", language, number) for number in range(3)}) == 3
    assert frame("首都", language, 3) == text
    assert len({frame("首都", "cs", number) for number in range(4)}) == 2


def test_a_text_that_nobody_translates_is_left_out_with_a_reason(names, edits):
    relations = unworded()
    made = translate_samples(samples(edits, relations), LANGUAGES, names, relations, None)
    assert made.kept == ()
    assert {reject.check for reject in made.rejects} == {"translation"}
    assert "no translator" in made.rejects[0].reason


def test_a_refused_question_takes_only_its_chain(names, toy, edits):
    relations = unworded()
    toy.lost = ("What is", "In which", "Which")
    made = translate_samples(samples(edits, relations), LANGUAGES, names, relations, toy)
    assert len(made.kept) == 4
    assert made.kept[0].edit.chains == ()
    lost = [reject for reject in made.rejects if reject.language == "zh"]
    assert [(reject.field, reject.excluded) for reject in lost] == [("questions.0", False)]
    assert "real names: was refused" in lost[0].reason
    assert {tally.language for tally in made.tallies} == set(OTHERS)


@pytest.mark.enable_socket
def test_drafts_that_a_model_fails_to_write_are_made_again_in_the_next_stage(
    folder, names, client, ledger
):
    server = chat.ChatServer(sample)
    with served(server) as url:
        model = ChatModel(client, ledger, base_url=f"{url}/v1", model="toy", key=chat.KEY)
        drafter = ChatDrafter(model, names, RELATIONS)
        bad = json.dumps(json.loads(sample([{"role": "user", "content": json.dumps(
            {"relation": "capital", "chains": []})}])) | {"prompt": "首都是"})  # fmt: skip
        server.before = [lambda body: said("不行"), lambda body: said(bad)]
        done = []
        first = draft_stage(folder / "3", folder / "4", drafter, lambda *at: done.append(at))
        assert (first.taken, first.kept) == (4, 3)
        assert done[-1] == (4, 4)
        report = filter_stage(folder / "4", folder / "5", names, drafter)
    assert report.kept == 4
    assert report.rejects == {"json": 1, "slot": 1}
    # Four first drafts, and two more; what is in the ledger is not asked for again.
    assert len(server.bodies) == 6
    drafts = read_records(folder / "5" / "drafts.jsonl", Draft)
    assert [draft.attempts for draft in drafts] == [2, 2, 1, 1]


def test_an_edit_without_a_draft_is_an_error_with_a_way_out(folder):
    write_atomically(folder / "3" / "drafts.jsonl", "")
    with pytest.raises(DataError, match="'P36:Q142'") as caught:
        next(read_localisations(folder / "3"))
    assert "drafts" in caught.value.hint
