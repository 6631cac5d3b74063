"""What inputs are tried on: tiny models, a finished run, a stopped one, and commands without their heavy work."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from tests.tiny import build_model, byte_level, save_model, sentencepiece, small_run
from twosome.baselines import UniformPolicy
from twosome.cli import main
from twosome.errors import ConfigError
from twosome.evaluation.sampled import evaluate
from twosome.models import loading
from twosome.runs import trainer
from twosome.runs.config import RunConfig
from twosome.runs.directory import RunDirectory
from twosome.runs.journal import read_lines
from twosome.runs.trainer import Training, train
from twosome.scoring.scorer import Scorer
from twosome.tokens.encoding import Encoder

CONTEXT = 256


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
