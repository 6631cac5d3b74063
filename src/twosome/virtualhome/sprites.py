"""Small pictures of our own, drawn from boxes, ovals and polygons: the flat's furniture, its things and its tenant.

Every function draws at a place given in picture units; :class:`Pen` turns them into pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from PIL import Image, ImageDraw

Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = str

INK = "#4a3f45"


class Pen:
    """Draws on a picture that is ``scale`` times finer than its units, moved and magnified as told.

    Args:
        image: What to draw on.
        scale: Pixels per unit.
        origin: Where the pen's (0, 0) lies, in units of the picture.
        size: Magnification of everything drawn.
    """

    def __init__(self, image: Image.Image, scale: float, origin: Point = (0, 0), size: float = 1.0) -> None:
        self.image = image
        self._draw = ImageDraw.Draw(image)
        self._scale = scale
        self._origin = origin
        self._size = size

    def at(self, x: float, y: float, size: float = 1.0) -> Pen:
        """A pen whose (0, 0) is at (x, y) of this one."""
        origin = self._origin[0] + x * self._size, self._origin[1] + y * self._size
        return Pen(self.image, self._scale, origin, self._size * size)

    def box(self, x: float, y: float, width: float, height: float, fill: Colour, radius: float = 0) -> None:
        """A filled box with rounded corners, (x, y) its upper left."""
        corners = self._pixels([(x, y), (x + width, y + height)])
        self._draw.rounded_rectangle(corners, radius=radius * self._scale * self._size, fill=fill)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """A filled oval, (x, y) its middle."""
        self._draw.ellipse(self._pixels([(x - rx, y - ry), (x + rx, y + ry)]), fill=fill)

    def arc(self, x: float, y: float, r: float, start: float, end: float, fill: Colour, width: float) -> None:
        """A piece of a circle, angles in degrees clockwise from three o'clock."""
        box = self._pixels([(x - r, y - r), (x + r, y + r)])
        self._draw.arc(box, start, end, fill=fill, width=self._thick(width))

    def shape(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled polygon."""
        self._draw.polygon(self._pixels(points), fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, width: float) -> None:
        """A line with round ends."""
        self._draw.line(self._pixels(points), fill=fill, width=self._thick(width), joint="curve")
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, fill)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        ox, oy = self._origin
        return [((ox + x * self._size) * self._scale, (oy + y * self._size) * self._scale) for x, y in points]

    def _thick(self, width: float) -> int:
        return max(1, round(width * self._scale * self._size))


# --- things that can be carried: (0, 0) is the middle of the underside ------------------------------------------------


def pancake(pen: Pen) -> None:
    """A stack of pancakes with butter and syrup."""
    pen.oval(0, -2.5, 17, 3.5, "#f7f4ec")
    for i, colour in enumerate(("#c98a3c", "#d99a48", "#e4ab5a")):
        pen.oval(0, -5 - 3.6 * i, 13, 4, "#9b6326")
        pen.oval(0, -6 - 3.6 * i, 13, 4, colour)
    pen.shape([(5, -14), (9, -14), (9, -6), (7, -4), (5, -7)], "#8b4a1c")
    pen.box(-4, -17, 8, 4.5, "#fff0a3", 1)


def cheese(pen: Pen) -> None:
    """A wedge of cheese."""
    pen.shape([(-15, 0), (15, 0), (15, -8), (-15, -8)], "#f3b731")
    pen.shape([(-15, -8), (15, -8), (10, -17)], "#ffd35c")
    for x, y, r in ((-8, -4, 2.2), (1, -3, 1.6), (9, -5, 2), (7, -11, 1.8)):
        pen.oval(x, y, r, r * 0.9, "#d9981d")


def hamburger(pen: Pen) -> None:
    """A hamburger with lettuce and cheese."""
    pen.box(-13, -6, 26, 6, "#d08c3f", 3)
    pen.box(-14, -10, 28, 5, "#6b3b22", 2)
    pen.shape([(-14, -10), (14, -10), (9, -6), (4, -10)], "#ffc83d")
    pen.line([(-13, -11), (-8, -10), (-3, -11.5), (3, -10), (8, -11.5), (13, -10.5)], "#6fae3d", 3)
    pen.box(-13, -21, 26, 10, "#e0a04e", 5)
    for x, y in ((-6, -17), (0, -19), (6, -17)):
        pen.oval(x, y, 1.1, 0.8, "#fff1d0")


def apple_pie(pen: Pen) -> None:
    """An apple pie with a lattice."""
    pen.shape([(-16, -8), (16, -8), (12, 0), (-12, 0)], "#b9bcc4")
    pen.oval(0, -9, 16, 5, "#d68f3e")
    pen.oval(0, -9.5, 13, 3.8, "#b9601f")
    for x in (-7, 0, 7):
        pen.line([(x - 2, -12.5), (x + 2, -6.5)], "#f0bd6c", 2)
        pen.line([(x + 3, -12.5), (x - 3, -6.5)], "#f0bd6c", 2)


def pizza(pen: Pen) -> None:
    """A pizza on a plate."""
    pen.oval(0, -3, 18, 4, "#f7f4ec")
    pen.oval(0, -6, 16, 5.2, "#d59a4b")
    pen.oval(0, -6.8, 13.5, 4.1, "#f6c64b")
    for x, y in ((-7, -7), (0, -5), (6, -8), (-1, -9), (8, -5.5)):
        pen.oval(x, y, 2.3, 1.2, "#c23b2d")
    for x, y in ((-3, -6.5), (4, -6.3)):
        pen.oval(x, y, 1.2, 0.7, "#4f8f3a")


def plate(pen: Pen) -> None:
    """A plate, standing, with a dirty spot."""
    pen.oval(0, -13, 13, 13, "#e7ebf2")
    pen.oval(0, -13, 11.6, 11.6, "#fbfcff")
    pen.oval(0, -13, 7.5, 7.5, "#e3e8f2")
    pen.oval(-2, -11, 3.2, 2, "#c48a58")
    pen.oval(3, -15, 1.7, 1.2, "#c48a58")


def clothes(pen: Pen) -> None:
    """A heap of clothes."""
    pen.oval(-6, -5, 11, 6, "#5f86c9")
    pen.oval(7, -5, 11, 6, "#d8616b")
    pen.oval(0, -11, 11, 6, "#f2c14e")
    pen.shape([(-9, -8), (-15, -1), (-10, 0), (-5, -6)], "#4d72b3")
    pen.shape([(9, -9), (16, -2), (12, 0), (6, -6)], "#c14f5a")
    pen.line([(-4, -15), (0, -11), (5, -15)], "#d9a836", 1.4)


def chips(pen: Pen) -> None:
    """A bag of chips."""
    pen.shape([(-10, 0), (-11, -13), (-9, -26), (9, -26), (11, -13), (10, 0)], "#d8432f")
    pen.shape([(-9, -26), (9, -26), (9.5, -22), (-9.5, -22)], "#a92d20")
    pen.shape([(-10, 0), (10, 0), (10.4, -3), (-10.4, -3)], "#a92d20")
    pen.oval(0, -12, 7, 6.5, "#ffe08a")
    pen.oval(-1, -12, 4.6, 3, "#e8a733")
    pen.oval(2, -10.5, 3.6, 2.2, "#f4bd4c")


def milk(pen: Pen) -> None:
    """A carton of milk."""
    pen.box(-7, -20, 14, 20, "#fdfdff")
    pen.shape([(-7, -20), (7, -20), (5, -27), (-5, -27)], "#dfe6f2")
    pen.box(-5.5, -30, 11, 3.4, "#8fb3e6", 1)
    pen.box(-7, -13, 14, 8, "#4f86d1")
    pen.oval(0, -9, 3, 2.6, "#fdfdff")


CARRIED: dict[str, Callable[[Pen], None]] = {
    "pancake": pancake,
    "food_cheese": cheese,
    "food_hamburger": hamburger,
    "pie": apple_pie,
    "food_pizza": pizza,
    "plate": plate,
    "clothespile": clothes,
    "chips": chips,
    "milk": milk,
}
"""What can be carried, by VirtualHome class."""


# --- appliances: (0, 0) is the middle of the underside; contents are drawn where the door shows them ------------------

Contents: TypeAlias = Callable[[Pen], None] | None


def microwave(pen: Pen, opened: bool, contents: Contents) -> None:
    """A microwave oven, 66 wide and 40 high."""
    pen.box(-33, -40, 66, 40, "#5b6270", 4)
    pen.box(-31, -38, 62, 36, "#757d8c", 3)
    pen.box(17, -36, 12, 32, "#4a505c", 2)
    pen.box(19, -34, 8, 5, "#9df2b0" if opened or contents else "#6fbf86", 1)
    for y in (-25, -20, -15):
        pen.box(19, y, 3, 3, "#c9ced8", 1)
        pen.box(24, y, 3, 3, "#c9ced8", 1)
    if opened:
        pen.box(-29, -36, 44, 32, "#ffe9b0", 2)
        pen.box(-26, -9, 38, 3, "#d8cba2", 1)
        if contents:
            contents(pen.at(-7, -8, 0.95))
        pen.shape([(-29, -36), (-52, -31), (-52, -1), (-29, -4)], "#474d58")
        pen.shape([(-32, -32), (-49, -28), (-49, -6), (-32, -9)], "#8fa3b8")
    else:
        glow = "#ffcf70" if contents else "#2c3038"
        pen.box(-29, -36, 44, 32, "#474d58", 2)
        pen.box(-25, -32, 34, 24, glow, 3)
        if contents:
            contents(pen.at(-8, -10, 0.8))
        pen.box(11, -32, 2.5, 24, "#c9ced8", 1)


def dishwasher(pen: Pen, opened: bool, contents: Contents) -> None:
    """A dishwasher, 52 wide and 60 high; the door folds down."""
    pen.box(-26, -60, 52, 60, "#c3c9d2", 2)
    pen.box(-26, -60, 52, 10, "#9aa2ae", 2)
    for x in (-18, -11, -4):
        pen.oval(x, -55, 2, 2, "#eef1f5")
    pen.oval(18, -55, 2.4, 2.4, "#7fdc8f" if contents and not opened else "#5d6672")
    if not opened:
        pen.box(-16, -46, 32, 4, "#8a919d", 2)
        return
    pen.box(-23, -49, 46, 47, "#5d6672", 1)
    pen.line([(-21, -16), (21, -16)], "#dde2e8", 2)
    for x in range(-18, 19, 6):
        pen.line([(x, -16), (x, -24)], "#dde2e8", 1)
    if contents:
        contents(pen.at(-2, -15, 1.0))
    pen.shape([(-26, -3), (26, -3), (34, 13), (-34, 13)], "#aeb5c0")
    pen.shape([(-22, -1), (22, -1), (28, 10), (-28, 10)], "#8a919d")


def washing_machine(pen: Pen, opened: bool, contents: Contents) -> None:
    """A washing machine, 54 wide and 62 high; the round door swings to the left."""
    pen.box(-27, -62, 54, 62, "#f2f4f7", 3)
    pen.box(-27, -62, 54, 13, "#d7dce4", 3)
    pen.box(-23, -59, 18, 7, "#aab3c0", 2)
    pen.oval(16, -55.5, 4, 4, "#8893a3")
    pen.oval(5, -55.5, 2, 2, "#7fdc8f" if contents and not opened else "#aab3c0")
    pen.oval(0, -24, 20, 20, "#aab3c0")
    pen.oval(0, -24, 16, 16, "#3d4654" if opened else "#5d7fa8")
    if opened:
        if contents:
            contents(pen.at(0, -14, 0.85))
        pen.oval(-33, -24, 8, 20, "#aab3c0")
        pen.oval(-33, -24, 5.5, 16, "#9fc3e6")
    else:
        if contents:
            contents(pen.at(0, -13, 0.8))
            pen.arc(0, -24, 12, 150, 330, "#d6ecff", 2)
        pen.arc(0, -24, 12, 200, 260, "#cfe5fb", 2.5)
        pen.box(14, -27, 4, 7, "#6c7686", 1)


APPLIANCES: dict[str, Callable[[Pen, bool, Contents], None]] = {
    "microwave": microwave,
    "dishwasher": dishwasher,
    "washingmachine": washing_machine,
}
"""What opens and closes, by VirtualHome class."""


def television(pen: Pen, on: bool) -> None:
    """A television on its stand, 100 wide and 110 high; running, it shows a sunny hill."""
    pen.box(-50, -44, 100, 44, "#8a5a3c", 3)
    pen.box(-46, -38, 44, 32, "#74492f", 2)
    pen.box(2, -38, 44, 32, "#74492f", 2)
    pen.oval(-6, -22, 2, 2, "#d9b48f")
    pen.oval(6, -22, 2, 2, "#d9b48f")
    pen.box(-6, -52, 12, 9, "#33373f")
    pen.box(-47, -110, 94, 60, "#2a2d34", 4)
    if not on:
        pen.box(-43, -106, 86, 52, "#3a3f49", 2)
        pen.shape([(-20, -106), (0, -106), (-24, -54), (-43, -54)], "#424854")
        return
    pen.box(-43, -106, 86, 52, "#8fd4f7", 2)
    pen.oval(22, -94, 8, 8, "#ffe36e")
    pen.oval(-22, -96, 9, 4, "#ffffff")
    pen.oval(-15, -98, 8, 5, "#ffffff")
    pen.shape([(-43, -54), (-43, -70), (-20, -82), (4, -68), (4, -54)], "#63b55c")
    pen.shape([(-12, -54), (20, -76), (43, -64), (43, -54)], "#4c9c50")
    pen.box(-43, -56, 86, 2, "#4c9c50")


# --- the tenant: (0, 0) is between the feet, or on the seat ----------------------------------------------------------

SKIN, HAIR, SHIRT, TROUSERS, SHOES = "#f1c6a0", "#5b3a29", "#2f9c95", "#34476b", "#2b2b33"


def tenant(
    pen: Pen, gaze: int, held: Sequence[Callable[[Pen], None]], seated: bool = False, happy: bool = False
) -> None:
    """The one who lives here, about 106 high when standing.

    Args:
        pen: Where.
        gaze: Where to look: -1 left, 0 ahead, 1 right.
        held: What is in the hands; the first in the right hand, which is on the left of the picture.
        seated: Whether to sit.
        happy: Whether to laugh.
    """
    _legs(pen, seated)
    hips = 6 if seated else -40
    body = pen.at(0, hips)
    _arms(body, held)
    body.box(-14, -36, 28, 40, SHIRT, 9)
    body.box(-4, -42, 8, 10, "#dcae88")
    _head(body.at(0, -53), gaze, happy)
    for side, thing in zip((-1, 1), held, strict=False):
        body.oval(24 * side, -17, 4.5, 4.5, SKIN)
        thing(body.at(27 * side, -17, 0.85))


def _legs(pen: Pen, seated: bool) -> None:
    if seated:
        for side in (-1, 1):
            pen.box(6 * side - 6, 2, 12, 16, TROUSERS, 5)
            pen.box(6 * side - 5, 10, 10, 26, TROUSERS, 3)
            pen.box(6 * side - 7 + side, 33, 14, 7, SHOES, 3)
        return
    for side in (-1, 1):
        pen.box(7 * side - 6, -42, 12, 40, TROUSERS, 4)
        pen.box(7 * side - 7 + side, -6, 14, 7, SHOES, 3)


def _arms(body: Pen, held: Sequence[Callable[[Pen], None]]) -> None:
    for side, full in ((-1, len(held) > 0), (1, len(held) > 1)):
        hand = (24 * side, -17) if full else (18 * side, -2)
        elbow = (21 * side, -19) if full else (18 * side, -16)
        body.line([(12 * side, -31), elbow], SHIRT, 8)
        body.line([elbow, hand], SKIN, 6.5)


def _head(head: Pen, gaze: int, happy: bool) -> None:
    head.oval(0, -2, 17, 17, HAIR)
    head.oval(0, 1, 14.5, 14, SKIN)
    head.shape([(-15, -3), (-11, -13), (0, -16), (11, -13), (15, -3), (6, -8), (-4, -7)], HAIR)
    look = 3 * gaze
    for side in (-1, 1):
        head.oval(5.5 * side + look, 1, 1.9, 2.4, INK)
        head.oval(9 * side + look * 0.6, 6.5, 2.6, 1.7, "#efae92")
    if happy:
        head.arc(look, 5, 5, 10, 170, INK, 1.6)
        head.oval(look, 8, 3, 2.2, "#b5483c")
    else:
        head.arc(look, 5, 4.5, 30, 150, INK, 1.5)
