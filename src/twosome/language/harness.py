"""Tasks of EleutherAI's lm-evaluation-harness, adapter off and on, example by example.

The harness is an extra (``pip install "twosome[language]"``). It brings the prompts, the choices and the metrics; the
model is ours, so that off and on are one model whose adapter is switched, and examples can be paired.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from twosome.errors import ConfigError, kind_and_line
from twosome.language.intervals import paired_bootstrap, paired_proportions
from twosome.language.measures import Better, LanguageMeasure
from twosome.scoring.condition import adapter_off, check_eval
from twosome.tokens.encoding import Tokenizer

DATA = Path(__file__).parent / "data"
OFFLINE_TASKS = ("copying", "whereabouts", "fitting-word", "sensible-step")
"""Tasks that ship with twosome and need no network."""

INSTALL = 'pip install "twosome[language]"'
OLDEST = (0, 4, 12)
"""The first version of the harness that reads models with transformers 5; pyproject.toml asks for it."""
_OFFLINE = f"these need no network: {', '.join(OFFLINE_TASKS)}"

Example = tuple[str, str, int]
"""Task within a group, filter of the answers, and number of the example."""


def is_installed() -> bool:
    """Whether the extra is there, in a version that works."""
    return find_spec("lm_eval") is not None and too_old() is None


def too_old() -> str | None:
    """The installed version of the harness, if it is one that cannot work here."""
    try:
        installed = version("lm_eval")
    except PackageNotFoundError:  # code on the search path that was never installed says nothing of its age
        return None
    numbers = tuple(map(int, re.findall(r"\d+", installed)[: len(OLDEST)]))
    return installed if numbers < OLDEST else None


def check_tasks(names: Sequence[str]) -> None:
    """Refuse tasks that cannot be run, before a model is loaded.

    Raises:
        ConfigError: If the extra is missing, or there is no such task.
    """
    if not names:
        return
    old = too_old()
    if old is not None:
        raise ConfigError(
            f"--tasks {' '.join(names)} needs lm-evaluation-harness {'.'.join(map(str, OLDEST))} or newer, and {old} "
            f"is installed, which does not work with transformers 5: {INSTALL} --upgrade; texts and next-token "
            "distributions are measured without it, leave out --tasks"
        )
    if not is_installed():
        raise ConfigError(
            f"--tasks {' '.join(names)} needs lm-evaluation-harness: {INSTALL}; texts and next-token distributions are "
            "measured without it, leave out --tasks"
        )
    foreign = [name for name in names if name not in OFFLINE_TASKS]
    manager = _manager(foreign)
    for name in foreign:
        if not _is_file(name) and name not in manager.all_tasks:
            raise ConfigError(
                f"unknown language task {name!r}: expected a task or group of lm-evaluation-harness such as "
                f"arc_challenge, hellaswag, piqa or mmlu, a YAML file of yours in its format, or one of twosome's; "
                f"{_OFFLINE}"
            )


class Harness:
    """Runs tasks on one model.

    Args:
        model: A PEFT model in eval mode.
        tokenizer: Its tokenizer.
        batch_size: Sequences in one forward pass.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer, batch_size: int = 8) -> None:
        with _quiet(logging.ERROR):
            from lm_eval.models.huggingface import HFLM

            self.model = model
            self.lm = HFLM(
                pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=batch_size, softmax_dtype="float32"
            )

    def measure(self, name: str, *, limit: int | None = None, shots: int | None = None) -> list[LanguageMeasure]:
        """Every metric of a task or group, paired over all of its examples.

        Args:
            name: A task of :data:`OFFLINE_TASKS` or of the harness, or a YAML file in its format.
            limit: Most examples of each task; None for all.
            shots: Solved examples before the question; None for what the task says.

        Raises:
            ConfigError: If its data cannot be had, or it has no metric per example.
            ModelError: If a part of the model is in train mode, or its base cannot be had.
        """
        check_eval(self.model)
        offline = name in OFFLINE_TASKS
        with tempfile.TemporaryDirectory() as cache, _quiet(logging.WARNING):
            manager = _manager([name])
            task = _offline_task(name, Path(cache)) if offline else name
            on = self._run(name, task, manager, limit, shots, nullcontext())
            off = self._run(name, task, manager, limit, shots, adapter_off(self.model))
        if not on:
            raise ConfigError(
                f"the language task {name!r} has no metric per example, so adapter off and on cannot be paired; choose "
                "a task with a metric such as acc or exact_match"
            )
        label = Path(name).stem if _is_file(name) else name
        return [_paired(f"{label}/{metric}", off[metric], on[metric]) for metric in on]

    def _run(
        self,
        name: str,
        task: str | dict[str, Any],
        manager: Any,
        limit: int | None,
        shots: int | None,
        adapter: AbstractContextManager[Any],
    ) -> dict[str, _Metric]:
        """Every metric of every example."""
        from lm_eval import simple_evaluate

        try:
            with adapter:
                result = simple_evaluate(
                    model=self.lm,
                    tasks=[task],
                    task_manager=manager,
                    limit=limit,
                    num_fewshot=shots,
                    bootstrap_iters=0,  # its intervals are not of paired differences
                )
        except Exception as error:  # whatever a task of somebody's, or its data, raises is what is to be told
            raise ConfigError(_explain(name, error)) from None
        assert result is not None  # only on other processes of a distributed evaluation
        return _read(result)


@dataclass
class _Metric:
    """The values of one metric by example."""

    higher_is_better: bool
    values: dict[Example, float] = field(default_factory=dict)


def _read(result: Mapping[str, Any]) -> dict[str, _Metric]:
    """The numbers in the harness's record of every example, by metric."""
    found: dict[str, _Metric] = {}
    for task, samples in result["samples"].items():
        for sample in samples:
            for metric in sample["metrics"]:
                value = sample[metric]
                if not isinstance(value, bool | int | float | np.number):
                    continue  # parts of a metric that only means something over a whole corpus
                name = metric if sample["filter"] == "none" else f"{metric},{sample['filter']}"
                higher = bool(result["higher_is_better"].get(task, {}).get(metric, True))
                values = found.setdefault(name, _Metric(higher)).values
                values[task, sample["filter"], sample["doc_id"]] = float(value)
    return found


def _paired(name: str, off: _Metric, on: _Metric) -> LanguageMeasure:
    """The measure of one metric, example by example."""
    pairs = np.array([[off.values[example], on.values[example]] for example in sorted(on.values)])
    before, after = (float(mean) for mean in pairs.mean(0))
    better: Better = "higher" if on.higher_is_better else "lower"
    if np.isin(pairs, (0.0, 1.0)).all():
        gained, lost = (int((pairs[:, 1] - pairs[:, 0] == sign).sum()) for sign in (1, -1))
        interval = paired_proportions(gained, lost, len(pairs))
        difference = (gained - lost) / len(pairs)
        return LanguageMeasure(
            name, before, after, difference, interval, len(pairs), "examples", better, "paired score (Tango)"
        )
    found = paired_bootstrap(pairs, lambda totals: (totals[:, 1] - totals[:, 0]) / len(pairs))
    return LanguageMeasure(
        name, before, after, after - before, found, len(pairs), "examples", better, "paired bootstrap"
    )


def _offline_task(name: str, cache: Path) -> dict[str, Any]:
    """The harness's description of one of our tasks: the choice whose words the model finds most probable."""
    metrics = [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")]
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(DATA / f"{name}.json")},
            "field": "examples",
            "cache_dir": str(cache),
        },
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "target_delimiter": " ",
        "metric_list": metrics,
    }


def _manager(names: Sequence[str]) -> Any:
    """What knows the tasks; with the harness's own only where one is asked for, as listing them takes seconds."""
    return _make_manager(any(name not in OFFLINE_TASKS and not _is_file(name) for name in names))


@cache
def _make_manager(include_defaults: bool) -> Any:
    with _quiet(logging.ERROR):
        from lm_eval.tasks import TaskManager

        return TaskManager(include_defaults=include_defaults)


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) and Path(name).is_file()


def _explain(name: str, error: Exception) -> str:
    reason = kind_and_line(error)
    if isinstance(error, OSError):
        return f"cannot get the data of the language task {name!r} ({reason}); it comes from a hub; {_OFFLINE}"
    return f"lm-evaluation-harness cannot run the language task {name!r} ({reason}); {_OFFLINE}"


@contextmanager
def _quiet(level: int) -> Iterator[None]:
    """The harness without its chatter below ``level``, and without progress bars where nobody watches them."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(level)
    watched = sys.stderr.isatty()
    try:
        with nullcontext() if watched else redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)
