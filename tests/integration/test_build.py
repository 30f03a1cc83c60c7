"""``memla dataset build`` end to end, offline: all services are doubles on loopback."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memla.cli.main import guarded
from memla.construction import pipeline
from memla.construction.clock import SystemClock
from memla.construction.config import read_config
from memla.construction.manifest import read_manifest
from memla.errors import LimitError
from memla.languages import MKEB_LANGUAGES
from tests.doubles import baidu, chat
from tests.doubles.loopback import served
from tests.doubles.services import ENVIRONMENT, Services, settings
from tests.unit.cli.conftest import memla

__all__ = ["memla"]

pytestmark = pytest.mark.enable_socket
RELATIONS = ("P17", "P36", "P38", "P37", "P30", "P35")
FEW = ("P36", "P35")
SOME = ("zh", "ja", "th", "ru")
RECIPE = Path(__file__).parents[2] / "recipes" / "mkeb" / "wikidata.toml"
FINAL = ("1-triples", "3-targets", "7-check", "8-release")


@pytest.fixture(scope="module")
def services():
    """The services, and where they are."""
    server = Services()
    with served(server) as url:
        server.url = url
        yield server


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    """Keys in the environment, and a clock that does not wait."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(SystemClock, "sleep", lambda self, seconds: None)


@pytest.fixture
def config(tmp_path, services):
    """Settings of a small build that needs no drafter."""
    path = tmp_path / "config.toml"
    text = settings(services.url, size=8, relations=FEW, languages=SOME)
    path.write_text(text, encoding="utf-8")
    return path


def content(root: Path, *names: str) -> dict[str, bytes]:
    """Every file of some folders of a build, or of all but the lock and notes of what was sent."""
    places = [root / name for name in names] or [root]
    paths = (path for place in places for path in [place, *place.rglob("*")] if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in paths
        if path.name != ".lock" and path.suffix != ".sent"
    }


def built(config, root):
    return pipeline.build(read_config(config), root)


def started(*arguments: object) -> subprocess.Popen[str]:
    """A command in a process of its own, where time that it would wait does not pass."""
    run = (
        "from memla.construction.clock import SystemClock;"
        "SystemClock.sleep = lambda self, seconds: None;"
        "from memla.cli.main import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", run, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**os.environ, **ENVIRONMENT},
    )


def command(*arguments: object) -> str:
    """What a command told in a process of its own, where types are not checked: it is faster."""
    process = started(*arguments)
    told, _ = process.communicate()
    assert process.returncode == 0, told
    return told


@pytest.fixture(scope="module")
def whole(tmp_path_factory, services):
    """A build of 300 records, drafted by a model and translated by Baidu."""
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "config.toml"
    text = settings(services.url, size=300, relations=RELATIONS, drafter="chat")
    path.write_text(text, encoding="utf-8")
    command("dataset", "build", path, "--out", folder / "build")
    return path, folder / "build", read_manifest(folder / "build")


def test_a_config_becomes_a_release_that_passes_every_check(whole):
    _, root, manifest = whole
    path = root / "8-release" / "mkeb" / "toy-mkeb.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(records) >= 300
    assert all([*record["edit"]] == [*MKEB_LANGUAGES] for record in records)
    findings = json.loads(command("dataset", "check", str(path), "--json"))
    assert [one for one in findings if one["severity"] == "error"] == []
    assert [*manifest.stages] == [*pipeline.STAGES]
    assert manifest.used["drafts"].requests == 330
    assert manifest.used["baidu"].characters > 0
    assert 0 < manifest.cost < 100


def test_the_release_loads_as_rows_of_the_same_types(whole):
    _, root, _ = whole

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        if isinstance(value, list):
            kinds = {json.dumps(shape(inner)) for inner in value}
            assert len(kinds) <= 1, kinds
            return ["list"]
        return type(value).__name__

    folder = root / "8-release" / "data"
    rows = {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in folder.iterdir()
    }
    assert {split: len(found) > 0 for split, found in rows.items()} == {
        "train": True,
        "validation": True,
        "test": True,
    }
    everything = [row for found in rows.values() for row in found]
    assert len({json.dumps(shape(row), sort_keys=True) for row in everything}) == 1
    subjects = {split: {row["provenance"]["subject"] for row in rows[split]} for split in rows}
    assert not subjects["train"] & subjects["test"]
    assert not subjects["train"] & subjects["validation"]


def test_a_second_build_elsewhere_gives_the_same_bytes(whole, tmp_path):
    path, root, _ = whole
    # The answers of services are what may differ; everything else is made anew.
    shutil.copytree(root / "ledger", tmp_path / "ledger")
    command("dataset", "build", path, "--out", tmp_path)
    assert content(tmp_path) == content(root)


def test_a_second_call_does_nothing_and_asks_nothing(whole, services):
    path, root, _ = whole
    before, asked = content(root), services.answered.total()
    again = built(path, root)
    assert again.made == ()
    assert services.answered.total() == asked
    assert content(root) == before


def test_keys_are_nowhere_in_the_build(whole):
    _, root, _ = whole
    for name, text in content(root).items():
        for secret in (chat.KEY, baidu.KEY, baidu.APPID):
            assert secret.encode() not in text, name


def test_the_command_tells_what_it_made_and_continues(memla, config, services, tmp_path):
    done = memla("dataset", "build", config, "--until", "targets", "--out", "b")
    assert done.status == 0, done.err
    assert not (tmp_path / "b" / "4-drafts").exists()
    done = memla("dataset", "build", config, "--out", "b")
    assert done.status == 0, done.err
    assert "8 records in b/8-release/mkeb/toy-mkeb.jsonl" in done.out
    assert done.out.count("as it was") == 3
    asked = services.answered.total()
    done = memla("dataset", "build", config, "--out", "b", "--from", "translate", "--json")
    assert services.answered.total() == asked
    assert done.json["stages"]["release"]["kept"] == 8
    for secret in ENVIRONMENT.values():
        assert secret not in done.out + done.err


def test_only_what_depends_on_a_changed_setting_is_done_again(config, tmp_path):
    root = tmp_path / "b"
    built(config, root)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("Toy facts", "その他"), encoding="utf-8")
    assert built(config, root).made == ("release",)
    config.write_text(text.replace("seed = 3", "seed = 4"), encoding="utf-8")
    assert built(config, root).made == (*list(pipeline.STAGES)[1:],)
    config.write_text(text.replace("interval_seconds = 0", "interval_seconds = 9"))
    (root / "2-chains" / "paths.jsonl").write_text("{}\n")
    assert built(config, root).made[0] == "chains"


def test_a_dry_run_sends_and_writes_nothing(memla, config, services, tmp_path):
    asked = services.answered.total()
    shown = memla("dataset", "build", config, "--dry-run")
    assert shown.status == 0
    assert shown.out.count("to do") == 8
    assert "BAIDU_KEY" in shown.out
    assert ENVIRONMENT["BAIDU_KEY"] not in shown.out
    plans = memla("dataset", "build", config, "--dry-run", "--json").json
    assert plans[0]["estimate"]["requests"] > 0
    assert plans[5]["estimate"]["cost_micros"] > 0
    assert services.answered.total() == asked
    assert not (tmp_path / "builds").exists()


def test_an_estimate_is_within_two_times_of_what_is_used(config, tmp_path):
    text = config.read_text(encoding="utf-8").replace('["P36", "P35"]', '["P35", "P19", "P27"]')
    config.write_text(text, encoding="utf-8")
    plans = {one.stage: one.estimate for one in pipeline.plan(read_config(config), tmp_path / "b")}
    used = built(config, tmp_path / "b").manifest.used
    asked = used["wikidata"].requests + used["wikidata-names"].requests
    assert asked / 2 <= plans["triples"].requests <= 2 * asked
    translated = used["baidu"]
    assert translated.characters / 2 <= plans["translate"].characters <= 2 * translated.characters
    assert translated.requests / 2 <= plans["translate"].requests <= 2 * translated.requests


def test_a_limit_makes_a_smaller_set(memla, config):
    done = memla("dataset", "build", config, "--limit", "3", "--json")
    assert done.status == 0, done.err
    assert done.json["stages"]["release"]["kept"] == 3


def test_what_reviewers_correct_is_in_the_next_release(memla, config, tmp_path):
    built(config, tmp_path / "b")
    done = memla("dataset", "review", "export", "b", "--languages", "th", "--out", "ตรวจ.csv")
    assert done.status == 0, done.err
    sheet = tmp_path / "ตรวจ.csv"
    head, first, rest = sheet.read_text(encoding="utf-8-sig").split("\n", 2)
    assert ",th,edit.th.prompt," in first
    sheet.write_text(f"{head}\n{first[:-1]}คำถามเกี่ยวกับ{{}}คือ,ดี\n{rest}", encoding="utf-8")
    done = memla("dataset", "review", "apply", "b", sheet)
    assert "1 correction and 1 comment kept" in done.out
    assert built(config, tmp_path / "b").made == ("release",)
    released = tmp_path / "b" / "8-release" / "mkeb" / "toy-mkeb.jsonl"
    record = json.loads(released.read_text(encoding="utf-8").split("\n", 1)[0])
    assert record["edit"]["th"]["prompt"] == "คำถามเกี่ยวกับ{}คือ"
    assert record["provenance"]["corrected"] == ["th"]
    assert memla("dataset", "review", "export", "nowhere").err.startswith(
        "error: there is no release"
    )


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        ('backend = "baidu"', 'backend = "google"', ["translation.backend", "google"]),
        ("seed = 3", "sead = 3", ["dataset.sead", "seed"]),
        ('contact = "me@example.org"', 'contact = "我"', ["contact", "我"]),
        ("size = 8", "size = 0", ["dataset.size"]),
        ('relations = ["P36", "P35"]', 'relations = ["P99999"]', ["P99999"]),
        ('snapshot = "2026-11-21"', 'snapshot = "yesterday"', ["release.snapshot"]),
        ("cost = 100.0", "cost = 0.0", ["limits.cost"]),
        ("cost = 100.0", "requests = 3", ["limits.requests"]),
        ("[release]", "[releese]", ["releese"]),
        ('name = "toy-mkeb"', "name = ", ["TOML"]),
    ],
)
def test_a_wrong_setting_is_one_clear_error(memla, config, old, new, texts):
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")
    done = memla("dataset", "build", config)
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") <= 2, done.err
    for part in texts:
        assert part in done.err


def test_a_missing_key_is_told_before_anything_is_asked(memla, config, services, monkeypatch):
    monkeypatch.delenv("BAIDU_KEY")
    asked = services.answered.total()
    done = memla("dataset", "build", config)
    assert done.status == 1
    assert "'BAIDU_KEY' is not set" in done.err
    assert services.answered.total() == asked


def test_without_the_extra_the_command_that_installs_it_is_told(memla, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    done = memla("dataset", "build", config)
    assert done.status == 1
    assert "pip install 'memla[construct]'" in done.err


def test_an_unknown_stage_and_a_wrong_order_are_told(memla, config):
    assert "did you mean 'drafts'" in memla("dataset", "build", config, "--from", "draft").err
    done = memla("dataset", "build", config, "--from", "check", "--until", "drafts")
    assert "'check' comes after 'drafts'" in done.err


def test_a_folder_of_another_build_or_process_is_left_alone(memla, config, tmp_path):
    built(config, tmp_path / "b")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("toy-mkeb", "other"), encoding="utf-8")
    assert "holds the build of 'toy-mkeb'" in memla("dataset", "build", config, "--out", "b").err
    config.write_text(text, encoding="utf-8")
    with pipeline.BuildFolder(tmp_path / "b").locked():
        assert "another process" in memla("dataset", "build", config, "--out", "b").err


def test_a_service_that_refuses_leaves_a_build_that_continues(memla, config, services):
    services.stop_after = services.answered.total() + 5
    try:
        done = memla("dataset", "build", config, "--out", "玩具")
    finally:
        services.stop_after = None
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert memla("dataset", "build", config, "--out", "玩具").status == 0


def test_ctrl_c_says_the_command_that_continues(config, tmp_path, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    from memla.cli import build

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "build", interrupted)
    assert guarded(lambda: build.build(config, out=Path("มือ ถือ"))) == 130
    told = capsys.readouterr().err
    assert f"continue with: memla dataset build {config} --out 'มือ ถือ'" in told


def test_a_full_disk_is_one_error_and_harms_nothing(memla, config, tmp_path):
    root = tmp_path / "b"
    built(config, root)
    before = content(root, "6-translate", "8-release", "manifest.json")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("seed = 3", "seed = 5"), encoding="utf-8")
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, old_limit[1]))
    try:
        done = memla("dataset", "build", config, "--out", "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert done.status == 1
    assert "cannot be written" in done.err
    assert done.err.count("\n") == 2
    assert content(root, "6-translate", "8-release", "manifest.json") == before
    assert memla("dataset", "build", config, "--out", "b").status == 0


def test_a_new_user_gets_fifty_records_by_changing_address_and_key(
    memla, services, tmp_path, monkeypatch
):
    text = RECIPE.read_text(encoding="utf-8")
    for old, new in {
        "https://query.wikidata.org": services.url,
        "https://www.wikidata.org": services.url,
        "https://api.openai.com": services.url,
        "you@example.org": "neu@example.org",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", chat.KEY)
    assert memla("dataset", "build", "mine.toml", "--dry-run").status == 0
    told = command("dataset", "build", "mine.toml")
    assert "50 records in builds/my-mkeb/8-release/mkeb/my-mkeb.jsonl" in told
    path = "builds/my-mkeb/8-release/mkeb/my-mkeb.jsonl"
    command("dataset", "check", path)


def kept_answers(root: Path) -> set[str]:
    return {path.stem for path in (root / "ledger").glob("*/[0-9a-f]*.json")}


def paid_answers(root: Path) -> set[str]:
    """Names of the requests to services that charge, as far as they have an answer."""
    return {
        path.stem
        for path in (root / "ledger").glob("*/[0-9a-f]*.json")
        if json.loads(path.read_text(encoding="utf-8"))["service"] in ("drafts", "baidu")
    }


def killed_often(path: Path, root: Path, server: Services, moments: list[float]) -> None:
    """Kill a build at each moment, then compare it with one that was left alone.

    Once it is done, stages are done again, so that there is always something to interrupt.
    """
    chance = random.Random(1)
    releases = []
    arguments = ["dataset", "build", path, "--out", root]
    for moment in moments:
        known, before = kept_answers(root), server.answered.copy()
        is_done = (root / "8-release").exists()
        again = ["--from", chance.choice(list(pipeline.STAGES))] if is_done else []
        process = started(*arguments, *again)
        while not (root / ".work").exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (server.answered - before).keys() & known, "an answered request was sent again"
        if (root / "8-release").exists():
            releases.append(content(root, "8-release"))
    command(*arguments)
    # Only what was under way when a process was killed is sent again, and under the same key: a
    # service that heeds it charges once, and for the others each such request is on record.
    twice = {key for key, count in server.answered.items() if count > 1}
    assert sum(count - 1 for count in server.answered.values()) <= len(moments)
    noted = {path.stem for path in (root / "ledger").glob("*/*.sent")}
    assert twice & server.charged <= noted, "a request was paid for twice, and nobody was told"
    assert server.charged == paid_answers(root)
    alone = root.parent / "alone"
    command("dataset", "build", path, "--out", alone)
    assert content(root) == content(alone)
    assert all(release == content(alone, "8-release") for release in releases)


@pytest.fixture
def counting(tmp_path):
    """Services that have answered nothing yet, and settings of a build with them."""
    server = Services()
    with served(server) as url:
        path = tmp_path / "config.toml"
        text = settings(url, size=24, relations=FEW, drafter="chat", languages=SOME)
        path.write_text(text, encoding="utf-8")
        yield path, server


def test_a_build_that_is_killed_three_times_ends_the_same(counting, tmp_path):
    path, server = counting
    killed_often(path, tmp_path / "killed", server, [0.01, 0.1, 0.4])


def test_a_request_that_was_under_way_at_a_kill_is_told_of_and_counted(counting, tmp_path):
    path, server = counting
    root = tmp_path / "งาน"
    server.may_answer.clear()
    process = started("dataset", "build", path, "--out", root)
    assert server.asked_to_pay.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server.may_answer.set()
    result = built(path, root)
    most = result.in_doubt["drafts"]
    assert most.requests == 1
    assert most.output_tokens > 1024
    (told,) = result.notes
    assert told.startswith("drafts: once a request was sent")
    assert "at most 0.00" in told
    # All of it is within the limits, also what nobody knows of.
    spent = result.manifest.total.cost_micros + most.cost_micros - 1
    text = path.read_text(encoding="utf-8").replace("cost = 100.0", f"cost = {spent / 1e6}")
    path.write_text(text.replace("seed = 3", "seed = 4"), encoding="utf-8")
    with pytest.raises(LimitError):
        built(path, root)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_build_that_is_killed_at_fifty_moments_ends_the_same(counting, tmp_path):
    path, server = counting
    chance = random.Random(50)
    moments = [chance.uniform(0, 1.5) * chance.random() for _ in range(50)]
    killed_often(path, tmp_path / "killed", server, moments)
