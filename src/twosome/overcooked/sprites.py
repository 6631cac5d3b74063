"""Pictures of the things in a kitchen, drawn with Pillow from circles, polygons and lines; cached by size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from PIL import Image, ImageDraw

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

SMOOTHING = 4
"""Sprites are drawn this many times too large and scaled down, for smooth edges."""

INK = (64, 46, 38)
SHADOW = (40, 26, 16, 70)
RED, DARK_RED, PINK = (226, 67, 56), (178, 42, 40), (255, 158, 140)
GREEN, DARK_GREEN, PALE_GREEN = (104, 178, 72), (58, 128, 54), (190, 226, 128)
PURPLE, DARK_PURPLE, LILAC, IVORY = (166, 84, 158), (116, 50, 116), (224, 184, 222), (250, 240, 246)
CHINA, CHINA_EDGE, CHINA_INSIDE = (250, 250, 246), (96, 138, 170), (222, 234, 240)
WOOD, WOOD_EDGE, GRAIN = (232, 190, 132), (168, 116, 66), (214, 166, 106)
STEEL, STEEL_EDGE, HANDLE = (220, 226, 232), (132, 142, 152), (74, 60, 56)
GOLD, GOLD_EDGE, GOLD_LIGHT = (246, 196, 66), (176, 122, 26), (255, 232, 160)
SKIN, SKIN_EDGE, BLUSH = (246, 208, 172), (190, 136, 100), (240, 168, 148)
JACKET, JACKET_EDGE, SCARF = (70, 130, 180), (40, 84, 126), (236, 104, 74)
HAT, HAT_EDGE = (255, 255, 255), (168, 174, 186)


class Brush:
    """Draws on a square of side 1, the origin in the upper left corner."""

    def __init__(self, size: int) -> None:
        self._scale = size * SMOOTHING
        self.image = Image.new("RGBA", (self._scale, self._scale), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def _points(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._scale, y * self._scale) for x, y in points]

    def _width(self, width: float) -> int:
        return max(1, round(width * self._scale))

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, edge: Colour | None = None, width: float = 0.025
    ) -> None:
        """Draw an ellipse around (x, y)."""
        box = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self._draw.ellipse(box, fill, edge, self._width(width))

    def circle(
        self, x: float, y: float, r: float, fill: Colour, edge: Colour | None = None, width: float = 0.025
    ) -> None:
        """Draw a disc around (x, y)."""
        self.ellipse(x, y, r, r, fill, edge, width)

    def arc(self, x: float, y: float, rx: float, ry: float, angles: Point, ink: Colour, width: float = 0.025) -> None:
        """Draw a piece of an ellipse's edge; degrees clockwise from the right."""
        box = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self._draw.arc(box, *angles, fill=ink, width=self._width(width))

    def polygon(self, points: Sequence[Point], fill: Colour, edge: Colour | None = None, width: float = 0.025) -> None:
        """Draw a filled polygon."""
        scaled = self._points(points)
        self._draw.polygon(scaled, fill)
        if edge is not None:
            self._draw.line([*scaled, scaled[0], scaled[1]], edge, self._width(width), joint="curve")

    def line(self, points: Sequence[Point], ink: Colour, width: float = 0.025) -> None:
        """Draw a line with round corners."""
        self._draw.line(self._points(points), ink, self._width(width), joint="curve")

    def box(
        self,
        corners: tuple[float, float, float, float],
        fill: Colour,
        edge: Colour | None = None,
        radius: float = 0.06,
        width: float = 0.025,
    ) -> None:
        """Draw a rectangle (left, top, right, bottom) with round corners."""
        left, top, right, bottom = corners
        scaled = self._points([(left, top), (right, bottom)])
        self._draw.rounded_rectangle(scaled, radius * self._scale, fill, edge, self._width(width))

    def finished(self) -> Image.Image:
        """Return the sprite at its true size."""
        size = self._scale // SMOOTHING
        return self.image.resize((size, size), Image.Resampling.LANCZOS)


def _around(x: float, y: float, r: float, count: int, turn: float = 0.0) -> list[Point]:
    """Return points evenly spaced on a circle."""
    angles = (turn + 2 * math.pi * i / count for i in range(count))
    return [(x + r * math.cos(angle), y + r * math.sin(angle)) for angle in angles]


def _star(x: float, y: float, outer: float, inner: float, count: int, turn: float = 0.0) -> list[Point]:
    outside, inside = _around(x, y, outer, count, turn), _around(x, y, inner, count, turn + math.pi / count)
    return [point for pair in zip(outside, inside, strict=True) for point in pair]


def _tomato(brush: Brush) -> None:
    brush.ellipse(0.5, 0.8, 0.3, 0.08, SHADOW)
    brush.ellipse(0.5, 0.54, 0.33, 0.3, RED, DARK_RED)
    brush.ellipse(0.37, 0.45, 0.07, 0.05, PINK)
    brush.polygon(_star(0.5, 0.29, 0.17, 0.05, 5, -math.pi / 2 + 0.3), GREEN, DARK_GREEN, 0.015)
    brush.line([(0.5, 0.29), (0.53, 0.16)], DARK_GREEN, 0.04)


def _tomato_pieces(brush: Brush) -> None:
    for x, y, r in ((0.36, 0.4, 0.18), (0.66, 0.46, 0.17), (0.46, 0.67, 0.18)):
        brush.circle(x, y, r, RED, DARK_RED, 0.02)
        brush.circle(x, y, r * 0.72, PINK)
        for px, py in _around(x, y, r * 0.42, 3, x * 9):
            brush.circle(px, py, r * 0.24, RED)
            brush.circle(px, py, r * 0.08, GOLD_LIGHT)


def _lettuce(brush: Brush) -> None:
    brush.ellipse(0.5, 0.82, 0.3, 0.08, SHADOW)
    for x, y in _around(0.5, 0.53, 0.22, 9):
        brush.circle(x, y, 0.14, GREEN, DARK_GREEN, 0.02)
    brush.circle(0.5, 0.53, 0.27, GREEN)
    for x, y in _around(0.5, 0.54, 0.11, 6, 0.5):
        brush.circle(x, y, 0.11, PALE_GREEN, GREEN, 0.02)
    brush.circle(0.5, 0.54, 0.11, PALE_GREEN)
    for x, y in _around(0.5, 0.54, 0.29, 5, 0.2):
        brush.line([(0.5, 0.54), ((0.5 + x) / 2, (0.54 + y) / 2)], GREEN, 0.02)


def _lettuce_pieces(brush: Brush) -> None:
    leaves = ((0.32, 0.36, 0.4), (0.64, 0.34, -0.5), (0.34, 0.66, -0.4), (0.68, 0.64, 0.6), (0.5, 0.5, 1.3))
    for index, (x, y, turn) in enumerate(leaves):
        fill = GREEN if index % 2 else PALE_GREEN
        brush.polygon(_star(x, y, 0.18, 0.13, 7, turn), fill, DARK_GREEN, 0.018)
        dx, dy = 0.11 * math.cos(turn), 0.11 * math.sin(turn)
        brush.line([(x - dx, y - dy), (x + dx, y + dy)], DARK_GREEN if index % 2 else GREEN, 0.018)


def _onion(brush: Brush) -> None:
    brush.ellipse(0.5, 0.81, 0.28, 0.07, SHADOW)
    brush.polygon([(0.38, 0.36), (0.5, 0.13), (0.62, 0.36)], PURPLE, DARK_PURPLE)
    brush.ellipse(0.5, 0.56, 0.31, 0.26, PURPLE, DARK_PURPLE)
    for rx in (0.19, 0.07):
        brush.arc(0.5, 0.56, rx, 0.25, (100, 260), LILAC, 0.016)
        brush.arc(0.5, 0.56, rx, 0.25, (-80, 80), DARK_PURPLE, 0.016)
    for x in (0.45, 0.5, 0.55):
        brush.line([(0.5, 0.81), (x, 0.88)], INK, 0.012)


def _onion_pieces(brush: Brush) -> None:
    for x, y, r in ((0.36, 0.38, 0.18), (0.66, 0.44, 0.16), (0.47, 0.68, 0.18)):
        brush.circle(x, y, r, IVORY, DARK_PURPLE, 0.03)
        for part in (0.68, 0.36):
            brush.circle(x, y, r * part, IVORY, PURPLE, 0.02)


def _bowl(brush: Brush) -> None:
    brush.ellipse(0.5, 0.57, 0.42, 0.39, SHADOW)
    brush.circle(0.5, 0.51, 0.4, CHINA, CHINA_EDGE, 0.03)
    brush.circle(0.5, 0.51, 0.31, CHINA_INSIDE, CHINA_EDGE, 0.014)
    brush.arc(0.5, 0.51, 0.355, 0.355, (190, 260), (255, 255, 255), 0.035)


def _board(brush: Brush) -> None:
    brush.box((0.1, 0.17, 0.9, 0.89), SHADOW)
    brush.box((0.09, 0.13, 0.9, 0.85), WOOD, WOOD_EDGE, 0.09)
    for y in (0.28, 0.44, 0.6, 0.74):
        brush.line([(0.17, y), (0.82, y)], GRAIN, 0.014)
    brush.circle(0.82, 0.22, 0.035, WOOD_EDGE)


def _knife(brush: Brush) -> None:
    brush.polygon([(0.79, 0.14), (0.85, 0.12), (0.93, 0.3), (0.93, 0.56), (0.86, 0.56)], STEEL, STEEL_EDGE, 0.016)
    brush.box((0.85, 0.56, 0.94, 0.84), HANDLE, INK, 0.035, 0.014)
    brush.circle(0.895, 0.64, 0.012, STEEL)
    brush.circle(0.895, 0.76, 0.012, STEEL)


def _hatch(brush: Brush) -> None:
    brush.box((0.07, 0.07, 0.93, 0.93), (84, 88, 96), (52, 55, 62), 0.06)
    for x in (0.2, 0.36):
        brush.line([(x + 0.1, 0.3), (x, 0.5), (x + 0.1, 0.7)], (130, 136, 146), 0.04)
    brush.ellipse(0.69, 0.72, 0.19, 0.06, GOLD_EDGE)
    brush.arc(0.69, 0.68, 0.17, 0.3, (180, 360), GOLD_EDGE, 0.02)
    brush.polygon([(0.52, 0.68), *_dome(0.69, 0.68, 0.17, 0.26), (0.86, 0.68)], GOLD, GOLD_EDGE, 0.02)
    brush.arc(0.67, 0.66, 0.1, 0.17, (190, 260), GOLD_LIGHT, 0.03)
    brush.circle(0.69, 0.39, 0.04, GOLD, GOLD_EDGE, 0.016)


def _dome(x: float, y: float, rx: float, ry: float) -> list[Point]:
    angles = [math.pi * (1 + i / 24) for i in range(25)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


def _mat(brush: Brush) -> None:
    brush.circle(0.5, 0.53, 0.43, (255, 255, 255, 46), (255, 255, 255, 110), 0.02)


def _cook(brush: Brush) -> None:
    brush.ellipse(0.5, 0.93, 0.29, 0.06, SHADOW)
    brush.box((0.37, 0.8, 0.47, 0.95), HANDLE, INK, 0.03, 0.016)
    brush.box((0.53, 0.8, 0.63, 0.95), HANDLE, INK, 0.03, 0.016)
    brush.box((0.27, 0.54, 0.73, 0.9), JACKET, JACKET_EDGE, 0.15)
    brush.box((0.37, 0.6, 0.63, 0.9), HAT, HAT_EDGE, 0.05, 0.016)
    brush.polygon([(0.38, 0.55), (0.62, 0.55), (0.5, 0.67)], SCARF, DARK_RED, 0.016)
    brush.circle(0.5, 0.41, 0.2, SKIN, SKIN_EDGE)
    for side in (-1, 1):
        brush.circle(0.5 + side * 0.075, 0.42, 0.025, INK)
        brush.ellipse(0.5 + side * 0.125, 0.485, 0.035, 0.022, BLUSH)
    brush.arc(0.5, 0.465, 0.06, 0.05, (20, 160), INK, 0.018)
    for x, y, r in ((0.36, 0.17, 0.12), (0.64, 0.17, 0.12), (0.5, 0.13, 0.13)):
        brush.circle(x, y, r, HAT, HAT_EDGE, 0.02)
    brush.polygon([(0.33, 0.16), (0.67, 0.16), (0.66, 0.31), (0.34, 0.31)], HAT)
    brush.line([(0.33, 0.22), (0.34, 0.32), (0.66, 0.32), (0.67, 0.22)], HAT_EDGE, 0.02)
    for x in (0.43, 0.5, 0.57):
        brush.line([(x, 0.2), (x, 0.27)], (222, 226, 232), 0.014)


def _hands(brush: Brush) -> None:
    for x in (0.24, 0.76):
        brush.circle(x, 0.72, 0.075, SKIN, SKIN_EDGE, 0.02)


PICTURES: dict[str, Callable[[Brush], None]] = {
    "tomato": _tomato,
    "chopped tomato": _tomato_pieces,
    "lettuce": _lettuce,
    "chopped lettuce": _lettuce_pieces,
    "onion": _onion,
    "chopped onion": _onion_pieces,
    "bowl": _bowl,
    "board": _board,
    "knife": _knife,
    "hatch": _hatch,
    "mat": _mat,
    "cook": _cook,
    "hands": _hands,
}


@cache
def sprite(name: str, size: int) -> Image.Image:
    """Return the picture of a thing, ``size`` pixels wide and high, on a transparent ground; do not draw on it."""
    brush = Brush(size)
    PICTURES[name](brush)
    return brush.finished()
