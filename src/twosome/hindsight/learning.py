"""A run that learns from a journal: the agent that was served, improved by what came of its decisions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from twosome.caching import file_sha256
from twosome.errors import ConfigError, RunError
from twosome.functional.categorical import kl_divergence, masked_log_softmax
from twosome.functional.offpolicy import Estimate, effective_sample_size, self_normalised, self_normalised_gain
from twosome.hindsight.logged import LearningFromLog, Logged, log_probabilities, weights_of
from twosome.hindsight.selecting import Selection, Source, select
from twosome.journal.reading import journal_file, read_journal
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.building import new_policy
from twosome.runs.directory import RunDirectory
from twosome.runs.files import check_free, replace_directory, write_json
from twosome.runs.starting import load_start
from twosome.settings.config import RunConfig
from twosome.types import OnStage, Policy, unheard

LEARNED_FILE = "learned.json"
_SAME = 0.01
"""Largest difference of a probability, recorded and computed again, that rounding may make on any device."""


@dataclass(frozen=True)
class Learned:
    """What was learned from, and what it is worth.

    Attributes:
        decisions: Decisions that were learned from.
        held_out: Decisions that were only measured on.
        left_out: How many others the journal holds, by the reason.
        torn: Bytes of a torn last line, which were left out.
        option_sets: How many different sets of options there were.
        before: Mean reward of the agent that was served, estimated on the held-out decisions.
        after: That of the agent that learned, estimated from what the other one did.
        gain: The difference.
        effective: How many of the held-out decisions the estimate rests on, by weight.
        effective_learning: The same of those that were learned from.
        largest_weight: Largest weight of a held-out decision.
        divergence: Mean KL, in nats, from the recorded policy to the one that learned, over the held-out decisions.
        doubts: Why the estimates are not sound; empty if nothing speaks against them.
    """

    decisions: int
    held_out: int
    left_out: dict[str, int]
    torn: int
    option_sets: int
    before: Estimate
    after: Estimate
    gain: Estimate
    effective: float
    effective_learning: float
    largest_weight: float
    divergence: float
    doubts: list[str]

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against the estimates."""
        return not self.doubts


def learn(config: RunConfig, source: Source, directory: Path, on_stage: OnStage = unheard) -> Learned:
    """Have the agent that was served learn from its journal, and write the run.

    The run is written beside its place and moved there when it is whole: killed before, nothing is there, and it is
    learned again from the beginning, with the same result.

    Args:
        config: The run; ``journal.file`` says what it learns from, ``start`` from which weights.
        source: Which of the decisions are the agent's own.
        directory: Where the run is written.
        on_stage: Told what is being done.

    Raises:
        RunError: If nothing in the journal can be learned from, another model wrote it, or the run cannot be written.
        ConfigError, ModelError: If the model cannot be loaded.
    """
    check_free(directory)
    assert config.journal.file is not None
    file = journal_file(Path(config.journal.file))
    on_stage(f"reading {file}")
    contents = read_journal(file)
    selection = select(contents, source)
    numbers = selection.split(config.journal.held_out, config.seed)
    config = _sized(config, len(numbers[0]), file)
    logged = selection.logged()
    if logged.rewards.max() == logged.rewards.min():
        raise RunError(
            f"every outcome has the reward {float(logged.rewards[0]):g}, so nothing tells good actions from bad ones; "
            "wait for others"
        )
    policy = _policy(config, on_stage)
    on_stage("asking the agent for the same decisions again")
    start = log_probabilities(policy, logged.decisions, logged.recorded.shape[-1])
    _check_same(start, logged, selection, config)
    with _new_run(directory, config) as run:
        _improve(policy, logged.part(numbers[0]), run, config, on_stage)
        on_stage("measuring on the held-out decisions")
        learned = _measured(policy, logged, numbers, start, selection, contents.torn, config)
        write_json(run.path / LEARNED_FILE, {**asdict(learned), "sound": learned.sound})
    return learned


def _sized(config: RunConfig, count: int, file: Path) -> RunConfig:
    """The run, with sizes that say how much it learns from: an update is a pass over all decisions."""
    ppo = replace(config.ppo, policy_minibatch=min(config.ppo.policy_minibatch, count))
    return replace(
        config,
        journal=replace(config.journal, sha256=file_sha256(file)),
        decisions=count * config.ppo.epochs,
        num_envs=1,
        rollout_steps=count,
        ppo=ppo,
    )


def _policy(config: RunConfig, on_stage: OnStage) -> LanguageModelPolicy:
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    policy = new_policy(config, on_stage)
    if not isinstance(policy, LanguageModelPolicy):
        raise ConfigError("an agent that reads numbers is served to nobody; name a run of a language model")
    if config.start is not None:
        load_start(policy, config)
    return policy


def _check_same(start: Tensor, logged: Logged, selection: Selection, config: RunConfig) -> None:
    """Refuse a journal that another model wrote, whatever it is called: its probabilities would come out the same."""
    temperatures = torch.tensor([[recorded.identity.temperature] for recorded, _ in selection.decided])
    again = masked_log_softmax(start / temperatures)
    differences = (again.exp() - logged.recorded.exp()).abs().amax(-1)
    worst = int(differences.argmax())
    if not differences[worst] <= _SAME:
        recorded, _ = selection.decided[worst]
        raise RunError(
            f"the journal was written by another model than {config.model!r} (it names {recorded.identity.model!r}), "
            f"or prompts were put to it in another way: a probability of {recorded.id} differs by "
            f"{float(differences[worst]):.2g}; name the model, template and joiner that were served"
        )


@contextmanager
def _new_run(directory: Path, config: RunConfig) -> Iterator[RunDirectory]:
    """A run to write, which is in its place when the context ends well, and nowhere if not."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        run = RunDirectory.create(partial, config)
        with run.in_use():
            yield run
        replace_directory(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _improve(
    policy: LanguageModelPolicy, logged: Logged, run: RunDirectory, config: RunConfig, on_stage: OnStage
) -> None:
    began, passes = time.monotonic(), config.ppo.epochs
    shuffling = torch.Generator().manual_seed(config.seed)
    learner = LearningFromLog(policy, logged, config.ppo, shuffling)
    with run.recorder() as recorder, run.saving(policy):
        for number in range(passes):
            within = f"pass {number + 1} of {passes}"

            def stage(words: str, within: str = within) -> None:
                on_stage(f"{within}: {words}")

            report = learner.improve(policy, number / passes, stage)
            recorder.update(number + 1, (number + 1) * len(logged), time.monotonic() - began, report, [], {})


def _measured(
    policy: Policy,
    logged: Logged,
    numbers: tuple[Sequence[int], Sequence[int]],
    start: Tensor,
    selection: Selection,
    torn: int,
    config: RunConfig,
) -> Learned:
    learning, held_out = (logged.part(part) for part in numbers)
    after = weights_of(policy, held_out)
    begun = start[list(numbers[1])]
    taken = held_out.actions.unsqueeze(-1)
    before = (begun.double().gather(-1, taken) - held_out.recorded.double().gather(-1, taken)).squeeze(-1).exp()
    effective, doubts = effective_sample_size(after), selection.doubts
    if effective < config.journal.least_effective:
        doubts.append(
            f"the estimate rests on {effective:.1f} held-out decisions by weight, fewer than "
            f"{config.journal.least_effective:g}; serve longer, or let it move less (--trust-radius, --passes)"
        )
    now = log_probabilities(policy, held_out.decisions, held_out.recorded.shape[-1])
    return Learned(
        decisions=len(learning),
        held_out=len(held_out),
        left_out=selection.left_out,
        torn=torn,
        option_sets=selection.option_sets,
        before=self_normalised(before, held_out.rewards),
        after=self_normalised(after, held_out.rewards),
        gain=self_normalised_gain(after, before, held_out.rewards),
        effective=effective,
        effective_learning=effective_sample_size(weights_of(policy, learning)),
        largest_weight=float(after.max()),
        divergence=float(kl_divergence(held_out.recorded, now).mean()),
        doubts=doubts,
    )
