"""What ``twosome export`` writes, whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError

from twosome.decision import Decision
from twosome.errors import ConfigError, RunError
from twosome.evaluation.exact import ExactEvaluation, evaluate_exactly
from twosome.exporting.card import CARD_FILE, FACTS_FILE, card, facts_of
from twosome.exporting.converting import write_gguf
from twosome.exporting.merging import raised, reloaded, write_merged
from twosome.exporting.sameness import Sameness, compare, decisions_met, scored
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.agents import Setting
from twosome.runs.files import write_json, write_text
from twosome.temperature import TEMPERATURE_FILE

GGUF_FILE = "model.gguf"
OnStage = Callable[[str], None]


def export(
    kind: str,
    source: Path,
    out: Path,
    policy: LanguageModelPolicy,
    setting: Setting,
    *,
    measure: bool = True,
    convert: Sequence[str] = (),
    outtype: str = "f32",
    on_stage: OnStage = lambda stage: None,
) -> Sameness | None:
    """Write an agent into the directory ``out``: how far what was written is from it, or None for an adapter.

    Args:
        kind: merged, adapter or gguf.
        source: The run or adapter that the policy was loaded from.
        out: A directory that is not there yet, or empty.
        policy: The agent; it is used up.
        setting: Its task.
        measure: Evaluate it for its card, where the world shows its states.
        convert: How the converter is called, for gguf.
        outtype: Kind of numbers in the GGUF file.
        on_stage: Is told what is being done.

    Raises:
        ConfigError: If there is something in ``out``, or the agent has no adapter.
        ModelError: If it cannot be merged or converted, or what was written is another model.
        RunError: If it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{str(out)!r} is there already, and not empty; name another place")
    adapter = _adapter(source) if kind == "adapter" else None
    decisions = decisions_met(setting.task, setting.environment)
    on_stage("measuring")
    results = _results(policy, setting) if measure else []
    agent = scored(policy, decisions)
    with _replacing(out) as place:
        sameness = None
        facts = facts_of(kind, policy, setting, decisions, agent.probabilities, results, None)
        if adapter is not None:
            shutil.copytree(adapter, place, dirs_exist_ok=True)
            if (source / TEMPERATURE_FILE).is_file() and source != adapter:
                write_json(place / TEMPERATURE_FILE, _as_of_adapter(source / TEMPERATURE_FILE))
        elif kind == "merged":
            on_stage("merging")
            sameness = write_merged(policy, place, decisions)
        else:
            sameness = _gguf(policy, place, decisions, convert, outtype, on_stage)
        told = asdict(facts) | {"sameness": None if sameness is None else sameness.sentence()}
        write_text(place / CARD_FILE, card(type(facts)(**told)))
        write_json(place / FACTS_FILE, told)
    return sameness


def _gguf(
    policy: LanguageModelPolicy,
    place: Path,
    decisions: Sequence[Decision],
    convert: Sequence[str],
    outtype: str,
    on_stage: OnStage,
) -> Sameness | None:
    policy = raised(policy)
    agent = scored(policy, decisions)
    with tempfile.TemporaryDirectory(prefix=".merged-", dir=place.parent) as folder:
        on_stage("merging")
        write_merged(policy, Path(folder), decisions)
        on_stage("converting")
        write_gguf(Path(folder), place / GGUF_FILE, outtype, list(convert))
    if not is_installed():
        return None
    on_stage("reading it back")
    return compare(agent, scored(reloaded(str(place / GGUF_FILE), policy), decisions))


def _results(policy: LanguageModelPolicy, setting: Setting) -> list[ExactEvaluation]:
    try:
        return [
            evaluate_exactly(policy, setting.task, gamma=setting.gamma, environment=setting.environment, greedy=greedy)
            for greedy in (False, True)
        ]
    except ConfigError:  # a world that does not show its states, or too many
        return []


def _adapter(source: Path) -> Path:
    """The directory of the adapter of a run, or the adapter that ``source`` is.

    Raises:
        ConfigError: If it has none.
    """
    for place in (source, source / "adapter"):
        if (place / "adapter_config.json").is_file():
            return place
    raise ConfigError(f"{str(source)!r} has no adapter: all weights were trained; export it --to merged")


def _as_of_adapter(file: Path) -> dict[str, object]:
    """The temperature of a run, as its adapter has it."""
    content: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    digests = content["sha256"]
    assert isinstance(digests, dict)
    return content | {"sha256": {name.removeprefix("adapter/"): digest for name, digest in digests.items()}}


def is_installed() -> bool:
    """Whether GGUF files can be read here."""
    return importlib.util.find_spec("gguf") is not None


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A directory to write into, which becomes ``out`` when the context ends well."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
            place = Path(folder) / "made"
            place.mkdir()
            yield place
            if out.is_dir():
                out.rmdir()
            place.rename(out)
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write to {str(out)!r}: {error}") from None
