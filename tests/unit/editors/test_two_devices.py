"""Every editor works on a model that lies on two devices, and finds there the edit it finds on one.

There are no two devices here: see `tests.doubles.devices`.
"""

from __future__ import annotations

import pytest
import torch

from memla.editors import EDITORS
from memla.facts import EditRequest
from memla.models.tiny import tiny_model
from tests.doubles.devices import FIRST, SECOND, TwoDevicesError, devices, spread

TEXTS = (["เมืองหลวงของไทยคือ", "日本的首都是"], ["กรุงเทพ", "东京"], ["th", "zh"])
IDENTITY = {"steps": 2, "covariance": {"kind": "identity"}}
QUICK = {
    "alphaedit": {"steps": 2, "layers": [0, 1]},
    "ft": {"steps": 2, "layers": [0, 2]},
    "memit": {"layers": [0, 1]} | IDENTITY,
    "memla": {"steps": 2, "identification": {"steps": 2}},
    "pmet": {"layers": [0, 1]} | IDENTITY,
    "rome": {"layer": 1} | IDENTITY,
}
REFERENCES = (
    EditRequest(
        fact="japan",
        language="th",
        prompt="เมืองหลวงของ{}คือ",
        subject="ญี่ปุ่น",
        target_new=None,
        target_true="โตเกียว",
    ),
    EditRequest(
        fact="italy",
        language="zh",
        prompt="{}的首都是",
        subject="意大利",
        target_new=None,
        target_true="罗马",
    ),
)


def here(weight):
    return getattr(weight, "content", weight).clone()


def on_one_and_on_two(family):
    return tiny_model(family), spread(tiny_model(family), 1)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_model_on_two_devices_says_what_it_says_on_one(family):
    one, two = on_one_and_on_two(family)
    assert (two.device, two.value_rows(2).device) == (FIRST, SECOND)
    with devices():
        ours, theirs = ([score.joint for score in model.log_probs(*TEXTS)] for model in (one, two))
        assert ours == pytest.approx(theirs, abs=1e-4)
        assert two.generate(TEXTS[0], max_new_tokens=3)[0].token_ids == (
            one.generate(TEXTS[0], max_new_tokens=3)[0].token_ids
        )
        assert one.fingerprint() == two.fingerprint()


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("name", sorted(EDITORS))
def test_an_edit_of_a_model_on_two_devices_is_that_of_one(family, name, request_in_thai):
    kind, found = EDITORS[name], []
    editor = kind(kind.config_class.preset("recommended", QUICK.get(name, {})))
    with devices():
        for model in on_one_and_on_two(family):
            edit = editor.edit(model, [request_in_thai], references=REFERENCES, seed=3)
            layers = range(model.n_layers)
            before = torch.stack([here(model.value_rows(layer)) for layer in layers])
            with edit.applied(model):
                found.append(torch.stack([here(model.value_rows(layer)) for layer in layers]))
            after = torch.stack([here(model.value_rows(layer)) for layer in layers])
            torch.testing.assert_close(after, before, rtol=0, atol=0)
    torch.testing.assert_close(*found, rtol=1e-4, atol=2e-5)
    assert (found[0] != before).any()


def test_an_operation_on_two_devices_is_refused():
    with devices(), pytest.raises(TwoDevicesError, match=r"meta:0.*meta:1"):
        torch.ones(2, device=FIRST) + torch.ones(2, device=SECOND)
