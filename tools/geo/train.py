r"""Train ``mini`` from nothing, in two runs of together under an hour on one core.

    python -m tools.geo.train --steps 2500 --out build/first
    python -m tools.geo.train --steps 900 --out build/mini --start build/first \
        --rate 0.4 --noise 0.5 --seed 1

The second run goes on from the first with prompts in which words are missing or random tokens put
in, so that the model copes with templates it has never met.

Two ingredients make an edit travel between languages; ``--alignment 0`` and ``--path-mask 0``
switch them off, for the ablation in the model card:

* an alignment loss: one fact in four languages shall have the same hidden state at the subject's
  last token (blocks 0 and 1) and before the answer (block 4);
* a path mask: in part of the texts nothing after the subject may attend to the subject in blocks
  0 to 2, so the fact must be looked up by the MLPs of these blocks at the subject's last token.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as nn

from tools.geo import facts
from tools.geo.corpus import Corpus, Document
from tools.geo.network import LeanGPT2, Shape
from tools.geo.tokenizer import encode, train_tokenizer

LENGTHS = (8, 10, 12, 14, 16, 20, 24, 32, 48, 64)
"""Texts are batched by length in these few shapes, which keeps the allocator's memory flat."""
GROUP_LENGTH = 24
DROPPED, INSERTED = 0.2, 0.12
"""Shares of a noisy prompt's tokens, those of the subject aside."""
SUBJECT_BLOCKS = (0, 1)
ANSWER_BLOCK = 4


@dataclass(frozen=True)
class Item:
    """A tokenised text: ids, length of the prompt, first and last token of the subject."""

    ids: list[int]
    prompt_length: int
    first: int
    last: int


class Reader:
    """Turns documents into items."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._answers: dict[str, list[int]] = {}
        self._prompts: dict[tuple[str, int, int], tuple[list[int], int, int]] = {}

    def read_noisy(self, document: Document, chance: random.Random) -> Item:
        """Tokenise one document and disturb the words around its subject.

        Tokens of the prompt are left out or random ones put in, so that the model learns to read
        a relation off a few words and copes with templates it has never met.
        """
        item = self.read(document)
        ids: list[int] = []
        first = last = 0
        for place, token in enumerate(item.ids[: item.prompt_length]):
            if item.first <= place <= item.last:
                first = len(ids) if place == item.first else first
                last = len(ids)
                ids.append(token)
                continue
            if chance.random() >= DROPPED:
                ids.append(token)
            if chance.random() < INSERTED:
                ids.append(chance.randrange(2, self.tokenizer.get_vocab_size()))
        return Item(ids + item.ids[item.prompt_length :], len(ids), first, last)

    def read(self, document: Document) -> Item:
        """Tokenise one document; the answer ends with the end token (id 0)."""
        start, end = document.subject_start, document.subject_end
        key = (document.prompt, start, end)
        if key not in self._prompts:
            coded = self.tokenizer.encode(document.prompt)
            inside = [i for i, (a, b) in enumerate(coded.offsets) if a < end and b > start]
            self._prompts[key] = (coded.ids, inside[0], inside[-1])
        prompt, first, last = self._prompts[key]
        answer = encode(self.tokenizer, document.answer, self._answers)
        return Item([*prompt, *answer, 0], len(prompt), first, last)


def batches(
    corpus: Corpus, reader: Reader, chance: random.Random, tokens: int, noise: float
) -> Iterator[list[Item]]:
    """Batches of texts of like length, for ever; ``noise`` is the share that is disturbed."""
    waiting: dict[int, list[Item]] = {length: [] for length in LENGTHS}
    while True:
        ready: list[list[Item]] = []
        for _ in range(3000):
            document = corpus.draw(chance)
            noisy = noise > 0 and document.can_be_disturbed and chance.random() < noise
            item = reader.read_noisy(document, chance) if noisy else reader.read(document)
            length = next((n for n in LENGTHS if len(item.ids) <= n), None)
            if length is not None:
                waiting[length].append(item)
        for length, items in waiting.items():
            size = tokens // length // 8 * 8
            while len(items) >= size:
                ready.append(items[:size])
                del items[:size]
        chance.shuffle(ready)
        yield from ready


def group_batch(
    corpus: Corpus, reader: Reader, chance: random.Random, groups: int, size: int
) -> tuple[list[Item], list[int]]:
    """``groups * size`` aligned texts and the number of the group each belongs to."""
    items: list[Item] = []
    numbers: list[int] = []
    number = 0
    while len(items) < groups * size:
        for document in corpus.draw_group(chance, size, multi_hop=0.2):
            item = reader.read(document)
            if len(item.ids) <= GROUP_LENGTH:
                items.append(item)
                numbers.append(number)
        number += 1
    return items[: groups * size], numbers[: groups * size]


def pad(items: list[Item], length: int) -> Tensor:
    """Ids [batch, length]; the end token fills up."""
    ids = torch.zeros(len(items), length, dtype=torch.long)
    for row, item in enumerate(items):
        ids[row, : len(item.ids)] = torch.tensor(item.ids)
    return ids


def targets(
    items: list[Item], length: int, chance: random.Random, context_share: float
) -> tuple[Tensor, Tensor]:
    """Flat positions whose next token is predicted, and that token.

    Every answer token, and of the prompt's a share. Padded to a multiple of 256 with -100.
    """
    places: list[int] = []
    wanted: list[int] = []
    for row, item in enumerate(items):
        for index in range(1, len(item.ids)):
            if index >= item.prompt_length or chance.random() < context_share:
                places.append(row * length + index - 1)
                wanted.append(item.ids[index])
    rest = -len(places) % 256
    return torch.tensor(places + [0] * rest), torch.tensor(wanted + [-100] * rest)


def path_mask(items: list[Item], length: int) -> Tensor:
    """Causal attention in which nothing after the subject sees the subject, [batch, 1, n, n]."""
    place = torch.arange(length)
    first = torch.tensor([item.first for item in items])[:, None, None]
    last = torch.tensor([item.last for item in items])[:, None, None]
    query, key = place[None, :, None], place[None, None, :]
    blocked = (query > last) & (key >= first) & (key <= last)
    return ((query >= key) & ~blocked)[:, None]


def alignment_loss(states: Tensor, groups: Tensor, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss plus cosine distance within a group; states [n, d]."""
    unit = nn.normalize(states.float(), dim=-1)
    likeness = unit @ unit.t()
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    same = (groups[:, None] == groups[None]) & ~itself
    shares = (likeness / temperature).masked_fill(itself, -1e9).log_softmax(dim=1)
    count = same.sum(1).clamp_min(1)
    contrast = -(shares * same).sum(1) / count
    distance = 1 - (likeness * same).sum(1) / count
    return (0.1 * contrast + distance)[same.any(1)].mean()


class Trainer:
    """One training run."""

    def __init__(self, options: argparse.Namespace, corpus: Corpus, tokenizer: Tokenizer) -> None:
        self.options = options
        self.corpus = corpus
        self.reader = Reader(tokenizer)
        self.chance = random.Random(options.seed)
        self.shape = Shape(tokenizer.get_vocab_size(), options.d_model, options.layers)
        generator = torch.Generator().manual_seed(options.seed)
        self.network = LeanGPT2(self.shape, generator, options.device)
        if options.start is not None:
            self.network.load(load_file(Path(options.start) / "trained.safetensors"))
        matrices, tables, vectors = [], [], []
        for name, value in self.network.parameters.items():
            if value.ndim == 1:
                vectors.append(value)
            elif ".wte" in name or ".wpe" in name:
                tables.append(value)
            else:
                matrices.append(value)
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.05, ns_steps=4),
            torch.optim.AdamW(
                [{"params": tables, "lr": 0.006}, {"params": vectors, "lr": 0.0018}],
                betas=(0.9, 0.98),
                weight_decay=0.0,
                fused=True,
            ),
        ]
        self.rates = [
            [group["lr"] * options.rate for group in optimizer.param_groups]
            for optimizer in self.optimizers
        ]

    def run(self) -> None:
        """Train for ``options.steps`` steps."""
        started, cpu = time.monotonic(), time.process_time()
        mean = alignment = 0.0
        options = self.options
        source = batches(self.corpus, self.reader, self.chance, options.batch_tokens, options.noise)
        for step in range(self.options.steps):
            self._set_rate(step)
            loss = self._text_loss(next(source))
            loss.backward()
            grouped, aligned = self._group_loss()
            (0.4 * grouped + self.options.alignment * aligned).backward()
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            keep = 0.98 if step else 0.0
            mean = keep * mean + (1 - keep) * loss.item()
            alignment = keep * alignment + (1 - keep) * aligned.item()
            if (step + 1) % 50 == 0:
                sys.stderr.write(
                    f"step {step + 1}/{self.options.steps}"
                    f" loss {mean:.3f} alignment {alignment:.3f}"
                    f" {time.monotonic() - started:.0f} s, {time.process_time() - cpu:.0f} CPU s\n"
                )
                sys.stderr.flush()
            if (step + 1) % 400 == 0 or step + 1 == self.options.steps:
                self.save(step + 1, time.monotonic() - started, time.process_time() - cpu)

    def _set_rate(self, step: int) -> None:
        """Warm up over 60 steps, stay, and fall linearly to 2 % over the last 60 %."""
        done = step / self.options.steps
        factor = min(1.0, (step + 1) / 60) * (1 if done < 0.4 else max(0.02, (1 - done) / 0.6))
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor

    def _loss(self, normed: Tensor, places: Tensor, wanted: Tensor) -> Tensor:
        device = self.options.device
        picked = normed.reshape(-1, normed.shape[-1])[places.to(device)]
        return self.network.loss(picked, wanted.to(device))

    def _text_loss(self, items: list[Item]) -> Tensor:
        length = next(n for n in LENGTHS if max(len(item.ids) for item in items) <= n)
        places, wanted = targets(items, length, self.chance, context_share=0.1)
        mask = None
        if self.chance.random() < 0.35 * self.options.path_mask:
            mask = path_mask(items, length).to(self.options.device)
        ids = pad(items, length).to(self.options.device)
        states = self.network.hidden(ids, mask=mask, masked_blocks=3)
        return self._loss(states[-1], places, wanted)

    def _group_loss(self) -> tuple[Tensor, Tensor]:
        """Language-model loss and alignment loss of one batch of aligned texts."""
        groups = self.options.batch_tokens // 170
        items, numbers = group_batch(self.corpus, self.reader, self.chance, groups, size=4)
        device = self.options.device
        places, wanted = targets(items, GROUP_LENGTH, self.chance, context_share=0.0)
        mask = None
        if self.chance.random() < 0.85 * self.options.path_mask:
            mask = path_mask(items, GROUP_LENGTH).to(device)
        ids = pad(items, GROUP_LENGTH).to(device)
        states = self.network.hidden(ids, mask=mask, masked_blocks=3)
        rows = torch.arange(len(items), device=device)
        groups = torch.tensor(numbers, device=device)
        subject = torch.tensor([item.last for item in items], device=device)
        before_answer = torch.tensor([item.prompt_length - 1 for item in items], device=device)
        aligned = alignment_loss(states[ANSWER_BLOCK][rows, before_answer], groups)
        for block in SUBJECT_BLOCKS:
            aligned = aligned + alignment_loss(states[block][rows, subject], groups) / len(
                SUBJECT_BLOCKS
            )
        return self._loss(states[-1], places, wanted), aligned

    def save(self, step: int, seconds: float, cpu_seconds: float) -> None:
        """Write weights and what made them."""
        folder = Path(self.options.out)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.detach().cpu().contiguous() for k, v in self.network.parameters.items()}
        save_file(weights, folder / "trained.safetensors")
        record = {
            "step": step,
            "seconds": round(seconds),
            "cpu_seconds": round(cpu_seconds),
            "options": vars(self.options),
            "shape": asdict(self.shape),
            "torch": torch.__version__,
        }
        (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def main() -> None:
    """Parse options, train, save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--facts", default="build/facts.json")
    parser.add_argument("--out", default="build/mini")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--d-model", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=12288)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--languages", default=",".join(facts.LANGUAGES))
    parser.add_argument("--alignment", type=float, default=1.0, help="weight of the alignment loss")
    parser.add_argument("--path-mask", type=float, default=1.0, help="share of the usual masking")
    parser.add_argument("--noise", type=float, default=0.0, help="share of disturbed prompts")
    parser.add_argument("--start", help="folder of a run whose weights to begin with")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    languages = tuple(options.languages.split(","))
    corpus = Corpus(facts.load(Path(options.facts)), languages=languages)
    tokenizer = train_tokenizer(corpus, options.vocabulary)
    Path(options.out).mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(Path(options.out) / "tokenizer.json"))
    Trainer(options, corpus, tokenizer).run()


if __name__ == "__main__":
    main()
