"""The main loop: collect, improve, record, save."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from twosome.algorithms import make_algorithm
from twosome.algorithms.acting import acting_policy, written
from twosome.distributed.ranks import ALONE, Ranks, same
from twosome.distributed.worlds import SharedVectorEnv
from twosome.episodes import Episode
from twosome.errors import RunError
from twosome.functional.normalization import resolve_normalization
from twosome.models.policy import LanguageModelPolicy
from twosome.rollout import Collector
from twosome.runs.best import Best
from twosome.runs.building import check_joiner, new_policy
from twosome.runs.changes import changes, resumable
from twosome.runs.checkpoint import (
    Checkpoint,
    as_bytes,
    expecting_ours,
    from_bytes,
    newest_checkpoint,
    write_checkpoint,
)
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.runs.files import check_free
from twosome.runs.progress import Progress as Progress
from twosome.runs.recorder import Recorder, check_tensorboard
from twosome.runs.starting import load_start
from twosome.settings.config import RunConfig, from_mapping, to_yaml
from twosome.text.tasks import NOT_AGAIN, make_vector_task, vector_traits
from twosome.types import Algorithm, OnStage, Rollout, TrainablePolicy, UpdateReport, unheard


def _ignore(progress: Progress) -> None:
    pass


def train(
    config: RunConfig,
    directory: Path,
    on_update: Callable[[Progress], None] = _ignore,
    *,
    on_stage: OnStage = unheard,
    ranks: Ranks = ALONE,
) -> TrainablePolicy:
    """Align a language model with an environment by practice.

    Interrupting it (KeyboardInterrupt) leaves a usable run of what was learned so far, and passes the interrupt on.
    Killed at any moment, it can be taken up again by :func:`resume`.

    Args:
        config: The run.
        directory: Where it is written; must be new or empty.
        on_update: Called after every update.
        on_stage: Told what is being done, from the loading of the model to every step within an update.
        ranks: The processes of the run, if they are several: this one is rank 0, the others call :func:`follow`.

    Returns:
        The trained policy.

    Raises:
        RunError: If the directory is occupied or cannot be written.
        ConfigError, ModelError: If the task or the model cannot be made.
        EnvironmentFault, NumericalError: If something is not finite; the run is kept as it was before.
    """
    # What can be refused is refused before a large model is loaded.
    check_free(directory)
    with _making(config, on_stage, ranks) as training:
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
    ranks: Ranks = ALONE,
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
        ranks: As for :func:`train`; how many there were before does not matter.

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
    with run.in_use(), _making(run.config, on_stage, ranks) as training:
        if run.config.start is not None and newest_checkpoint(run.path, warn=_warn) is None:
            load_start(training.policy, run.config)
        if decisions is not None:
            run.rewrite_config()
        return training.run(run, on_update, on_stage)


def follow(config: RunConfig, ranks: Ranks) -> None:
    """Take part in a run that rank 0 of ``ranks`` trains or resumes; nothing is written, and errors are as there."""
    with _making(config, ranks=ranks) as training:
        training.follow()


class Training:
    """The parts of one run, and how far it is."""

    def __init__(
        self,
        config: RunConfig,
        policy: TrainablePolicy,
        algorithm: Algorithm,
        collector: Collector,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
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
                    report, episodes, counts = self._advance(best, self._within(on_stage))
                    seconds = time.monotonic() - began
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

    def follow(self) -> None:
        """Collect and improve as rank 0 does."""
        self._load_shared(None)
        while self.updates < self.config.updates:
            self._advance(None, unheard)

    def _advance(self, best: Best | None, on_stage: OnStage) -> tuple[UpdateReport, list[Episode], dict[str, int]]:
        """One more update: what it did, the episodes that ended, and what the policy took for it."""
        before = self.policy.effort()
        report, episodes = self._improve(best, on_stage)
        self.updates += 1
        if self.ranks.count > 1:
            same(self.ranks, sha256(as_bytes(self.policy.state_dict())).digest(), "weights")
        return report, episodes, {name: count - before[name] for name, count in self.policy.effort().items()}

    def _within(self, on_stage: OnStage) -> OnStage:
        """Tells in which update something is done."""
        update = f"update {self.updates + 1} of {self.config.updates}"
        return lambda stage: on_stage(f"{update}: {stage}")

    def _improve(self, best: Best | None, on_stage: OnStage) -> tuple[UpdateReport, list[Episode]]:
        """One rollout and the update from it; in between, ``best`` judges the policy that played."""
        config = self.config
        if isinstance(self.policy, LanguageModelPolicy):
            self.policy.begin_rollout()
        rollout, episodes = self.collector.collect(
            acting_policy(self.algorithm, self.policy), config.rollout_steps, on_stage
        )
        if self.ranks.count > 1:
            same(self.ranks, sha256(rollout.actions.numpy().tobytes()).digest(), "actions")
        returns = [episode.discounted_return(config.ppo.gamma) for episode in episodes]
        played = written(self.algorithm, self.policy, self.updates, self.updates + 1 >= config.updates, on_stage)
        if best is not None:
            taken = self.decisions + config.decisions_per_update
            best.see(self.policy, returns, self.updates, taken, played=played)
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
        if self.ranks.count > 1:
            self._load_shared(checkpoint)
        if checkpoint is None:
            recorder.clear()
            best.clear()
            return best
        with expecting_ours(checkpoint):
            if self.ranks.count == 1:
                self._load(checkpoint)
            recorder.load_state_dict(checkpoint.state["recorder"])
            best.load_state_dict(checkpoint.state.get("best"))
        return best

    def _load_shared(self, checkpoint: Checkpoint | None) -> None:
        """Begin where rank 0 does, with its ``checkpoint`` if it has one; together, as open episodes are replayed so.

        What is new is rank 0's as well: its weights may come from elsewhere, and each process draws its own.
        """
        told = {
            "policy": self.policy.state_dict(),
            "algorithm": self.algorithm.state_dict(),
            "update": 0,
            "state": None,
        }
        if checkpoint is not None:
            told |= {"update": checkpoint.update, "state": checkpoint.state}
        found = from_bytes(self.ranks.tell(as_bytes(told) if self.ranks.rank == 0 else b""))
        if self.ranks.rank:
            self.policy.load_state_dict(found["policy"])
            self.algorithm.load_state_dict(found["algorithm"])
        if found["state"]:
            checkpoint = Checkpoint(found["update"], found["state"])
            with expecting_ours(checkpoint):
                self._load(checkpoint)

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


def _warn(message: str) -> None:
    print(message, file=sys.stderr)


def _count_cut(policy: LanguageModelPolicy, report: UpdateReport, rollout: Rollout) -> UpdateReport:
    """The report with the number of decisions whose prompt the model read only a part of."""
    cut = policy.cut_prompts(rollout.flat_decisions)
    return replace(report, metrics={**report.metrics, "cut_prompts": cut})


@contextmanager
def _making(config: RunConfig, on_stage: OnStage = unheard, ranks: Ranks = ALONE) -> Iterator[Training]:
    """The parts of a run as its configuration and seed make them."""
    resolve_normalization(config.normalization)
    if config.tensorboard:
        check_tensorboard()
    torch.set_num_threads(config.threads)
    weights_seed, action_seed, shuffle_seed, episode_seed = seeds(config.seed, 4)
    make = partial(
        make_vector_task,
        config.task,
        config.num_envs,
        processes=config.env_processes,
        timeout=config.env_timeout,
        arguments={**config.environment, **config.narration},
    )
    with closing(make() if ranks.count == 1 else SharedVectorEnv(config.num_envs, make, ranks)) as envs:
        says = vector_traits(envs)
        if config.policy == "language":
            check_joiner(says.joiner, config.prompting)
        if not says.replays and ranks.rank == 0:  # said before a day of training, not after
            _warn(f"{config.task}: {NOT_AGAIN}")
        torch.manual_seed(weights_seed)
        policy = new_policy(config, on_stage, ranks)
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
        yield Training(config, policy, algorithm, collector, ranks)


def seeds(seed: int, count: int) -> list[int]:
    """Independent seeds derived from one."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(count)]
