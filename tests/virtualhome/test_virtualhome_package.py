"""Our rules against the graph simulator of the ``virtualhome`` package, where somebody has it installed.

From every state that any play can reach, every action is sent to the package as a script line, on the graph our state
goes out as; the graph that comes back must read as the state our published rules lead to. Left out is where the package
differs from what was published with the paper: sitting and standing up, switching with both hands full, and grabbing
what is in hand (which the package remembers outside its graph).
"""

from __future__ import annotations

import importlib.util

import pytest

from twosome.envs.exploring import Transition, explore
from twosome.virtualhome import (
    TASKS,
    Action,
    Household,
    Rules,
    World,
    find_task,
    from_graph,
    load_scene,
    place_things,
    to_graph,
)
from twosome.virtualhome.graph import Graph, script_lines
from twosome.virtualhome.unity import package_module

pytestmark = pytest.mark.skipif(importlib.util.find_spec("virtualhome") is None, reason="needs the virtualhome package")


class AnyPlay:
    """A world for an agent that tries everything the package can be asked."""

    def __init__(self, rules: Rules) -> None:
        self.world = World(rules)
        self.initial_state = self.world.initial_state

    def actions(self, state: Household) -> list[int]:
        return [i for i, action in enumerate(self.world.task.actions) if action.verb not in ("sit", "standup")]

    def transition(self, state: Household, action: int) -> Transition[Household]:
        return self.world.transition(state, action)


def perform(graph: Graph, line: str) -> Graph | None:
    """What the package makes of a graph, or None where it refuses."""
    environment = package_module("evolving_graph.environment")
    start = environment.EnvironmentGraph(graph)
    state = environment.EnvironmentState(start, {}, instance_selection=True)
    script = package_module("evolving_graph.scripts").read_script_from_string(line)
    executor = package_module("evolving_graph.execution").ScriptExecutor(start, {}, 0)
    success, after = executor.execute_one_step(script, state)
    return after.to_dict() if success else None


def comparable(rules: Rules, state: Household, action: Action) -> bool:
    things = [name for name in (action.target, action.receptacle) if name]
    if not all(rules.sees(state, name) for name in things):  # the package leaves sight to its user
        return False
    if action.verb == "grab" and action.target in state.held:
        return False
    return state.hand_free or action.verb not in ("switchon", "switchoff")


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if task.published])
def test_every_action_from_every_state(task: str) -> None:
    rules = Rules(find_task(task), faithful=True)
    scene = place_things(rules.task, load_scene())
    lines = script_lines(rules.task, scene)
    world = AnyPlay(rules)
    for state in explore(world).states:
        graph = to_graph(rules.task, state, scene)
        for i in world.actions(state):
            action = rules.task.actions[i]
            if comparable(rules, state, action):
                after = perform(graph, lines[i])
                assert (None if after is None else from_graph(rules.task, after)) == rules.act(state, action)
