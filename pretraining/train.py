"""Train the embedded model: a small LLaMA-architecture causal language model, from random weights.

A run directory holds ``tokenizer/``, packed ``tokens.npy`` and ``validation.npy``, ``config.json``, ``metrics.jsonl``,
``checkpoints/`` (safetensors and JSON, written whole or not at all) and, at the end, ``final/`` (a usable model).  A
killed run goes on from its newest checkpoint with the same losses it would have had.  The learning rate warms up,
stays, and falls linearly over the last part; a file named ``finish`` in the run directory starts the fall at once.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from pretraining.config import TrainConfig, read_config
from pretraining.packing import batch_inputs, pack
from pretraining.tokenizer import PAD_ID, START_ID, load_tokenizer, train_tokenizer

TOKENIZER_DOCUMENTS = 40_000
VALIDATION_DOCUMENTS = 2_000


def prepare(corpus: Path, run: Path, config: TrainConfig) -> None:
    """Train the tokenizer on a corpus and pack it into rows; its first documents are held out for validation."""
    run.mkdir(parents=True, exist_ok=True)
    with corpus.open(encoding="utf-8") as file:
        head = [line.rstrip("\n") for line in islice(file, VALIDATION_DOCUMENTS + TOKENIZER_DOCUMENTS)]
    held_out = min(VALIDATION_DOCUMENTS, len(head) // 5)
    tokenizer = train_tokenizer(head[held_out:], config.vocabulary)
    tokenizer.save_pretrained(str(run / "tokenizer"))
    np.save(run / "validation.npy", np.stack(list(pack(_encode(tokenizer, head[:held_out]), config.row_length))))
    with corpus.open(encoding="utf-8") as file:
        lines = (line.rstrip("\n") for line in islice(file, held_out, None))
        np.save(run / "tokens.npy", np.stack(list(pack(_encode(tokenizer, lines), config.row_length, config.seed))))
    if (facts := corpus.with_suffix(".json")).exists():
        shutil.copy(facts, run / "corpus.json")
    (run / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")


def _encode(tokenizer: Any, lines: Iterable[str]) -> Iterable[list[int]]:
    source = iter(lines)
    while chunk := list(islice(source, 4096)):
        yield from tokenizer(chunk)["input_ids"]


def build_model(config: TrainConfig) -> LlamaForCausalLM:
    """Return a model with random weights."""
    torch.manual_seed(config.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.hidden,
            intermediate_size=config.feed_forward,
            num_hidden_layers=config.layers,
            num_attention_heads=config.hidden // config.head_size,
            num_key_value_heads=config.hidden // config.head_size,
            head_dim=config.head_size,
            max_position_embeddings=config.positions,
            rope_theta=10_000.0,
            tie_word_embeddings=True,
            bos_token_id=START_ID,
            eos_token_id=START_ID,
            pad_token_id=PAD_ID,
            attn_implementation="sdpa",
        )
    )


def make_optimizers(model: nn.Module, config: TrainConfig) -> dict[str, torch.optim.Optimizer]:
    """Return the optimizers by name; norms and embeddings have no weight decay."""
    named = list(model.named_parameters())
    matrices = [weight for name, weight in named if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in named if weight.ndim != 2 or "embed" in name]
    rate, betas = config.learning_rate, (0.9, 0.95)
    if config.optimizer == "adamw":
        groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return {"adamw": torch.optim.AdamW(groups, lr=rate, betas=betas)}
    if config.optimizer != "muon":
        raise ValueError(f"unknown optimizer {config.optimizer!r}: expected 'adamw' or 'muon'")
    muon = torch.optim.Muon(matrices, lr=config.muon_learning_rate, weight_decay=config.weight_decay, momentum=0.95)
    return {"muon": muon, "adamw": torch.optim.AdamW(others, lr=rate, betas=betas, weight_decay=0.0)}


@dataclass
class Progress:
    """Where a run stands; with the configuration this fixes everything that is still to come."""

    step: int = 0
    tokens: int = 0
    decay_start: int = 0
    """Token count at which the learning rate begins to fall."""
    decay_end: int = 0

    def rate(self, config: TrainConfig) -> float:
        """Return the factor on the learning rates."""
        warm = min(1.0, (self.step + 1) / config.warm_up_steps)
        left = (self.decay_end - self.tokens) / max(self.decay_end - self.decay_start, 1)
        return warm * min(1.0, max(left, 0.0))


class Trainer:
    """One run: model, optimizers, data and progress."""

    def __init__(self, run: Path, device: str = "cpu", compile_model: bool = False) -> None:
        self.run, self.device = run, torch.device(device)
        self.config = read_config(run)
        self.tokenizer = load_tokenizer(run / "tokenizer")
        self.rows = np.load(run / "tokens.npy", mmap_mode="r")
        self.validation = np.load(run / "validation.npy")
        self.model = build_model(self.config).to(self.device)
        self.optimizers = make_optimizers(self.model, self.config)
        decay = round(self.config.tokens * self.config.decay_fraction)
        self.progress = Progress(decay_start=self.config.tokens - decay, decay_end=self.config.tokens)
        self._loss = torch.compile(self._plain_loss) if compile_model else self._plain_loss
        self._base_rates = {name: [g["lr"] for g in opt.param_groups] for name, opt in self.optimizers.items()}
        self._restore()

    def _plain_loss(self, tokens: Tensor, positions: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = self.model(input_ids=tokens, position_ids=positions, attention_mask=mask, use_cache=False).logits
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())

    def loss(self, rows: np.ndarray[Any, Any], compiled: bool = True) -> Tensor:
        """Return the mean loss over packed rows."""
        tokens = torch.from_numpy(rows.astype(np.int64)).to(self.device)
        positions, mask, labels = batch_inputs(tokens)
        return (self._loss if compiled else self._plain_loss)(tokens, positions, mask, labels)

    def step(self) -> float:
        """Take one optimizer step and return the training loss."""
        count = self.config.rows_per_step
        start = self.progress.step * count
        rows = self.rows[[index % len(self.rows) for index in range(start, start + count)]]
        loss = self.loss(rows)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        factor = self.progress.rate(self.config)
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._base_rates[name], strict=True):
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.tokens += int((rows != PAD_ID).sum())
        return float(loss.detach())

    def validate(self, rows: int = 64) -> float:
        """Return the loss on held-out documents."""
        self.model.eval()
        with torch.no_grad():
            losses = [
                float(self.loss(self.validation[start : start + 8], compiled=False))
                for start in range(0, min(rows, len(self.validation)), 8)
            ]
        self.model.train()
        return sum(losses) / len(losses)

    def fit(self, log_every: int = 50, check_every: int = 250, save_every: int = 500) -> None:
        """Train to the end, reporting on the way."""
        self._forget_lost_steps()
        began, first = time.monotonic(), self.progress.tokens
        recent: list[float] = []
        while self.progress.tokens < self.progress.decay_end:
            recent.append(self.step())
            step = self.progress.step
            if step % log_every == 0:
                self._finish_early()
                rate = (self.progress.tokens - first) / (time.monotonic() - began)
                left = (self.progress.decay_end - self.progress.tokens) / rate
                mean = sum(recent) / len(recent)
                recent.clear()
                self._record(loss=mean, tokens_per_second=rate, rate_factor=self.progress.rate(self.config))
                print(
                    f"step {step}  {self.progress.tokens / 1e6:.2f}M tokens  loss {mean:.3f}  "
                    f"{rate:,.0f} tokens/s  {left / 60:.0f} min left",
                    flush=True,
                )
                if not math.isfinite(mean):
                    raise FloatingPointError(f"the loss is {mean} at step {step}; lower the learning rate")
            if step % check_every == 0:
                self._check()
            if step % save_every == 0:
                self.save()
        self._check()
        self.save()
        self.export(self.run / "final")

    def _check(self) -> None:
        loss = self.validate()
        self._record(validation_loss=loss)
        print(f"    loss on held-out documents {loss:.3f}", flush=True)

    def _record(self, **values: float) -> None:
        line = {"step": self.progress.step, "tokens": self.progress.tokens, **values}
        with (self.run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _finish_early(self) -> None:
        """Begin the fall of the learning rate now if a file named ``finish`` asks for it (its text: tokens to go)."""
        request = self.run / "finish"
        if not request.exists() or self.progress.tokens >= self.progress.decay_start:
            return
        text = request.read_text().strip()
        fraction = self.config.decay_fraction
        length = int(float(text)) if text else round(self.progress.tokens * fraction / (1 - fraction))
        self.progress.decay_start, self.progress.decay_end = self.progress.tokens, self.progress.tokens + length
        print(f"finishing: the learning rate falls over the next {length:,} tokens", flush=True)

    # ---- files ----

    def save(self) -> None:
        """Write a checkpoint, whole or not at all, and keep the newest two."""
        folder = self.run / "checkpoints"
        target = folder / f"step-{self.progress.step:07d}"
        partial = folder / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in self.model.named_parameters()},
            partial / "weights.safetensors",
        )
        state = {
            f"{label}/{names[parameter]}/{key}": torch.as_tensor(value).detach().cpu().contiguous()
            for label, optimizer in self.optimizers.items()
            for parameter, values in optimizer.state.items()
            for key, value in values.items()
        }
        save_file(state, partial / "optimizer.safetensors")
        (partial / "progress.json").write_text(json.dumps(asdict(self.progress)) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
        for old in sorted(folder.glob("step-*"))[:-2]:
            shutil.rmtree(old)

    def _restore(self) -> None:
        found = sorted((self.run / "checkpoints").glob("step-*"))
        if not found:
            return
        weights, state = load_file(found[-1] / "weights.safetensors"), load_file(found[-1] / "optimizer.safetensors")
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                parameters[name].copy_(value)
        for key, value in state.items():
            label, name, part = key.split("/")
            parameter = parameters[name]
            # AdamW keeps its step counter on the CPU, everything else lives beside the weights.
            self.optimizers[label].state[parameter][part] = value if part == "step" else value.to(self.device)
        self.progress = Progress(**json.loads((found[-1] / "progress.json").read_text()))
        print(f"resumed from {found[-1].name}", flush=True)

    def _forget_lost_steps(self) -> None:
        """Drop from the metrics what a killed process did after its last checkpoint; it will be done again."""
        path = self.run / "metrics.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= self.progress.step]
            path.write_text("".join(f"{line}\n" for line in lines))

    def export(self, directory: Path) -> None:
        """Write a model directory that ``from_pretrained`` loads: bfloat16 weights, configuration, tokenizer.

        Other files that are in the directory stay.
        """
        copy = build_model(self.config)
        copy.load_state_dict(self.model.state_dict())
        partial = directory.with_name(directory.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        copy.to(torch.bfloat16).save_pretrained(str(partial))
        self.tokenizer.save_pretrained(str(partial))
        directory.mkdir(parents=True, exist_ok=True)
        for file in sorted(partial.iterdir()):
            file.chmod(0o644)  # safetensors writes for the owner alone
            os.replace(file, directory / file.name)
        partial.rmdir()
