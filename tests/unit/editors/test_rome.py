"""ROME: keys are mapped to values exactly, with the least change; what its code does otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from memla.editors.covariance import CovarianceConfig, Covariances
from memla.editors.rome import RomeConfig, RomeEditor
from memla.errors import EditError, SettingError
from memla.facts import EditRequest
from memla.models.tiny import FAMILIES, tiny_model
from memla.testing.test_editors import REFERENCES, REQUESTS, requests_from
from tests.reference.rome import averaged_key, least_change
from tests.reference.values import Search, find_vector

TEMPLATES = {"templates": ("{}", "ทุกคนรู้ว่า {}", "众所周知，{}")}
PREFIXES = ("", "ทุกคนรู้ว่า ", "众所周知，")
QUICK = {"steps": 4, "learning_rate": 0.1, "contexts": TEMPLATES, "average": "uniform"}
SEARCH = Search(4, 0.1, 0.5, 4.0, 0.0625, 0.05)


def edited(model, requests, *, references=REFERENCES, **settings):
    config = RomeConfig.model_validate(QUICK | settings)
    return RomeEditor(config).edit(model, requests, references=references)


def in_float64(family="gpt2"):
    model = tiny_model(family)
    model.model.double()
    return model


def change_of(edit, model):
    ((layer, part),) = edit.deltas.items()
    return layer, part.dense(model.d_ff)


def written_at(model, layer, key, change):
    bias = getattr(model.down_projection(layer), "bias", None)
    out = torch.from_numpy(key) @ (model.value_rows(layer) + change)
    return out if bias is None else out + bias


@pytest.mark.parametrize("average", ["uniform", "by_kind"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "opt"])
@pytest.mark.parametrize("sources", [("th",), ("zh", "th", "en")])
def test_the_edited_matrix_maps_every_key_to_its_value(family, sources, average):
    model = in_float64(family)
    edit = edited(model, requests_from(*sources), average=average)
    layer, change = change_of(edit, model)
    prefixes = dict.fromkeys(sources, PREFIXES)
    for language in sources:
        request = REQUESTS[language]
        found = find_vector(model, [model.down_projection(layer)], [request], prefixes, SEARCH)
        key = averaged_key(model, request, PREFIXES, layer, by_kind=average == "by_kind")
        wanted = found.starts[0] + found.deltas[0]
        torch.testing.assert_close(
            written_at(model, layer, key, change), wanted, rtol=1e-8, atol=1e-8
        )


def test_no_smaller_change_maps_the_keys_to_the_values():
    model = in_float64()
    known = Covariances(CovarianceConfig())
    for sources in (("zh",), ("th", "zh")):
        layer, change = change_of(edited(model, requests_from(*sources)), model)
        found = known.get(model, REFERENCES, (layer,), fingerprint=model.fingerprint())
        covariance = found[layer].matrix.numpy()
        keys = [averaged_key(model, REQUESTS[code], PREFIXES, layer) for code in sources]
        columns = np.stack(keys, axis=1)
        missing = columns.T @ change.numpy()
        wanted = least_change(covariance, columns, missing)
        np.testing.assert_allclose(change.numpy(), wanted, rtol=1e-6, atol=1e-8)


def test_the_authors_divide_by_the_bare_key_so_that_the_averaged_one_misses_its_value():
    model = in_float64()
    request = REQUESTS["zh"]
    settings = {"kl_position": "prompt_last", "contexts": TEMPLATES}
    ours, theirs = (
        change_of(edited(model, [request], key_mode=mode, **settings), model)
        for mode in ("consistent", "authors")
    )
    layer = ours[0]
    found = find_vector(model, [model.down_projection(layer)], [request], {"zh": PREFIXES}, SEARCH)
    wanted = found.starts[0] + found.deltas[0]
    averaged = averaged_key(model, request, PREFIXES, layer)
    bare = averaged_key(model, request, [""], layer)
    close = {"rtol": 1e-8, "atol": 1e-8}
    torch.testing.assert_close(written_at(model, layer, averaged, ours[1]), wanted, **close)
    torch.testing.assert_close(written_at(model, layer, bare, theirs[1]), wanted, **close)
    for key, change in ((bare, ours[1]), (averaged, theirs[1])):
        assert (written_at(model, layer, key, change) - wanted).norm() > 0.01 * wanted.norm()
    column, row = torch.linalg.qr(theirs[1])[0][:, 0], torch.linalg.qr(ours[1])[0][:, 0]
    assert abs(float(column @ row)) == pytest.approx(1)


def test_how_far_the_bare_key_is_from_the_averaged_one_is_reported():
    model = in_float64()
    info = edited(model, requests_from("zh", "th")).describe()
    first, second = info["update"]["bare_key_agreement"]
    assert 0 < first != 1
    assert 0 < second != 1
    alone = edited(model, requests_from("zh"), contexts={"templates": []}).describe()
    assert alone["update"]["bare_key_agreement"] == pytest.approx([1.0])


def test_requests_with_one_key_get_one_value_that_serves_both():
    model = in_float64()
    both = [
        EditRequest(
            fact="berlin", language=language, prompt=prompt, subject="Берлин", target_new=answer
        )
        for language, prompt, answer in (("ru", "{} — столица", "Италии"), ("pl", "{} to", "Rzym"))
    ]
    edit = edited(model, both, contexts={"templates": []})
    (part,) = edit.deltas.values()
    assert part.up.shape[1] == 1
    first, second = edit.describe()["values"]
    assert first["delta_norm"] == second["delta_norm"] > 0


def test_keys_that_cannot_be_told_apart_are_refused():
    model = tiny_model(d_ff=2)
    with pytest.raises(EditError, match="3 requests have keys that cannot be told apart") as caught:
        edited(model, requests_from("zh", "th", "en"))
    assert "one by one" in caught.value.hint


def test_without_text_for_the_covariance_it_says_what_to_give():
    with pytest.raises(EditError, match="key statistics") as caught:
        edited(tiny_model(), requests_from("th"), references=())
    assert "memla statistics" in caught.value.hint
    edited(tiny_model(), requests_from("th"), references=(), covariance={"kind": "identity"})


def test_statements_of_the_edited_fact_itself_play_no_part():
    own = REQUESTS["th"].without_target()
    made = [
        edited(tiny_model(), requests_from("zh"), references=references)
        for references in (REFERENCES, (*REFERENCES, own))
    ]
    changes = [change_of(edit, tiny_model())[1] for edit in made]
    assert torch.equal(*changes)


def test_an_editor_keeps_nothing_of_one_model_for_another():
    editor = RomeEditor(RomeConfig(steps=3))
    editor.edit(tiny_model(), requests_from("th"), references=REFERENCES)
    other = tiny_model(seed=1)
    again = editor.edit(other, requests_from("th"), references=REFERENCES)
    fresh = RomeEditor(RomeConfig(steps=3)).edit(other, requests_from("th"), references=REFERENCES)
    assert torch.equal(change_of(again, other)[1], change_of(fresh, other)[1])
    assert again.info == fresh.info


@pytest.mark.parametrize("family", FAMILIES)
def test_the_authors_preset_edits_every_family(family):
    model = tiny_model(family)
    config = RomeConfig.preset("authors", {"steps": 2})
    edit = RomeEditor(config).edit(model, requests_from("th", "zh"), references=REFERENCES)
    prefixes = edit.describe()["prefixes"]
    assert prefixes["th"] == prefixes["zh"]
    assert len(prefixes["th"]) > 10


def test_the_layer_is_the_published_one_or_lies_as_deep():
    assert RomeConfig().resolved_for(tiny_model(n_layers=12)).layer == 4
    assert RomeConfig().resolved_for(tiny_model()).layer == 1
    assert RomeConfig(layer=0).resolved_for(tiny_model()).layer == 0
    with pytest.raises(SettingError, match="layer 3 was asked for") as caught:
        edited(tiny_model(), requests_from("th"), layer=3)
    assert "layer" in caught.value.hint
    with pytest.raises(ValidationError):
        RomeConfig(layer=-1)


def test_an_edit_says_what_came_of_it():
    model = tiny_model()
    edit = edited(model, requests_from("zh", "th"), learning_rate=0.5, steps=15)
    description = edit.describe()
    for value, language in zip(description["values"], ("zh", "th"), strict=True):
        request = REQUESTS[language]
        row = ([request.text], [request.target_new], [language])
        assert value["probability_before"] == pytest.approx(
            model.log_probs(*row)[0].probability, rel=1e-3
        )
        with edit.applied(model):
            after = model.log_probs(*row)[0].probability
        assert value["probability_edited"] == pytest.approx(after, rel=1e-2)
    assert description["value_settings"]["clamp"] == 4.0
    assert description["prefixes"]["zh"] == list(PREFIXES)
    assert description["covariance"]["source"] == "references"
