"""Tasks in lm-eval's format with rows in several languages, on this disk alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ENTAILMENT = [
    ("en", "Paris is the capital of France.", "France has a capital.", 0),
    ("zh", "巴黎是法国的首都。", "巴黎在日本。", 2),
    ("th", "ปารีสเป็นเมืองหลวงของฝรั่งเศส", "ปารีสเป็นเมืองใหญ่", 1),
    ("ru", "Токио — столица Японии.", "Токио находится в Японии.", 0),
    ("zh", "东京是日本的首都。", "东京在日本。", 0),
    ("th", "โตเกียวเป็นเมืองหลวงของญี่ปุ่น", "โตเกียวอยู่ในฝรั่งเศส", 2),
]
"""As ANLI: premise, hypothesis, and whether it is true, neither or false."""

PLAUSIBLE = [
    ("en", "Cool the tea.", "Put ice into it.", "Put fire into it.", 0),
    ("zh", "把茶放凉。", "放到炉子上。", "加一点冰块。", 1),
    ("th", "ทำให้ชาเย็น", "ใส่น้ำแข็ง", "ใส่ไฟ", 0),
    ("ja", "お茶を冷ます。", "火にかける。", "氷を入れる。", 1),
    ("th", "เปิดประตู", "ดึงลูกบิด", "ทาสีประตู", 0),
]
"""As PIQA: a goal, two ways to it, and which of them is right."""

ENTAILMENT_TASK = r"""
task: entailment_world
dataset_path: json
dataset_kwargs:
  data_files:
    test: {path}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{premise}}}}\nQuestion: {{{{hypothesis}}}} True, False, or Neither?\nAnswer:"
doc_to_target: "{{{{['True', 'Neither', 'False'][label]}}}}"
doc_to_choice: ["True", "Neither", "False"]
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
PLAUSIBLE_TASK = r"""
task: plausible_world
dataset_path: json
dataset_kwargs:
  data_files:
    test: {path}
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{goal}}}}\nAnswer:"
doc_to_target: label
doc_to_choice: "{{{{[sol1, sol2]}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
WRITTEN_TASK = r"""
task: written_world
dataset_path: json
dataset_kwargs:
  data_files:
    test: {path}
test_split: test
output_type: generate_until
doc_to_text: "{{{{goal}}}}"
doc_to_target: "{{{{sol1}}}}"
generation_kwargs:
  until: ["\n"]
  max_gen_toks: 4
  do_sample: false
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
READ_TASK = r"""
task: read_world
dataset_path: json
dataset_kwargs:
  data_files:
    test: {path}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{premise}}}}"
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
metadata:
  version: 1.0
"""


def _rows(path: Path, names: str, rows: list[tuple[object, ...]]) -> Path:
    lines = [json.dumps(dict(zip(names.split(), row, strict=True))) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def task_folder(tmp_path, monkeypatch) -> Path:
    """Four tasks; what the library for data sets keeps of them goes beside, not to the home."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "data sets")
    folder = tmp_path / "任务"
    folder.mkdir()
    entailment = _rows(folder / "a.jsonl", "language premise hypothesis label", ENTAILMENT)
    plausible = _rows(folder / "p.jsonl", "language goal sol1 sol2 label", PLAUSIBLE)
    for name, text, path in (
        ("entailment", ENTAILMENT_TASK, entailment),
        ("plausible", PLAUSIBLE_TASK, plausible),
        ("written", WRITTEN_TASK, plausible),
        ("read", READ_TASK, entailment),
    ):
        (folder / f"{name}.yaml").write_text(text.format(path=path), encoding="utf-8")
    return folder
