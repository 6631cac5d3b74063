"""Runs that differ only in their seed belong together: they are the replicates of one experiment."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twosome.report.reading import Run

OWN = (
    *("seed", "task", "normalization", "threads", "save_every", "record_every", "tensorboard"),
    *(
        "env_processes",
        "env_timeout",
        "rank_timeout",
        "loading.device",
        "loading.path",
        "loading.token_budget",
        "loading.attention",
    ),
    *("loading.recompute", "loading.memory_megabytes", "loading.trust_remote_code"),
)
"""Settings that do not make another experiment, or that a group is named by anyway."""
MOST_MAIN = 3
"""Groups of a language model on one task that the report tells of at length; of more only one."""
SHOWN = 3
"""Differing settings that are named before the rest is only counted."""

AGENTS = {
    "twosome": "TWOSOME",
    "twosome-full": "TWOSOME, full finetuning",
    "ppo": "PPO from scratch",
    "ppo-unmasked": "PPO from scratch, no action mask",
    "saycan": "SayCan, learned affordances",
    "saycan-oracle": "SayCan, oracle affordances",
    "zero-shot": "untrained model",
    "random-weights": "random weights of the same shape, untrained",
    "server": "decision server",
    "uniform": "uniform play",
    "optimum": "optimum",
}
"""Agents in the order in which they are shown, and how they are called."""
TRAINED_AGENTS = ("twosome", "twosome-full")
"""Language models that were trained, as opposed to what they are compared with."""


@dataclass(frozen=True)
class Group:
    """Runs of one agent on one task with the same settings.

    Attributes:
        agent: Its key, as in measurements.jsonl.
        task: What it was trained on.
        normalization: How phrases were scored, or None.
        variant: What sets its settings apart from those of its siblings; empty if nothing does.
        runs: One per seed, in the order of seeds.
    """

    agent: str
    task: str
    normalization: str | None
    variant: str
    runs: Sequence[Run]

    @property
    def label(self) -> str:
        """What it is called in figures about one task."""
        return agent_label(self.agent, self.normalization) + (f", {self.variant}" if self.variant else "")

    @property
    def seeds(self) -> str:
        """Its seeds, for people."""
        return ", ".join(str(run.seed) for run in self.runs)


def agent_label(agent: str, normalization: str | None) -> str:
    """What an agent is called; of a decision server, which one."""
    kind, space, name = agent.partition(" ")
    if kind == "server" and space:
        return f"{AGENTS[kind]} {name}"
    return AGENTS.get(agent, agent) + (f" ({normalization})" if normalization else "")


def agent_order(agent: str) -> tuple[int, str]:
    """Sorts agents the way they are shown; unknown ones come last."""
    kind = agent.partition(" ")[0]
    return (list(AGENTS).index(kind) if kind in AGENTS else len(AGENTS), agent)


def group(runs: Iterable[Run]) -> tuple[list[Group], list[str]]:
    """Groups in the order they are shown, and sentences about runs that were left out.

    A second run with the same settings and the same seed is no second replicate: it is the same run again. A run that
    is not finished is no replicate of finished ones.
    """
    notes: list[str] = []
    families: dict[tuple[str, str, str | None], dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        variant = families[run.agent, run.task, run.normalization][_fingerprint(run.config)]
        if run.seed in variant:
            other = variant[run.seed].name
            notes.append(
                f"{run.name} has the seed and the settings of {other}; the same run twice is no second "
                "measurement, so it was left out."
            )
        else:
            variant[run.seed] = run
    groups = []
    for (agent, task, normalization), variants in families.items():
        names = _variant_names(list(variants))
        for fingerprint, by_seed in variants.items():
            replicates = _alike([by_seed[seed] for seed in sorted(by_seed)], notes)
            groups.append(Group(agent, task, normalization, names[fingerprint], replicates))
    groups.sort(key=lambda g: (g.task, agent_order(g.agent), g.normalization or "", g.variant))
    return groups, notes


def main_groups(groups: Sequence[Group], principal: tuple[str, str | None] | None = None) -> list[Group]:
    """The groups of a language model that was trained; where a task has many, one of them.

    Args:
        groups: All groups.
        principal: Agent and normalization to choose where there are many; else those of most runs are chosen.
    """
    found = []
    for task in dict.fromkeys(group.task for group in groups):
        trained = [group for group in groups if group.task == task and group.agent in TRAINED_AGENTS]
        if len(trained) > MOST_MAIN:
            trained = [max(trained, key=lambda g: ((g.agent, g.normalization) == principal, len(g.runs)))]
        found += trained
    return found


def _alike(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """The finished runs, or all where none is finished."""
    unfinished = [run for run in runs if not run.finished]
    if len(unfinished) == len(runs):
        notes.extend(f"{run.name} is not finished; what there is of it is shown." for run in runs)
        return list(runs)
    notes.extend(f"{run.name} is not finished, so it was left out." for run in unfinished)
    return [run for run in runs if run.finished]


def _fingerprint(config: Mapping[str, Any]) -> str:
    settings = {name: value for name, value in _flat(_as_here(config)).items() if name not in OWN}
    return json.dumps(settings, sort_keys=True, default=str)


def _as_here(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration without where its environments are, which changes no number."""
    environment = config.get("environment")
    if not isinstance(environment, Mapping):
        return config
    return {**config, "environment": {name: value for name, value in environment.items() if name != "servers"}}


def _variant_names(fingerprints: Sequence[str]) -> dict[str, str]:
    """For every variant, those of its settings that are not the same in all."""
    settings = [json.loads(fingerprint) for fingerprint in fingerprints]
    names = sorted({name for each in settings for name in each})
    differing = [name for name in names if len({json.dumps(each.get(name)) for each in settings}) > 1]
    more = f", and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
    return {
        fingerprint: ", ".join(f"{name} {each.get(name)}" for name in differing[:SHOWN]) + more
        for fingerprint, each in zip(fingerprints, settings, strict=True)
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
