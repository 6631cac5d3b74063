"""What a comparison trains and measures: variants x tasks x seeds.

DIR/runs/VARIANT/TASK/NORMALIZATION/seedN    ordinary run directories; ``twosome report DIR`` reads them
DIR/measurements.jsonl                       every agent at its end (see twosome.evaluation.measurement)
DIR/comparison.md, comparison.png            see twosome.laboratory.table and picture
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from twosome.errors import ConfigError
from twosome.evaluation.measurement import Subject
from twosome.laboratory.variants import Variant, vary
from twosome.reproduction.jobs import Job, MeasureJob, TrainJob
from twosome.reproduction.plan import STARTING, folder_name, seconds_of_measuring, seconds_of_training
from twosome.settings.config import RunConfig, preset_config
from twosome.settings.wording import with_words
from twosome.text.tasks import TASKS


@dataclass(frozen=True)
class Settings:
    """What is to be compared.

    Attributes:
        out: The directory.
        variants: By name; others are compared with the first.
        tasks: What they learn.
        seeds: How many runs of each, with seeds from 0.
        preset: What the variants are variants of.
        decisions: Decisions of every run, instead of the preset's.
        model: The language model, instead of the preset's.
        final: Whether to measure every agent at its end; its curve tells when it had learned anyway.
    """

    out: Path
    variants: Mapping[str, Variant]
    tasks: tuple[str, ...]
    seeds: int = 5
    preset: str = "tiny"
    decisions: int | None = None
    model: str | None = None
    final: bool = True

    def __post_init__(self) -> None:
        for task in self.tasks:
            if task not in TASKS:
                raise ConfigError(f"unknown task {task!r}: expected one of {', '.join(TASKS)}")
        for name in ("variants", "tasks"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must name at least one, got none")

    def config(self, variant: str, task: str, seed: int) -> RunConfig:
        """The run of a variant."""
        config = replace(preset_config(task, self.preset), seed=seed)
        if self.decisions is not None:
            config = replace(config, decisions=self.decisions)
        if self.model is not None:
            config = replace(config, model=self.model)
        return with_words(vary(config, self.variants[variant]))


def stages(settings: Settings) -> list[list[Job]]:
    """All jobs; those of a stage need nothing of each other, and what they need of the stage before."""
    plain = {task: preset_config(task, settings.preset).environment for task in settings.tasks}
    optimum = MeasureJob("find the optimum", STARTING, Subject("optimum"), settings.tasks, plain)
    train: list[Job] = [optimum]
    measure: list[Job] = []
    for seed in range(settings.seeds):
        for task in settings.tasks:
            for variant in settings.variants:
                config = settings.config(variant, task, seed)
                normalization = config.normalization if config.policy == "language" else None
                place = settings.out / "runs" / variant / task / folder_name(normalization or "none") / f"seed{seed}"
                words = f"{variant} {task} seed {seed}"
                train.append(TrainJob(f"train {words}", seconds_of_training(config), config, place))
                subject = Subject(variant, task, normalization, seed=seed)
                environments = {task: {**config.environment, **config.narration}}
                seconds = STARTING + seconds_of_measuring(task)
                measure.append(MeasureJob(f"measure {words}", seconds, subject, (task,), environments, run=place))
    return [train, measure] if settings.final else [train]
