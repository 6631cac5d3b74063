"""Pictures of a household: as text, and as a house cut open, with its tenant at work.

The picture shows the household as it is, not only what the agent sees; rooms the agent is not in lie in the shade.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twosome.virtualhome import scenery, sprites
from twosome.virtualhome.household import Household, Rules
from twosome.virtualhome.sprites import Pen
from twosome.virtualhome.tasks import ROOMS, Kind, Task

FINENESS = 2
"""Pixels drawn per pixel shown, along each side: smooth edges."""

SHADE, SHADE_STRENGTH = (38, 34, 68), 0.34


class Spot(NamedTuple):
    """Where something is in its room, and where the tenant stands to use it; in units, x from the left."""

    x: float
    y: float
    stand: float


SPOTS: dict[tuple[str, str], Spot] = {
    ("kitchen", "microwave"): Spot(98, 138, 170),
    ("kitchen", "dishwasher"): Spot(91, 210, 152),
    ("kitchen", "washingmachine"): Spot(206, 210, 140),
    ("bathroom", "washingmachine"): Spot(44, 214, 106),
    ("livingroom", "tv"): Spot(64, 214, 130),
    ("livingroom", "sofa"): Spot(282, 216, 278),
    ("livingroom", "coffeetable"): Spot(180, 192, 238),
}
"""Places of the things that stay where they are, by room and class."""

LYING: dict[tuple[str, str], Spot] = {
    ("kitchen", "chips"): Spot(222, 138, 196),
    ("kitchen", "milk"): Spot(314, 160, 246),
    ("bedroom", "clothespile"): Spot(236, 160, 164),
}
"""Places of things that lie about."""

ON_THE_TABLE, ON_THE_FLOOR = Spot(284, 160, 236), Spot(215, 226, 180)
ELSEWHERE = {room: ON_THE_TABLE if room == "kitchen" else ON_THE_FLOOR for room in ROOMS}
"""Places of everything else."""

ONLY_IF_ASKED = {("kitchen", "washingmachine")}
"""Furniture that is not there unless the task is about it."""

IDLE = {"kitchen": 186.0, "bathroom": 160.0, "bedroom": 136.0, "livingroom": 180.0}
"""Where the tenant stands when near nothing."""

FEET = 228.0
CONFETTI = ("#e4572e", "#f2c14e", "#2f9c95", "#5f86c9", "#e58fb1", "#ffffff")


def as_text(task: Task, state: Household) -> str:
    """The household as four boxes of text; ">" marks what the agent is near."""
    boxes = {room: _room_lines(task, state, room) for room in ROOMS}
    height = max(len(lines) for lines in boxes.values())
    width = 30
    rows = []
    for left, right in (("bathroom", "bedroom"), ("kitchen", "livingroom")):
        rows.append("".join(f"+-- {room} {'-' * (width - len(room) - 4)}" for room in (left, right)) + "+")
        for i in range(height):
            cells = (boxes[room][i] if i < len(boxes[room]) else "" for room in (left, right))
            rows.append("".join(f"| {cell:<{width - 1}}" for cell in cells) + "|")
    rows.append(("+" + "-" * width) * 2 + "+")
    return "\n".join(rows)


def as_picture(task: Task, state: Household) -> NDArray[np.uint8]:
    """The household as a picture: uint8 [590, 820, 3]."""
    image = _empty_flat().copy()
    pen = Pen(image, FINENESS)
    for room in ROOMS:
        _draw_room(pen.at(*scenery.ROOM_CORNERS[room]), task, state, room)
    for room in ROOMS:
        if room != state.room:
            _shade(image, room)
    return np.asarray(image.reduce(FINENESS)).copy()


# --- text -------------------------------------------------------------------------------------------------------------


def _room_lines(task: Task, state: Household, room: str) -> list[str]:
    lines = []
    if state.room == room:
        lines.append(f"@ you, {'sitting' if state.sitting else 'standing'}")
        lines += [f"    holding {task.thing[x].class_name}" for x in _in_hand(task, state)]
    for thing, at in zip(task.things, state.rooms, strict=True):
        if at == room and thing.name not in state.held and not state.holders(thing.name):
            lines.append(_thing_line(task, state, thing.name))
            lines += [f"    {_thing_line(task, state, x)}" for x in sorted(state.contents(thing.name))]
    return lines


def _thing_line(task: Task, state: Household, name: str) -> str:
    kind = task.thing[name].kind
    condition = ""
    if kind is Kind.CONTAINER:
        condition = " (open)" if name in state.open else " (closed)"
    elif kind is Kind.SCREEN:
        condition = " (on)" if name in state.on else " (off)"
    return f"{'>' if name in state.near else '-'} {task.thing[name].class_name}{condition}"


def _in_hand(task: Task, state: Household) -> list[str]:
    return [thing.name for thing in task.things if thing.name in state.held]


# --- picture ----------------------------------------------------------------------------------------------------------


@cache
def _empty_flat() -> Image.Image:
    image = Image.new("RGB", (scenery.WIDTH * FINENESS, scenery.HEIGHT * FINENESS))
    scenery.draw_flat(Pen(image, FINENESS))
    return image


def _draw_room(pen: Pen, task: Task, state: Household, room: str) -> None:
    """Furniture that may change, things, and the tenant; from the wall forward."""
    here = [thing for thing, at in zip(task.things, state.rooms, strict=True) if at == room]
    if room == "kitchen":
        scenery.draw_kitchen_table(pen.at(ON_THE_TABLE.x + 8, ON_THE_TABLE.y))
    furniture = {thing.class_name: thing.name for thing in here if thing.kind is not Kind.PORTABLE}
    furniture |= dict.fromkeys(_scenery(task, room), "")
    for class_name, name in furniture.items():
        if class_name != "coffeetable":
            _draw_furniture(_place(pen, room, class_name), task, state, class_name, name)
    for thing in here:
        if thing.kind is Kind.PORTABLE and thing.name not in state.held and not state.holders(thing.name):
            sprites.CARRIED[thing.class_name](_place(pen, room, thing.class_name))
    if room == state.room:
        _draw_tenant(pen, task, state)
    if "coffeetable" in furniture:
        _draw_coffee_table(_place(pen, room, "coffeetable"), task, state, furniture["coffeetable"])


def _scenery(task: Task, room: str) -> list[str]:
    """Classes of the furniture that stands in a room without being part of the task."""
    concerned = {thing.class_name for thing in task.things}
    usual = (class_name for place, class_name in SPOTS if place == room and (place, class_name) not in ONLY_IF_ASKED)
    return [class_name for class_name in usual if class_name not in concerned]


def _draw_furniture(pen: Pen, task: Task, state: Household, class_name: str, name: str) -> None:
    """One piece of furniture; ``name`` is empty for scenery, which is closed and off."""
    if class_name == "tv":
        sprites.television(pen, name in state.on)
    elif class_name == "sofa":
        scenery.draw_sofa(pen)
    else:
        inside = [sprites.CARRIED[task.thing[x].class_name] for x in sorted(state.contents(name))]
        sprites.APPLIANCES[class_name](pen, name in state.open, inside[0] if inside else None)


def _draw_coffee_table(pen: Pen, task: Task, state: Household, name: str) -> None:
    scenery.draw_coffee_table(pen)
    for i, x in enumerate(task.of_kind(Kind.PORTABLE)):
        if x in state.contents(name):
            sprites.CARRIED[task.thing[x].class_name](pen.at(44 * i - 22, 0))


def _draw_tenant(pen: Pen, task: Task, state: Household) -> None:
    held = [sprites.CARRIED[task.thing[x].class_name] for x in _in_hand(task, state)]
    happy = Rules(task).succeeded(state)
    if happy:
        _celebrate(pen)
    if state.sitting:
        seat = SPOTS["livingroom", "sofa"]
        sprites.tenant(pen.at(seat.x - 6, seat.y - 38), -1, held, seated=True, happy=happy)
        return
    x, gaze = _standing(task, state)
    sprites.tenant(pen.at(x, FEET), gaze, held, happy=happy)


def _standing(task: Task, state: Household) -> tuple[float, int]:
    """Where the tenant stands, and which way it looks: by what it is near, furniture first."""
    near = [x for x in state.near if x not in state.held]
    furniture = [x for x in near if task.thing[x].kind is not Kind.PORTABLE]
    for name in sorted(furniture) + sorted(near):
        spot = _spot(state.room, task.thing[name].class_name)
        return spot.stand, int(np.sign(spot.x - spot.stand))
    return IDLE[state.room], 0


def _spot(room: str, class_name: str) -> Spot:
    return SPOTS.get((room, class_name)) or LYING.get((room, class_name)) or ELSEWHERE[room]


def _place(pen: Pen, room: str, class_name: str) -> Pen:
    spot = _spot(room, class_name)
    return pen.at(spot.x, spot.y)


def _shade(image: Image.Image, room: str) -> None:
    x, y = scenery.ROOM_CORNERS[room]
    left, top = FINENESS * x, FINENESS * y
    part = image.crop((left, top, left + FINENESS * scenery.ROOM_WIDTH, top + FINENESS * scenery.ROOM_HEIGHT))
    image.paste(Image.blend(part, Image.new("RGB", part.size, SHADE), SHADE_STRENGTH), (left, top))


def _celebrate(pen: Pen) -> None:
    """Confetti, the same every time."""
    for i in range(56):
        x, y = (i * 89 + 17) % scenery.ROOM_WIDTH, (i * 53 + 29) % 150 + 4
        colour, lean = CONFETTI[i % len(CONFETTI)], (i % 5 - 2) * 1.5
        pen.shape([(x, y), (x + 5, y + lean), (x + 6, y + 4 + lean), (x + 1, y + 4)], colour)
