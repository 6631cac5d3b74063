"""Which agents are trained on what, and what is measured: the table behind ``twosome reproduce``.

DIR/runs/AGENT/TASK/NORMALIZATION/seedN    ordinary run directories; NORMALIZATION is "none" where nothing is scored
DIR/measurements.jsonl                     see twosome.evaluation.measurement
DIR/timing.jsonl                           job, cpu_seconds: a line for every job that was done
DIR/report.html, report.md                 see twosome.report
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from twosome.errors import ConfigError
from twosome.evaluation.generalization import readable
from twosome.evaluation.measurement import Subject
from twosome.remote import ServerSettings
from twosome.reproduction.jobs import Job, LanguageJob, MeasureJob, ServerJob, TrainJob, UntrainedJob
from twosome.settings.config import RunConfig, preset_config, usual_preset
from twosome.settings.wording import with_words
from twosome.text.tasks import TASKS
from twosome.tokens.prompting import Prompting

TRAINED_TASKS = ("tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment")
NORMALIZATIONS = ("sum", "token", "word")
PARTS = {
    "untrained": "uniform play, the optimum, zero-shot (all normalisations; phrases permuted; things renamed), SayCan",
    "random": "a language model of the same shape with random weights, untrained, with the same words (one seed)",
    "twosome": "the language model, trained with its preset's normalisation",
    "ppo": "PPO from scratch on the observation vector, with and without action mask",
    "normalizations": "the language model, trained with the other normalisations",
    "full": "the language model with all its weights trained, without adapter",
    "generalization": "trained agents, untouched, on all other tasks",
    "language": "what became of the language of the first seed's language models",
}
"""What can be left out, with what it is."""
LEFT_OUT = {"small": ("normalizations", "full")}
"""Parts that are done only if they are named, by preset: on a pretrained model they take hours."""
FULL_RATE = 0.1
"""Learning rate of all weights, as a part of the adapter's: at the adapter's own, three of four tasks are unlearned."""
NEARLY_ALL = 1e-3
"""Share of the episodes that may come to states in which a pretrained model is not asked: less than tables show. The
trained agents of tomato-lettuce salad come nearly always to an eighth of the decisions that there are."""
TRAINING = ("twosome", "ppo", "normalizations", "full")
"""Parts that train agents."""
AFTERWARDS = ("generalization", "language")
"""Parts that measure the agents that the others train."""


@dataclass(frozen=True)
class Settings:
    """What is to be reproduced.

    Attributes:
        out: The directory.
        preset: Of the language model's runs.
        seeds: How many runs of every kind, with seeds from 0.
        parts: Names of :data:`PARTS`.
        tasks: What is trained on.
        targets: What trained agents are tested on besides.
        decisions: Decisions of every run, instead of the presets'.
        model: The language model, instead of the preset's.
        server: A decision server that is measured among those that are not trained, if any.
        prompting: How prompts and phrases are put to it, instead of the preset's way.
    """

    out: Path
    preset: str = "tiny"
    seeds: int = 5
    parts: tuple[str, ...] = tuple(PARTS)
    tasks: tuple[str, ...] = TRAINED_TASKS
    targets: tuple[str, ...] = tuple(TASKS)
    decisions: int | None = None
    model: str | None = None
    server: ServerSettings | None = None
    prompting: Prompting | None = None

    def __post_init__(self) -> None:
        _check("part", self.parts, PARTS)
        _check("task", (*self.tasks, *self.targets), TASKS)
        if set(self.parts) & set(AFTERWARDS) and not set(self.parts) & set(TRAINING):
            raise ConfigError(
                f"{' and '.join(AFTERWARDS)} are about trained agents: name one of {', '.join(TRAINING)} as well; what "
                "is there of it is not done again"
            )
        if self.server is not None and "untrained" not in self.parts:
            raise ConfigError("a decision server is measured in the part 'untrained'; name that, too, or leave it out")
        if self.seeds < 1:
            raise ConfigError(f"seeds must be at least 1, got {self.seeds}")


def stages(settings: Settings) -> list[list[Job]]:
    """All jobs; those of a stage need nothing of each other, and what they need of the stage before."""
    arms = [arm for part in settings.parts for arm in _arms(settings, part)]
    train: list[Job] = [arm.training(settings) for arm in arms]
    own: list[Job] = [arm.measuring(settings, (arm.config.task,)) for arm in arms]
    untrained = list(_untrained(settings)) if "untrained" in settings.parts else []
    untrained += list(_random(settings)) if "random" in settings.parts else []
    stages = [[*untrained, *train], own]
    if "generalization" in settings.parts:
        stages.append(list(_generalization(settings, arms)))
    if "language" in settings.parts:
        stages.append(list(_language(settings, arms)))
    return [stage for stage in stages if stage]


@dataclass(frozen=True)
class _Arm:
    """A run to be made: who, with which settings."""

    subject: Subject
    config: RunConfig

    def directory(self, settings: Settings) -> Path:
        subject = self.subject
        scored = folder_name(subject.normalization or "none")
        return settings.out / "runs" / subject.agent / self.config.task / scored / f"seed{subject.seed}"

    def training(self, settings: Settings) -> TrainJob:
        weight = seconds_of_training(self.config)
        return TrainJob(self._name("train"), weight, self.config, self.directory(settings))

    def measuring(self, settings: Settings, tasks: Sequence[str]) -> MeasureJob:
        own = {**self.config.environment, **self.config.narration}
        every = TASKS[self.config.task].unmasked if self.subject.agent == "ppo-unmasked" else {}
        others = {
            task: {**_environment(settings, task), **self.config.narration, **(TASKS[task].unmasked if every else {})}
            for task in tasks
        }
        return _measuring(
            self._name("measure"),
            self.subject,
            tasks,
            {**others, self.config.task: own},
            run=self.directory(settings),
            within=_within(self.config),
        )

    def is_usual(self, settings: Settings) -> bool:
        """Whether it is one of those that are tested on other tasks: no ablation."""
        if self.subject.agent == "twosome-full":
            return False
        usual = _config(settings, self.config.task, settings.preset).normalization
        return self.subject.normalization in (None, usual)

    def _name(self, what: str) -> str:
        words = (what, self.subject.agent, self.config.task, self.subject.normalization, f"seed {self.subject.seed}")
        return " ".join(word for word in words if word)


def _arms(settings: Settings, part: str) -> Iterator[_Arm]:
    """The runs of a part."""
    for seed in range(settings.seeds):
        for task in settings.tasks:
            base = _config(settings, task, settings.preset)
            if part == "twosome":
                yield _arm("twosome", replace(base, seed=seed))
            elif part == "normalizations":
                for name in NORMALIZATIONS:
                    if name != base.normalization:
                        yield _arm("twosome", replace(base, seed=seed, normalization=name))
            elif part == "full":
                yield _arm("twosome-full", replace(_slower(base), seed=seed, finetune="full"))
            elif part == "ppo":
                networks = replace(_config(settings, task, "ppo"), seed=seed, environment=base.environment)
                yield _arm("ppo", networks)
                if TASKS[task].unmasked:  # elsewhere every action is admissible everywhere
                    everything = {**base.environment, **TASKS[task].unmasked}
                    yield _arm("ppo-unmasked", replace(networks, environment=everything))


def _slower(config: RunConfig) -> RunConfig:
    """The same with the learning rate of its actor, whichever setting that is, for all weights."""
    if config.algorithm == "fitted":
        fitted = replace(config.fitted, fit_learning_rate=FULL_RATE * config.fitted.fit_learning_rate)
        return replace(config, fitted=fitted)
    return replace(config, ppo=replace(config.ppo, policy_learning_rate=FULL_RATE * config.ppo.policy_learning_rate))


def _arm(agent: str, config: RunConfig) -> _Arm:
    normalization = config.normalization if config.policy == "language" else None
    return _Arm(Subject(agent, config.task, normalization, seed=config.seed), config)


def _config(settings: Settings, task: str, preset: str) -> RunConfig:
    config = preset_config(task, preset)
    if settings.decisions is not None:
        config = replace(config, decisions=settings.decisions)
    if settings.prompting is not None and config.policy == "language":
        config = replace(config, prompting=settings.prompting)
    return with_words(replace(config, model=settings.model) if settings.model is not None else config)


def _within(config: RunConfig) -> float:
    """The share of the episodes that may come to states in which an agent is not asked: where asking is dear."""
    return 0.0 if config.policy == "vector" or usual_preset(config.model) == "tiny" else NEARLY_ALL


def _environment(settings: Settings, task: str) -> dict[str, Any]:
    return _config(settings, task, settings.preset).environment


_CONTROLS: tuple[tuple[Literal["permuted", "renamed"], str, str], ...] = (
    ("permuted", "permute_phrases", "phrases permuted"),
    ("renamed", "rename_things", "things renamed"),
)
"""Controls of untrained play: name, argument of the environment that takes its seed, what is shown."""


def _untrained(settings: Settings) -> Iterator[Job]:
    """Agents that were not trained: on everything that trained ones are tested on."""
    everything = tuple(dict.fromkeys((*settings.tasks, *settings.targets)))
    plain = {task: _environment(settings, task) for task in everything}
    own = _config(settings, settings.tasks[0], settings.preset)
    zero_shot = partial(_zero_shot, settings)
    measuring = partial(_measuring, model=own.model, prompting=own.prompting, within=_within(own))
    yield _measuring("measure uniform play", Subject("uniform"), everything, plain)
    yield _measuring("find the optimum", Subject("optimum"), everything, plain)
    yield zero_shot("measure zero-shot", everything, plain)
    for seed in range(settings.seeds):
        for control, argument, what in _CONTROLS:
            controlled = {task: {**plain[task], argument: seed} for task in settings.tasks}
            words = f"measure zero-shot, {what}, seed {seed}"
            yield zero_shot(words, settings.tasks, controlled, control=control, seed=seed)
    if settings.server is not None:
        seconds = ASKING * len(everything)
        yield ServerJob(f"measure {settings.server.name}", seconds, settings.server, everything, plain)
    oracle = Subject("saycan-oracle", normalization="sum")
    yield measuring("measure SayCan, oracle", oracle, settings.tasks, plain)
    for seed in range(settings.seeds):
        for task in settings.tasks:
            subject = Subject("saycan", normalization="sum", seed=seed)
            unmasked = {task: {**plain[task], **TASKS[task].unmasked}}
            yield measuring(f"measure SayCan, learned, {task}, seed {seed}", subject, (task,), unmasked)


def _random(settings: Settings) -> Iterator[Job]:
    """What the words and the shape of the model alone are worth: nothing that it learned."""
    plain = {task: _environment(settings, task) for task in settings.tasks}
    job = _zero_shot(settings, "measure random weights, seed 0", settings.tasks, plain, agent="random-weights", seed=0)
    yield replace(job, weights=0)


def _zero_shot(
    settings: Settings,
    words: str,
    tasks: tuple[str, ...],
    environments: dict[str, dict[str, Any]],
    agent: str = "zero-shot",
    **drawn: Any,
) -> UntrainedJob:
    """A model that nothing taught, under every normalisation; ``drawn`` says what of it was, and by which seed."""
    own = _config(settings, settings.tasks[0], settings.preset)
    usual = (_config(settings, task, settings.preset).normalization for task in settings.tasks)
    names = dict.fromkeys((*NORMALIZATIONS, *usual))
    subjects = tuple(Subject(agent, normalization=name, **drawn) for name in names)
    seconds = STARTING + sum(map(seconds_of_measuring, tasks))
    return UntrainedJob(words, seconds, subjects, tasks, environments, own.model, own.prompting, _within(own))


def _generalization(settings: Settings, arms: Sequence[_Arm]) -> Iterator[Job]:
    """Trained agents on all other tasks; of the language model's, those with adapter and the preset's normalisation."""
    for arm in arms:
        if not arm.is_usual(settings):
            continue
        others = [task for task in readable(arm.config, settings.targets) if task != arm.config.task]
        if others:
            job = arm.measuring(settings, others)
            yield replace(job, name=f"{job.name} on {len(others)} other tasks")


def _language(settings: Settings, arms: Sequence[_Arm]) -> Iterator[Job]:
    for arm in arms:
        if arm.subject.agent == "twosome" and arm.subject.seed == 0 and arm.is_usual(settings):
            yield LanguageJob(f"language of {arm.config.task}'s model", 60.0, arm.directory(settings))


def _measuring(
    name: str,
    subject: Subject,
    tasks: Sequence[str],
    environments: dict[str, dict[str, Any]],
    *,
    run: Path | None = None,
    model: str | None = None,
    prompting: Prompting | None = None,
    within: float = 0.0,
) -> MeasureJob:
    seconds = sum(map(seconds_of_measuring, tasks)) if model or run else 1.0
    return MeasureJob(name, STARTING + seconds, subject, tuple(tasks), environments, run, model, prompting, within)


def folder_name(normalization: str) -> str:
    """A normalization as the name of one folder: ``sum-by-3`` for ``sum/3``."""
    return normalization.replace("/", "-by-")


def _check(kind: str, names: Sequence[str], known: Any) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown {kind} {name!r}: expected one of {', '.join(known)}")


# Rough figures for the progress display, of one core: decisions per second of training, seconds of a measurement.
RATES = {("language", "lora"): 110.0, ("language", "full"): 85.0, ("vector", "lora"): 2000.0}
MEASURING = {"overcooked": 6.0, "virtualhome": 0.3}
STARTING = 5.0
ASKING = 30.0  # of a decision server's answers to all decisions of a task


def seconds_of_training(config: RunConfig) -> float:
    """About how many seconds of one core a run takes."""
    return config.updates * config.decisions_per_update / RATES[config.policy, config.finetune] + STARTING


def seconds_of_measuring(task: str) -> float:
    """About how many seconds of one core it takes to measure an agent on a task."""
    return MEASURING[TASKS[task].world]
