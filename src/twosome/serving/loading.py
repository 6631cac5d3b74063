"""Agents by name, as a server is told them on the command line, on as few base models as possible."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twosome.deciding.agent import Agent
from twosome.deciding.bases import Bases
from twosome.errors import ConfigError
from twosome.journal.records import Identity, adapter_digest
from twosome.temperature import weights_of


def named_sources(words: Sequence[str], model: str | None) -> dict[str, str | None]:
    """What each agent is loaded from, by name.

    Args:
        words: ``SOURCE``, or ``NAME=SOURCE``; with none, it is the model alone.
        model: The base model that was asked for, if one was.

    Raises:
        ConfigError: If a name is given twice, or is none.
    """
    if not words:
        return {_short(model or "embedded"): None}
    found: dict[str, str | None] = {}
    for word in words:
        name, separator, source = word.partition("=")
        if not separator or Path(word).exists():
            name, source = _short(word), word
        if not name.strip() or not source:
            raise ConfigError(f"{word!r} names no agent; write NAME=RUN_OR_ADAPTER, or the run alone")
        if name in found:
            raise ConfigError(f"two agents are called {name!r}; give them names: first=RUN second=RUN")
        found[name] = source
    return found


def load_agents(sources: Mapping[str, str | None], arguments: Mapping[str, Any]) -> dict[str, Agent]:
    """The agents, in order.

    Args:
        sources: What each is loaded from.
        arguments: Of :meth:`~twosome.deciding.agent.Agent.load`, for all of them.

    Raises:
        TwosomeError: If one cannot be loaded, or cannot share its base.
    """
    bases = Bases()
    agents: dict[str, Agent] = {}
    for name, source in sources.items():
        agents[name] = Agent.load(source, load=bases, **arguments)
        if len(sources) > 1:
            bases.check(name)
    return agents


def born(source: str | None) -> int:
    """When an agent's weights were written, in seconds since 1970; now, if it has none of its own."""
    for file in ("adapter/adapter_model.safetensors", "adapter_model.safetensors", "model/model.safetensors"):
        path = Path(source or "") / file
        if source is not None and path.is_file():
            return int(path.stat().st_mtime)
    return int(time.time())


def identities(agents: Mapping[str, Agent], sources: Mapping[str, str | None]) -> dict[str, Identity]:
    """Which policy each agent is, for a journal."""
    found = {}
    for name, agent in agents.items():
        source, loaded = sources[name], agent.loaded
        weights = weights_of(Path(source)) if source is not None and agent.trained else {}
        model = loaded.config.model if loaded.config is not None else loaded.model
        found[name] = Identity(model, adapter_digest(weights), agent.policy.normalization, agent.temperature)
    return found


def _short(source: str) -> str:
    """What to call the agent of a path or hub id."""
    return Path(source.rstrip("/\\")).name or source
