"""Households as VirtualHome graphs: nodes with classes and states, and directed edges between them.

A graph is what the VirtualHome simulator speaks: ``{"nodes": [{"id", "class_name", "category", "properties",
"states"}, ...], "edges": [{"from_id", "relation_type", "to_id"}, ...]}``. The scene shipped here is of our own design
(49 nodes, four rooms); any other graph with the things of a task will do.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

from twosome.errors import ConfigError
from twosome.virtualhome.household import Household, Rules
from twosome.virtualhome.tasks import ROOMS, Action, Kind, Task, Thing

Graph: TypeAlias = dict[str, list[dict[str, Any]]]

_PLACES = ("INSIDE", "ON")
_HANDS = ("HOLDS_RH", "HOLDS_LH")


def load_scene() -> Graph:
    """The scene that comes with this package, as a fresh graph."""
    graph: Graph = json.loads(_scene_text())
    return graph


def node_ids(task: Task, graph: Graph) -> dict[str, int]:
    """The node that plays each part: ``"character"``, every room, every thing of the task.

    Of several nodes of a class the one is taken that the agent has to do with: the thing in its hand, the seat it is
    on, the screen it faces, the container or surface with such a thing, or what it is close to. Without one it is the
    first; for a seat, the first that faces a screen, if one does.

    Raises:
        ConfigError: If the graph lacks one of them.
    """
    ids = {name: _first(graph, name) for name in ("character", *ROOMS)}
    me = ids["character"]
    for thing in task.things:
        ids[thing.name] = _first(graph, thing.class_name)
    for seat in task.of_kind(Kind.SEAT):
        ids[seat] = _facing_seat(task, graph, seat, default=ids[seat])
    for name in task.of_kind(Kind.PORTABLE):
        ids[name] = _one_of(task, graph, name, _related(graph, me, _HANDS), default=ids[name])
    carried = {above for name in task.of_kind(Kind.PORTABLE) for above in _above(graph, ids[name])}
    close = _related(graph, me, ("CLOSE",))
    for name in task.of_kind(Kind.CONTAINER) + task.of_kind(Kind.SURFACE):
        ids[name] = _one_of(task, graph, name, carried, close, default=ids[name])
    for name in task.of_kind(Kind.SCREEN):
        ids[name] = _one_of(task, graph, name, _related(graph, me, ("FACING",)), close, default=ids[name])
    for name in task.of_kind(Kind.SEAT):
        ids[name] = _one_of(task, graph, name, _related(graph, me, ("ON",)), default=ids[name])
    return ids


def script_lines(task: Task, graph: Graph) -> tuple[str, ...]:
    """Each action as a line of a VirtualHome script, such as ``[putin] <pancake> (40) <microwave> (14)``."""
    ids = node_ids(task, graph)
    return tuple(_script_line(task, ids, action) for action in task.actions)


def place_things(task: Task, graph: Graph) -> Graph:
    """A copy of the graph with the task's things and the agent where an episode starts, closed and switched off."""
    things = {thing.name: thing for thing in task.things if thing.support}
    placed = to_graph(task, Rules(task).start(), graph)
    ids = node_ids(task, placed)
    for name, thing in things.items():
        _drop(placed, ids[name], _PLACES)
        placed["edges"].append(_edge(ids[name], "INSIDE", ids[thing.room]))
        placed["edges"].append(_edge(ids[name], "ON", _first(placed, thing.support)))
    return placed


def to_graph(task: Task, state: Household, scene: Graph) -> Graph:
    """A copy of the scene in which agent and things are as the state says; all else stays as it is.

    Args:
        task: The task the state belongs to.
        state: The household.
        scene: Any graph with the task's things.

    Raises:
        ConfigError: If the scene lacks a thing of the task.
    """
    ids = node_ids(task, scene)
    graph: Graph = {
        "nodes": [{**node, "states": list(node["states"])} for node in _parts_first(scene["nodes"], ids)],
        "edges": [dict(edge) for edge in scene["edges"] if ids["character"] not in (edge["from_id"], edge["to_id"])],
    }
    for thing, room in zip(task.things, state.rooms, strict=True):
        _settle(graph, state, thing, room, ids)
    _enter(graph, task, state, ids)
    return graph


def from_graph(task: Task, graph: Graph) -> Household:
    """The household a graph shows, as far as the task is concerned.

    Raises:
        ConfigError: If the graph lacks the agent, a room or a thing of the task, has a portable thing shut in
            something that is not part of the task, or the agent holding one.
    """
    ids = node_ids(task, graph)
    named = {ids[thing.name]: thing.name for thing in task.things}
    edges = {(edge["from_id"], edge["relation_type"], edge["to_id"]) for edge in graph["edges"]}
    states = {node["id"]: set(node["states"]) for node in graph["nodes"]}
    me = ids["character"]

    def related(*relations: str) -> frozenset[str]:
        return frozenset(named[y] for x, relation, y in edges if x == me and relation in relations and y in named)

    receptacles = task.of_kind(Kind.CONTAINER) + task.of_kind(Kind.SURFACE)
    held = related(*_HANDS)
    _refuse_shut_in(task, graph, ids)
    _refuse_full_hand(graph, me, set(named))
    above = {name: set(_above(graph, ids[name])) for name in task.of_kind(Kind.PORTABLE)}
    room = _room_of(graph, me, ids)
    rooms = {thing.name: _room_of(graph, ids[thing.name], ids) for thing in task.things if thing.name not in held}
    for name in held:  # a thing in a hand need not be in a room by itself
        rooms[name] = _room_of(graph, ids[name], ids) if _parents(graph, ids[name]) else room
    return Household(
        room=room,
        rooms=tuple(rooms[thing.name] for thing in task.things),
        near=related("CLOSE") | held,
        held=held,
        placed=frozenset(
            (x, y) for x in task.of_kind(Kind.PORTABLE) for y in receptacles if x not in held and ids[y] in above[x]
        ),
        open=frozenset(x for x in task.of_kind(Kind.CONTAINER) if "OPEN" in states[ids[x]]),
        on=frozenset(x for x in task.of_kind(Kind.SCREEN) if "ON" in states[ids[x]]),
        sitting="SITTING" in states[me],
        on_seat=bool(related("ON") & set(task.of_kind(Kind.SEAT))),
        facing=bool(related("FACING") & set(task.of_kind(Kind.SCREEN))),
    )


@cache
def _scene_text() -> str:
    return resources.files("twosome.virtualhome").joinpath("scene.json").read_text(encoding="utf-8")


def _first(graph: Graph, class_name: str) -> int:
    for node in graph["nodes"]:
        if node["class_name"] == class_name:
            return int(node["id"])
    raise ConfigError(
        f"the graph has no node of class {class_name!r}, which this task needs; add one, or start from load_scene()"
    )


def _related(graph: Graph, node: int, relations: tuple[str, ...]) -> set[int]:
    """What a node has edges to."""
    return {e["to_id"] for e in graph["edges"] if e["from_id"] == node and e["relation_type"] in relations}


def _one_of(task: Task, graph: Graph, name: str, *preferred: set[int], default: int) -> int:
    """The node of a thing's class that is in the earliest of some sets, the default first; else the default."""
    wanted = task.thing[name].class_name
    nodes = [default, *(int(node["id"]) for node in graph["nodes"] if node["class_name"] == wanted)]
    return next((node for group in preferred for node in nodes if node in group), default)


def _parts_first(nodes: list[dict[str, Any]], ids: dict[str, int]) -> list[dict[str, Any]]:
    """The nodes with those that play a part before others of their class, so that they play it again when read."""
    parts = set(ids.values())
    classes = {node["class_name"] for node in nodes if node["id"] in parts}
    ordered = {
        name: sorted((node for node in nodes if node["class_name"] == name), key=lambda node: node["id"] not in parts)
        for name in classes
    }
    return [ordered[node["class_name"]].pop(0) if node["class_name"] in classes else node for node in nodes]


def _above(graph: Graph, node: int) -> list[int]:
    """What a node lies in or on, what that lies in or on, and so on, nearest first."""
    found: list[int] = []
    frontier = [node]
    while frontier:
        below = frontier.pop(0)
        for e in graph["edges"]:
            if e["from_id"] == below and e["relation_type"] in _PLACES and e["to_id"] not in (node, *found):
                found.append(e["to_id"])
                frontier.append(e["to_id"])
    return found


def _facing_seat(task: Task, graph: Graph, seat: str, default: int) -> int:
    """A flat may have several sofas: the one meant is the one before the TV."""
    classes = {node["id"]: node["class_name"] for node in graph["nodes"]}
    screens = {task.thing[screen].class_name for screen in task.of_kind(Kind.SCREEN)}
    facing = {edge["from_id"] for edge in graph["edges"] if _is_facing(edge, classes, screens)}
    return next((i for i, name in classes.items() if name == task.thing[seat].class_name and i in facing), default)


def _is_facing(edge: dict[str, Any], classes: dict[int, str], screens: set[str]) -> bool:
    return edge["relation_type"] == "FACING" and classes.get(edge["to_id"]) in screens


def _script_line(task: Task, ids: dict[str, int], action: Action) -> str:
    if action.verb == "standup":
        return "[standup]"
    names = [name for name in (action.target, action.receptacle) if name]
    objects = [f"<{task.thing[name].class_name if name in task.thing else name}> ({ids[name]})" for name in names]
    return " ".join([f"[{action.verb}]", *objects])


def _edge(source: int, relation: str, target: int) -> dict[str, Any]:
    return {"from_id": source, "relation_type": relation, "to_id": target}


def _drop(graph: Graph, node: int, relations: tuple[str, ...]) -> None:
    graph["edges"] = [e for e in graph["edges"] if e["from_id"] != node or e["relation_type"] not in relations]


def _settle(graph: Graph, state: Household, thing: Thing, room: str, ids: dict[str, int]) -> None:
    """Put one thing where the state says, and into the condition the state says."""
    node, holders = ids[thing.name], state.holders(thing.name)
    untouched = thing.name not in state.held and not holders
    if not (untouched and _lies_openly(graph, node, room, ids)):
        _drop(graph, node, _PLACES)
        graph["edges"].append(_edge(node, "INSIDE", ids[room]))
    for holder in holders:
        inside = ids[holder] in _container_ids(graph)
        graph["edges"].append(_edge(node, "INSIDE" if inside else "ON", ids[holder]))
    if thing.kind is Kind.CONTAINER:
        _set_state(graph, node, "OPEN", "CLOSED", thing.name in state.open)
    elif thing.kind is Kind.SCREEN:
        _set_state(graph, node, "ON", "OFF", thing.name in state.on)


def _container_ids(graph: Graph) -> set[int]:
    return {node["id"] for node in graph["nodes"] if "CONTAINERS" in node["properties"]}


def _set_state(graph: Graph, node_id: int, yes: str, no: str, value: bool) -> None:
    node = next(node for node in graph["nodes"] if node["id"] == node_id)
    node["states"] = [*(s for s in node["states"] if s not in (yes, no)), yes if value else no]


def _enter(graph: Graph, task: Task, state: Household, ids: dict[str, int]) -> None:
    """Add the agent: where it is, what it is near, what it holds, how it sits and what it faces."""
    me, add = ids["character"], graph["edges"].append
    add(_edge(me, "INSIDE", ids[state.room]))
    for name in sorted(state.near):
        add(_edge(me, "CLOSE", ids[name]))
        add(_edge(ids[name], "CLOSE", me))
    for hand, name in zip(_HANDS, sorted(state.held), strict=False):
        add(_edge(me, hand, ids[name]))
    if state.on_seat:
        graph["edges"].extend(_edge(me, "ON", ids[seat]) for seat in task.of_kind(Kind.SEAT))
    if state.facing:
        graph["edges"].extend(_edge(me, "FACING", ids[screen]) for screen in task.of_kind(Kind.SCREEN))
    node = next(node for node in graph["nodes"] if node["id"] == me)
    node["states"] = [*(s for s in node["states"] if s != "SITTING"), *(["SITTING"] if state.sitting else [])]


def _room_of(graph: Graph, node: int, ids: dict[str, int]) -> str:
    """The room a node is in, following INSIDE upward."""
    rooms = {ids[room]: room for room in ROOMS}
    frontier, met = [node], {node}
    while frontier:
        parents = _parents(graph, frontier.pop(0))
        for parent in parents:
            if parent in rooms:
                return rooms[parent]
        frontier += [parent for parent in parents if parent not in met]
        met.update(parents)
    raise ConfigError(f"node {node} is in no room; give it an INSIDE edge to one of: {', '.join(ROOMS)}")


def _parents(graph: Graph, node: int) -> list[int]:
    return [e["to_id"] for e in graph["edges"] if e["from_id"] == node and e["relation_type"] == "INSIDE"]


def _lies_openly(graph: Graph, node: int, room: str, ids: dict[str, int]) -> bool:
    """Whether the graph already has a thing in that room, in full view and on nothing that belongs to the task."""
    things = set(ids.values()) - {ids[name] for name in ROOMS}
    supports = {e["to_id"] for e in graph["edges"] if e["from_id"] == node and e["relation_type"] in _PLACES}
    return _parents(graph, node) == [ids[room]] and not supports & things


def _refuse_full_hand(graph: Graph, me: int, known: set[int]) -> None:
    """A hand that holds something else is not free, which these rules cannot tell."""
    classes = {node["id"]: node["class_name"] for node in graph["nodes"]}
    for other in _related(graph, me, _HANDS) - known:
        raise ConfigError(
            f"the character holds a {classes.get(other, other)}, which plays no part in this task; take it out of its "
            "hand, or start from a graph in which it holds only what the task is about"
        )


def _refuse_shut_in(task: Task, graph: Graph, ids: dict[str, int]) -> None:
    """A thing in some other closed container would be out of sight, which these rules cannot tell."""
    closed = {node["id"]: node["class_name"] for node in graph["nodes"] if "CLOSED" in node["states"]}
    own = {ids[container] for container in task.of_kind(Kind.CONTAINER)}
    for name in task.of_kind(Kind.PORTABLE):
        for parent in _above(graph, ids[name]):
            if parent in closed and parent not in own:
                raise ConfigError(
                    f"the {task.thing[name].class_name} is shut in a {closed[parent]}, which this task knows nothing "
                    "about; take it out (place_things does) or open it"
                )
