"""How every editor's settings are read."""

from __future__ import annotations

import pytest

from memla.cli.options import parse_settings
from memla.editors.memla.config import MemlaConfig
from memla.errors import SettingError


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"learning_rate": "5e-4"}, "learning_rate: '5e-4'"),
        ({"shared_learning_rate": "5e-4"}, "shared_learning_rate: '5e-4'"),
        ({"steps": "20"}, "steps: '20'"),
        ({"steps": "二十"}, "steps: '二十'"),
        ({"identification": {"threshold": "0.2"}}, "identification.threshold: '0.2'"),
    ],
)
def test_a_number_given_as_text_is_refused_and_named(settings, named):
    with pytest.raises(SettingError, match=named) as caught:
        MemlaConfig.preset("recommended", settings)
    assert "without quotes" in str(caught.value)


def test_a_number_in_quotes_on_the_command_line_is_refused_and_a_plain_one_is_read():
    quoted = parse_settings(['learning_rate="5e-4"'])
    with pytest.raises(SettingError, match="'5e-4' is text"):
        MemlaConfig.preset("recommended", quoted)
    plain = parse_settings(["learning_rate=5e-4"])
    assert MemlaConfig.preset("recommended", plain).learning_rate == 5e-4


def test_text_where_text_belongs_is_read():
    config = MemlaConfig.preset("recommended", {"identification": {"baseline": "zero"}})
    assert config.identification.baseline == "zero"
