"""The report: one HTML file that needs nothing else, neither a server nor a network nor this package."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from twosome.errors import RunError
from twosome.report.comparison import compare
from twosome.report.curves import LAST, SUFFICIENT, WINDOW
from twosome.report.formatting import FILTERS, percent
from twosome.report.generalization import controls, matrices
from twosome.report.grouping import group, main_groups
from twosome.report.language import abilities
from twosome.report.measures import Cell, Key, cells, principal
from twosome.report.reading import Material, read
from twosome.report.replays import changes, collect
from twosome.report.results import headlines, learning_panels, optima, results, styles, with_training
from twosome.success import UNKNOWN

FEW = 5
"""Fewer runs than this make a bootstrap interval too narrow, which the report then says."""


def write_report(directories: Sequence[Path], out: Path) -> Path:
    """Write a report of runs and measurements, and its tables once more as Markdown, beside it.

    Args:
        directories: Run directories, or directories that hold runs, measurements.jsonl or language.json.
        out: The HTML file; replaced if it is there. The tables go to the same name with the ending ``.md``.

    Returns:
        ``out``.

    Raises:
        RunError: If there is nothing to report, or a file cannot be written.
    """
    contents = _contents(read(directories))
    _replace(out.with_suffix(".md"), _tables(contents))
    _replace(out, _page(contents))
    return out


def _contents(material: Material) -> dict[str, Any]:
    """Everything that page and tables show."""
    groups, notes = group(material.runs)
    measured = cells(material.measurements)
    best = optima(groups, measured)
    achieved = with_training(groups, measured, best)
    style_of = styles(achieved)
    main = main_groups(groups, principal(measured))
    rows = results(groups, achieved, best)
    return {
        "groups": groups,
        "tasks": list(dict.fromkeys(row.task for row in rows)),
        "models": list(dict.fromkeys(str(run.config["model"]) for run in material.runs if "model" in run.config)),
        "headlines": headlines(main, achieved, best),
        "panels": learning_panels(groups, best, style_of),
        "results": rows,
        "comparison": compare(achieved, style_of),
        "matrices": matrices(measured),
        "controls": controls(measured),
        "abilities": abilities(material.language),
        "changes": changes(main),
        "replays": collect(groups),
        "notes": [*material.notes, *notes, *_unknown(achieved)],
        "few": FEW,
        "window": WINDOW,
        "last": LAST,
        "sufficient": percent(SUFFICIENT, digits=0),
    }


def _unknown(achieved: Mapping[Key, Cell]) -> list[str]:
    """A note on the tasks where success is not known."""
    tasks = sorted({key.task for key, cell in achieved.items() if math.isnan(cell.success.value)})
    return [f"Success is not known in {', '.join(tasks)}: {UNKNOWN}."] if tasks else []


def _page(contents: dict[str, Any]) -> str:
    style, script = _asset("report.css"), _asset("report.js")
    return (
        _environment(markup=True)
        .get_template("page.html")
        .render(
            policy=_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            replay_data=_json_for_script(contents["replays"].data),
            **contents,
        )
    )


def _tables(contents: dict[str, Any]) -> str:
    return _environment(markup=False).get_template("tables.md").render(**contents).strip() + "\n"


def _replace(out: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunError(f"cannot write the report to {str(out)!r}: {error.strerror or error}") from None


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy: nothing from anywhere, and no code or style but the report's own."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _json_for_script(value: Any) -> Markup:
    """JSON that cannot end the script element it is in, whatever texts it holds."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@cache
def _environment(*, markup: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("twosome.report"),
        autoescape=markup,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8").strip()
