"""Kitchens as pictures and as text: one frame of what is going on, from a state alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from twosome.overcooked.floor_plan import Cell
from twosome.overcooked.kitchen import BOWL_ID, IN_HAND, Kitchen, State
from twosome.overcooked.sprites import sprite
from twosome.overcooked.tasks import BOWL, CHOPS

if TYPE_CHECKING:
    from twosome.overcooked.environment import Status

CELL = 80
STRIP = 92
MARGIN = 14

TILES, FLOOR_SHADE = ((247, 237, 221), (238, 224, 201)), (222, 204, 176)
COUNTER, COUNTER_LIGHT, COUNTER_FRONT, SEAM = (203, 148, 98), (222, 172, 122), (160, 108, 66), (184, 130, 82)
STRIP_GROUND, STRIP_TEXT, STRIP_FAINT, BAR, BAR_LATE = (
    (46, 52, 64),
    (240, 238, 230),
    (150, 158, 172),
    (126, 190, 120),
    (232, 150, 84),
)
UNSEEN_VEIL = (50, 42, 70, 104)
VIEW_EDGE = (255, 250, 225, 190)
FILLING_SIZES = (0.0, 0.72, 0.56, 0.5)
FILLING_OFFSETS: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    ((0.0, 0.0),),
    ((-0.16, 0.0), (0.16, 0.0)),
    ((-0.18, -0.126), (0.18, -0.126), (0.0, 0.18)),
)
"""Sizes and places of foods in a bowl, by their number, relative to the bowl."""
CHOP_DONE, CHOP_OPEN = (250, 206, 80), (255, 255, 255)


def draw(kitchen: Kitchen, state: State, status: Status) -> NDArray[np.uint8]:
    """Return a picture of a state, uint8 [652, 560, 3]: the kitchen, what is out of view veiled, and a status strip."""
    frame = _background(kitchen.plan.rows).copy()
    _draw_things(frame, kitchen, state)
    _draw_cook(frame, kitchen, state)
    if kitchen.view_radius:
        veil = _veil(state.agent, kitchen.view_radius, len(kitchen.plan.rows))
        frame.paste(veil, (0, 0), veil)
    _draw_strip(frame, kitchen, state, status)
    return np.asarray(frame)


def _corner(cell: Cell) -> tuple[int, int]:
    return cell[1] * CELL, cell[0] * CELL


def _paste(frame: Image.Image, name: str, middle: tuple[float, float], size: float) -> None:
    """Put a sprite of ``size`` cells around a point given in pixels."""
    picture = sprite(name, round(size * CELL))
    frame.paste(picture, (round(middle[0] - picture.width / 2), round(middle[1] - picture.height / 2)), picture)


def _middle(cell: Cell) -> tuple[float, float]:
    left, top = _corner(cell)
    return left + CELL / 2, top + CELL / 2


@cache
def _background(rows: tuple[str, ...]) -> Image.Image:
    """Return what never changes: floor, counters, boards, hatch, and mats where things belong."""
    frame = Image.new("RGB", (len(rows[0]) * CELL, len(rows) * CELL + STRIP), STRIP_GROUND)
    brush = ImageDraw.Draw(frame)
    for x, row in enumerate(rows):
        for y, letter in enumerate(row):
            above, below = (rows[row][y] if 0 <= row < len(rows) else "#" for row in (x - 1, x + 1))
            _draw_cell(brush, (x, y), letter in ".A", front=below in ".A", shaded=above not in ".A")
    furniture = {"K": ("board", "knife"), "D": ("hatch",), "T": ("mat",), "L": ("mat",), "O": ("mat",), "P": ("mat",)}
    for x, row in enumerate(rows):
        for y, letter in enumerate(row):
            for name in furniture.get(letter, ()):
                _paste(frame, name, _middle((x, y)), 1.0)
    return frame


def _draw_cell(brush: ImageDraw.ImageDraw, cell: Cell, floor: bool, front: bool, shaded: bool) -> None:
    """Draw a floor tile, shaded under a counter, or a counter, with its front if there is floor below it."""
    left, top = _corner(cell)
    right, bottom = left + CELL - 1, top + CELL - 1
    if floor:
        brush.rectangle((left, top, right, bottom), TILES[sum(cell) % 2])
        if shaded:
            brush.rectangle((left, top, right, top + 7), FLOOR_SHADE)
        return
    brush.rectangle((left, top, right, bottom), COUNTER, SEAM)
    brush.line((left + 2, top + 2, right - 2, top + 2), COUNTER_LIGHT, 3)
    if front:
        brush.rectangle((left, bottom - 9, right, bottom), COUNTER_FRONT)


def _draw_things(frame: Image.Image, kitchen: Kitchen, state: State) -> None:
    """Draw the foods and the bowl that stand somewhere, and how far a food on a board is chopped."""
    for index, food in enumerate(state.foods):
        if food.place in kitchen.plan.boards or food.place[0] >= 0:
            middle = _middle(food.place)
            _paste(frame, _food_name(kitchen, state, index), middle, 0.72)
            if food.place in kitchen.plan.boards and not food.chopped:
                _draw_chops(frame, food.place, food.chops)
    if state.bowl != IN_HAND:
        _draw_bowl(frame, kitchen, state, _middle(state.bowl), 0.84)


def _food_name(kitchen: Kitchen, state: State, index: int) -> str:
    name = kitchen.foods[index]
    return f"chopped {name}" if state.foods[index].chopped else name


def _draw_bowl(frame: Image.Image, kitchen: Kitchen, state: State, middle: tuple[float, float], size: float) -> None:
    _paste(frame, BOWL, middle, size)
    names = [f"chopped {kitchen.foods[index]}" for index in sorted(kitchen.contents(state))]
    _draw_filling(frame, names, middle, size)


def _draw_filling(frame: Image.Image, names: list[str], middle: tuple[float, float], size: float) -> None:
    """Draw one to three chopped foods side by side within a bowl."""
    for name, (dx, dy) in zip(names, FILLING_OFFSETS[len(names)], strict=True):
        spot = middle[0] + dx * size * CELL, middle[1] + dy * size * CELL
        _paste(frame, name, spot, FILLING_SIZES[len(names)] * size)


def _draw_chops(frame: Image.Image, board: Cell, chops: int) -> None:
    left, top = _corner(board)
    brush = ImageDraw.Draw(frame)
    for chop in range(CHOPS):
        x, y = left + 14 + 13 * chop, top + CELL - 21
        brush.ellipse((x, y, x + 9, y + 9), CHOP_DONE if chop < chops else CHOP_OPEN, COUNTER_FRONT, 2)


def _draw_cook(frame: Image.Image, kitchen: Kitchen, state: State) -> None:
    x, y = _middle(state.agent)
    _paste(frame, "cook", (x, y - 6), 1.08)
    held = kitchen.held(state)
    if held == BOWL_ID:
        _draw_bowl(frame, kitchen, state, (x, y + 0.25 * CELL), 0.68)
    elif held is not None:
        _paste(frame, _food_name(kitchen, state, held), (x, y + 0.25 * CELL), 0.58)
    _paste(frame, "hands", (x, y + 2), 1.0)


@cache
def _veil(agent: Cell, radius: int, side: int) -> Image.Image:
    """Return the shade over the cells that a cook does not see."""
    veil = Image.new("RGBA", (side * CELL, side * CELL), UNSEEN_VEIL)
    brush = ImageDraw.Draw(veil)
    top, left = (max(0, place - radius) * CELL for place in agent)
    bottom, right = (min(side, place + radius + 1) * CELL - 1 for place in agent)
    brush.rectangle((left, top, right, bottom), (0, 0, 0, 0), VIEW_EDGE, 2)
    return veil


def _draw_strip(frame: Image.Image, kitchen: Kitchen, state: State, status: Status) -> None:
    """Draw the order, the last macro-action, the time that has passed and the score."""
    brush, top = ImageDraw.Draw(frame), frame.height - STRIP
    _paste(frame, BOWL, (MARGIN + 33, top + 44), 0.84)
    _draw_filling(frame, [f"chopped {food}" for food in kitchen.task.dish], (MARGIN + 33, top + 44), 0.84)
    left, right = MARGIN + 82, frame.width - MARGIN
    served = kitchen.served(state)
    brush.text((left, top + 12), kitchen.task.name, STRIP_FAINT, font=_font(15))
    brush.text((left, top + 32), "served" if served else status.action, STRIP_TEXT, font=_font(22))
    brush.text((right, top + 12), f"score {status.score:+.3f}", STRIP_FAINT, font=_font(15), anchor="ra")
    brush.text((right, top + 34), f"{status.ticks} / {status.time_limit}", STRIP_TEXT, font=_font(18), anchor="ra")
    passed = min(1.0, status.ticks / status.time_limit)
    brush.rounded_rectangle((left, top + 68, right, top + 76), 4, (66, 74, 90))
    if passed:
        colour = BAR if passed < 0.75 else BAR_LATE
        brush.rounded_rectangle((left, top + 68, left + max(8, passed * (right - left)), top + 76), 4, colour)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


# --- as text ----------------------------------------------------------------------------------------------------------

WIDTH = 6
PLAIN, DIM = "\033[0m", "\033[2m"
COLOURS = {"tomato": "\033[31m", "lettuce": "\033[32m", "onion": "\033[35m", BOWL: "\033[36m", "cook": "\033[1;33m"}
FURNITURE = {"#": "", ".": ".", "A": ".", "T": "", "L": "", "O": "", "P": "", "K": "__", "D": "=>"}


@dataclass(frozen=True)
class _Mark:
    """A few letters and their colour."""

    text: str
    colour: str = ""


def sketch(kitchen: Kitchen, state: State, status: Status) -> str:
    """Return a state as lines of text with terminal colours.

    ``t l o`` are whole foods, ``T L O`` chopped ones, ``( )`` the bowl with what is in it, ``@`` the cook with what it
    holds, ``__`` an empty board, ``=>`` the hatch. What is out of view is dim.
    """
    lines = [
        "".join(_sketch_cell(kitchen, state, (x, y), letter) for y, letter in enumerate(row))
        for x, row in enumerate(kitchen.plan.rows)
    ]
    label = "served" if kitchen.served(state) else status.action
    footer = f"{kitchen.task.name}  |  {label}  |  {status.ticks}/{status.time_limit}  |  score {status.score:+.3f}"
    return "\n".join([*lines, footer])


def _sketch_cell(kitchen: Kitchen, state: State, cell: Cell, letter: str) -> str:
    mark = _mark(kitchen, state, cell, letter)
    floor = letter in ".A"
    text = mark.text.center(WIDTH) if floor else f"[{mark.text.center(WIDTH - 2)[: WIDTH - 2]}]"
    if len(mark.text) > WIDTH - 2 and not floor:
        text = mark.text.center(WIDTH)
    return f"{mark.colour if kitchen.sees(state.agent, cell) else DIM}{text}{PLAIN}"


def _mark(kitchen: Kitchen, state: State, cell: Cell, letter: str) -> _Mark:
    if cell == state.agent:
        return _Mark("@" + _thing_mark(kitchen, state, kitchen.held(state)).text, COLOURS["cook"])
    thing = kitchen.thing_at(state, cell)
    return _Mark(FURNITURE[letter]) if thing is None else _thing_mark(kitchen, state, thing)


def _thing_mark(kitchen: Kitchen, state: State, thing: int | None) -> _Mark:
    if thing is None:
        return _Mark("")
    if thing == BOWL_ID:
        inside = "".join(kitchen.foods[index][0].upper() for index in sorted(kitchen.contents(state)))
        return _Mark(f"({inside})", COLOURS[BOWL])
    name = kitchen.foods[thing]
    return _Mark(name[0].upper() if state.foods[thing].chopped else name[0], COLOURS[name])
