"""What is found on a disk: runs, checkpoints, journals, what was found out about reading a model."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

from tests.fuzz.bench import Bench
from tests.fuzz.inputs import FILES, changed, damage
from twosome.errors import TwosomeError
from twosome.judging.probing import choose_reader
from twosome.runs.agents import load_agent
from twosome.runs.journal import read_lines


def contents(run: Path) -> dict[str, bytes | None]:
    """Every file of a run, the lock apart."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in run.rglob("*") if path.name != ".lock"}


def check_checkpoints(bench: Bench, draw: st.DrawFn) -> None:
    """Checkpoints that were damaged, or made up with right hashes, as of a newer version or a stranger."""
    place = bench.place()
    shutil.copytree(bench.stopped, place)
    folder = sorted((place / "checkpoints").iterdir())[-1]
    if draw(st.booleans()):
        damage(draw, draw(st.sampled_from(sorted(folder.iterdir()))))
    else:
        name = draw(st.sampled_from(["state.json", "manifest.json"]))
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(changed(draw, content)))
        if name == "state.json":
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            (folder / "manifest.json").write_text(json.dumps(manifest))
    _resumed_or_refused(bench, place)


def check_runs(bench: Bench, draw: st.DrawFn) -> None:
    """Run directories of which files were damaged: evaluated, and taken up again."""
    place = bench.place()
    shutil.copytree(draw(st.sampled_from([bench.finished, bench.stopped])), place)
    for _ in range(draw(st.integers(1, 2))):
        files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.name != "learning_curve.png"]
        damage(draw, draw(st.sampled_from(files)))
    if draw(st.booleans()):
        with suppress(TwosomeError, OSError):
            load_agent(place).setting()
    else:
        _resumed_or_refused(bench, place)


def _resumed_or_refused(bench: Bench, place: Path) -> None:
    """Taken up, or refused with everything left as it was."""
    before = contents(place)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        try:
            bench.take_up(place)
        except (TwosomeError, OSError):
            after = contents(place)
            assert {name: after.get(name) for name in before} == before


def check_readings(bench: Bench, draw: st.DrawFn) -> None:
    """What was found out about reading a model, damaged or made up: the model is read as if nothing were known."""
    (file,) = bench.remembered.glob("*.json")
    before = file.read_bytes()
    try:
        if draw(st.booleans()):
            damage(draw, file)
        else:
            file.write_text(json.dumps(_made_up(draw, json.loads(before))))
        reader = choose_reader(bench.narrow)
        with torch.no_grad():
            assert torch.allclose(reader.log_probs(bench.encoded), bench.right, atol=1e-4)
    finally:
        if file.is_dir():
            file.rmdir()
        file.write_bytes(before)


def _made_up(draw: st.DrawFn, record: Any) -> Any:
    way = draw(st.sampled_from(["packed", "masked", "cached", "padded", "x", "", None, 3, ["packed"]]))
    names = st.sampled_from(["share", "trim", "fuse", "join", "once", "x"])
    values = st.booleans() | st.sampled_from([None, 0, "", "no", []])
    economies = draw(st.dictionaries(names, values, max_size=6) | st.sampled_from([None, [], "packed", {}]))
    return draw(st.sampled_from([{"way": way, "economies": economies}, {"way": way}, changed(draw, record)]))


def check_journals(bench: Bench, draw: st.DrawFn) -> None:
    """Metrics and episodes of a run, torn or made up, as the report and the curve read them."""
    file = bench.place()
    file.write_bytes(draw(st.binary(max_size=80) | FILES))
    assert all(isinstance(line, dict) for line in read_lines(file))
