"""The Overcooked kitchen: exact against recordings and search, and sound whatever one does in it."""

from __future__ import annotations

import gzip
import heapq
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from twosome.envs import register_environments
from twosome.envs.exploring import StateGraph, explore
from twosome.envs.oracle import best_play, evaluate, solve, uniform
from twosome.errors import ConfigError, InadmissibleAction
from twosome.overcooked import OvercookedEnv
from twosome.overcooked.kitchen import IN_BOWL, IN_HAND, Event, Kitchen, State
from twosome.overcooked.macros import play
from twosome.overcooked.observation import observe, read
from twosome.overcooked.tasks import BOWL, CHOPS, FOODS, LAYOUTS, TASKS, Kind, macro_actions

DATA = Path(__file__).parent.parent / "data" / "overcooked"
RECORDINGS = sorted(DATA.glob("llma-*.gz")) + sorted((DATA / "extra").glob("*.gz"))
TOMATO = ("tomato",)


def name_of(path: Path) -> str:
    return path.name.removesuffix(".jsonl.gz")


@cache
def episodes(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


@cache
def graph(
    task: str, layout: str, foods: tuple[str, ...] | None = None, tick_discount: float = 0.99
) -> StateGraph[State]:
    return explore(OvercookedEnv(task, layout, foods, tick_discount=tick_discount).table)


def recorded_env(episode: dict[str, Any]) -> OvercookedEnv:
    foods = TOMATO if episode["variant"] == "LLMA-v4" else FOODS
    return OvercookedEnv(list(TASKS)[episode["task"]], episode["map"], foods, episode["obs_radius"])


def is_shifted(episode: dict[str, Any]) -> bool:
    """Whether the published action list names a board the kitchen lacks; see the README beside the recordings."""
    return episode["variant"] == "LLMA-v4" and episode["map"] != "A"


def translate(action: int, env: OvercookedEnv) -> int:
    """Return our action for one of the shifted published list."""
    if action != 4:
        return {0: 0, 1: 1, 2: 2, 3: 3, 5: 4, 6: 5}[action]
    chop = next(index for index, macro in enumerate(env.kitchen.macros) if macro.kind is Kind.CHOP)
    idles = play(env.kitchen, env.state, env.kitchen.macros[chop]).moves == "4"
    return chop if idles else 0


# --- against the recordings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDINGS, ids=name_of)
def test_recordings_replay_without_a_difference(path: Path) -> None:
    for number, episode in enumerate(episodes(path)):
        env, shifted = recorded_env(episode), is_shifted(episode)
        observation, _ = env.reset()
        assert observation.tolist() == episode["obs0"]
        total, ticks = 0.0, 0
        for step, (action, expected, reward, done, duration, moves) in enumerate(episode["steps"]):
            ours = translate(action, env) if shifted else action
            our_moves = play(env.kitchen, env.state, env.kitchen.macros[ours]).moves
            observation, our_reward, terminated, truncated, info = env.step(ours)
            where = f"episode {number}, step {step}, action {action}"
            assert observation.tolist() == expected, where
            assert our_reward == pytest.approx(reward, abs=1e-8), where
            assert (terminated or truncated) == bool(done), where
            assert info["duration"] == duration, where
            # The published stand-in for "deliver" idles where the real one bumps into the hatch.
            assert our_moves == moves or (shifted and action == 3 and moves == "4"), where
            assert terminated == env.kitchen.served(env.state)
            total += 0.99**ticks * our_reward
            ticks += duration
        assert total == pytest.approx(episode["ret"], abs=1e-7)
        assert ticks == episode["len"] == env.ticks


def test_recordings_are_all_there() -> None:
    assert len(RECORDINGS) == 18
    assert sum(len(episodes(path)) for path in RECORDINGS) == 6 * 120 + 12 * 12


def test_recordings_cover_every_action_of_every_state_of_the_tomato_kitchen() -> None:
    """So the exact numbers on our tomato kitchen are exact numbers on the published one."""
    met = set()
    for episode in episodes(DATA / "llma-v4_task0_mapA.jsonl.gz"):
        env = recorded_env(episode)
        env.reset()
        for action, *_ in episode["steps"]:
            met.add((env.state, action))
            env.step(action)
    reachable = graph("tomato-salad", "A")
    everything = {
        (state, a) for row, state in enumerate(reachable.states) for a in np.flatnonzero(reachable.admissible[row])
    }
    assert len(everything) == 24 * 5
    assert met == everything


# --- against the specification's searches -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "layout", "foods", "states", "observations"),
    [
        ("tomato-salad", "A", None, 24, 21),
        ("tomato-lettuce-salad", "A", None, 1156, 801),
        ("tomato-salad", "B", None, 4, 4),
        ("tomato-lettuce-salad", "B", None, 5, 5),
        ("tomato-salad", "C", None, 185, None),
    ],
)
def test_counts_of_reachable_states(task: str, layout: str, foods: Any, states: int, observations: int | None) -> None:
    """Counted without the ends, where no decision is left to make."""
    reachable, table = graph(task, layout, foods), OvercookedEnv(task, layout, foods).table
    playing = [state for state in reachable.states if not table.kitchen.served(state)]
    assert len(playing) == states
    if observations is not None:
        assert len({table.node(state).observation.tobytes() for state in playing}) == observations


@pytest.mark.parametrize(
    ("task", "layout", "value", "ticks", "decisions"),
    [
        ("tomato-salad", "A", 0.920518, 28, 6),
        ("tomato-lettuce-salad", "A", 0.947656, 45, 10),
        ("tomato-salad", "C", 0.789087, 40, 8),
    ],
)
def test_optimum(task: str, layout: str, value: float, ticks: int, decisions: int) -> None:
    reachable = graph(task, layout)
    assert solve(reachable, 0.99).values[0] == pytest.approx(value, abs=1e-6)
    best = best_play(reachable, 0.99, time_limit=200)
    assert best.value == pytest.approx(value, abs=1e-6)
    assert (best.duration, len(best.actions), best.success) == (ticks, decisions, True)
    assert fewest_ticks(reachable) == ticks


def fewest_ticks(reachable: StateGraph[State]) -> int:
    """Return the ticks to the nearest end (Dijkstra)."""
    queue, done = [(0, 0)], set()
    while queue:
        ticks, row = heapq.heappop(queue)
        if not reachable.admissible[row].any():
            return ticks
        if row in done:
            continue
        done.add(row)
        for action in np.flatnonzero(reachable.admissible[row]):
            heapq.heappush(
                queue, (ticks + int(reachable.durations[row, action]), int(reachable.successors[row, action]))
            )
    raise AssertionError("no end can be reached")


def optimal_sequences(reachable: StateGraph[State]) -> list[tuple[int, ...]]:
    optimal, found = solve(reachable, 0.99).optimal, []

    def follow(row: int, actions: tuple[int, ...]) -> None:
        for action in np.flatnonzero(optimal[row]):
            if reachable.terminated[row, action]:
                found.append((*actions, int(action)))
            else:
                follow(int(reachable.successors[row, action]), (*actions, int(action)))

    follow(0, ())
    return found


def test_the_tomato_salad_has_one_optimal_sequence() -> None:
    assert optimal_sequences(graph("tomato-salad", "A")) == [(0, 2, 4, 0, 1, 3)]


def test_the_tomato_lettuce_salad_has_thirty_two() -> None:
    sequences = optimal_sequences(graph("tomato-lettuce-salad", "A"))
    assert (0, 4, 7, 1, 5, 7, 3, 0, 1, 6) in sequences
    assert sorted(map(len, sequences)) == [10] * 16 + [11] * 16


@pytest.mark.parametrize(
    ("task", "layout", "value", "ticks"),
    [
        ("tomato-salad", "A", 1.901, 199),
        ("tomato-lettuce-salad", "A", 2.003, 197),
        ("tomato-salad", "C", 1.505, 195),
    ],
)
def test_without_discount_chopping_over_and_over_pays(task: str, layout: str, value: float, ticks: int) -> None:
    """Kept from the published rules: the bonus is paid again after a wrong delivery, but not worth it at 0.99."""
    best = best_play(graph(task, layout, tick_discount=1.0), 1.0, time_limit=200)
    assert best.value == pytest.approx(value)
    assert best.duration == ticks


@pytest.mark.parametrize(
    ("task", "success", "sampled_success", "mean_return", "sampled_return"),
    [
        ("tomato-salad", 0.441959, 0.456, -0.096408, -0.090),
        ("tomato-lettuce-salad", 0.010191, 0.013, -0.227974, -0.232),
    ],
)
def test_uniform_play(
    task: str, success: float, sampled_success: float, mean_return: float, sampled_return: float
) -> None:
    """Exact, and within the sampling error of the specification's 2,000 episodes."""
    reachable = graph(task, "A")
    exact = evaluate(reachable, uniform(reachable), 0.99, time_limit=200)
    assert exact.success == pytest.approx(success, abs=1e-6)
    assert exact.mean_return == pytest.approx(mean_return, abs=1e-6)
    assert abs(exact.success - sampled_success) < 3 * (success * (1 - success) / 2000) ** 0.5
    assert abs(exact.mean_return - sampled_return) < 3 * exact.std_return / 2000**0.5


def test_uniform_play_sampled_through_the_environment() -> None:
    reachable = graph("tomato-salad", "A")
    exact = evaluate(reachable, uniform(reachable), 0.99, time_limit=200)
    env, rng = OvercookedEnv("tomato-salad"), random.Random(1)
    returns, successes, decisions = [], [], []
    for _ in range(4000):
        env.reset()
        total, ticks, count, over = 0.0, 0, 0, False
        while not over:
            _, reward, terminated, truncated, info = env.step(rng.randrange(5))
            total += 0.99**ticks * reward
            ticks += info["duration"]
            count += 1
            over = terminated or truncated
        returns.append(total)
        successes.append(terminated)
        decisions.append(count)
    assert np.mean(returns) == pytest.approx(exact.mean_return, abs=4 * exact.std_return / 4000**0.5)
    assert np.std(returns) == pytest.approx(exact.std_return, rel=0.05)
    assert np.mean(successes) == pytest.approx(exact.success, abs=4 * 0.5 / 4000**0.5)
    assert np.mean(decisions) == pytest.approx(exact.mean_decisions, rel=0.05)


def test_every_state_of_layout_a_can_still_be_finished() -> None:
    """At most 46 ticks away in the tomato kitchen, 59 in the other."""
    for task, farthest in (("tomato-salad", 46), ("tomato-lettuce-salad", 59)):
        reachable = graph(task, "A")
        ticks = np.where(reachable.admissible.any(axis=1), np.inf, 0.0)
        for _ in range(100):
            through = np.where(reachable.admissible, reachable.durations + ticks[reachable.successors], np.inf)
            ticks = np.where(reachable.admissible.any(axis=1), through.min(axis=1), 0.0)
        assert ticks.max() == farthest


def test_no_food_can_be_reached_on_layout_b() -> None:
    for task in TASKS:
        reachable = graph(task, "B")
        assert not reachable.terminated.any()
        assert solve(reachable, 0.99).values[0] == pytest.approx(-0.1)


def test_published_layout_c_play_of_the_larger_kitchen() -> None:
    env = OvercookedEnv("tomato-lettuce-salad", "C")
    env.reset()
    total, terminated = 0.0, False
    for action in (3, 8, 0, 8, 1, 5, 7, 0, 4, 7, 0, 3, 1, 6):
        assert not terminated
        before = env.ticks
        _, reward, terminated, _, _ = env.step(action)
        total += 0.99**before * reward
    assert terminated
    assert env.ticks == 56
    assert total == pytest.approx(0.800120, abs=1e-6)


def test_tomato_kitchen_on_b_and_c_has_no_shifted_targets() -> None:
    """Published: "go to knife 2" serves and "deliver" idles; here every action does what it says."""
    for layout in "BC":
        kinds = [macro.kind for macro in macro_actions(layout, TOMATO)]
        assert kinds == [Kind.GET_FOOD, Kind.GET_BOWL, Kind.GO_TO_BOARD, Kind.DELIVER, Kind.CHOP, Kind.GO_TO_COUNTER]
        env = OvercookedEnv("tomato-salad", layout)
        env.reset()
        env.step(3)
        assert env.state.agent == (3, 1)


# --- the rules, whatever one does -------------------------------------------------------------------------------------


def kitchens() -> st.SearchStrategy[Kitchen]:
    return st.builds(
        lambda task, layout, all_foods, radius: (
            OvercookedEnv(task, layout, FOODS if all_foods else None, radius).kitchen
        ),
        st.sampled_from(list(TASKS)),
        st.sampled_from(list(LAYOUTS)),
        st.booleans(),
        st.integers(0, 4),
    )


def assert_sound(kitchen: Kitchen, state: State) -> None:
    """Every thing is in one place, no place holds two things, and hands hold at most one."""
    counters = {(x, y) for x in range(7) for y in range(7)} - kitchen.plan.floor
    assert state.agent in kitchen.plan.floor
    assert len(state.foods) == len(kitchen.foods)
    places = [state.bowl, *(food.place for food in state.foods if food.place != IN_BOWL)]
    assert len(set(places)) == len(places)
    assert set(places) <= counters | {IN_HAND}
    for food in state.foods:
        assert 0 <= food.chops <= CHOPS
        assert food.chopped or food.place != IN_BOWL
        assert food.chops in (0, CHOPS) or food.place in kitchen.plan.boards
    assert state.bowl != kitchen.plan.delivery or kitchen.served(state)


@settings(max_examples=120, deadline=None)
@given(kitchens(), st.data())
def test_nothing_is_lost_or_doubled(kitchen: Kitchen, data: st.DataObject) -> None:
    state = kitchen.initial_state
    assert_sound(kitchen, state)
    for action in data.draw(st.lists(st.integers(0, len(kitchen.macros) - 1), max_size=40)):
        outcome = play(kitchen, state, kitchen.macros[action])
        assert 1 <= len(outcome.moves) <= 20
        for tick, move in enumerate(outcome.moves, 1):
            state, event = kitchen.tick(state, move)
            assert_sound(kitchen, state)
            assert event is Event.NOTHING or tick == len(outcome.moves)
        assert state == outcome.state
        assert (outcome.event is Event.SERVED) == kitchen.served(state)
        if kitchen.served(state):
            assert {kitchen.foods[index] for index in kitchen.contents(state)} == set(kitchen.task.dish)
            break


@settings(max_examples=120, deadline=None)
@given(kitchens(), st.lists(st.sampled_from("01234"), max_size=120))
def test_primitive_moves_are_sound_too(kitchen: Kitchen, moves: list[str]) -> None:
    state = kitchen.initial_state
    for move in moves:
        before = state
        state, event = kitchen.tick(state, move)
        assert_sound(kitchen, state)
        if event is Event.WASTED:
            assert kitchen.held(state) is None
            homes = kitchen.plan.homes
            for index in kitchen.contents(before) if before.bowl == IN_HAND else {kitchen.held(before)}:
                assert state.foods[index] == (homes[kitchen.foods[index]], 0)
        if event is Event.SERVED:
            break


@settings(max_examples=80, deadline=None)
@given(kitchens(), st.data())
def test_observations_show_what_is_in_view_and_nothing_else(kitchen: Kitchen, data: st.DataObject) -> None:
    env = OvercookedEnv(kitchen.task.name, kitchen.plan.layout, kitchen.foods, kitchen.view_radius)
    state = kitchen.initial_state
    for action in data.draw(st.lists(st.integers(0, len(kitchen.macros) - 1), max_size=25)):
        state = play(kitchen, state, kitchen.macros[action]).state
    observation = observe(kitchen, state)
    assert observation in env.observation_space
    view = read(observation, len(kitchen.foods), len(kitchen.plan.boards))
    assert view.agent == state.agent
    assert view.task == kitchen.task.number
    for index, (cell, chops) in enumerate(view.foods):
        true = kitchen.food_cell(state, index)
        expected = (true, state.foods[index].chops) if kitchen.sees(state.agent, true) else ((0, 0), 0)
        assert (cell, chops) == expected
    assert view.bowl == (kitchen.bowl_cell(state) if kitchen.sees(state.agent, kitchen.bowl_cell(state)) else (0, 0))


# --- the environment --------------------------------------------------------------------------------------------------


def make(**arguments: Any) -> gymnasium.Env[Any, Any]:
    register_environments()
    return gymnasium.make("twosome/Overcooked-v0", **arguments)


@pytest.mark.parametrize("arguments", [{"task": "tomato-salad"}, {"task": "onion-tomato-salad", "layout": "C"}])
@pytest.mark.filterwarnings("error")
def test_gymnasium_checker(arguments: dict[str, Any]) -> None:
    register_environments()
    env = make(**arguments)
    check_env(env.unwrapped, skip_render_check=False)


def test_make_with_every_argument() -> None:
    register_environments()
    register_environments()
    env = make(task="tomato-salad", layout="A", foods=("tomato",), view_radius=2)
    observation, _ = env.reset()
    assert observation.tolist() == [0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 0, 0, 0, 0, 0]
    assert env.action_space == gymnasium.spaces.Discrete(5)


def test_foods_default_to_the_natural_kitchen_and_come_in_any_order() -> None:
    assert OvercookedEnv("tomato-salad").kitchen.foods == TOMATO
    assert OvercookedEnv("onion-salad").kitchen.foods == FOODS
    assert OvercookedEnv("tomato-salad", foods=["onion", "tomato", "lettuce"]).kitchen.foods == FOODS


def test_time_limit_truncates_but_lets_the_macro_action_finish() -> None:
    env = OvercookedEnv("tomato-salad", time_limit=6)
    env.reset()
    assert env.step(0)[2:4] == (False, False)
    observation, _, terminated, truncated, info = env.step(2)
    assert (terminated, truncated, info["duration"], env.ticks) == (False, True, 5, 7)
    assert observation.tolist()[9:11] == [1, 1]


def test_serving_after_the_time_limit_terminates() -> None:
    """A published episode reports both alike; here a late success is a success, not a time-out."""
    env = OvercookedEnv("tomato-salad", time_limit=25)
    env.reset()
    for action in (0, 2, 4, 0, 1):
        assert env.step(action)[2:4] == (False, False)
    _, reward, terminated, truncated, _ = env.step(3)
    assert (terminated, truncated) == (True, False)
    assert reward > 0.9


def test_stepping_needs_a_reset() -> None:
    env = OvercookedEnv("tomato-salad", time_limit=1)
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(0)
    env.reset()
    env.step(0)
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(0)


@pytest.mark.parametrize("action", [-1, 5, 1.5, "get tomato"])
def test_unknown_actions_are_refused_and_change_nothing(action: Any) -> None:
    env = OvercookedEnv("tomato-salad")
    env.reset()
    with pytest.raises(InadmissibleAction, match="0 to 4"):
        env.step(action)
    assert env.ticks == 0
    assert env.state == env.kitchen.initial_state


def test_numpy_actions_are_fine() -> None:
    env = OvercookedEnv("tomato-salad")
    env.reset()
    assert env.step(np.int64(0))[4] == {"duration": 2, "success": False}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "soup"}, "unknown Overcooked task 'soup'; choose one of tomato-salad"),
        ({"layout": "D"}, "unknown Overcooked layout 'D'; choose one of A, B, C"),
        ({"foods": ("tomato", "onion")}, "no kitchen with the foods"),
        ({"foods": "tomato"}, "sequence of names"),
        ({"task": "onion-salad", "foods": ("tomato",)}, "needs onion"),
        ({"view_radius": -1}, "view_radius"),
        ({"view_radius": 1.5}, "view_radius"),
        ({"tick_discount": 1.5}, "tick_discount"),
        ({"time_limit": 0}, "time_limit"),
        ({"chop_reward": float("nan")}, "chop_reward"),
        ({"render_mode": "human"}, "render_mode"),
    ],
)
def test_contradictions_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OvercookedEnv(**arguments)


def test_rewards_are_parameters() -> None:
    env = OvercookedEnv("tomato-salad", chop_reward=2.0, delivery_reward=10.0, tick_reward=0.0, tick_discount=1.0)
    env.reset()
    assert [env.step(action)[1] for action in (0, 2, 4, 0, 1, 3)] == [0, 0, 2, 0, 0, 10]
    other = OvercookedEnv("tomato-salad", wrong_delivery_reward=-5.0, tick_reward=-1.0, tick_discount=0.5)
    other.reset()
    assert other.step(0)[1] == -1.5
    assert other.step(3)[1] == pytest.approx(-1 - 1 / 2 - 1 / 4 - 1 / 8 - 1 / 16 - 1 / 32 - 6 / 64)


def rollout(env: gymnasium.Env[Any, Any], actions: Iterator[int], steps: int) -> list[Any]:
    observation, info = env.reset()
    seen: list[Any] = [(observation.tolist(), info)]
    for _ in range(steps):
        observation, *rest = env.step(next(actions))
        seen.append((observation.tolist(), *rest))
        if rest[1] or rest[2]:
            observation, info = env.reset()
            seen.append((observation.tolist(), info))
    return seen


def random_actions(seed: int, count: int) -> Iterator[int]:
    rng = random.Random(seed)
    while True:
        yield rng.randrange(count)


def test_resets_and_shared_tables_leak_nothing() -> None:
    """Environments of one kitchen share their transitions; what a caller does to its arrays must not show elsewhere."""
    expected = rollout(OvercookedEnv("tomato-lettuce-salad", view_radius=3), random_actions(0, 8), 500)
    env = OvercookedEnv("tomato-lettuce-salad", view_radius=3)
    vandal = OvercookedEnv("tomato-lettuce-salad", view_radius=3)
    for _ in range(2):
        vandal.reset()[0][:] = 99
        for action in (0, 4, 7, 3):
            observation, *_, info = vandal.step(action)
            observation[:] = 99
            info["duration"] = 99
        assert rollout(env, random_actions(0, 8), 500) == expected


def test_environments_of_one_kitchen_share_one_table() -> None:
    assert OvercookedEnv("onion-salad").table is OvercookedEnv("onion-salad").table
    assert OvercookedEnv("onion-salad").table is not OvercookedEnv("onion-salad", chop_reward=0.1).table


def test_async_vectorisation_gives_the_same_trajectories() -> None:
    builders = [partial(OvercookedEnv, task) for task in ("tomato-lettuce-salad", "onion-salad")]
    sync = SyncVectorEnv(builders, autoreset_mode=AutoresetMode.DISABLED)
    parallel = AsyncVectorEnv(builders, autoreset_mode=AutoresetMode.DISABLED, shared_memory=False)
    try:
        assert all(np.array_equal(a, b) for a, b in zip(sync.reset()[0], parallel.reset()[0], strict=True))
        rng = np.random.default_rng(0)
        for _ in range(200):
            actions = rng.integers(8, size=2)
            one, other = sync.step(actions), parallel.step(actions)
            for left, right in zip(one[:4], other[:4], strict=True):
                assert np.array_equal(left, right)
            assert np.array_equal(one[4]["duration"], other[4]["duration"])
            ended = one[2] | one[3]
            if ended.any():
                # One dictionary each: resetting takes the mask out of it.
                one_reset, other_reset = (vector.reset(options={"reset_mask": ended}) for vector in (sync, parallel))
                assert np.array_equal(one_reset[0], other_reset[0])
    finally:
        sync.close()
        parallel.close()


@pytest.mark.parametrize("task", ["tomato-salad", "tomato-lettuce-salad"])
def test_fast_enough(task: str) -> None:
    """The requirement is 170,000 macro steps per second of one core, 20 times the published environment."""
    env = make(task=task)
    actions = [random.Random(0).randrange(5) for _ in range(60_000)]
    env.reset()
    started = time.process_time()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    assert len(actions) / (time.process_time() - started) > 170_000


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_pictures_of_a_whole_play() -> None:
    env = make(task="tomato-salad", render_mode="rgb_array").unwrapped
    assert isinstance(env, OvercookedEnv)
    env.reset()
    frames = [env.render()]
    assert len(env.render_ticks()) == 1
    for action in (0, 2, 4, 0, 1, 3):
        _, _, _, _, info = env.step(action)
        ticks = env.render_ticks()
        assert len(ticks) == info["duration"]
        assert np.array_equal(ticks[-1], env.render())
        frames.extend(ticks)
    assert len(frames) == 29
    for frame in frames:
        assert isinstance(frame, np.ndarray)
        assert (frame.shape, frame.dtype) == ((652, 560, 3), np.uint8)
    assert len({frame.tobytes() for frame in frames if isinstance(frame, np.ndarray)}) == 29


def test_every_kind_of_thing_can_be_drawn() -> None:
    env = OvercookedEnv("lettuce-onion-tomato-salad", "C", view_radius=0, render_mode="rgb_array")
    env.reset()
    rng, held = random.Random(0), set()
    for _ in range(600):
        _, _, terminated, truncated, _ = env.step(rng.randrange(9))
        held.add(env.kitchen.held(env.state))
        if rng.random() < 0.05:
            env.render()
        if terminated or truncated:
            env.reset()
    assert held == {None, -1, 0, 1, 2}


def test_text_pictures() -> None:
    env = OvercookedEnv("tomato-lettuce-salad", render_mode="ansi")
    env.reset()
    for action in (0, 4, 7, 1):
        env.step(action)
    text = env.render()
    assert isinstance(text, str)
    plain = re.sub(r"\033\[[0-9;]*m", "", text).splitlines()
    assert len(plain) == 8
    assert {len(line) for line in plain[:7]} == {42}
    assert plain[1] == "[ T  ]" + 4 * "  .   " + "  @l  " + "[    ]"
    assert plain[3].startswith("[ => ]")
    assert plain[6] == "[    ][    ][    ][    ][    ][ () ][    ]"
    assert plain[7].startswith("tomato-lettuce-salad  |  get lettuce  |  15/200  |  score +0.1")


@pytest.mark.filterwarnings("ignore:.*render")
def test_nothing_to_show_without_a_render_mode() -> None:
    env = OvercookedEnv()
    env.reset()
    assert env.render() is None


def test_layouts_hold_the_same_things() -> None:
    counts: dict[str, set[str]] = defaultdict(set)
    for name, rows in LAYOUTS.items():
        assert [len(row) for row in rows] == [7] * 7
        counts[name] = {letter + str("".join(rows).count(letter)) for letter in "TLOPKDA"}
    assert counts["A"] == counts["B"] == counts["C"] == {"T1", "L1", "O1", "P1", "K2", "D1", "A1"}
    assert BOWL not in FOODS
