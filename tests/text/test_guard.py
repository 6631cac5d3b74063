"""Environments that break their promises: each fault is told in one sentence that names the environment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import psutil
import pytest
from gymnasium.vector import VectorEnv
from tests.faults.environments import DEADLY, TASK, WRONG

from twosome.errors import ConfigError, EnvironmentFault
from twosome.text.guard import GuardedEnv
from twosome.text.tasks import make_task, make_vector_task

TIMEOUT = 20.0


def misbehaving(misdeed: str, file: Path, *, processes: bool, timeout: float = TIMEOUT) -> VectorEnv:
    file.touch()
    arguments = {"misdeed": misdeed, "at": 2, "while_exists": str(file)}
    return make_vector_task(TASK, 2, processes=processes, timeout=timeout, arguments=arguments)


def provoke(envs: VectorEnv) -> EnvironmentFault:
    envs.reset(seed=[5, 6])
    envs.step([0, 0])
    with pytest.raises(EnvironmentFault) as caught:
        envs.step([0, 0])
    assert "\n" not in str(caught.value)
    return caught.value


def descendants() -> set[int]:
    """Processes below this one, those apart that multiprocessing keeps for itself."""
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline())
    }


@pytest.mark.parametrize("misdeed", WRONG)
def test_what_an_environment_does_wrong_is_told_with_its_name_and_moment(misdeed: str, tmp_path: Path) -> None:
    with closing(misbehaving(misdeed, tmp_path / "now", processes=False)) as envs:
        fault = str(provoke(envs))
    assert fault.startswith(f"environment 0 of {TASK}, at step 2 of the episode with seed 5, ")
    assert re.search(WRONG[misdeed][1], fault)


@pytest.mark.parametrize("misdeed", ["raised", "nan reward", "no prompt"])
def test_a_process_says_the_same_sentence(misdeed: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = descendants()
    faults = []
    for processes in (False, True):
        with closing(misbehaving(misdeed, tmp_path / "now", processes=processes)) as envs:
            faults.append(str(provoke(envs)).replace("environment 1", "environment 0").replace("seed 6", "seed 5"))
    assert faults[0] == faults[1]
    assert descendants() <= before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("misdeed", DEADLY)
def test_a_process_that_dies_or_hangs_is_told_and_cleaned_up(
    misdeed: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = descendants()
    timeout = 5.0 if misdeed == "hung" else TIMEOUT
    with closing(misbehaving(misdeed, tmp_path / "now", processes=True, timeout=timeout)) as envs:
        fault = str(provoke(envs))
    assert re.search(DEADLY[misdeed][1], fault)
    assert re.search(rf"environment [01] of {TASK}", fault)
    assert descendants() <= before
    assert capfd.readouterr().err == ""


def test_a_process_that_was_stopped_from_outside_counts_as_hung() -> None:
    before = descendants()
    with closing(make_vector_task("tomato-salad", 2, processes=True, timeout=TIMEOUT)) as envs:
        envs.reset(seed=[1, 2])
        envs._timeout = 1.0  # type: ignore[attr-defined]
        os.kill(envs._workers[1].process.pid, signal.SIGSTOP)  # type: ignore[attr-defined]
        with pytest.raises(EnvironmentFault, match="environment 1 of tomato-salad did not answer within"):
            envs.step([0, 0])
    assert descendants() <= before


def test_a_process_that_died_between_two_steps_is_told() -> None:
    with closing(make_vector_task("tomato-salad", 2, processes=True, timeout=TIMEOUT)) as envs:
        envs.reset(seed=[1, 2])
        envs._workers[0].process.kill()  # type: ignore[attr-defined]
        envs._workers[0].process.join()  # type: ignore[attr-defined]
        with pytest.raises(EnvironmentFault, match="process of environment 0 of tomato-salad was killed by SIGKILL"):
            envs.step([0, 0])


@pytest.mark.parametrize("processes", [False, True])
def test_a_task_that_cannot_be_made_is_refused_the_same(processes: bool) -> None:
    before = descendants()
    with pytest.raises(ConfigError, match=r"cannot make the task 'tomato-salad'.*colour"):
        make_vector_task("tomato-salad", 2, processes=processes, arguments={"colour": 1})
    assert descendants() <= before


def test_environment_processes_leave_with_a_run_that_was_killed_also_when_they_hang(tmp_path: Path) -> None:
    (tmp_path / "now").touch()
    script = tmp_path / "script.py"
    script.write_text(
        "from twosome.text.tasks import make_vector_task\n"
        "if __name__ == '__main__':\n"
        f"    arguments = {{'misdeed': 'hung', 'at': 1, 'while_exists': {str(tmp_path / 'now')!r}}}\n"
        f"    envs = make_vector_task({TASK!r}, 2, processes=True, timeout=600, arguments=arguments)\n"
        "    envs.reset(seed=[1, 2])\n"
        "    print('ready', flush=True)\n"
        "    envs.step([0, 0])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_closing_twice_and_never_leaves_nothing_behind() -> None:
    before = descendants()
    envs = make_vector_task("tomato-salad", 1, processes=True, timeout=TIMEOUT)
    envs.close()
    envs.close()
    assert descendants() <= before


class Unclosable(gymnasium.Wrapper[Any, Any, Any, Any]):
    def close(self) -> None:
        raise RuntimeError("stuck")


def test_an_environment_that_cannot_be_closed_is_reported_and_left() -> None:
    env = GuardedEnv(Unclosable(make_task("tomato-salad")), "environment 3")
    with pytest.warns(RuntimeWarning, match="environment 3 could not be closed: RuntimeError: stuck"):
        env.close()


def test_an_environment_that_behaves_is_left_alone() -> None:
    plain, guarded = make_task("tomato-salad"), GuardedEnv(make_task("tomato-salad"), "environment 0")
    assert plain.reset(seed=3)[0] == guarded.reset(seed=3)[0]
    for _ in range(10):
        observation, reward, terminated, truncated, info = plain.step(0)
        kept = {name: info[name] for name in ("duration", "success")}
        assert guarded.step(0) == (observation, reward, terminated, truncated, kept)
