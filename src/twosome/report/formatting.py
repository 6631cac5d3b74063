"""Numbers as people read them; the filters of the page's templates."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from twosome.report.statistics import Interval

MINUS, MISSING = "\u2212", "\u2013"
SPACE, NARROW_SPACE = "\u00a0", "\u202f"
"""Spaces at which no line is broken."""


def score(value: float | None) -> str:
    """A return, or whatever else lies around 1: 0.921."""
    return MISSING if value is None or math.isnan(value) else f"{value:.3f}".replace("-", MINUS)


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction, 97.3 %, a dash where unknown; only what is all or nothing, up to rounding errors, is written so."""
    if value is None or math.isnan(value):
        return MISSING
    if min(abs(value), abs(value - 1)) < 1e-9:
        value, digits = round(value), 0
    elif 0 < value < 0.0005:
        return f"<{SPACE}0.1{SPACE}%"
    elif 0.9995 <= value < 1:
        return f">{SPACE}99.9{SPACE}%"
    return f"{100 * value:.{digits}f}{SPACE}%".replace("-", MINUS)


def count(value: float | None) -> str:
    """A number of decisions; infinitely many are never."""
    if value is None:
        return MISSING
    return "not reached" if math.isinf(value) else f"{value:,.0f}".replace(",", NARROW_SPACE)


def shown(value: float | None, kind: str) -> str:
    """A number of a kind: score, percent or count."""
    return KINDS[kind](value)


def ends(interval: Interval | None, kind: str) -> str:
    """An interval in brackets, or nothing where there is none or all of it is infinite."""
    if interval is None or interval.low is None or interval.high is None or math.isinf(interval.low):
        return ""
    return f"[{shown(interval.low, kind)}, {shown(interval.high, kind)}]"


def plain(text: str) -> str:
    """Text for a Markdown table: nothing in it ends a cell or a line, or begins markup."""
    return " ".join(re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text).split())


def runs(number: int) -> str:
    """How many runs."""
    return "1 run" if number == 1 else f"{number} runs"


KINDS: dict[str, Callable[[float | None], str]] = {"score": score, "percent": percent, "count": count}
FILTERS = {**KINDS, "shown": shown, "ends": ends, "runs": runs, "plain": plain}
