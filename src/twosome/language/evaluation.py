"""Measures a model's language with its adapter off and on, part by part, and keeps what is finished."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from twosome.caching import file_sha256
from twosome.errors import ConfigError, RunError
from twosome.language import harness
from twosome.language.change import change_measures, loss_measures, read_passages
from twosome.language.harness import DATA, OFFLINE_TASKS, Harness
from twosome.language.measures import LANGUAGE_FILE, LanguageMeasure, LanguageReport, Part
from twosome.language.passages import (
    action_passages,
    prompt_passages,
    read_documents,
    task_decisions,
    text_passages,
)
from twosome.runs.agents import Agent, load_agent
from twosome.runs.directory import CONFIG_FILE, RunDirectory
from twosome.scorer import context_length
from twosome.text.trying import check_task
from twosome.tokens.prompting import Prompting

TEXTS = (DATA / "everyday.txt", DATA / "next-steps.txt")
"""Held-out text that ships with twosome: everyday things, and situations with their next steps."""

DECISIONS = 64
ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class LanguageSettings:
    """What to measure.

    Attributes:
        texts: Text files, a document a line.
        decisions: Decisions of the training task whose prompts and actions are read.
        tasks: Tasks of :mod:`twosome.language.harness`.
        limit: Most examples of each task; None for all.
        shots: Solved examples before each question; None for what the task says.
        batch_size: Sequences in one forward pass of the harness.
    """

    texts: Sequence[Path] = TEXTS
    decisions: int = DECISIONS
    tasks: Sequence[str] = ()
    limit: int | None = None
    shots: int | None = None
    batch_size: int = 8

    def __post_init__(self) -> None:
        names = [path.stem for path in self.texts]
        if len(set(names)) < len(names):
            raise ConfigError(f"two texts have the same name ({', '.join(names)}), by which measures are told apart")


def default_tasks() -> tuple[str, ...]:
    """The offline tasks where the harness is installed, else none."""
    return OFFLINE_TASKS if harness.is_installed() else ()


def evaluate_language(
    source: Path,
    settings: LanguageSettings | None = None,
    *,
    model: str | None = None,
    task: str | None = None,
    out: Path | None = None,
    again: bool = False,
    trust_remote_code: bool = False,
    prompting: Prompting | None = None,
    on_part: Callable[[str], None] = lambda name: None,
) -> LanguageReport:
    """Measure what an adapter changed of its model's language.

    Args:
        source: A run directory, or the directory of a PEFT adapter.
        settings: What to measure; default: our texts, and our tasks where the harness is installed.
        model: Base model; default: the one of the run or adapter.
        task: The environment whose decisions are read; default: the run's, none for an adapter.
        out: File to keep the measures in; default: ``language.json`` of a run, none for an adapter.
        again: Compute also what the file has.
        trust_remote_code: Run code that comes with the model.
        prompting: How the decisions are put to a model whose adapter comes without a run.
        on_part: Called with the name of every part before it is computed.

    Raises:
        ConfigError, ModelError, RunError: If something is missing or does not fit.
    """
    settings = settings or LanguageSettings(tasks=default_tasks())
    harness.check_tasks(settings.tasks)
    documents = {path.stem: read_documents(path) for path in settings.texts}
    joined = check_task(task) if task is not None else None
    run = RunDirectory.open(source) if (source / CONFIG_FILE).is_file() else None
    weights = (run.adapter if run else source) / ADAPTER_WEIGHTS
    if run is not None and not weights.is_file():
        raise RunError(
            f"no adapter in {str(source)!r}: what is compared is a language model with its adapter off and on"
        )
    with run.in_use() if run else nullcontext():
        agent = load_agent(
            source,
            model=model,
            trust_remote_code=trust_remote_code,
            prompting=prompting,
            joined=joined,
            temperature=1.0,
        )
        file = out or (run.path / LANGUAGE_FILE if run else None)
        report = LanguageReport(_base_name(agent), file_sha256(weights), file)
        for part, compute in _parts(agent, settings, documents, task):
            if again or not report.has(part):
                on_part(part.name)
                report.put(part, compute())
    return report


def _base_name(agent: Agent) -> str:
    """What tells the base from others: its name, and the digest of a file, which may change under its name."""
    name, file = str(agent.language.model.config._name_or_path), agent.language.gguf_file
    return name if file is None else f"{name} (SHA-256 {file.sha256[:12]})"


Compute = Callable[[], list[LanguageMeasure]]


def _parts(
    agent: Agent, settings: LanguageSettings, documents: Mapping[str, Sequence[str]], task: str | None
) -> Iterator[tuple[Part, Compute]]:
    """What is to be computed, the quick parts first."""
    for name, lines in documents.items():
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        yield Part(f"text {name}", {"sha256": digest}), partial(_text, agent, name, lines)
    if task is not None or agent.config is not None:
        where = agent.setting(task)
        described = {"task": where.task, "environment": dict(where.environment), "decisions": settings.decisions}
        prompting = agent.language.scorer.encoder.prompting
        if prompting != Prompting():  # older files say nothing of it
            described |= {"prompting": asdict(prompting)}
        yield Part("task", described), partial(_task, agent, where.task, where.environment, settings.decisions)

    @cache
    def runner() -> Harness:
        return Harness(agent.language.model, agent.language.scorer.encoder.tokenizer, settings.batch_size)

    def run(name: str) -> list[LanguageMeasure]:
        return runner().measure(name, limit=settings.limit, shots=settings.shots)

    for name in settings.tasks:
        yield Part(f"language task {name}", {"limit": settings.limit, "shots": settings.shots}), partial(run, name)


def _text(agent: Agent, name: str, documents: Sequence[str]) -> list[LanguageMeasure]:
    """Loss and change of distributions on a text."""
    model, tokenizer = agent.language.model, agent.language.scorer.encoder.tokenizer
    sums = read_passages(model, text_passages(documents, tokenizer, context_length(model)))
    return [*loss_measures(name, sums, "documents"), *change_measures(name, sums, "documents")]


def _task(agent: Agent, task: str, environment: Mapping[str, Any], count: int) -> list[LanguageMeasure]:
    """Change of distributions where the agent reads its prompts, and where it acts."""
    decisions, encoder = task_decisions(task, environment, count), agent.language.scorer.encoder
    prompts = read_passages(agent.language.model, prompt_passages(decisions, encoder))
    actions = read_passages(agent.language.model, action_passages(decisions, encoder))
    return [
        *change_measures("task-prompts", prompts, "decisions"),
        *change_measures("task-actions", actions, "decisions"),
    ]
