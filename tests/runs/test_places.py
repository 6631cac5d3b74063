"""Paths in configurations and archives: a run writes below its own directory, whatever its files and settings say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny import small_run
from twosome.cli.train import default_directory
from twosome.errors import TwosomeError
from twosome.runs.checkpoint import newest_checkpoint
from twosome.runs.config import RunConfig
from twosome.runs.trainer import resume, train


@pytest.fixture(scope="module")
def config(model_directory: str) -> RunConfig:
    return small_run(model_directory, decisions=2 * 24, save_every=1)


@pytest.fixture
def run(config: RunConfig, tmp_path: Path) -> Path:
    """A run that is not finished yet, with everything in it."""
    train(config, tmp_path / "place" / "run")
    versions = tmp_path / "place" / "run" / "versions.json"
    versions.write_text(versions.read_text().replace("finished", "interrupted"))
    return tmp_path / "place" / "run"


def outside(run: Path) -> set[Path]:
    return {path for path in run.parents[1].rglob("*") if run not in (path, *path.parents)}


@pytest.mark.parametrize("task", ["../../escape", "/tmp/escape", "a:../../b-v0", "..", "C:\\escape-v0", "\x00"])
def test_a_task_that_looks_like_a_path_does_not_become_one(task: str) -> None:
    place = default_directory(RunConfig(task=task), "tiny")
    assert place.parent == Path("runs")
    assert ".." not in place.parts


def test_names_in_a_manifest_are_not_opened(run: Path) -> None:
    """Only the files that a checkpoint is made of are read, whatever its manifest lists."""
    newest = max((run / "checkpoints").iterdir())
    manifest = json.loads((newest / "manifest.json").read_text())
    manifest["sha256"] = {"../../../secret": "0" * 64, **manifest["sha256"]}
    (newest / "manifest.json").write_text(json.dumps(manifest))
    checkpoint = newest_checkpoint(run)
    assert checkpoint is not None
    assert checkpoint.update == 2


def test_a_run_writes_below_its_directory(run: Path, config: RunConfig) -> None:
    before = outside(run)
    resume(run)
    assert outside(run) == before


@pytest.mark.parametrize("name", ["metrics.jsonl", "critic.safetensors", "adapter", "checkpoints", ".lock"])
def test_links_out_of_a_run_are_refused_and_what_they_lead_to_is_left_alone(name: str, run: Path) -> None:
    """An archive can hold links, and what they lead to would be written."""
    victim = run.parent / "victim"
    if (run / name).is_dir():
        shutil.move(run / name, victim)
    else:
        victim.write_bytes((run / name).read_bytes())
        (run / name).unlink()
    (run / name).symlink_to(victim)
    before = {path: path.read_bytes() for path in (victim, *victim.rglob("*")) if path.is_file()}
    with pytest.raises(TwosomeError, match="leads out of the run"):
        resume(run)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_in_a_directory_that_is_a_link_itself_is_a_users_choice(run: Path, config: RunConfig) -> None:
    (run.parent / "link").symlink_to(run)
    resume(run.parent / "link")
    assert (run / "versions.json").read_text().count("finished") == 1
    train(replace(config, seed=1), run.parent / "another")
