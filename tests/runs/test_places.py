"""Paths in configurations and archives: a run writes below its own directory, whatever its files and settings say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.tiny import small_run
from twosome.cli import main
from twosome.cli.train import default_directory
from twosome.errors import TwosomeError
from twosome.models.loading import EMBEDDED_DIRECTORY
from twosome.runs.checkpoint import newest_checkpoint
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig


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


def code_bearing(directory: Path, marker: Path) -> Path:
    """A model whose own code leaves a mark when it is run."""
    directory.mkdir()
    names = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    (directory / "config.json").write_text(json.dumps({"model_type": "stranger", "auto_map": names}))
    (directory / "code.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).write_text('it ran')\n")
    shutil.copytree(EMBEDDED_DIRECTORY, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("config.json"))
    return directory


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--resume", "RUN"],
        ["evaluate", "RUN"],
        ["evaluate-language", "RUN"],
        ["play", "tomato-salad", "--player", "model", "--agent", "RUN"],
        ["score", "--adapter", "RUN", "--prompt", "You should", "--action", "go"],
    ],
    ids=lambda words: words[0],
)
def test_a_run_cannot_ask_for_code_by_itself(
    command: list[str], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"
    model = code_bearing(tmp_path / "stranger", marker)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["model"], settings["loading"]["trust_remote_code"] = str(model), True
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    words = [str(run) if word == "RUN" else word for word in command]
    assert main(words) == 2
    assert "--trust-remote-code" in capsys.readouterr().err
    assert not marker.exists()
    assert main([*words, "--trust-remote-code"]) == 2  # the model is none, which only its code can tell
    assert marker.read_text() == "it ran"
