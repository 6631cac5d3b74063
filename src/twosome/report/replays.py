"""The episodes a report can play: replay.json of several runs in one, with every picture once, within a budget."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from twosome.report.grouping import Group
from twosome.report.reading import Run, number

BUDGET = 4_000_000
"""Bytes of pictures and texts a report carries at most."""
SHOWN_CHANGES = 4
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

NAMES = {
    "untrained": "before training",
    "trained": "after training",
    "first": "first of training",
    "best": "best of training",
    "last failure": "last failure of training",
    "last": "last of training",
}
"""What the kinds of episodes are called."""


@dataclass(frozen=True)
class Change:
    """A decision that the model takes differently now.

    Attributes:
        prompt: What it was asked.
        before: Its favourite action before training, and the probability then and now.
        after: Its favourite action now, and the probability then and now.
        moved: Probability that moved from some actions to others, in [0, 1] (total variation distance).
    """

    prompt: str
    before: tuple[str, float, float]
    after: tuple[str, float, float]
    moved: float


@dataclass(frozen=True)
class Changes:
    """What a run changed, in the decisions of its episodes.

    Attributes:
        label: Task, agent and seed.
        decisions: How many different decisions the episodes visit.
        changed: In how many of them the favourite action is another one now.
        largest: Those where most probability moved, most first.
    """

    label: str
    decisions: int
    changed: int
    largest: Sequence[Change]


@dataclass
class Replays:
    """What the page's script plays.

    Attributes:
        frames: PNG pictures, base64, each once.
        runs: Label and episodes of every run.
        left_out: Labels of runs that did not fit.
        size: Bytes so far.
    """

    frames: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def data(self) -> dict[str, Any]:
        """As the page's script reads it."""
        return {"frames": self.frames, "runs": self.runs}

    def add(self, label: str, replay: Mapping[str, Any], budget: int) -> None:
        """Take a run's episodes, if they fit."""
        pictures = [_picture(frame) for frame in _listed(replay.get("frames"))]
        episodes = [clean for episode in _listed(replay.get("episodes")) if (clean := _episode(episode)) is not None]
        if not episodes:
            return
        used = {frame for episode in episodes for frame in _frames(episode)}
        new = {picture for index, picture in enumerate(pictures) if index in used and picture} - set(self.frames)
        size = sum(map(len, new)) + len(repr(episodes))
        if self.size + size > budget:
            self.left_out.append(label)
            return
        self.size += size
        self.frames += sorted(new)
        place = {picture: index for index, picture in enumerate(self.frames)}
        moved = {index: place[picture] for index, picture in enumerate(pictures) if picture in place}
        for episode in episodes:
            for step in episode["steps"]:
                step["frame"] = moved.get(step["frame"])
            episode["last_frame"] = moved.get(episode["last_frame"])
        self.runs.append({"label": label, "episodes": episodes})


def collect(groups: Sequence[Group], budget: int = BUDGET) -> Replays:
    """The replays of all runs, first one of every group, then the second of every group, and so on."""
    replays = Replays()
    for rank in zip_longest(*(group.runs for group in groups)):
        for group, run in zip(groups, rank, strict=True):
            if run is not None and run.replay is not None:
                replays.add(run_label(group, run), run.replay, budget)
    return replays


def run_label(group: Group, run: Run) -> str:
    """What a run is called among all others."""
    return f"{group.task}, {group.label}, seed {run.seed}"


def changes(groups: Sequence[Group]) -> list[Changes]:
    """What the first run of every group that has a replay changed."""
    found = []
    for group in groups:
        run = next((run for run in group.runs if run.replay is not None), None)
        steps = list(_distinct(run.replay)) if run is not None and run.replay is not None else []
        if run is not None and steps:
            every = sorted((_change(step) for step in steps), key=lambda change: -change.moved)
            changed = [change for change in every if change.before[0] != change.after[0]]
            found.append(Changes(run_label(group, run), len(every), len(changed), (changed or every)[:SHOWN_CHANGES]))
    return found


def _distinct(replay: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every decision of the episodes once."""
    seen = set()
    for episode in _listed(replay.get("episodes")):
        for step in (_episode(episode) or {"steps": []})["steps"]:
            decision = (step["prompt"], tuple(step["actions"]))
            if decision not in seen:
                seen.add(decision)
                yield step


def _change(step: Mapping[str, Any]) -> Change:
    before, after, actions = step["before"], step["after"], step["actions"]
    then, now = before.index(max(before)), after.index(max(after))
    return Change(
        step["prompt"],
        (actions[then], before[then], after[then]),
        (actions[now], before[now], after[now]),
        sum(abs(p - q) for p, q in zip(before, after, strict=True)) / 2,
    )


def _episode(value: Any) -> dict[str, Any] | None:
    """An episode with exactly the fields that the page shows, or None if it is none."""
    if not isinstance(value, Mapping):
        return None
    listed = _listed(value.get("steps"))
    steps = [clean for step in listed if (clean := _step(step)) is not None]
    if not steps or len(steps) != len(listed):
        return None
    names = [NAMES.get(str(name), str(name)) for name in _listed(value.get("names"))]
    return {
        "name": " and ".join(names) or "episode",
        "index": _whole(value.get("index")),
        "success": value.get("success") if isinstance(value.get("success"), bool | None) else False,
        "truncated": value.get("truncated") is True,
        "return": number(value.get("discounted_return")),
        "decisions": _whole(value.get("decisions")) or len(steps),
        "steps": steps,
        "last_frame": _whole(value.get("last_frame")),
    }


def _step(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    actions = [str(action) for action in _listed(value.get("actions"))]
    before = [number(p) for p in _listed(value.get("before"))]
    after = [number(p) for p in _listed(value.get("after"))]
    action = _whole(value.get("action"))
    if not actions or len(before) != len(actions) or len(after) != len(actions) or None in [*before, *after]:
        return None
    if action is None or not 0 <= action < len(actions):
        return None
    return {
        "frame": _whole(value.get("frame")),
        "prompt": str(value.get("prompt", "")),
        "actions": actions,
        "before": before,
        "after": after,
        "action": action,
        "reward": number(value.get("reward")),
        "value": number(value.get("value")),
    }


def _frames(episode: Mapping[str, Any]) -> Iterator[int | None]:
    yield from (step["frame"] for step in episode["steps"])
    yield episode["last_frame"]


def _picture(value: Any) -> str | None:
    return value if isinstance(value, str) and BASE64.fullmatch(value) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
