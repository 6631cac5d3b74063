"""The main loop: collect, improve, record, save."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from twosome.algorithms import make_algorithm
from twosome.algorithms.acting import acting_policy, written
from twosome.episodes import Episode
from twosome.errors import RunError
from twosome.functional.normalization import resolve_normalization
from twosome.models.policy import LanguageModelPolicy
from twosome.rollout import Collector
from twosome.runs.best import Best, Standing
from twosome.runs.building import check_joiner, new_policy
from twosome.runs.changes import changes, resumable
from twosome.runs.checkpoint import Checkpoint, newest_checkpoint, write_checkpoint
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.runs.files import check_free
from twosome.runs.recorder import Recorder, check_tensorboard
from twosome.runs.starting import load_start
from twosome.settings.config import RunConfig, from_mapping, to_yaml
from twosome.text.tasks import NOT_AGAIN, make_vector_task, vector_traits
from twosome.types import Algorithm, OnStage, Rollout, TrainablePolicy, UpdateReport, unheard


@dataclass(frozen=True)
class Progress:
    """What a progress display needs after every update.

    Attributes:
        update: Updates so far.
        updates: Updates the run will take.
        first: Updates that were there when this process began.
        decisions_per_update: Decisions in one update.
        seconds: Seconds of training in this process.
        metrics: The update's line of ``metrics.jsonl``.
        scoring: How the model is read.
        best: How the episodes of the best policy so far went; None before one ended.
        last: How the last ones went.
    """

    update: int
    updates: int
    first: int
    decisions_per_update: int
    seconds: float
    metrics: dict[str, Any]
    scoring: str
    best: Standing | None = None
    last: Standing | None = None

    @property
    def decisions(self) -> int:
        """Decisions so far."""
        return self.update * self.decisions_per_update

    @property
    def total(self) -> int:
        """Decisions the run will take."""
        return self.updates * self.decisions_per_update

    @property
    def rate(self) -> float:
        """Decisions per second, in this process."""
        return (self.update - self.first) * self.decisions_per_update / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Time left at that rate."""
        return (self.total - self.decisions) / self.rate


def _ignore(progress: Progress) -> None:
    pass


def train(
    config: RunConfig,
    directory: Path,
    on_update: Callable[[Progress], None] = _ignore,
    *,
    on_stage: OnStage = unheard,
) -> TrainablePolicy:
    """Align a language model with an environment by practice.

    Interrupting it (KeyboardInterrupt) leaves a usable run of what was learned so far, and passes the interrupt on.
    Killed at any moment, it can be taken up again by :func:`resume`.

    Args:
        config: The run.
        directory: Where it is written; must be new or empty.
        on_update: Called after every update.
        on_stage: Told what is being done, from the loading of the model to every step within an update.

    Returns:
        The trained policy.

    Raises:
        RunError: If the directory is occupied or cannot be written.
        ConfigError, ModelError: If the task or the model cannot be made.
        EnvironmentFault, NumericalError: If something is not finite; the run is kept as it was before.
    """
    # What can be refused is refused before a large model is loaded.
    check_free(directory)
    with _making(config, on_stage) as training:
        if config.start is not None:
            load_start(training.policy, config)
        with RunDirectory.create(directory, config).in_use() as run:
            return training.run(run, on_update, on_stage)


def resume(
    directory: Path,
    on_update: Callable[[Progress], None] = _ignore,
    *,
    trust_remote_code: bool = False,
    decisions: int | None = None,
    on_stage: OnStage = unheard,
) -> TrainablePolicy:
    """Go on with a run from its newest whole checkpoint, or from its beginning if there is none yet.

    On a CPU the files of the resumed run end up the same, byte for byte, as those of one that was never stopped. On a
    GPU this holds as far as its kernels are deterministic.

    Args:
        directory: The run.
        on_update: Called after every update.
        trust_remote_code: Run code that comes with the model, which the run's configuration may ask for.
        decisions: How many the run takes from now on in all, which a finished one needs; its configuration then says
            so. Annealed learning rates go on where a run of that length has them.
        on_stage: Told what is being done.

    Raises:
        RunError: If there is no run, it is finished or in use, asks for code you do not trust, takes more decisions
            already, or its files are damaged beyond the checkpoints.
        EnvironmentFault: If an open episode does not replay.
    """
    run = resumable(directory, decisions)
    run.check_trust(trust_remote_code)
    if run.base() != run.config.model:
        raise RunError(
            f"the run in {str(directory)!r} names its model {run.config.model!r}, which is not found from here; resume "
            "it from the directory where it was started"
        )
    with run.in_use(), _making(run.config, on_stage) as training:
        if run.config.start is not None and newest_checkpoint(run.path, warn=_warn) is None:
            load_start(training.policy, run.config)
        if decisions is not None:
            run.rewrite_config()
        return training.run(run, on_update, on_stage)


class Training:
    """The parts of one run, and how far it is."""

    def __init__(self, config: RunConfig, policy: TrainablePolicy, algorithm: Algorithm, collector: Collector) -> None:
        self.config = config
        self.policy = policy
        self.algorithm = algorithm
        self.collector = collector
        self.updates = 0

    def run(
        self, run: RunDirectory, on_update: Callable[[Progress], None], on_stage: OnStage = unheard
    ) -> TrainablePolicy:
        """Collect, improve, record, save; until the decisions are used up."""
        config, began, cpu = self.config, time.monotonic(), time.process_time()
        with run.recorder() as recorder:
            best = self._take_up(run, recorder)  # before anything is saved over what the run learned
            if config.start is not None and self.updates == 0:
                self._checkpoint(run, recorder, best)  # from here on the start may change, or go
            first, size = self.updates, config.decisions_per_update
            with run.saving(self.policy):
                while self.updates < config.updates:
                    before = self.policy.effort()
                    report, episodes = self._improve(best, self._within(on_stage))
                    self.updates += 1
                    seconds = time.monotonic() - began
                    counts = {name: count - before[name] for name, count in self.policy.effort().items()}
                    effort = {"cpu_seconds": round(time.process_time() - cpu, 3), **counts}
                    metrics = recorder.update(self.updates, self.decisions, seconds, report, episodes, effort)
                    # The end is saved, too, so that a longer run can go on from there.
                    if self.updates % config.save_every == 0 or self.updates == config.updates:
                        run.save(self.policy)
                        self._checkpoint(run, recorder, best)
                    scoring, standings = self.policy.facts()["scoring"], (best.best, best.last)
                    on_update(
                        Progress(self.updates, config.updates, first, size, seconds, metrics, scoring, *standings)
                    )
        return self.policy

    def _within(self, on_stage: OnStage) -> OnStage:
        """Tells in which update something is done."""
        update = f"update {self.updates + 1} of {self.config.updates}"
        return lambda stage: on_stage(f"{update}: {stage}")

    def _improve(self, best: Best, on_stage: OnStage) -> tuple[UpdateReport, list[Episode]]:
        """One rollout and the update from it; in between, ``best`` judges the policy that played."""
        config = self.config
        if isinstance(self.policy, LanguageModelPolicy):
            self.policy.begin_rollout()
        rollout, episodes = self.collector.collect(
            acting_policy(self.algorithm, self.policy), config.rollout_steps, on_stage
        )
        returns = [episode.discounted_return(config.ppo.gamma) for episode in episodes]
        played = written(self.algorithm, self.policy, self.updates, self.updates + 1 >= config.updates, on_stage)
        best.see(self.policy, returns, self.updates, self.decisions + config.decisions_per_update, played=played)
        report = self.algorithm.update(self.policy, rollout, self.updates / config.updates, on_stage)
        if config.long_prompts != "refuse" and isinstance(self.policy, LanguageModelPolicy):
            report = _count_cut(self.policy, report, rollout)
        return report, episodes

    def _checkpoint(self, run: RunDirectory, recorder: Recorder, best: Best) -> None:
        files = {"recorder": recorder.state_dict(), "best": best.state_dict()}
        write_checkpoint(run.path, self.updates, {**self.state_dict(), **files})

    @property
    def decisions(self) -> int:
        """Decisions so far."""
        return self.updates * self.config.decisions_per_update

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact continuation needs, the recorder's files apart."""
        visited = {}
        if isinstance(self.policy, LanguageModelPolicy) and self.policy.keeps_readings:
            visited = {"visited": self.policy.visited.state_dict()}
        return {
            "config": to_yaml(self.config),
            "policy": self.policy.state_dict(),
            "algorithm": self.algorithm.state_dict(),
            "collector": self.collector.state_dict(),
            **visited,
        }

    def _take_up(self, run: RunDirectory, recorder: Recorder) -> Best:
        """Go back to the newest checkpoint, or to the beginning if there is none; the best policy until there."""
        best = Best(run.path, self.config)
        checkpoint = newest_checkpoint(run.path, warn=_warn)
        if checkpoint is None:
            recorder.clear()
            best.clear()
            return best
        with _expecting_ours(checkpoint):
            self._load(checkpoint)
            recorder.load_state_dict(checkpoint.state["recorder"])
            best.load_state_dict(checkpoint.state.get("best"))
        return best

    def _load(self, checkpoint: Checkpoint) -> None:
        # Settings that are younger than the checkpoint have their defaults in both.
        if changed := changes(from_mapping(yaml.safe_load(checkpoint.state["config"])), self.config):
            raise RunError(
                f"{CONFIG_FILE} is not what the run was started with: {'; '.join(changed)}; settings cannot change on "
                "the way; put it back or start a new run"
            )
        self.policy.load_state_dict(checkpoint.state["policy"])
        self.algorithm.load_state_dict(checkpoint.state["algorithm"])
        self.collector.load_state_dict(checkpoint.state["collector"])
        if "visited" in checkpoint.state and isinstance(self.policy, LanguageModelPolicy):
            self.policy.visited.load_state_dict(checkpoint.state["visited"])
        self.updates = checkpoint.update


@contextmanager
def _expecting_ours(checkpoint: Checkpoint) -> Iterator[None]:
    """Say in a sentence that a checkpoint holds something else than this version writes."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise RunError(
            f"the checkpoint after update {checkpoint.update} is whole, but not what this version of twosome "
            f"writes ({type(error).__name__}: {said}); resume it with the version that wrote it"
        ) from None


def _warn(message: str) -> None:
    print(message, file=sys.stderr)


def _count_cut(policy: LanguageModelPolicy, report: UpdateReport, rollout: Rollout) -> UpdateReport:
    """The report with the number of decisions whose prompt the model read only a part of."""
    cut = policy.cut_prompts([decision for row in rollout.decisions for decision in row])
    return replace(report, metrics={**report.metrics, "cut_prompts": cut})


@contextmanager
def _making(config: RunConfig, on_stage: OnStage = unheard) -> Iterator[Training]:
    """The parts of a run as its configuration and seed make them."""
    resolve_normalization(config.normalization)
    if config.tensorboard:
        check_tensorboard()
    torch.set_num_threads(config.threads)
    weights_seed, action_seed, shuffle_seed, episode_seed = seeds(config.seed, 4)
    envs = make_vector_task(
        config.task,
        config.num_envs,
        processes=config.env_processes,
        timeout=config.env_timeout,
        arguments={**config.environment, **config.narration},
    )
    with closing(envs):
        says = vector_traits(envs)
        if config.policy == "language":
            check_joiner(says.joiner, config.prompting)
        if not says.replays:  # said before a day of training, not after
            _warn(f"{config.task}: {NOT_AGAIN}")
        torch.manual_seed(weights_seed)
        policy = new_policy(config, on_stage)
        shuffling = torch.Generator().manual_seed(shuffle_seed)
        algorithm = make_algorithm(config.algorithm, policy, config.algorithm_settings, shuffling)
        collector = Collector(
            envs,
            seed=episode_seed,
            generator=torch.Generator().manual_seed(action_seed),
            group_size=config.group_size,
            values=config.has_critic,
            replays=says.replays,
        )
        yield Training(config, policy, algorithm, collector)


def seeds(seed: int, count: int) -> list[int]:
    """Independent seeds derived from one."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(count)]
