"""Whatever is wrong is said in one line with its name, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from memla.cli.main import guarded

THAI = ("--prompt", "เมืองหลวงของ{}คือ", "--subject", "ฝรั่งเศส", "--language", "th")
NEW = ("--target-new", "โตเกียว")
OUT = ("--out", "edited")
NONE = ("--references", "none")

FACTS = {
    "subject not in the prompt": (
        ("--prompt", "首都は", "--subject", "フランス", *NEW),
        "フランス",
    ),
    "subject twice in the prompt": (
        ("--prompt", "日本と日本の首都は", "--subject", "日本", *NEW),
        "2 times",
    ),
    "two places for the subject": (("--prompt", "{}の{}は", "--subject", "日本", *NEW), "{}の{}は"),
    "no subject": (("--prompt", "{}の首都は", *NEW), "--subject"),
    "no prompt": (("--subject", "Франция", *NEW), "--prompt"),
    "empty subject": (("--prompt", "{}の首都は", "--subject", "", *NEW), "subject"),
    "the same answers": ((*THAI, *NEW, "--target-true", "โตเกียว"), "โตเกียว"),
    "no new answer": ((*THAI, "--target-true", "ปารีส"), "ฝรั่งเศส"),
    "blank new answer": ((*THAI, "--target-new", "  "), "target_new"),
    "unknown language": ((*THAI[:-1], "tlh", *NEW), "tlh"),
    "no fact": ((), "no fact"),
    "fact and file": ((*THAI, *NEW, "--file", "факт.json"), "--file"),
}

FILES = {
    "absent.json": (None, "absent.json"),
    "обрыв.json": ('{"language": "th", ', "обрыв.json"),
    "обрыв.toml": ('language = "th', "обрыв.toml"),
    "обрыв.jsonl": ('{"language": "th"}\n{', "обрыв.jsonl, line 2"),
    "numbers.json": ("[1, 2]", "numbers.json"),
    "empty.json": ("[]", "empty.json"),
    "text.json": ('"東京"', "text.json"),
    "key.json": (
        '{"language": "ja", "prompt": "{}の首都は", "subjct": "フランス", "target_new": "東京"}',
        "subject",
    ),
    "language.toml": (
        'language = "xx"\nprompt = "{}の首都は"\nsubject = "日本"\ntarget_new = "パリ"\n',
        "'xx'",
    ),
    "second.json": (
        '{"language": "ja", "subject": "日本", "requests": [{"prompt": "{}の"}, {"prompt": "は"}]}',
        "request 2",
    ),
    "latin.json": ("Zürich".encode("latin-1"), "not UTF-8"),
}

OPTIONS = {
    "unknown editor": (("--editor", "memle"), "memle"),
    "unknown preset": (("--preset", "papier"), "papier"),
    "setting without a value": (("--set", "steps"), "steps"),
    "unknown setting": (("--set", "stepps=3"), "stepps"),
    "unknown nested setting": (("--set", "identification.tiefe=3"), "tiefe"),
    "setting out of range": (("--set", "learning_rate=-1"), "learning_rate"),
    "setting of another type": (("--set", 'steps="много"'), "много"),
    "setting that is no TOML": (("--set", "steps=[1"), "[1"),
    "setting inside a plain one": (("--set", "steps=1", "--set", "steps.x=1"), "steps.x=1"),
    "unknown references": (("--references", "mkeb-moon"), "mkeb-moon"),
    "absent references": (("--references", "нет.jsonl"), "нет.jsonl"),
    "unknown device": (("--device", "abacus"), "abacus"),
    "unknown type": (("--dtype", "float7"), "float7"),
    "unknown option": (("--langauge", "th"), "--langauge"),
    "negative seed": (("--seed", "-1"), "--seed"),
}

ASKED = {
    "empty prompt": (("{model}", "  "), "prompt"),
    "unknown language": (("{model}", "首都", "--language", "jp"), "jp"),
    "no token allowed": (("{model}", "首都", "--max-new-tokens", "0"), "--max-new-tokens"),
    "no number": (("{model}", "首都", "--max-new-tokens", "много"), "--max-new-tokens"),
    "no prompt": (("{model}",), "PROMPT"),
    "absent edit": (("{model}", "首都", "--edit", "нет"), "нет"),
    "absent model": (("./模型", "首都"), "模型"),
}

EVALUATED = {
    "unknown benchmark": (("--benchmark", "mkeb-moon"), "mkeb-moon"),
    "absent benchmark": (("--benchmark", "нет.jsonl"), "нет.jsonl"),
    "unknown split": (("--split", "dev"), "dev"),
    "language of no case": (("--source-language", "ko"), "ko"),
    "unknown source": (("--source-language", "xx"), "xx"),
    "unknown target": (("--target-languages", "en,yy"), "yy"),
    "no cases wanted": (("--limit", "0"), "--limit"),
    "unknown decoding": (("--decoding", "beam"), "beam"),
    "unknown units": (("--f1-units", "слова"), "слова"),
    "absent recipe": (("рецепт.toml",), "рецепт.toml"),
}


def check(memla, folder: Path, arguments, named: str, *, status: int = 1) -> None:
    """The command fails in at most two lines that name what is wrong, and writes nothing."""
    before = sorted(folder.rglob("*"))
    done = memla(*arguments)
    lines = done.err.splitlines()
    assert done.status == status, done
    assert 1 <= len(lines) <= 2, done.err
    assert lines[0].startswith("error: ")
    assert named in done.err
    assert "unexpected" not in done.err
    assert "Traceback" not in done.err + done.out
    assert done.out == ""
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("what", FACTS)
def test_a_malformed_fact_is_named(memla, tmp_path, what):
    options, named = FACTS[what]
    check(memla, tmp_path, ("edit", "mini", *options, *NONE, *OUT), named)


@pytest.mark.parametrize("name", FILES)
def test_a_malformed_file_of_facts_is_named(memla, tmp_path, name):
    content, named = FILES[name]
    if content is not None:
        payload = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(payload)
    check(memla, tmp_path, ("edit", "mini", "--file", name, *NONE, *OUT), named)


@pytest.mark.parametrize("what", OPTIONS)
def test_a_bad_option_is_named(memla, tmp_path, model_folder, what):
    options, named = OPTIONS[what]
    references = () if "--references" in options else NONE
    arguments = ("edit", model_folder, *THAI, *NEW, *references, *options, *OUT)
    check(memla, tmp_path, arguments, named)


@pytest.mark.parametrize("what", ASKED)
def test_a_question_that_cannot_be_asked_is_named(memla, tmp_path, model_folder, what):
    arguments, named = ASKED[what]
    given = (argument.replace("{model}", model_folder) for argument in arguments)
    check(memla, tmp_path, ("ask", *given), named)


@pytest.mark.parametrize("what", EVALUATED)
def test_an_evaluation_that_cannot_be_is_named(memla, tmp_path, model_folder, benchmark_file, what):
    options, named = EVALUATED[what]
    benchmark = () if "--benchmark" in options else ("--benchmark", benchmark_file)
    arguments = ("evaluate", "--model", model_folder, *benchmark, "--out", "runs", *options)
    check(memla, tmp_path, arguments, named)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "данные.jsonl"),
        ('{"example_id": 1', "данные.jsonl"),
        ('{"example_id": 1, "edit": {}}\n', "данные.jsonl"),
        ("[1]\n", "данные.jsonl"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "demo", "locate"])
def test_a_malformed_benchmark_is_named(memla, tmp_path, model_folder, command, content, named):
    (tmp_path / "данные.jsonl").write_text(content, encoding="utf-8")
    model = (model_folder,) if command == "locate" else ("--model", model_folder)
    check(memla, tmp_path, (command, *model, "--benchmark", "данные.jsonl"), named)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", "model.safetensors"),
        ("tokenizer.json", "tokenizer"),
    ],
)
@pytest.mark.parametrize("how", ["absent", "cut off"])
def test_a_broken_model_is_named(memla, tmp_path, model_folder, broken, named, how):
    folder = tmp_path / "模型"
    shutil.copytree(model_folder, folder)
    path = folder / broken
    if how == "absent":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:50])
    check(memla, tmp_path, ("ask", "模型", "東京は"), "模型")


def test_a_recipe_with_an_unknown_key_is_named(memla, tmp_path):
    (tmp_path / "рецепт.toml").write_text('editr = "memla"\n', encoding="utf-8")
    check(memla, tmp_path, ("evaluate", "рецепт.toml"), "editr")


def test_a_folder_in_use_is_not_overwritten(memla, tmp_path):
    (tmp_path / "edited").mkdir()
    (tmp_path / "edited" / "заметки.txt").write_text("мои", encoding="utf-8")
    check(memla, tmp_path, ("edit", "mini", *THAI, *NEW, *OUT), "edited")
    check(memla, tmp_path, ("edit", "mini", *THAI, *NEW, "--out", "edited/заметки.txt"), "заметки")


def test_a_broken_or_foreign_edit_is_named(memla, tmp_path, model_folder, quick):
    assert memla("edit", model_folder, *THAI, *NEW, *quick, *NONE, *OUT, "--set",
                 "identification.answer=target_new").status == 0  # fmt: skip
    from memla.models.tiny import tiny_model

    other = tmp_path / "другая"
    model = tiny_model("gpt2", seed=1)
    model.model.save_pretrained(other)
    model.tokenizer.save_pretrained(other)
    check(memla, tmp_path, ("ask", "другая", "東京は", "--edit", "edited"), "другая")
    tensors = tmp_path / "edited" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:20])
    check(memla, tmp_path, ("ask", model_folder, "東京は", "--edit", "edited"), "edited")


def test_a_fact_of_a_benchmark_is_named_or_suggested(memla, tmp_path, model_folder, benchmark_file):
    options = ("--model", model_folder, "--benchmark", benchmark_file)
    check(memla, tmp_path, ("demo", *options, "--fact", "japn"), "did you mean 'japan'")
    check(memla, tmp_path, ("demo", *options, "--source-language", "pl"), "'pl'")
    fact = (*THAI, "--target-true", "ปารีส", "--fact", "japan")
    check(memla, tmp_path, ("locate", model_folder, *fact), "--fact")


def test_neurons_need_the_answer_they_hold(memla, tmp_path, model_folder):
    check(memla, tmp_path, ("locate", model_folder, *THAI, *NONE), "target_true")


def test_a_dataset_that_cannot_be_read_is_named(memla, tmp_path):
    (tmp_path / "данные.jsonl").write_bytes(b"\xff\xfe\x00")
    check(memla, tmp_path, ("dataset", "check", "данные.jsonl"), "данные.jsonl")
    check(memla, tmp_path, ("dataset", "check", "нет.jsonl"), "нет.jsonl")


def test_an_unknown_command_is_named(memla, tmp_path):
    check(memla, tmp_path, ("evalute",), "evalute")


def test_names_that_do_not_exist_are_named(memla, tmp_path):
    check(memla, tmp_path, ("editors", "ром"), "ром")
    check(memla, tmp_path, ("benchmarks", "mkeb-луна"), "mkeb-луна")
    check(memla, tmp_path, ("models", "./модель"), "модель")


def start(*arguments: str, **options) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "memla.cli.main", *arguments]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment, **options
    )


def test_a_command_in_a_process_of_its_own_fails_in_two_lines(tmp_path):
    process = start("ask", "./模型", "東京は", stdout=subprocess.PIPE, cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert len(err.splitlines()) == 2
    assert "模型" in err


def test_ctrl_c_ends_with_130_and_leaves_no_half_written_edit(
    tmp_path, model_folder, benchmark_file
):
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--set", "steps=100000")
    forever = ("--set", "stop_loss=0", "--set", "stop_probability=2", "--out", "runs")
    # Where the tests run in the background Ctrl-C is ignored, and a process inherits that.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = start("evaluate", *options, *forever, stdout=subprocess.PIPE, cwd=tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        for _ in range(600):
            if list(tmp_path.rglob("before-*.jsonl")):
                break
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines() == ["error: interrupted"]
    assert not list(tmp_path.rglob("cases.jsonl"))


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback(tmp_path):
    read, write = os.pipe()
    os.close(read)
    process = start("editors", "memla", stdout=write, cwd=tmp_path)
    os.close(write)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_full_disk_is_said_in_one_line(tmp_path):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = start("editors", "--json", stdout=full, cwd=tmp_path)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "No space left" in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--editor", "memle"), "memle"),
        (("--preset", "論文"), "論文"),
        (("--set", "stepps=3"), "stepps"),
    ],
)
def test_a_setting_that_cannot_be_is_told_before_a_model_is_loaded(
    memla, tmp_path, benchmark_file, options, named
):
    arguments = ("evaluate", "--model", "./модель", "--benchmark", benchmark_file, *options)
    check(memla, tmp_path, arguments, named)


def test_an_evaluation_in_which_everything_fails_says_why(memla, model_folder, benchmark_file):
    options = ("--model", model_folder, "--benchmark", benchmark_file, "--json")
    done = memla("evaluate", *options, "--set", "layers=[99]", "--set", "on_empty=error")
    assert done.status == 1
    assert len(done.err.splitlines()) <= 2
    assert "every case failed" in done.err


def test_a_memory_that_does_not_suffice_is_told_with_the_way_out(capsys):
    assert guarded(lambda: torch.empty(1 << 52)) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: the memory does not suffice: ")
    assert "--batch-size" in second
