"""The flat itself, cut open on two floors: four rooms, a staircase between them, and the furniture nobody moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from twosome.virtualhome.sprites import Colour, Pen

WIDTH, HEIGHT = 820, 590
ROOM_WIDTH, ROOM_HEIGHT = 350, 240
FLOOR = 204
"""Where a room's floor meets its wall, counted from the room's ceiling."""

ROOM_CORNERS: dict[str, tuple[int, int]] = {
    "bathroom": (20, 74),
    "bedroom": (450, 74),
    "kitchen": (20, 328),
    "livingroom": (450, 328),
}
"""Upper left corner of each room."""


def draw_flat(pen: Pen) -> None:
    """Draw the house with its empty-handed rooms: all that never changes."""
    _outside(pen)
    _staircase(pen.at(370, 74))
    for room, furnish in _FURNISH.items():
        furnish(pen.at(*ROOM_CORNERS[room]))


def _outside(pen: Pen) -> None:
    pen.box(0, 0, WIDTH, HEIGHT, "#bfe3f5")
    for x, y, r in ((80, 30, 14), (98, 25, 18), (120, 31, 13), (640, 24, 12), (658, 20, 16), (676, 26, 11)):
        pen.oval(x, y, r * 1.5, r * 0.8, "#eaf6fd")
    pen.box(0, 574, WIDTH, 16, "#86bf6a")
    pen.box(600, 14, 34, 50, "#a8563f", 2)
    pen.box(595, 10, 44, 9, "#8c4533", 2)
    pen.shape([(2, 68), (410, 8), (818, 68)], "#c4624a")
    for i in range(1, 4):
        y = 8 + 15 * i
        half = 408 * 15 * i / 60
        pen.line([(410 - half, y), (410 + half, y)], "#b1543f", 1.5)
    pen.oval(410, 46, 13, 13, "#fdf3e1")
    pen.oval(410, 46, 10, 10, "#8fc7e6")
    pen.line([(410, 36), (410, 56)], "#fdf3e1", 2)
    pen.line([(400, 46), (420, 46)], "#fdf3e1", 2)
    pen.box(10, 64, 800, 514, "#f7ead7", 3)


def _staircase(pen: Pen) -> None:
    """The way between the rooms: a spiral stair, 80 wide and two floors high, with a doorway to either side."""
    pen.box(0, 0, 80, 494, "#efe0c9")
    for ceiling in (0, 254):
        pen.box(0, ceiling + FLOOR, 80, 36, "#c79a6b")
        pen.box(0, ceiling + FLOOR, 80, 3, "#b08455")
        for x in (0, 72):
            pen.box(x, ceiling, 8, 96, "#d8c3a5")
    pen.box(0, 240, 80, 14, "#f7ead7")
    pen.line([(40, 0), (40, 12)], "#8c7a68", 2)
    pen.oval(40, 19, 9, 9, "#fff3c4")
    _spiral(pen.at(40, 468), steps=18, rise=14)


def _spiral(pen: Pen, steps: int, rise: float) -> None:
    """A spiral stair around a pole, its foot at (0, 0)."""
    pen.oval(0, 4, 30, 5, "#a97c4f")
    treads = [(28 * math.cos(i * 0.7), -rise * i) for i in range(steps)]
    for x, y in treads:
        pen.shape([(0, y - 3), (x, y - 6), (x * 1.04, y + 1), (0, y + 3)], "#a97c4f")
        pen.line([(x, y - 4), (x, y - 26)], "#9aa0a8", 1.2)
    for (x, y), (following, above) in itertools.pairwise(treads):
        pen.line([(x, y - 26), (following, above - 26)], "#8f653c", 2.4)
    pen.box(-2.5, -rise * steps - 22, 5, rise * steps + 26, "#6f767f", 2)
    pen.oval(0, -rise * steps - 24, 4.5, 4.5, "#f2c14e")


def _walls(pen: Pen, wall: Colour, floor: Colour, skirting: Colour) -> None:
    pen.box(0, 0, ROOM_WIDTH, FLOOR, wall)
    pen.box(0, FLOOR, ROOM_WIDTH, ROOM_HEIGHT - FLOOR, floor)
    pen.box(0, FLOOR - 5, ROOM_WIDTH, 5, skirting)


def _planks(pen: Pen, colour: Colour) -> None:
    for y in (214, 226):
        pen.line([(0, y), (ROOM_WIDTH, y)], colour, 1)
    for x in range(20, ROOM_WIDTH, 58):
        pen.line([(x, 205), (x, 213)], colour, 1)
        pen.line([(x + 26, 215), (x + 26, 225)], colour, 1)
        pen.line([(x + 8, 227), (x + 8, 239)], colour, 1)


def _window(pen: Pen, width: float, height: float, curtain: Colour) -> None:
    pen.box(-4, -4, width + 8, height + 8, "#fdf8ef", 2)
    pen.box(0, 0, width, height, "#a9dbf2")
    pen.oval(width * 0.3, height * 0.35, 9, 5, "#eaf6fd")
    pen.oval(width * 0.68, height * 0.6, 11, 5, "#eaf6fd")
    pen.line([(width / 2, 0), (width / 2, height)], "#fdf8ef", 3)
    pen.line([(0, height / 2), (width, height / 2)], "#fdf8ef", 3)
    pen.shape([(-8, -8), (10, -8), (-2, height + 6), (-10, height + 6)], curtain)
    pen.shape([(width + 8, -8), (width - 10, -8), (width + 2, height + 6), (width + 10, height + 6)], curtain)
    pen.line([(-14, -8), (width + 14, -8)], "#9b7a55", 3)


def _plant(pen: Pen) -> None:
    for x, y in ((-14, -40), (-7, -52), (2, -56), (10, -48), (15, -38)):
        pen.line([(0, -20), (x, y)], "#4f8f4f", 3)
        pen.oval(x, y, 6, 8, "#5fa85c")
    pen.shape([(-11, -22), (11, -22), (8, 0), (-8, 0)], "#c9744f")
    pen.box(-12, -25, 24, 5, "#b5623f", 1)


def _kitchen(pen: Pen) -> None:
    _walls(pen, "#f6ecd4", "#e9dcc8", "#d9c7a6")
    for i in range(14):
        for j in range(3):
            if (i + j) % 2:
                pen.box(i * 25, FLOOR + 12 * j, 25, 12, "#d8c3a5")
    for i in range(8):
        for j in range(3):
            pen.box(61 + i * 22, 90 + j * 16, 20, 14, "#dbeaf0" if (i + j) % 2 else "#cfe2ea", 1)
    _window(pen.at(258, 32), 62, 58, "#e98b6d")
    _fridge(pen.at(34, 212))
    _counter(pen)
    for x in (64, 106, 148):
        pen.box(x, 22, 40, 44, "#6f9a8d", 2)
        pen.box(x + 3, 25, 34, 38, "#7eaa9c", 2)
        pen.oval(x + 33, 56, 2, 2, "#f3e6cf")
    pen.line([(226, 0), (226, 44)], "#8c7a68", 2)
    pen.oval(226, 60, 6, 6, "#fff3c4")
    pen.shape([(219, 42), (233, 42), (244, 60), (208, 60)], "#e98b6d")


def _fridge(pen: Pen) -> None:
    pen.box(-26, -150, 52, 150, "#dfe5ea", 5)
    pen.line([(-26, -98), (26, -98)], "#b4bec8", 2)
    pen.box(16, -124, 4, 20, "#9aa6b2", 2)
    pen.box(16, -90, 4, 30, "#9aa6b2", 2)
    pen.box(-14, -132, 10, 12, "#fff2b8")
    pen.box(-6, -118, 9, 9, "#f6b6ae")


def _counter(pen: Pen) -> None:
    """Work top from 62 to 238, with the built-in dishwasher's place on its left."""
    pen.box(62, 146, 176, 66, "#6f9a8d", 2)
    for x, width in ((122, 52), (178, 57)):
        pen.box(x, 150, width, 58, "#7eaa9c", 2)
    for y in (163, 183):
        pen.line([(124, y), (172, y)], "#6f9a8d", 2)
    for y in (156, 173, 195):
        pen.box(143, y, 11, 3, "#f3e6cf", 1)
    pen.box(184, 176, 3, 12, "#f3e6cf", 1)
    pen.box(58, 138, 184, 9, "#b98a5e", 2)
    pen.line([(150, 138), (150, 122), (160, 122), (160, 127)], "#aab3bd", 4)


def draw_kitchen_table(pen: Pen) -> None:
    """The kitchen table, its top at 0, 92 wide."""
    for x in (-38, 32):
        pen.box(x, 6, 7, 62, "#8a5a3c", 2)
    pen.box(-46, -1, 92, 10, "#a9714b", 3)
    pen.box(-46, -1, 92, 4, "#bb835a", 2)


def _bathroom(pen: Pen) -> None:
    _walls(pen, "#d9eef0", "#b7cdd3", "#9fbcc4")
    for i in range(9):
        pen.line([(i * 42, 96), (i * 42, FLOOR - 5)], "#c5e0e4", 1)
    for y in (96, 130, 164):
        pen.line([(0, y), (ROOM_WIDTH, y)], "#c5e0e4", 1)
    for i in range(14):
        pen.box(i * 25, FLOOR + 12 * (i % 2), 25, 12, "#c6dade")
    _window(pen.at(274, 30), 44, 44, "#8ec6c9")
    _basin(pen.at(122, 0))
    _toilet(pen.at(186, 214))
    _bath(pen.at(282, 214))
    pen.box(20, 40, 48, 8, "#b98a5e", 2)
    pen.box(26, 22, 9, 18, "#e98b6d", 2)
    pen.box(38, 27, 12, 13, "#f7f4ec", 2)
    pen.box(54, 18, 7, 22, "#7eaa9c", 3)


def _basin(pen: Pen) -> None:
    pen.oval(0, 66, 24, 30, "#fdf8ef")
    pen.oval(0, 66, 20, 26, "#b9dde8")
    pen.shape([(-10, 48), (-2, 44), (-12, 76), (-17, 72)], "#d8eef5")
    pen.line([(0, 126), (0, 116), (8, 116)], "#9aa6b2", 4)
    pen.shape([(-28, 126), (28, 126), (20, 144), (-20, 144)], "#fbfcfe")
    pen.box(-6, 144, 12, 68, "#e7edf2")


def _toilet(pen: Pen) -> None:
    pen.box(-16, -72, 32, 32, "#fbfcfe", 4)
    pen.box(-4, -68, 8, 4, "#c3ccd5", 2)
    pen.shape([(-18, -38), (18, -38), (11, 0), (-11, 0)], "#f0f4f7")
    pen.oval(0, -38, 20, 7, "#fbfcfe")
    pen.oval(0, -38, 13, 4, "#c9d8df")


def _bath(pen: Pen) -> None:
    for x, y, r in ((-34, -56, 9), (-22, -60, 11), (-8, -57, 9), (12, -58, 10), (26, -55, 8)):
        pen.oval(x, y, r, r * 0.8, "#ffffff")
    pen.box(-58, -54, 116, 44, "#fbfcfe", 18)
    pen.box(-62, -56, 124, 10, "#eef3f7", 5)
    pen.box(-44, -10, 10, 8, "#9aa6b2", 2)
    pen.box(34, -10, 10, 8, "#9aa6b2", 2)
    pen.line([(50, -56), (50, -76), (38, -76)], "#9aa6b2", 4)
    pen.shape([(-18, -66), (-8, -70), (2, -66), (0, -58), (-16, -58)], "#ffd84f")
    pen.oval(2, -72, 6, 6, "#ffd84f")
    pen.shape([(7, -73), (13, -71), (7, -69)], "#ee8a3c")


def _bedroom(pen: Pen) -> None:
    _walls(pen, "#dfd8ee", "#c79a6b", "#b9aed3")
    _planks(pen, "#b58657")
    pen.oval(190, 224, 92, 10, "#a5b8dc")
    _window(pen.at(118, 36), 62, 60, "#9a86c8")
    _wardrobe(pen.at(52, 214))
    pen.box(226, 36, 34, 40, "#fdf8ef", 2)
    pen.shape([(230, 72), (240, 54), (248, 64), (252, 58), (256, 72)], "#8fb6a0")
    pen.oval(250, 48, 4, 4, "#f2c14e")
    pen.box(278, 46, 46, 30, "#fdf8ef", 2)
    pen.box(281, 49, 40, 24, "#f3c9b5")
    pen.oval(301, 61, 8, 8, "#e98b6d")
    _bed(pen.at(262, 214))


def _wardrobe(pen: Pen) -> None:
    pen.box(-40, -160, 80, 160, "#9b6b4a", 3)
    for x in (-36, 2):
        pen.box(x, -154, 34, 146, "#ad7b57", 2)
        pen.box(x + 5, -146, 24, 58, "#b98863", 2)
        pen.box(x + 5, -78, 24, 58, "#b98863", 2)
    pen.oval(-5, -84, 2.4, 2.4, "#f0d9b5")
    pen.oval(5, -84, 2.4, 2.4, "#f0d9b5")
    pen.box(-36, -174, 34, 14, "#d8b98c", 2)


def _bed(pen: Pen) -> None:
    """A bed seen from its side, 150 wide; clothes lie on it 58 above the floor."""
    pen.box(68, -92, 12, 92, "#8a5a3c", 4)
    pen.box(-78, -50, 10, 50, "#8a5a3c", 4)
    pen.box(-74, -28, 146, 16, "#9b6b4a", 2)
    pen.box(-70, -48, 140, 24, "#fbfcfe", 6)
    pen.box(32, -62, 34, 18, "#fdf3e1", 8)
    pen.box(-72, -56, 104, 36, "#7f8fd0", 8)
    for x in (-54, -30, -6):
        pen.oval(x, -38, 5, 5, "#a5b2e6")
    pen.box(20, -56, 12, 34, "#98a6e0", 5)


def _living_room(pen: Pen) -> None:
    _walls(pen, "#f3dcc6", "#b98358", "#d8b48f")
    for x in range(14, ROOM_WIDTH - 14, 36):
        pen.box(x, 0, 14, FLOOR - 5, "#f0d4ba")
    _planks(pen, "#a67349")
    pen.oval(180, 225, 128, 12, "#c4624a")
    pen.oval(180, 225, 112, 9, "#d67a5f")
    _window(pen.at(146, 30), 68, 62, "#c4624a")
    _bookcase(pen.at(286, 34))
    _plant(pen.at(128, 206))


def _bookcase(pen: Pen) -> None:
    for shelf, y in enumerate((30, 66)):
        pen.box(-48, y, 96, 5, "#8a5a3c", 1)
        colours = ("#c4624a", "#2f9c95", "#f2c14e", "#5f86c9", "#7eaa9c", "#9a86c8")
        for i in range(6 if shelf == 0 else 4):
            height = 18 + (i * 7 + shelf * 5) % 9
            pen.box(-42 + i * 9 + shelf * 34, y - height, 8, height, colours[(i + 2 * shelf) % 6], 1)
    pen.oval(30, 22, 8, 8, "#f7f4ec")
    pen.box(-40, 56, 14, 10, "#e98b6d", 3)


def draw_sofa(pen: Pen) -> None:
    """The sofa, its seat 34 above the floor at 0, 118 wide."""
    pen.box(-52, -78, 104, 60, "#4f7fa8", 12)
    pen.line([(0, -72), (0, -34)], "#436f95", 2)
    pen.box(-50, -40, 100, 30, "#6496bf", 8)
    pen.line([(0, -38), (0, -14)], "#4f7fa8", 2)
    pen.box(-60, -54, 18, 48, "#436f95", 8)
    pen.box(42, -54, 18, 48, "#436f95", 8)
    pen.box(-52, -6, 8, 6, "#5b3a29", 1)
    pen.box(44, -6, 8, 6, "#5b3a29", 1)
    pen.box(20, -60, 22, 22, "#f2c14e", 6)


def draw_coffee_table(pen: Pen) -> None:
    """The coffee table, its top at 0, 82 wide."""
    for x in (-34, 28):
        pen.box(x, 4, 6, 30, "#6d4630", 2)
    pen.box(-42, -1, 84, 8, "#8a5a3c", 3)
    pen.box(-42, -1, 84, 3, "#a9714b", 2)


_FURNISH: dict[str, Callable[[Pen], None]] = {
    "kitchen": _kitchen,
    "bathroom": _bathroom,
    "bedroom": _bedroom,
    "livingroom": _living_room,
}
