"""The household against the recordings and the exact numbers of the published environment, and the repaired rules."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from twosome.envs import register_environments
from twosome.envs.exploring import explore
from twosome.envs.oracle import evaluate, solve, uniform
from twosome.errors import ConfigError, InadmissibleAction
from twosome.virtualhome import (
    TASKS,
    Household,
    Rules,
    VirtualHomeEnv,
    World,
    find_task,
    from_graph,
    load_scene,
    place_things,
    shared_world,
    to_graph,
)
from twosome.virtualhome.tasks import Kind

DATA = Path(__file__).parent.parent / "data" / "virtualhome"
PUBLISHED = ("food-preparation", "entertainment")
RENAMED = ("cheese", "hamburger", "apple-pie", "pizza", "washing-plate", "laundry")
DISCOUNT = 0.95
STEP_LIMIT = 50

EVERY_WORLD = [(task, faithful) for task in TASKS for faithful in (True, False)]


def lines(kind: str, task: str) -> list[dict[str, Any]]:
    path = DATA / f"{kind}_{task.replace('-', '_')}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def bits(observation: np.ndarray) -> str:
    return "".join(map(str, observation))


def ids(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()


class AnyPlay(NamedTuple):
    """The same world for an agent that ignores what is offered."""

    world: World

    @property
    def initial_state(self) -> Household:
        return self.world.initial_state

    def actions(self, state: Household) -> range:
        return range(len(self.world.task.actions))

    def transition(self, state: Household, action: int):
        return self.world.transition(state, action)


def open_states(world: World | AnyPlay) -> list[Household]:
    """States an episode can pass through before it succeeds."""
    graph = explore(world)
    succeeded = world.rules.succeeded if isinstance(world, World) else world.world.rules.succeeded
    return [state for state in graph.states if not succeeded(state)]


def optimal_sequences(world: World) -> list[list[int]]:
    """Every optimal sequence of admissible actions, ignoring the time limit."""
    graph = explore(world)
    optimal = solve(graph, DISCOUNT).optimal

    def onward(row: int) -> Iterator[list[int]]:
        for action in ids(optimal[row]):
            if graph.terminated[row, action]:
                yield [action]
            else:
                yield from ([action, *rest] for rest in onward(graph.successors[row, action]))

    return sorted(onward(0))


def steps_to_success(world: World) -> dict[Household, int]:
    """Fewest admissible actions to success, for every state from which there is a way."""
    graph = explore(world)
    values = solve(graph, DISCOUNT).values
    return {
        state: 1 + round(float(np.log(value) / np.log(DISCOUNT)))
        for state, value in zip(graph.states, values, strict=True)
        if value > 0
    }


def uniform_success(world: World | AnyPlay, steps: int = STEP_LIMIT) -> float:
    """Exact probability that a uniformly random agent succeeds within so many steps."""
    graph = explore(world)
    return evaluate(graph, uniform(graph), DISCOUNT, steps).success


def failing_pairs(world: World) -> set[tuple[Household, int]]:
    return {
        (state, action)
        for state in open_states(world)
        for action in world.actions(state)
        if not world.outcome(world.situation(state), action).executed
    }


class TestRecordings:
    @pytest.mark.parametrize("task", PUBLISHED)
    def test_every_recorded_episode_replays_with_no_difference(self, task: str) -> None:
        env = VirtualHomeEnv(task, faithful=True)
        for episode in lines("episodes", task):
            observation, info = env.reset(seed=episode["seed"])
            assert (bits(observation), ids(info["action_mask"])) == (episode["obs0"], episode["adm0"])
            total = 0.0
            for time, (action, *recorded) in enumerate(episode["steps"]):
                observation, reward, terminated, truncated, info = env.step(action)
                total += DISCOUNT**time * reward
                ended = int(terminated or truncated)
                seen = [bits(observation), ids(info["action_mask"]), reward, ended, int(info["executed"])]
                assert seen == recorded
            assert time + 1 == episode["length"]
            assert total == pytest.approx(episode["return"], abs=1e-12)
            assert terminated == (episode["return"] > 0)

    @pytest.mark.parametrize("task", PUBLISHED)
    def test_options_match_for_every_observation_that_can_occur(self, task: str) -> None:
        world = World(Rules(find_task(task), faithful=True))
        by_any_play = {bits(s.observation): s for s in map(world.situation, explore(AnyPlay(world)).states)}
        by_admissible_play = {bits(world.situation(state).observation) for state in explore(world).states}
        table = lines("observations", task)
        assert {line["obs"] for line in table} == by_any_play.keys()
        for line in table:
            assert list(by_any_play[line["obs"]].admissible) == line["adm"]
            if not by_any_play[line["obs"]].success:
                assert (line["obs"] in by_admissible_play) == bool(line["by_admissible_play"])


class TestPublishedNumbers:
    """What the published rules amount to, by our own search (faithful=True)."""

    @pytest.mark.parametrize(
        ("task", "admissible_play", "any_play", "seen_admissible", "seen_any"),
        [("food-preparation", 45, 51, 18, 18), ("entertainment", 219, 572, 97, 209)],
    )
    def test_state_and_observation_counts(
        self, task: str, admissible_play: int, any_play: int, seen_admissible: int, seen_any: int
    ) -> None:
        world = World(Rules(find_task(task), faithful=True))
        for play, states, observations in (
            (world, admissible_play, seen_admissible),
            (AnyPlay(world), any_play, seen_any),
        ):
            reached = open_states(play)
            assert len(reached) == states
            assert len({world.rules.observe(state) for state in reached}) == observations

    @pytest.mark.parametrize(
        ("task", "admissible", "failing", "dead", "farthest"),
        [("food-preparation", 177, 6, 0, 7), ("entertainment", 933, 36, 37, 12)],
    )
    def test_failing_options_and_dead_states(
        self, task: str, admissible: int, failing: int, dead: int, farthest: int
    ) -> None:
        world = World(Rules(find_task(task), faithful=True))
        states = open_states(world)
        distance = steps_to_success(world)
        assert sum(len(world.actions(state)) for state in states) == admissible
        assert len(failing_pairs(world)) == failing
        assert sum(state not in distance for state in states) == dead
        assert max(distance.values()) == farthest

    def test_the_one_shortest_way_to_heat_the_pancake(self) -> None:
        world = World(Rules(find_task("food-preparation"), faithful=True))
        assert optimal_sequences(world) == [[4, 6, 5, 8, 7, 9]]
        assert solve(explore(world), DISCOUNT).values[0] == pytest.approx(0.7737809375, abs=1e-10)

    @pytest.mark.parametrize("faithful", [True, False])
    def test_the_eight_shortest_ways_to_an_evening_on_the_sofa(self, faithful: bool) -> None:
        world = World(Rules(find_task("entertainment"), faithful))
        assert optimal_sequences(world) == sorted(
            [
                [4, 9, 5, 10, 0, 6, 11, 7, 13, 8, 15],
                [4, 9, 5, 10, 0, 6, 12, 7, 13, 8, 15],
                [5, 10, 4, 9, 0, 6, 11, 7, 13, 8, 15],
                [5, 10, 4, 9, 0, 6, 12, 7, 13, 8, 15],
                [0, 7, 13, 1, 4, 9, 5, 10, 0, 8, 15],
                [0, 7, 13, 1, 5, 10, 4, 9, 0, 8, 15],
                [4, 9, 0, 7, 13, 1, 5, 10, 0, 8, 15],
                [5, 10, 0, 7, 13, 1, 4, 9, 0, 8, 15],
            ]
        )
        assert solve(explore(world), DISCOUNT).values[0] == pytest.approx(0.5987369392, abs=1e-10)

    @pytest.mark.parametrize(
        ("task", "percent"),
        [
            ("food-preparation", {10: 0.023, 20: 0.146, 30: 0.413, 40: 0.857, 50: 1.500}),
            ("entertainment", {20: 0.004, 30: 0.035, 40: 0.126, 50: 0.304}),
        ],
    )
    def test_uniform_play_over_time(self, task: str, percent: dict[int, float]) -> None:
        world = World(Rules(find_task(task), faithful=True))
        assert {step: round(100 * uniform_success(world, step), 3) for step in percent} == percent

    @pytest.mark.parametrize(("task", "percent"), [("food-preparation", 0.099), ("entertainment", 0.00026)])
    def test_uniform_play_over_all_actions(self, task: str, percent: float) -> None:
        world = World(Rules(find_task(task), faithful=True))
        assert 100 * uniform_success(AnyPlay(world)) == pytest.approx(percent, rel=0.02)

    @pytest.mark.parametrize(
        ("task", "mean_return", "length"), [("food-preparation", 0.00288, 49.80), ("entertainment", 0.00043, 49.97)]
    )
    def test_uniform_play_on_average(self, task: str, mean_return: float, length: float) -> None:
        graph = explore(World(Rules(find_task(task), faithful=True)))
        average = evaluate(graph, uniform(graph), DISCOUNT, STEP_LIMIT)
        assert average.mean_return == pytest.approx(mean_return, abs=5e-6)
        assert average.mean_duration == pytest.approx(length, abs=1e-2)


class TestRepairedRules:
    @pytest.mark.parametrize(("task", "faithful"), [(task, False) for task in TASKS])
    def test_no_offered_action_fails_and_no_state_is_dead(self, task: str, faithful: bool) -> None:
        world = World(Rules(find_task(task), faithful))
        assert not failing_pairs(world)
        assert set(open_states(world)) == steps_to_success(world).keys()

    @pytest.mark.parametrize(
        ("task", "states", "observations", "percent"),
        [
            ("food-preparation", 27, 18, 1.9292),
            ("entertainment", 166, 123, 0.2796),
            ("laundry-placed", 27, 18, 1.6796),
        ],
    )
    def test_counts_and_uniform_success(self, task: str, states: int, observations: int, percent: float) -> None:
        world = World(Rules(find_task(task)))
        reached = open_states(world)
        assert len(reached) == states
        assert len({world.rules.observe(state) for state in reached}) == observations
        assert round(100 * uniform_success(world), 4) == percent

    def test_the_one_shortest_way_to_heat_the_pancake(self) -> None:
        assert optimal_sequences(World(Rules(find_task("food-preparation")))) == [[4, 6, 5, 8, 7, 9]]

    def test_repaired_observations_are_published_ones_without_the_seat_that_outlasts_standing_up(self) -> None:
        facts = [str(fact) for fact in find_task("entertainment").facts]
        sits, near_sofa, faces = map(facts.index, ("sits sofa", "near sofa", "faces tv"))
        published = {line["obs"] for line in lines("observations", "entertainment")}
        lasting = {o for o in published if o[sits] == "1" and (o[near_sofa], o[faces]) != ("1", "1")}
        astray = {o for o in published if o[faces] == "1" and o[sits] == "0"}
        world = World(Rules(find_task("entertainment")))
        assert {bits(world.situation(state).observation) for state in explore(world).states} == (
            published - lasting - astray
        )


class TestUnseenTasks:
    @pytest.mark.parametrize("faithful", [True, False])
    @pytest.mark.parametrize("task", RENAMED)
    def test_renamed_tasks_are_food_preparation_step_by_step(self, task: str, faithful: bool) -> None:
        renamed, original = (World(Rules(find_task(name), faithful)) for name in (task, "food-preparation"))
        one, other = explore(AnyPlay(renamed)), explore(AnyPlay(original))
        assert one.states == other.states
        assert (one.successors == other.successors).all()
        for state in one.states:
            assert renamed.rules.observe(state) == original.rules.observe(state)
            assert renamed.actions(state) == original.actions(state)

    def test_laundry_placed_as_designed(self) -> None:
        world = World(Rules(find_task("laundry-placed"), faithful=True))
        assert optimal_sequences(world) == [[3, 4, 6, 2, 5, 8, 7, 9]]
        assert solve(explore(world), DISCOUNT).values[0] == pytest.approx(0.95**7, abs=1e-10)
        assert len(open_states(world)) == 27
        assert set(open_states(world)) == steps_to_success(world).keys()
        assert round(100 * uniform_success(world), 2) == 1.53
        assert len(failing_pairs(world)) == 6, "failing options stay part of this task, as in the published ones"


class TestPublishedDefects:
    def test_walking_to_the_pancake_in_hand_leads_back_where_one_came_from(self) -> None:
        for faithful, room in ((True, "kitchen"), (False, "bathroom")):
            env = VirtualHomeEnv("food-preparation", faithful=faithful)
            env.reset()
            for action in (4, 6, 2, 4):
                env.step(action)
            assert env.situation.state.room == room

    def test_the_seat_outlasts_standing_up(self) -> None:
        rules = Rules(find_task("entertainment"), faithful=True)
        state = rules.start()
        for action in ("walk livingroom", "walk sofa", "sit sofa", "standup sofa", "walk tv"):
            state = rules.act(state, rules.task.actions[rules.task.action_id[action]])
        assert state.on_seat
        assert not state.sitting

    def test_sitting_before_both_snacks_are_at_hand_is_a_trap(self) -> None:
        trap = World(Rules(find_task("entertainment"), faithful=True))
        situation = trap.initial
        for action in (0, 7, 13, 8, 15):
            situation = trap.outcome(situation, action).situation
        assert situation.admissible == (1, 2, 3)
        assert not any(trap.outcome(situation, action).executed for action in situation.admissible)

    def test_repaired_sitting_offers_standing_up(self) -> None:
        world = World(Rules(find_task("entertainment")))
        situation = world.initial
        for action in (0, 8, 15):
            situation = world.outcome(situation, action).situation
        assert situation.admissible == (16,)


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def _registered(self) -> None:
        register_environments()
        register_environments()

    @pytest.mark.parametrize(("task", "faithful"), EVERY_WORLD)
    @pytest.mark.filterwarnings("ignore:.*was not applied.*", "ignore:.*different from the unwrapped version.*")
    def test_gymnasium_is_content(self, task: str, faithful: bool) -> None:
        env = gymnasium.make("twosome/VirtualHome-v0", task=task, faithful=faithful, render_mode="ansi")
        check_env(env.unwrapped)

    def test_success_is_told_from_running_out_of_time(self) -> None:
        env = VirtualHomeEnv()
        env.reset()
        *_, last = [env.step(action) for action in (4, 6, 5, 8, 7, 9)]
        assert last[1:4] == (1.0, True, False)
        env.reset()
        *_, last = [env.step(action) for action in [2, 3] * 25]
        assert last[1:4] == (0.0, False, True)

    def test_success_at_the_step_limit_counts(self) -> None:
        env = VirtualHomeEnv(step_limit=6)
        env.reset()
        *_, last = [env.step(action) for action in (4, 6, 5, 8, 7, 9)]
        assert last[1:4] == (1.0, True, False)

    def test_scripts_are_virtualhome_lines(self) -> None:
        env = VirtualHomeEnv()
        env.reset()
        assert [env.step(action)[4]["script"] for action in (4, 6, 5, 8, 7, 9)] == [
            "[walk] <pancake> (40)",
            "[grab] <pancake> (40)",
            "[walk] <microwave> (14)",
            "[open] <microwave> (14)",
            "[putin] <pancake> (40) <microwave> (14)",
            "[close] <microwave> (14)",
        ]

    def test_what_it_returns_is_the_callers_to_change(self) -> None:
        env = VirtualHomeEnv()
        observation, info = env.reset()
        observation[:], info["action_mask"][:] = 1, 1
        again, info = env.reset()
        assert again.sum() == 3
        assert ids(info["action_mask"]) == [0, 2, 3, 4, 5]

    @pytest.mark.parametrize("action", [-1, 10, 99])
    def test_unknown_actions_are_refused(self, action: int) -> None:
        env = VirtualHomeEnv()
        env.reset()
        with pytest.raises(InadmissibleAction, match="from 0 to 9"):
            env.step(action)

    def test_stepping_needs_an_episode(self) -> None:
        env = VirtualHomeEnv(step_limit=1)
        with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
            env.step(0)
        env.reset()
        env.step(0)
        with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
            env.step(0)

    @pytest.mark.parametrize(
        ("wrong", "hint"),
        [({"task": "laundy"}, "laundry-placed"), ({"step_limit": 0}, "at least 1"), ({"render_mode": "human"}, "ansi")],
    )
    def test_wrong_settings_are_refused(self, wrong: dict[str, Any], hint: str) -> None:
        with pytest.raises(ConfigError, match=hint):
            VirtualHomeEnv(**wrong)

    @pytest.mark.parametrize("faithful", [True, False])
    def test_async_vectorisation_equals_sync(self, faithful: bool) -> None:
        def trajectories(mode: str) -> list[Any]:
            envs = gymnasium.make_vec(
                "twosome/VirtualHome-v0", 2, mode, task="entertainment", faithful=faithful, step_limit=20
            )
            observations, info = envs.reset(seed=5)
            out = [observations.tolist(), info["action_mask"].tolist()]
            rng = np.random.default_rng(0)
            for _ in range(120):
                observations, rewards, terminated, truncated, info = envs.step(rng.integers(17, size=2))
                out += [x.tolist() for x in (observations, rewards, terminated, truncated, info["action_mask"])]
            envs.close()
            return out

        assert trajectories("sync") == trajectories("async")


ACTIONS = st.lists(st.integers(0, 16), max_size=60)
WORLDS = st.sampled_from(EVERY_WORLD)


def walk(world: World, actions: list[int]) -> Iterator[tuple[Household, int, Household, bool]]:
    """State, action, next state, executed along any play, until success."""
    situation = world.initial
    for number in actions:
        action = number % len(world.task.actions)
        after, executed = world.outcome(situation, action)
        yield situation.state, action, after.state, executed
        if after.success:
            return
        situation = after


class TestInvariants:
    @given(WORLDS, ACTIONS)
    @settings(deadline=None)
    def test_nothing_is_lost_or_doubled(self, which: tuple[str, bool], actions: list[int]) -> None:
        world = shared_world(*which)
        portable = set(world.task.of_kind(Kind.PORTABLE))
        for _, _, state, _ in walk(world, actions):
            assert len(state.held) <= 2
            assert state.held <= portable
            assert state.held <= state.near
            placed = [thing for thing, _ in state.placed]
            assert len(placed) == len(set(placed))
            assert not state.held & set(placed)
            for thing, room in zip(world.task.things, state.rooms, strict=True):
                assert room == thing.room or thing.name in portable

    @given(WORLDS, ACTIONS)
    @settings(deadline=None)
    def test_a_failing_action_never_changes_the_world(self, which: tuple[str, bool], actions: list[int]) -> None:
        for before, _, after, executed in walk(shared_world(*which), actions):
            assert executed or after == before

    @given(st.sampled_from(list(TASKS)), ACTIONS)
    @settings(deadline=None)
    def test_a_masked_action_never_changes_the_world(self, task: str, actions: list[int]) -> None:
        world = shared_world(task, False)
        for before, action, after, executed in walk(world, actions):
            masked = action not in world.situation(before).admissible
            assert masked == (after == before) == (not executed)

    @given(st.sampled_from(list(TASKS)), ACTIONS)
    @settings(deadline=None)
    def test_repaired_things_in_hand_are_where_the_agent_is(self, task: str, actions: list[int]) -> None:
        world = shared_world(task, False)
        for _, _, state, _ in walk(world, actions):
            assert all(world.rules.room_of(state, thing) == state.room for thing in state.held)

    @given(WORLDS, ACTIONS, ACTIONS)
    @settings(deadline=None)
    def test_a_reset_leaks_nothing(self, which: tuple[str, bool], first: list[int], second: list[int]) -> None:
        used, fresh = (VirtualHomeEnv(*which) for _ in range(2))
        self._play(used, first)
        assert self._play(used, second) == self._play(fresh, second)

    @given(WORLDS, ACTIONS)
    @settings(deadline=None)
    def test_a_state_survives_the_way_through_a_graph(self, which: tuple[str, bool], actions: list[int]) -> None:
        task = find_task(which[0])
        scene = place_things(task, load_scene())
        for *_, state, _ in list(walk(shared_world(*which), actions))[-3:]:
            assert from_graph(task, json.loads(json.dumps(to_graph(task, state, scene)))) == state

    @staticmethod
    def _play(env: VirtualHomeEnv, actions: list[int]) -> list[Any]:
        observation, info = env.reset()
        out = [observation.tolist(), info["action_mask"].tolist()]
        for number in actions:
            observation, reward, terminated, truncated, info = env.step(number % int(env.action_space.n))
            out += [observation.tolist(), reward, terminated, truncated, info["action_mask"].tolist(), info["script"]]
            if terminated or truncated:
                break
        return out


class TestGraph:
    def test_the_scene_holds_every_task(self) -> None:
        for task in TASKS.values():
            scene = place_things(task, load_scene())
            assert from_graph(task, scene) == Rules(task).start()
            assert len(scene["nodes"]) == 49

    def test_an_episode_goes_on_in_a_graph(self) -> None:
        env, other = VirtualHomeEnv(), VirtualHomeEnv()
        env.reset()
        for action in (4, 6, 5, 8):
            observation, *_ = env.step(action)
        copied, _ = other.reset(options={"graph": env.graph()})
        assert copied.tolist() == observation.tolist()
        assert [other.step(action)[2] for action in (7, 9)] == [False, True]
        assert other.graph() == to_graph(other.task, from_graph(other.task, other.graph()), other.graph())

    def test_a_graph_brings_its_own_ids_and_places(self) -> None:
        graph = place_things(find_task("food-preparation"), load_scene())
        renumbered = {40: 62, 14: 109}
        for node in graph["nodes"]:
            node["id"] = renumbered.get(node["id"], node["id"] if node["id"] != 62 else 999)
        for edge in graph["edges"]:
            for end in ("from_id", "to_id"):
                edge[end] = renumbered.get(edge[end], edge[end] if edge[end] != 62 else 999)
        env = VirtualHomeEnv()
        env.reset(options={"graph": graph})
        assert env.step(5)[4]["script"] == "[walk] <microwave> (109)"
        env.reset()
        assert env.step(5)[4]["script"] == "[walk] <microwave> (14)"

    def test_things_may_start_elsewhere(self) -> None:
        task = find_task("food-preparation")
        graph = place_things(task, load_scene())
        graph["edges"] = [e for e in graph["edges"] if e["from_id"] != 40]
        graph["edges"] += [
            {"from_id": 40, "relation_type": "INSIDE", "to_id": 4},
            {"from_id": 40, "relation_type": "ON", "to_id": 60},
        ]
        env = VirtualHomeEnv()
        observation, info = env.reset(options={"graph": graph})
        assert bits(observation) == "10000001000"
        assert ids(info["action_mask"]) == [0, 2, 3, 5]
        *_, last = [env.step(action) for action in (3, 4, 6, 1, 5, 8, 7, 9)]
        assert last[2]
        env.reset(options={"graph": graph})
        env.step(3)
        assert {"from_id": 40, "relation_type": "ON", "to_id": 60} in env.graph()["edges"]

    def test_the_sofa_is_the_one_before_the_tv(self) -> None:
        task = find_task("entertainment")
        graph = load_scene()
        graph["nodes"].insert(0, {"id": 99, "class_name": "sofa", "category": "", "properties": [], "states": []})
        graph["edges"].append({"from_id": 99, "relation_type": "INSIDE", "to_id": 2})
        assert from_graph(task, graph).rooms[task.position["sofa"]] == "livingroom"

    def test_graphs_that_do_not_fit_are_refused(self) -> None:
        env = VirtualHomeEnv()
        without = load_scene()
        without["nodes"] = [node for node in without["nodes"] if node["class_name"] != "microwave"]
        with pytest.raises(ConfigError, match="microwave"):
            env.reset(options={"graph": without})
        with pytest.raises(ConfigError, match="shut in a fridge"):
            VirtualHomeEnv("cheese").reset(options={"graph": load_scene()})
        env.reset()
        for action in (4, 6, 5, 8, 7, 9):
            env.step(action)
        with pytest.raises(ConfigError, match="already done"):
            env.reset(options={"graph": env.graph()})
