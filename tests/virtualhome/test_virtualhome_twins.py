"""Graphs with several things of a class: the one that the agent has to do with is the one that is meant."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from twosome.errors import ConfigError
from twosome.virtualhome import (
    Household,
    Rules,
    VirtualHomeEnv,
    find_task,
    from_graph,
    load_scene,
    place_things,
    to_graph,
)
from twosome.virtualhome.graph import Graph, node_ids

FOOD, FUN = find_task("food-preparation"), find_task("entertainment")
TWIN = 9000


def with_twin(graph: Graph, class_name: str, *, first: bool = False) -> Graph:
    """The graph with another node of a class, which lies in the kitchen."""
    copied = copy.deepcopy(graph)
    node = {**next(n for n in copied["nodes"] if n["class_name"] == class_name), "id": TWIN}
    copied["nodes"].insert(0, node) if first else copied["nodes"].append(node)
    kitchen = next(n["id"] for n in copied["nodes"] if n["class_name"] == "kitchen")
    copied["edges"].append(edge(TWIN, "INSIDE", kitchen))
    return copied


def edge(source: int, relation: str, target: int) -> dict[str, Any]:
    return {"from_id": source, "relation_type": relation, "to_id": target}


def ids(task: Any, graph: Graph) -> dict[str, int]:
    return node_ids(task, graph)


def held_by_name(hand: str, *, second: bool) -> Household:
    """The household in which one of two pancakes is in a hand, and that one comes first or second in the graph."""
    start = place_things(FOOD, load_scene())
    graph = with_twin(start, "pancake", first=not second)
    graph["edges"].append(edge(ids(FOOD, start)["character"], hand, TWIN))
    return from_graph(FOOD, graph)


@pytest.mark.parametrize("hand", ["HOLDS_RH", "HOLDS_LH"])
@pytest.mark.parametrize("second", [False, True])
def test_the_thing_in_the_hand_is_not_lost(hand: str, second: bool) -> None:
    state = held_by_name(hand, second=second)
    assert state.held == state.near == {"item"}


def test_an_episode_from_such_a_graph_ends_and_its_graphs_are_read_back() -> None:
    start = place_things(FOOD, load_scene())
    graph = with_twin(start, "pancake")
    graph["edges"].append(edge(ids(FOOD, start)["character"], "HOLDS_RH", TWIN))
    env = VirtualHomeEnv("food-preparation")
    env.reset(options={"graph": graph})
    names = [action.verb for action in FOOD.actions]
    terminated = False
    for verb in ("walk", "open", "putin", "close"):
        wanted = [i for i, name in enumerate(names) if name == verb and "appliance" in FOOD.actions[i]]
        _, _, terminated, _, info = env.step(wanted[0])
        assert info["executed"], info
        if verb == "putin":
            assert f"({TWIN})" in info["script"]
        assert from_graph(FOOD, env.graph()) == env._shown()
    assert terminated


def test_the_microwave_with_the_pancake_is_meant() -> None:
    """Once the pancake in the second one was neither placed nor out of sight."""
    state = Household("kitchen", ("kitchen", "kitchen"), placed=frozenset({("item", "appliance")}))
    graph = with_twin(to_graph(FOOD, state, load_scene()), "microwave")
    known = ids(FOOD, load_scene())
    for one in graph["edges"]:
        if one["from_id"] == known["item"] and one["to_id"] == known["appliance"]:
            one["to_id"] = TWIN
    assert from_graph(FOOD, graph) == state
    assert Rules(FOOD).succeeded(from_graph(FOOD, graph))
    opened = copy.deepcopy(graph)
    next(n for n in opened["nodes"] if n["id"] == TWIN)["states"] = ["OPEN"]
    assert from_graph(FOOD, opened).open == {"appliance"}


def test_the_microwave_that_the_agent_stands_at_is_meant() -> None:
    graph = with_twin(place_things(FOOD, load_scene()), "microwave")
    me = ids(FOOD, graph)["character"]
    graph["edges"].append(edge(me, "CLOSE", TWIN))
    assert from_graph(FOOD, graph).near == {"appliance"}
    graph["edges"].append(edge(me, "CLOSE", ids(FOOD, load_scene())["appliance"]))
    assert ids(FOOD, graph)["appliance"] == ids(FOOD, load_scene())["appliance"], "close to both: the first"


def test_the_seat_and_the_screen_of_the_agent_are_meant() -> None:
    graph = with_twin(place_things(FUN, load_scene()), "sofa", first=True)
    me = ids(FUN, graph)["character"]
    next(n for n in graph["nodes"] if n["id"] == me)["states"] = ["SITTING"]
    graph["edges"].append(edge(me, "ON", TWIN))
    assert from_graph(FUN, graph).on_seat
    graph = with_twin(place_things(FUN, load_scene()), "tv")
    graph["edges"].append(edge(me, "FACING", TWIN))
    assert from_graph(FUN, graph).facing


def test_what_lies_on_a_plate_in_the_microwave_is_in_the_microwave() -> None:
    graph = place_things(FOOD, load_scene())
    known, plate = ids(FOOD, graph), next(n["id"] for n in load_scene()["nodes"] if n["class_name"] == "plate")
    graph["edges"] = [e for e in graph["edges"] if e["from_id"] not in (plate, known["item"])]
    graph["edges"] += [edge(known["item"], "ON", plate), edge(plate, "INSIDE", known["appliance"])]
    graph["edges"].append(edge(known["item"], "INSIDE", known["kitchen"]))
    assert from_graph(FOOD, graph).placed == {("item", "appliance")}


def test_a_held_thing_is_where_its_holder_is() -> None:
    """The simulator may drop all places of a thing that is picked up."""
    graph = place_things(FOOD, load_scene())
    known = ids(FOOD, graph)
    graph["edges"] = [e for e in graph["edges"] if e["from_id"] != known["item"]]
    graph["edges"].append(edge(known["character"], "HOLDS_LH", known["item"]))
    assert from_graph(FOOD, graph).rooms == ("kitchen", "kitchen")


def test_a_hand_full_of_something_else_is_told() -> None:
    graph = place_things(FOOD, load_scene())
    book = next(n["id"] for n in graph["nodes"] if n["class_name"] == "book")
    graph["edges"].append(edge(ids(FOOD, graph)["character"], "HOLDS_RH", book))
    with pytest.raises(ConfigError, match="holds a book, which plays no part"):
        from_graph(FOOD, graph)
