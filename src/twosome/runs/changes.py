"""Whether a run can go on, and what may change on the way: nothing that changes a number, but how long it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twosome.errors import RunError
from twosome.runs.best import BEST_FILE
from twosome.runs.checkpoint import newest_checkpoint
from twosome.runs.directory import RunDirectory
from twosome.settings.config import FREE, RunConfig, flat
from twosome.settings.shape import without_servers


def resumable(directory: Path, decisions: int | None = None) -> RunDirectory:
    """The run in ``directory``, if it can go on, to take ``decisions`` in all if that is given.

    Raises:
        RunError: If there is none, or it cannot.
    """
    run = RunDirectory.open(directory)
    if (directory / BEST_FILE).is_file():
        raise RunError(
            f"{str(directory)!r} holds the best policy of a run; resume {str(directory.resolve().parent)!r}, or start "
            "a new run from it with --start"
        )
    if run.config.journal.file is not None:
        raise RunError(
            f"the run in {str(directory)!r} learned from a journal, and is whole; to learn on, serve it with --record "
            "and name the new journal and this run with --from"
        )
    if decisions is None:
        if run.finished:
            raise RunError(
                f"the run in {str(directory)!r} is finished, so there is nothing to resume; to go on, name more than "
                f"its {run.config.decisions} decisions with --decisions"
            )
        return run
    longer = run.lengthened(decisions)
    if run.finished and newest_checkpoint(directory, warn=lambda message: None) is None:
        raise RunError(
            f"the run in {str(directory)!r} has no whole checkpoint to go on from; start a new run from its adapter "
            "with --start"
        )
    return longer


def changes(before: RunConfig, now: RunConfig) -> list[str]:
    """The settings that differ and must not, each with both values: ``ppo.gamma was 0.99 and is 0.98``.

    More ``decisions`` than before are no such change.
    """
    was, now_is = flat(before), flat(now)
    for settings in (was, now_is):
        settings["environment"] = without_servers(settings["environment"])
    names = [name for name in now_is if was[name] != now_is[name] and name not in FREE]
    if now.decisions > before.decisions:
        names.remove("decisions")
    return [f"{name} was {_shown(was[name])} and is {_shown(now_is[name])}" for name in names]


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)
