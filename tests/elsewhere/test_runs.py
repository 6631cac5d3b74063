"""Runs whose environments are on servers: the same bytes as in process, whatever becomes of the servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.elsewhere.servers import Clients, Served, serving
from tests.runs.outcome import outcome
from tests.tiny import small_run, trained
from twosome.cli import main
from twosome.errors import EnvironmentFault
from twosome.runs.changes import changes
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig, same_numbers, to_yaml

TASK = "tomato-lettuce-salad"


@pytest.fixture(scope="module")
def config(model_directory: str) -> RunConfig:
    return replace(small_run(model_directory, task=TASK, decisions=4 * 24, save_every=1), env_timeout=600.0)


@pytest.fixture(scope="module")
def here(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the run leaves behind with its environments in this process."""
    return outcome(trained(config, tmp_path_factory))


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served(TASK, "--quiet")
    yield server
    server.kill()


def on(config: RunConfig, *servers: str, **settings: Any) -> RunConfig:
    return replace(config, environment={**config.environment, "servers": list(servers)}, **settings)


def test_a_run_by_command_leaves_the_same_bytes(config: RunConfig, here: dict[str, bytes], tmp_path: Path) -> None:
    with serving(TASK) as one, serving(TASK) as other:
        (tmp_path / "config.yaml").write_text(to_yaml(on(config, one, other)))
        run = str(tmp_path / "run")
        assert main(["train", "--config", str(tmp_path / "config.yaml"), "--out", run]) == 0
        assert outcome(tmp_path / "run") == here
        assert main(["evaluate", run, "--episodes", "4"]) == 0


def test_a_server_that_was_killed_and_came_back_changes_no_byte(
    config: RunConfig, here: dict[str, bytes], tmp_path: Path, served: Served
) -> None:
    again: list[Served] = []

    def disturb(progress: Any) -> None:
        if progress.update == 2:
            served.kill()
            again.append(Served(TASK, "--quiet", address=served.address))

    with pytest.warns(RuntimeWarning, match="was lost and came back; the episode with seed"):
        train(on(config, served.address), tmp_path / "run", disturb)
    again[0].kill()
    assert outcome(tmp_path / "run") == here


@pytest.mark.slow
def test_a_server_that_stays_away_stops_the_run_which_goes_on_with_another(
    config: RunConfig, here: dict[str, bytes], tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = Clients(monkeypatch)

    def disturb(progress: Any) -> None:
        if progress.update == 2:
            served.kill()
            clients.wait_only(2.0)

    with pytest.raises(EnvironmentFault, match=r"did not come back within env_timeout=2 seconds"):
        train(on(config, served.address), tmp_path / "run", disturb)
    with serving(TASK) as server:
        text = (tmp_path / "run" / "config.yaml").read_text()
        (tmp_path / "run" / "config.yaml").write_text(text.replace(served.address, server))
        resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == here


def test_where_environments_are_may_change_on_the_way(config: RunConfig) -> None:
    before, now = on(config, "a:1"), on(config, "b:2", "c:3")
    assert same_numbers(before, now)
    assert same_numbers(config, now)
    assert not changes(before, now)
    assert changes(before, replace(now, environment={"servers": ["a:1"], "time_limit": 31}))
