"""The kinds of job: to train an agent, to measure one, and to measure what became of its language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twosome.errors import RunError
from twosome.evaluation.generalization import measure_on
from twosome.evaluation.measurement import Measurement, Measurements, Subject, measure_optimum
from twosome.remote import RemotePolicy, ServerSettings
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.runs.journal import read_lines
from twosome.runs.recorder import METRICS_FILE
from twosome.settings.config import RunConfig, same_numbers
from twosome.text.tasks import TASKS
from twosome.tokens.prompting import Prompting
from twosome.types import Policy

if TYPE_CHECKING:
    from twosome.scorer import Scorer


@dataclass(frozen=True)
class TrainJob:
    """To train an agent to the end.

    Attributes:
        name: What is shown.
        weight: About how many seconds of one core it takes.
        config: The run.
        directory: Where it goes.
    """

    name: str
    weight: float
    config: RunConfig
    directory: Path

    def missing(self, known: Measurements) -> bool:
        """Whether it is still to be done.

        Raises:
            RunError: If there is a run with other settings.
        """
        if not (self.directory / CONFIG_FILE).is_file():
            return True
        run = RunDirectory.open(self.directory)
        if not same_numbers(run.config, self.config):
            raise RunError(
                f"the run in {str(self.directory)!r} has other settings than are wanted now; give another directory "
                "with --out, or remove that run"
            )
        return not run.finished

    def done(self) -> float:
        """The part of it that is done, from 0 to 1."""
        try:
            return len(read_lines(self.directory / METRICS_FILE)) / self.config.updates
        except OSError:
            return 0.0

    def perform(self) -> list[Measurement]:
        """Train, or go on training."""
        from twosome.runs.trainer import resume, train

        if (self.directory / CONFIG_FILE).is_file():
            resume(self.directory)
        else:
            train(self.config, self.directory)
        return []


@dataclass(frozen=True)
class MeasureJob:
    """To measure an agent on some tasks, sampled and greedy.

    Attributes:
        name: What is shown.
        weight: About how many seconds of one core it takes.
        subject: Who.
        tasks: Where.
        environments: Arguments of each task's environment.
        run: The directory of its run, or None for an agent that was not trained.
        model: The language model of an agent that was not trained.
        prompting: How prompts and phrases are put to that.
        within: Share of the episodes that may come to states in which it is not asked.
    """

    name: str
    weight: float
    subject: Subject
    tasks: tuple[str, ...]
    environments: Mapping[str, Mapping[str, Any]]
    run: Path | None = None
    model: str | None = None
    prompting: Prompting | None = None
    within: float = 0.0

    def missing(self, known: Measurements) -> bool:
        """Whether it is still to be done."""
        wanted = [(self.subject, task, greedy) for task in self.tasks for greedy in self._modes]
        return not all(key in known for key in wanted)

    def done(self) -> float:
        """The part of it that is done while it is under way: not known."""
        return 0.0

    def perform(self) -> list[Measurement]:
        """Measure."""
        if self.subject.agent == "optimum":
            found = (
                measure_optimum(task, gamma=TASKS[task].gamma, environment=self.environments[task])
                for task in self.tasks
            )
            return [measurement for measurement in found if measurement is not None]
        policy = self._policy()
        return list(measure_on(policy, self.subject, self.tasks, self.environments, self._modes, self.within))

    @property
    def _modes(self) -> tuple[bool, ...]:
        return {"uniform": (False,), "optimum": (True,)}.get(self.subject.agent, (False, True))

    def _policy(self) -> Policy:
        from twosome.baselines.uniform import UniformPolicy
        from twosome.evaluation.saycan import learned_saycan, oracle_saycan
        from twosome.runs.agents import load_agent

        if self.run is not None:
            return load_agent(self.run, temperature=1.0).policy
        if self.subject.agent == "uniform":
            return UniformPolicy()
        agent = load_agent(model=self.model, normalization=self.subject.normalization, prompting=self.prompting)
        if self.subject.agent == "saycan-oracle":
            return oracle_saycan(agent.language)
        if self.subject.agent == "saycan":
            (task,) = self.tasks  # affordances are learned where they are used
            seed = self.subject.seed or 0
            return learned_saycan(agent.language, task, seed=seed, environment=self.environments[task])
        return agent.policy


@dataclass(frozen=True)
class UntrainedJob:
    """To measure a language model that nothing taught, under several normalisations: it reads once for all of them.

    Attributes:
        name: What is shown.
        weight: About how many seconds of one core it takes.
        subjects: Who, one for each normalisation.
        tasks: Where.
        environments: Arguments of each task's environment.
        model: The language model.
        prompting: How prompts and phrases are put to it.
        within: Share of the episodes that may come to states in which it is not asked.
        weights: Seed of random weights in place of the model's own, or None.
    """

    name: str
    weight: float
    subjects: tuple[Subject, ...]
    tasks: tuple[str, ...]
    environments: Mapping[str, Mapping[str, Any]]
    model: str
    prompting: Prompting | None = None
    within: float = 0.0
    weights: int | None = None

    def missing(self, known: Measurements) -> bool:
        """Whether it is still to be done."""
        return not all(
            (subject, task, greedy) in known
            for subject in self.subjects
            for task in self.tasks
            for greedy in (False, True)
        )

    def done(self) -> float:
        """The part of it that is done while it is under way: not known."""
        return 0.0

    def perform(self) -> list[Measurement]:
        """Measure."""
        from twosome.evaluation.phrases import PhraseScores, ScoredPolicy

        phrases = PhraseScores(self._scorer())
        found: list[Measurement] = []
        for subject in self.subjects:
            policy = ScoredPolicy(phrases, str(subject.normalization))
            found += measure_on(policy, subject, self.tasks, self.environments, within=self.within)
        return found

    def _scorer(self) -> Scorer:
        from twosome.models.shapes import random_model
        from twosome.runs.agents import load_agent
        from twosome.scorer import Scorer

        if self.weights is None:
            return load_agent(model=self.model, prompting=self.prompting).language.scorer
        return Scorer(*random_model(self.model, self.weights), prompting=self.prompting)


@dataclass(frozen=True)
class ServerJob:
    """To measure a decision server on some tasks, sampled and greedy, one after another: its answers are waited for.

    Attributes:
        name: What is shown.
        weight: About how many seconds it takes.
        server: Who, and how it is asked.
        tasks: Where.
        environments: Arguments of each task's environment.
    """

    name: str
    weight: float
    server: ServerSettings
    tasks: tuple[str, ...]
    environments: Mapping[str, Mapping[str, Any]]

    @property
    def subject(self) -> Subject:
        """Who is measured."""
        return Subject(f"server {self.server.name}")

    def missing(self, known: Measurements) -> bool:
        """Whether it is still to be done.

        Raises:
            RunError: If the server was measured with another framing.
        """
        found = [known.get((self.subject, task, greedy)) for task in self.tasks for greedy in (False, True)]
        for measurement in found:
            then = measurement.server if measurement is not None else None
            if then is not None and any(then.get(name) != value for name, value in self.server.framing.items()):
                raise RunError(
                    f"the decision server {self.server.name} was measured with other settings than are wanted now; "
                    "give another directory with --out"
                )
        return None in found

    def done(self) -> float:
        """The part of it that is done while it is under way: not known."""
        return 0.0

    def perform(self) -> list[Measurement]:
        """Measure; what tells how the answers came, and not what they were, is left out of the lines."""
        found = []
        for task in self.tasks:
            policy = RemotePolicy(self.server)
            for measurement in measure_on(policy, self.subject, (task,), self.environments):
                facts = policy.facts()
                kept = {name: facts[name] for name in facts if name not in ("from_disk", "requests", "kept_in")}
                found.append(replace(measurement, server=kept))
        return found


@dataclass(frozen=True)
class LanguageJob:
    """To measure what became of a language model's language; written to its run as ``language.json``.

    Attributes:
        name: What is shown.
        weight: About how many seconds of one core it takes.
        run: The directory of its run.
    """

    name: str
    weight: float
    run: Path

    def missing(self, known: Measurements) -> bool:
        """Always: what is there already is known by its own file, part by part."""
        return True

    def done(self) -> float:
        """Not known."""
        return 0.0

    def perform(self) -> list[Measurement]:
        """Measure."""
        from twosome.language.evaluation import evaluate_language  # heavy, and only this job needs it

        evaluate_language(self.run)
        return []


Job = TrainJob | MeasureJob | UntrainedJob | ServerJob | LanguageJob
