"""The vectors that ROME, MEMIT and PMET write: search, cache, batches, and when they stop."""

from __future__ import annotations

import pytest
import torch

from memla.editors.aligned import PlacedText, align, read_texts
from memla.editors.values import ValueSettings, optimize_values, site_module
from memla.facts import EditRequest
from memla.models.tiny import FAMILIES, tiny_model
from tests.reference.values import Search, find_vector


def fact(language, prompt, subject, new):
    return EditRequest(
        fact=f"{subject}-{new}", language=language, prompt=prompt, subject=subject, target_new=new
    )


REQUESTS = (
    fact("th", "เมืองหลวงของ{}คือ", "ประเทศไทย", "เชียงใหม่"),
    fact("zh", "{}的首都是", "泰国", "清迈"),
    fact("en", "It is known that the capital of {} is", "Thailand", "Chiang Mai"),
    fact("ru", "Столица {}", "Таиланда", "Чиангмай"),
)
PREFIXES = {
    "en": ("", "The house was. ", "I. "),
    "zh": ("", "日本的首都是东京。"),
    "th": ("", "ประเทศ "),
}
GENTLE = ValueSettings(steps=6, learning_rate=0.1, stop_loss=0.0)


# Their attention goes through float32 whatever the model's type, and cannot mask in float64.
IN_FLOAT32 = {"xglm", "bloom", "gemma2"}


def in_float64(family):
    model = tiny_model(family)
    if family not in IN_FLOAT32:
        model.model.double()
    return model


def assert_same(found, wanted, tolerance):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=tolerance, abs=tolerance)
        assert one.stopped == other.stopped
        assert one.probability == pytest.approx(other.probability, rel=100 * tolerance)
        close = {"rtol": tolerance, "atol": tolerance}
        torch.testing.assert_close(one.start, other.start, **close)
        torch.testing.assert_close(one.delta, other.delta, **close)
        assert one.extra.keys() == other.extra.keys()
        for site in one.extra:
            torch.testing.assert_close(one.extra[site], other.extra[site], **close)


def search(model, requests=REQUESTS, *, layer=1, site="mlp", settings=GENTLE, **options):
    options = {"prefixes": PREFIXES} | options
    return optimize_values(model, requests, layer=layer, site=site, settings=settings, **options)


@pytest.mark.parametrize("site", ["block", "mlp", "attention"])
@pytest.mark.parametrize("family", FAMILIES)
def test_reading_once_finds_the_same_vectors_step_by_step(family, site):
    model = in_float64(family)
    tolerance = 1e-3 if family in IN_FLOAT32 else 1e-10
    assert_same(search(model, site=site), search(model, site=site, cached=False), tolerance)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_continued_and_not_read_anew(family):
    model = tiny_model(family)
    texts = align(model, [PlacedText(tuple(range(5, 35)), 20), PlacedText((9, 8, 7, 6), 0)])
    for sites in (("block",), ("mlp", "attention")):
        assert read_texts(model, texts, 1, sites).passes.prefix is not None


@pytest.mark.parametrize("sites", [("mlp",), ("block",), ("attention",), ("mlp", "attention")])
def test_the_search_is_that_of_the_papers(sites):
    model = in_float64("gpt2")
    settings = ValueSettings(
        steps=7, learning_rate=0.2, weight_decay=0.3, clamp=0.3, kl_weight=0.5, stop_loss=0.0
    )
    found = search(model, site=sites[0], extra_sites=sites[1:], settings=settings)
    modules = [site_module(model, 1, site) for site in sites]
    same = Search(7, 0.2, 0.3, 0.3, 0.5, stop_loss=0.0)
    for request, value in zip(REQUESTS, found, strict=True):
        wanted = find_vector(model, modules, [request], PREFIXES, same)
        assert value.losses == pytest.approx(wanted.losses, rel=1e-10)
        deltas = [value.delta, *value.extra.values()]
        torch.testing.assert_close(value.start, wanted.starts[0], rtol=1e-10, atol=1e-10)
        for delta, other in zip(deltas, wanted.deltas, strict=True):
            torch.testing.assert_close(delta, other, rtol=1e-9, atol=1e-10)
    lengths = [float(value.delta.norm() / value.start.norm()) for value in found]
    assert max(lengths) == pytest.approx(0.3)
