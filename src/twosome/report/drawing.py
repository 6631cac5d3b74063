"""Plots as inline SVG without a style of their own: the page's style sheet gives colours for light, dark and print.

Every untrusted text goes through :meth:`Markup.format`, which escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from twosome.report.formatting import percent

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 18, 40
STYLES = 16
"""Line styles in the style sheet; each has a colour and a dash pattern, no two the same."""


@dataclass(frozen=True)
class Line:
    """A curve with a band.

    Attributes:
        label: What it is.
        style: Number of its style; the same thing has the same style in all plots.
        points: x, y, and the ends of y's interval, None where there is none.
    """

    label: str
    style: int
    points: Sequence[tuple[float, float, float | None, float | None]]


@dataclass(frozen=True)
class Mark:
    """A horizontal line at a height that means something."""

    y: float
    label: str


@dataclass(frozen=True)
class Axes:
    """What the plot measures, and over which range; what stands on the vertical axis belongs above the plot.

    With ``logarithmic``, equal steps to the right are equal factors; ``x_range`` must be above 0 then.
    """

    x_label: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    percent: bool = False
    logarithmic: bool = False

    def x(self, value: float) -> float:
        """Horizontal place of a value, in units of the view box."""
        low, high = self.x_range
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low or 1)

    def y(self, value: float) -> float:
        """Vertical place of a value, cut off at the ends of the axis."""
        low, high = self.y_range
        share = min(1.0, max(0.0, (value - low) / (high - low or 1)))
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def line_chart(axes: Axes, lines: Sequence[Line], marks: Sequence[Mark], title: str, description: str) -> Markup:
    """Curves with bands, as an SVG element that a screen reader can read out."""
    parts = [_frame(axes)]
    parts += [_mark(axes, mark) for mark in marks]
    parts += [_band(axes, line) for line in lines]
    parts += [_line(axes, line) for line in lines]
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">{}</svg>').format(
        WIDTH, HEIGHT, title, description, Markup("").join(parts)
    )


def swatch(style: int) -> Markup:
    """A piece of a line, for a legend."""
    return Markup(
        '<svg class="swatch" viewBox="0 0 34 10" aria-hidden="true"><line class="line style-{}" x1="1" y1="5" x2="33" '
        'y2="5"/></svg>'
    ).format(style % STYLES)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between two: multiples of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= 0.75 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two, or 1, 2 and 5 times those where they are few."""
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    for factors in ((1,), (1, 2, 5)):
        found = [factor * power for power in powers for factor in factors if low <= factor * power <= high]
        if len(found) > 2:
            break
    return found


def thousands(value: float) -> str:
    """A number of decisions, short: 500, 2k, 1.5M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _frame(axes: Axes) -> Markup:
    """Grid, tick labels and axis titles."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in ticks(*axes.y_range):
        label = percent(value, digits=0) if axes.percent else f"{value:g}"
        parts.append(
            Markup(
                '<line class="grid{}" x1="{}" y1="{y:.1f}" x2="{}" y2="{y:.1f}"/>'
                '<text class="tick end" x="{}" y="{:.1f}">{}</text>'
            ).format(" zero" if value == 0 else "", LEFT, right, LEFT - 6, axes.y(value) + 4, label, y=axes.y(value))
        )
    for value in logarithmic_ticks(*axes.x_range) if axes.logarithmic else ticks(*axes.x_range, about=4):
        parts.append(
            Markup('<text class="tick middle" x="{:.1f}" y="{}">{}</text>').format(
                axes.x(value), bottom + 17, thousands(value)
            )
        )
    parts.append(
        Markup('<text class="label middle" x="{}" y="{}">{}</text>').format(
            (LEFT + right) / 2, HEIGHT - 6, axes.x_label
        )
    )
    return Markup("").join(parts)


def _mark(axes: Axes, mark: Mark) -> Markup:
    y = axes.y(mark.y)
    return Markup(
        '<line class="mark" x1="{}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
        '<text class="mark-label end" x="{right}" y="{:.1f}">{}</text>'
    ).format(LEFT, y - 4, mark.label, y=y, right=WIDTH - RIGHT)


def _band(axes: Axes, line: Line) -> Markup:
    known = [(x, low, high) for x, _, low, high in line.points if low is not None and high is not None]
    if len(known) < 2:
        return Markup("")
    upper = [f"{axes.x(x):.1f},{axes.y(high):.1f}" for x, _, high in known]
    lower = [f"{axes.x(x):.1f},{axes.y(low):.1f}" for x, low, _ in reversed(known)]
    return Markup('<polygon class="band style-{}" points="{}"/>').format(line.style % STYLES, " ".join(upper + lower))


def _line(axes: Axes, line: Line) -> Markup:
    points = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y, _, _ in line.points)
    return Markup('<polyline class="line style-{}" points="{}"/>').format(line.style % STYLES, points)


def track(before: float, after: float, best: float | None) -> Markup:
    """Where a score was and where it is now, on the way from 0 to the best possible."""
    low = min(0.0, before, after)
    high = max(after, before, best or 0.0) or 1.0
    left, right, y = 10.0, 310.0, 12.0

    def x(value: float) -> str:
        return f"{left + (right - left) * (value - low) / (high - low or 1):.1f}"

    parts = [
        Markup('<line class="rail" x1="{}" y1="{y}" x2="{}" y2="{y}"/>').format(left, right, y=y),
        Markup('<line class="gain" x1="{}" y1="{y}" x2="{}" y2="{y}"/>').format(x(before), x(after), y=y),
    ]
    if best is not None:
        parts.append(
            Markup('<line class="best" x1="{at}" y1="{}" x2="{at}" y2="{}"/>').format(y - 10, y + 10, at=x(best))
        )
    parts.append(Markup('<circle class="before" cx="{}" cy="{}" r="5.5"/>').format(x(before), y))
    parts.append(Markup('<circle class="after" cx="{}" cy="{}" r="6"/>').format(x(after), y))
    parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">0</text>').format(x(0.0), y + 24))
    if best is not None:
        parts.append(Markup('<text x="{}" y="{}" text-anchor="end">best possible</text>').format(right + 6, y + 24))
    return Markup('<svg class="track" viewBox="0 0 320 40" aria-hidden="true">{}</svg>').format(Markup("").join(parts))
