"""What inputs are tried on: tiny models, a finished run, a stopped one, and commands without their heavy work."""

from __future__ import annotations

import copy
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from tests.tiny import build_model, byte_level, save_model, sentencepiece, small_run
from twosome import Decision
from twosome.baselines import UniformPolicy
from twosome.caching import cache_directory
from twosome.cli import main
from twosome.errors import ConfigError
from twosome.evaluation.checking import _Reader
from twosome.evaluation.sampled import evaluate
from twosome.judging.probes import made_up
from twosome.judging.probing import choose_reader
from twosome.models import loading
from twosome.runs import trainer
from twosome.runs.directory import RunDirectory
from twosome.runs.journal import read_lines
from twosome.runs.trainer import Training, train
from twosome.scorer import Scorer
from twosome.scoring.row_readers import PaddedReader
from twosome.settings.config import RunConfig
from twosome.tokens.encoding import EncodedDecision, Encoder

CONTEXT = 256
DECISION = Decision("You see the tomato, so you should now", ("take the bowl", "go", "<s>", "12 é"))


class _Stop(BaseException):
    """Ends a run as a kill would."""


class Bench:
    """Everything that targets share; made when it is first needed.

    Args:
        folder: An empty directory to work in.
    """

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self.folder = folder
        self._numbers = iter(range(10**9))

    def place(self) -> Path:
        """A path that is free; what was there before is removed."""
        shutil.rmtree(self.folder / "input", ignore_errors=True)
        (self.folder / "input").mkdir()
        return self.folder / "input" / str(next(self._numbers) % 7)

    @cached_property
    def model(self) -> str:
        """The directory of a tiny model."""
        return save_model(self.folder / "model")

    @cached_property
    def base(self) -> tuple[Any, Any]:
        """A tiny model and its tokenizer."""
        return loading.load_model(self.model)

    @cached_property
    def config(self) -> RunConfig:
        """A run of a moment."""
        return small_run(self.model, decisions=3 * 24, save_every=1)

    @cached_property
    def finished(self) -> Path:
        """The directory of a run that came to its end."""
        train(self.config, self.folder / "finished")
        return self.folder / "finished"

    @cached_property
    def stopped(self) -> Path:
        """The directory of a run that was killed after its second update."""

        def stop(progress: Any) -> None:
            if progress.update == 2:
                raise _Stop

        with suppress(_Stop):
            train(self.config, self.folder / "stopped", stop)
        return self.folder / "stopped"

    def take_up(self, run: Path) -> None:
        """Resume a run up to where it would go on with training."""
        directory = RunDirectory.open(run)
        if directory.finished:
            return
        # The parts are made once, except what a damaged configuration would make differently.
        training = Training(directory.config, *self._parts)  # type: ignore[arg-type]
        with directory.in_use(), directory.recorder() as recorder:
            training._take_up(directory, recorder)
        assert training.updates == len(read_lines(run / "metrics.jsonl"))

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any]:
        making = trainer._making(self.config)
        training = making.__enter__()
        self._making = making  # kept open as long as its parts are used
        return training.policy, training.algorithm, training.collector

    @cached_property
    def encoders(self) -> list[Encoder]:
        """Encoders of every kind of tokenizer, with and without a limit, refusing and cutting."""
        (self.folder / "pieces").mkdir()
        pieces = sentencepiece(self.folder / "pieces")
        return [
            Encoder(byte_level(bos=False), CONTEXT),
            Encoder(byte_level(bos=True), CONTEXT, long_prompts="keep_end"),
            Encoder(byte_level(bos=True, eos=True), None),
            Encoder(pieces, CONTEXT, long_prompts="keep_start"),
        ]

    @cached_property
    def reader(self) -> Any:
        """The tokenizer that `check-env` reads with."""
        return _Reader("tiny", self.base[1], CONTEXT)

    @cached_property
    def adapters(self) -> list[Path]:
        """Adapters of several kinds on the tiny model, with weights that do something."""
        import peft

        every = {"task_type": "CAUSAL_LM", "target_modules": "all-linear"}
        kinds = {
            "lora": peft.LoraConfig(r=2, **every),
            "dora": peft.LoraConfig(r=2, use_dora=True, **every),
            "saved": peft.LoraConfig(r=2, modules_to_save=["lm_head"], **every),
            "loha": peft.LoHaConfig(r=2, **every),
            "ia3": peft.IA3Config(**{**every, "target_modules": ["k_proj"], "feedforward_modules": []}),
            "prompt": peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        }
        for name, config in kinds.items():
            adapted = peft.get_peft_model(copy.deepcopy(self.base[0]), config)
            with torch.no_grad():
                for weight in adapted.parameters():
                    if weight.requires_grad:
                        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) / 10)
            adapted.save_pretrained(str(self.folder / "adapters" / name))
        return [self.folder / "adapters" / name for name in kinds]

    @cached_property
    def tokenizer(self) -> Path:
        """The directory of a tokenizer."""
        place = self.folder / "tokenizer"
        self.base[1].save_pretrained(str(place))
        (place / "special_tokens_map.json").write_text('{"bos_token": "<s>", "eos_token": "</s>"}')
        return place

    @cached_property
    def packed(self) -> Any:
        """How the tiny model is read."""
        return choose_reader(self.base[0])

    @cached_property
    def narrow(self) -> Any:
        """A model whose layers see only what is near, and which is not read in every way that others are."""
        return build_model("gemma2")

    @cached_property
    def encoded(self) -> list[EncodedDecision]:
        """What it is to read."""
        return made_up(self.narrow)

    @cached_property
    def right(self) -> torch.Tensor:
        """What is right to read."""
        with torch.no_grad():
            return PaddedReader(self.narrow, 1024).log_probs(self.encoded)

    @cached_property
    def remembered(self) -> Path:
        """The folder in which it is kept how that model is read, and nothing else."""
        os.environ["TWOSOME_CACHE"] = str(self.folder / "cache")
        folder = cache_directory("readings")
        shutil.rmtree(folder, ignore_errors=True)
        choose_reader(self.narrow)
        return folder

    @cached_property
    def scorers(self) -> list[Scorer]:
        """One on every path."""
        tokenizer = byte_level(bos=True)
        return [
            Scorer(build_model("llama"), tokenizer, "packed", long_prompts="keep_end"),
            Scorer(build_model("gpt2"), tokenizer, "padded"),
        ]

    def command(self, words: list[str], answers: list[str]) -> tuple[int, str]:
        """Run a command of which only the heavy work is left out: its status, and what it said on standard error."""
        said, replies = io.StringIO(), iter(answers)

        def reply(question: str) -> str:
            try:
                return next(replies)
            except StopIteration:
                raise EOFError from None

        with redirect_stdout(io.StringIO()), redirect_stderr(said), self._light(reply):
            try:
                status = main(words)
            except SystemExit as leave:  # --help
                status = int(leave.code or 0)
        return status, said.getvalue()

    @contextmanager
    def _light(self, reply: Callable[[str], str]) -> Iterator[None]:
        """Commands train and measure nothing to speak of, and load the tiny model instead of the embedded one."""
        load = loading.load_model

        def load_small(name: str, **further: Any) -> Any:
            return load(self.model if name in ("embedded", "") else name, **further)

        def train_small(config: RunConfig, out: Path, *further: Any, **named: Any) -> Any:
            RunDirectory.create(out, config)
            return UniformPolicy()

        def evaluate_briefly(policy: Any, task: str, *, episodes: int, **further: Any) -> Any:
            return evaluate(UniformPolicy(), task, episodes=min(episodes, 2), **further)

        def no_search(*arguments: Any, **further: Any) -> Any:
            raise ConfigError("left out")

        quiet: dict[str, Any] = {
            "twosome.runs.building.load_model": load_small,
            "twosome.runs.trainer.train": train_small,
            "twosome.bench.worlds.measure_world": lambda *a, **k: _Speed(),
            "twosome.cli.bench.asdict": lambda speed: {},
            "twosome.evaluation.checking.check_environment": _nothing_found,
            "twosome.evaluation.sampled.evaluate": evaluate_briefly,
            "twosome.evaluation.exact.evaluate_exactly": no_search,
            "twosome.evaluation.optimum.optimal_play": lambda *arguments: None,
            "twosome.watching.playing.best_play": no_search,
            "builtins.input": reply,
        }
        with ExitStack() as stack:
            for name, replacement in quiet.items():
                stack.enter_context(patch(name, replacement))
            yield


class _Speed:
    task, steps, published, ratio, text_steps, frames = "none", 1.0, 1.0, 1.0, 1.0, 1.0


def _nothing_found(task: str, **further: Any) -> Any:
    from twosome.evaluation.checking import Report
    from twosome.text.tasks import make_task

    make_task(task, **(further.get("environment") or {})).close()
    return Report(task, None, False, {}, (), {})
