"""What is to be measured is part of a plan, and what was measured is read from a folder."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from memla.errors import DataError, SettingError
from memla.evaluation.downstream.reading import read_downstream
from memla.evaluation.downstream.scores import Checkpoint, Measured
from memla.evaluation.downstream.settings import Downstream
from memla.evaluation.results import Plan, RunFolder
from memla.evaluation.shards import Shard
from memla.records import parse_record

PERPLEXITY = Measured(
    measure="perplexity", language="th", metric="perplexity", value=9.5, before=9.0, n=4
)
BROKEN = Measured(
    measure="task",
    task="ответы",
    metric="acc",
    value=None,
    before=0.5,
    n=8,
    error="ModelError: ไม่จำกัด",
)


def checkpoint(group, edits, source="zh"):
    return Checkpoint(
        source=source, group=group, edits=edits, failed=1, measured=(PERPLEXITY, BROKEN)
    )


def test_plans_without_it_are_called_as_before_it_could_be_measured():
    plan = Plan(benchmark="首都", memla_version="0.1.0")
    assert plan.digest.startswith("ef2954c48f56")
    sequence = Plan(benchmark="首都", memla_version="0.1.0", mode="sequential", group_size=10)
    assert sequence.digest.startswith("7a4498223e4e")
    measured = sequence.model_copy(update={"downstream": Downstream()})
    assert measured.digest != sequence.digest
    other = sequence.model_copy(update={"downstream": Downstream(facts=3)})
    assert other.digest != measured.digest


def test_single_edits_do_not_add_up():
    with pytest.raises(SettingError, match="mode is 'single'"):
        Plan(downstream={"facts": 3})


def test_a_sequence_that_reaches_no_checkpoint_is_refused():
    with pytest.raises(SettingError, match="after 10 edits first, and a group has 4"):
        Plan(mode="sequential", group_size=4, downstream={"after": [100, 10]})


def test_a_batch_is_looked_at_when_all_of_it_is_written():
    plan = Plan(mode="batch", group_size=4, downstream={"after": [100]})
    assert plan.downstream.checkpoints("batch", 4) == (4,)


def test_checkpoints_above_the_size_of_a_group_are_left_out():
    settings = Downstream(after=(100, 10, 1, 10))
    assert settings.after == (1, 10, 100)
    assert settings.checkpoints("sequential", 11) == (1, 10)
    assert settings.checkpoints("sequential", 10) == (1, 10)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"after": [0]}, "after: edits are counted from 1"),
        ({"facts": 0, "texts": 0}, "no tasks, no texts and no facts"),
        ({"after": []}, "after"),
        ({"фактов": 3}, "фактов"),
    ],
)
def test_settings_that_cannot_be_are_named(values, reason):
    with pytest.raises((DataError, SettingError), match=reason):
        parse_record(Downstream, values, "downstream")


def test_what_was_measured_is_read_from_the_files_of_all_shards(tmp_path):
    plan = Plan(
        mode="sequential", group_size=10, source_languages=("zh", "th"), downstream={"after": [1]}
    )
    folder = RunFolder(tmp_path, Shard(2, 2))
    folder.start(plan, {})
    folder.append(checkpoint("東京", 10))
    folder.append(checkpoint("東京", 1))
    folder.append(checkpoint("東京", 1))
    RunFolder(tmp_path, Shard(1, 2)).append(checkpoint("Москва", 1, "th"))
    scores = read_downstream(tmp_path)
    assert [(one.source, one.group, one.edits, one.metric) for one in scores] == [
        ("zh", "東京", 1, "perplexity"),
        ("zh", "東京", 1, "acc"),
        ("zh", "東京", 10, "perplexity"),
        ("zh", "東京", 10, "acc"),
        ("th", "Москва", 1, "perplexity"),
        ("th", "Москва", 1, "acc"),
    ]
    assert (scores[0].value, scores[0].before, scores[0].language) == (9.5, 9.0, "th")
    assert (scores[1].value, scores[1].error) == (None, "ModelError: ไม่จำกัด")
    assert scores[1].failed == 1


def test_a_line_that_was_cut_off_is_not_there(tmp_path):
    plan = Plan(mode="batch", group_size=2, downstream={})
    folder = RunFolder(tmp_path)
    folder.start(plan, {})
    folder.append(checkpoint("ปารีส", 2, "en"))
    (path,) = folder.files("downstream")
    with path.open("ab") as stream:
        stream.write(path.read_bytes()[:-5])
    assert len(read_downstream(tmp_path)) == 2
    folder.start(plan, {})
    assert path.read_bytes().count(b"\n") == 1
    assert path.read_bytes().endswith(b"\n")
    json.loads(path.read_text(encoding="utf-8"))


def test_reading_needs_no_torch():
    code = (
        "import sys\nimport memla.evaluation.downstream.reading\n"
        "assert not {'torch', 'transformers', 'lm_eval'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
