"""Environments that answer anything: alone, in episodes, evaluated, checked."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from unittest.mock import patch

import gymnasium
import numpy as np
import torch
from hypothesis import strategies as st

from tests.fuzz.bench import Bench
from tests.fuzz.inputs import SCALARS, TEXTS, VALUES
from twosome import Decision, Option, TextEnv
from twosome.baselines import UniformPolicy
from twosome.cli.check_env import describe
from twosome.errors import EnvironmentFault, TwosomeError
from twosome.evaluation.checking import check_environment
from twosome.evaluation.sampled import evaluate
from twosome.rollout import Collector
from twosome.text.environment import text_space
from twosome.text.guard import GuardedEnv
from twosome.text.tasks import make_vector_task


class Answering(gymnasium.Env[Any, Any]):
    """An environment that gives the answer it was told to give."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    answer: Any = None
    first: Any = ({"prompt": "now", "actions": ("go",)}, {})

    def reset(self, **arguments: Any) -> Any:
        return self.first

    def step(self, action: Any) -> Any:
        return self.answer


def check_environments(bench: Bench, draw: st.DrawFn) -> None:
    """Environments that answer anything: what comes through is a decision, a finite number and two truths."""
    seen = {
        "prompt": draw(st.just("now") | VALUES),
        "actions": draw(st.just(("go",)) | st.tuples(TEXTS, TEXTS) | VALUES),
    }
    info = {"duration": draw(st.just(1) | VALUES), "success": draw(st.booleans() | VALUES)}
    whole = [seen, draw(st.just(1.0) | SCALARS), draw(st.booleans() | SCALARS), draw(st.booleans() | SCALARS), info]
    if draw(st.integers(0, 3)) == 0:
        whole[draw(st.integers(0, 4))] = draw(VALUES)
    env = Answering()
    env.answer = draw(st.sampled_from([tuple(whole), tuple(whole), tuple(whole), whole, tuple(whole[:3]), None]))
    env.first = draw(st.sampled_from([env.first, env.first, (whole[0], whole[4]), whole]))
    guarded = GuardedEnv(env, "environment 0")
    try:
        guarded.reset(seed=1)
        observation, reward, terminated, truncated, info = guarded.step(0)
    except EnvironmentFault as fault:
        assert "\n" not in str(fault)  # noqa: PT017
        return
    Decision(observation["prompt"], observation["actions"])
    assert torch.isfinite(torch.tensor(reward, dtype=torch.float32))
    assert {type(terminated), type(truncated), type(info.get("success", True))} == {bool}
    assert torch.tensor(info["duration"]) >= 1


class Scripted(Answering):
    """An environment that answers by a script, which begins again at its end; an exception in it is raised."""

    observation_space = text_space()
    action_space = gymnasium.spaces.Discrete(3)
    firsts: Any = ()
    answers: Any = ()
    closing: Any = None

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin the script again."""
        self.asked = self.begun = 0

    def reset(self, **arguments: Any) -> Any:
        self.begun += 1
        return _given(self.firsts, self.begun)

    def step(self, action: Any) -> Any:
        self.asked += 1
        return _given(self.answers, self.asked)

    def close(self) -> None:
        _given([self.closing], 0)


class Narrated(Scripted):
    """The same as a world behind a narrator: its observations are what the narrator says."""

    observation_space = gymnasium.spaces.Discrete(2)  # type: ignore[assignment]


class _Told(TextEnv):
    def forget(self) -> None:
        self.env.forget()  # type: ignore[attr-defined]


def _narrated() -> TextEnv:
    return _Told(Narrated(), _Narrator())


class _Narrator:
    def narrate(self, observation: Any, info: Any) -> Any:
        actions = observation["actions"]
        return observation["prompt"], tuple(Option(text, place) for place, text in enumerate(actions))


def _given(answers: Any, number: int) -> Any:
    answer = answers[number % len(answers)]
    if isinstance(answer, BaseException):
        raise answer
    return answer


SCRIPTED, NARRATED = "FuzzScripted-v0", "FuzzNarrated-v0"
gymnasium.register(SCRIPTED, Scripted)
gymnasium.register(NARRATED, _narrated)


class Speechless(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class _Shapeless:
    def __repr__(self) -> str:
        raise ValueError("no shape")


PLAIN = ("go on", "take the bowl", "rest")
ERRORS = st.sampled_from(
    [
        ValueError("two\nlines"),
        KeyError("a"),
        SystemExit(3),
        Speechless(),
        StopIteration(),
        RecursionError(""),
        OSError(5),
    ]
)
ACTIONS = st.one_of(
    st.sampled_from([(), [], None, "go", {"go", "rest"}, {"go": 1}, frozenset(["go"]), np.array(["go", "rest"]), 7]),
    st.sampled_from([("go", "go"), ("go", " go"), ("Go", "go"), ("",), ("go", None), ("go", b"go"), list(PLAIN)]),
    st.integers(1000, 3000).map(lambda count: tuple(f"go {number}" for number in range(count))),
    st.lists(TEXTS, max_size=4).map(tuple),
    VALUES,
)
PROMPTS = st.one_of(
    st.sampled_from(
        ["a\x00b", "a\x1b[2Jb", "\u202eabc", "now ", "", "\ufeffnow", "\x7f", "a\r\nb", None, b"now", _Shapeless()]
    ),
    st.integers(100, 30_000).map("long ".__mul__).map(str.strip),
    TEXTS,
)
REWARDS = st.one_of(
    st.sampled_from(
        [math.nan, math.inf, -math.inf, 1e39, 10**400, True, "1", None, 1j, Fraction(1, 3), Decimal("0.1")]
    ),
    st.sampled_from(
        [np.float32(1), np.array(1.0), np.array([1.0]), np.array([1.0, 2.0]), torch.tensor(1.0), 3e38, -3e38]
    ),
    st.just(_Shapeless()),
    SCALARS,
)
TRUTHS = st.one_of(
    st.sampled_from([np.bool_(True), 0, 1, None, "yes", np.array(True), math.nan, torch.tensor(True)]), SCALARS
)
DURATIONS = st.one_of(
    st.sampled_from(
        [0, -1, 1.5, "2", 2**31 - 1, 2**31, 2**63, np.int64(3), np.float64(2), True, math.nan, None, _Shapeless()]
    ),
    SCALARS,
)


def _often(draw: st.DrawFn, plain: Any, odd: st.SearchStrategy[Any], one_in: int = 8) -> Any:
    """Mostly what is plain, so that odd answers come in the middle of episodes, too."""
    return draw(odd) if draw(st.integers(1, one_in)) == one_in else plain


def _observations(draw: st.DrawFn) -> Any:
    seen = {
        "prompt": _often(draw, draw(st.sampled_from(["You see the bowl, so you should", "now"])), PROMPTS),
        "actions": _often(draw, PLAIN[: draw(st.integers(1, 3))], ACTIONS),
    }
    for name in ("prompt", "actions"):
        if draw(st.integers(1, 20)) == 1:
            del seen[name]
    return _often(draw, seen, VALUES, 30)


def _answers(draw: st.DrawFn) -> Any:
    info: dict[str, Any] = {}
    if draw(st.booleans()):
        info["duration"] = _often(draw, draw(st.integers(1, 3)), DURATIONS)
    if draw(st.booleans()):
        info["success"] = _often(draw, draw(st.booleans()), TRUTHS)
    answer = (
        _observations(draw),
        _often(draw, draw(st.sampled_from([0.0, 0.0, 1.0, -1])), REWARDS),
        _often(draw, draw(st.integers(0, 4)) == 0, TRUTHS, 15),
        _often(draw, draw(st.integers(0, 6)) == 0, TRUTHS, 15),
        _often(draw, info, VALUES, 30),
    )
    kind = draw(st.integers(0, 40))
    return answer[:4] if kind == 0 else list(answer) if kind == 1 else draw(ERRORS) if kind == 2 else answer


def _script(draw: st.DrawFn) -> str:
    """Write a script; returns the name of the environment that follows it."""
    Scripted.firsts = [(_observations(draw), _often(draw, {}, VALUES, 30)) for _ in range(draw(st.integers(1, 2)))]
    if draw(st.integers(0, 30)) == 0:
        Scripted.firsts = [draw(ERRORS | VALUES)]
    Scripted.answers = [_answers(draw) for _ in range(draw(st.integers(1, 4)))]
    Scripted.closing = _often(draw, None, ERRORS, 15)
    return draw(st.sampled_from([SCRIPTED, SCRIPTED, NARRATED]))


@cache
def _made(task: str) -> Any:
    return make_vector_task(task, 2)


def _side_by_side(task: str) -> Any:
    """Two environments as good as new: to make their spaces takes longer than all the rest."""
    envs = _made(task)
    envs.closed = False
    for env in envs.envs:
        env._decision = None
        env.unwrapped.forget()
    return envs


def check_evaluations(bench: Bench, draw: st.DrawFn) -> None:
    """Environments that answer anything, evaluated: numbers that are some, after no more decisions than allowed."""
    task = _script(draw)
    taken = 0

    def count(ended: int, decisions: int) -> None:
        nonlocal taken
        taken = decisions

    try:
        with patch("twosome.evaluation.sampled.make_vector_task", lambda *arguments, **further: _side_by_side(task)):
            found = evaluate(UniformPolicy(), task, episodes=3, num_envs=2, longest=6, on_progress=count)
    except TwosomeError:
        return
    assert taken <= 6 * 2 * 3
    assert math.isfinite(found.discounted_return.mean)
    assert found.success is None or 0 <= found.success.low <= found.success.mean <= found.success.high <= 1
    assert found.decisions.mean <= 6


def check_rollouts(bench: Bench, draw: st.DrawFn) -> None:
    """Environments that answer anything, in a rollout that is stopped and taken up again: the same, or a refusal."""
    task, steps = _script(draw), draw(st.integers(1, 5))
    try:
        collector = Collector(_side_by_side(task), seed=0, generator=torch.Generator().manual_seed(0))
        rollout, _ = collector.collect(UniformPolicy(), steps)
        state = json.loads(json.dumps({**collector.state_dict(), "generator": None}))
        collector.load_state_dict({**state, "generator": torch.Generator().get_state()})
    except TwosomeError:
        return
    assert torch.isfinite(rollout.rewards).all()
    assert (rollout.durations >= 1).all()
    assert rollout.terminated.dtype == rollout.truncated.dtype == torch.bool


def check_checks(bench: Bench, draw: st.DrawFn) -> None:
    """Environments that answer anything, under `check-env`: a report that can be shown, or one sentence."""
    task = _script(draw)
    with patch("twosome.evaluation.checking._reader", lambda *arguments: bench.reader):
        try:
            report = check_environment(task, decisions=15, elsewhere=False)
        except TwosomeError:
            return
    assert describe(report)
    assert json.loads(json.dumps(asdict(report)))["task"] == task
