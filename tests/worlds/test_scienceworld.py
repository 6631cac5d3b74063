"""ScienceWorld: needs Java and its package; its Java processes take seconds to start, so these tests are slow."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from tests.tiny import small_run
from tests.worlds.disturbed import lose_a_worker, stop
from twosome.errors import ConfigError
from twosome.evaluation.advised import evaluate_oracle
from twosome.evaluation.checking import check_environment
from twosome.runs.trainer import resume
from twosome.text.states import traits
from twosome.text.tasks import make_task

pytest.importorskip("scienceworld", reason="the extra scienceworld is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java"),
]

TASK = "scienceworld:find-living-thing/0"


def java() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "java" in child.name()]


def test_the_gold_path_wins_and_rewards_sum_to_the_score() -> None:
    found = evaluate_oracle(TASK, episodes=1, gamma=1.0)
    assert found is not None
    assert found.success is not None
    assert found.success.mean == 1.0
    assert found.discounted_return.mean == pytest.approx(1.0)


def test_a_wrong_focus_ends_an_episode_as_a_failure() -> None:
    env = make_task(TASK)
    observation, _ = env.reset(seed=0)
    assert "reset task" not in observation["actions"]
    _, reward, terminated, _, info = env.step(observation["actions"].index("focus on orange"))
    env.close()
    assert terminated
    assert info["success"] is False
    assert reward == pytest.approx(-1.0)


def test_its_java_process_ends_with_it() -> None:
    before = set(java())
    env = make_task(TASK)
    own = set(java()) - before
    assert len(own) == 1
    env.close()
    _, alive = psutil.wait_procs(own, timeout=20)
    assert not alive


def test_it_says_that_episodes_do_not_replay_and_whose_words_it_shows() -> None:
    env = make_task(TASK)
    assert traits(env).replays is False
    assert traits(env).quotes == "ScienceWorld"
    env.close()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("boil-water/0", {}, "no task 'boil-water'"),
        ("boil/9999", {}, "variations 0 to"),
        ("boil/0", {"simplifications": ["easy"]}, "no simplification 'easy'"),
    ],
)
def test_what_it_does_not_know_is_refused(name: str, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_task(f"scienceworld:{name}", **arguments)


def test_check_env_finds_only_what_is_its_own() -> None:
    """Its rooms may be too long for the embedded model, which reads 512 tokens; that is no fault of a text."""
    report = check_environment(TASK, decisions=10, elsewhere=False)
    assert {finding.check for finding in report.findings if finding.severity == "error"} <= {"context"}


def test_a_run_says_at_once_that_it_cannot_be_resumed_exactly_and_can_be_resumed(
    model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"task": TASK, "environment": {}, "num_envs": 1, "decisions": 5 * 8, "long_prompts": "keep_end"}
    config = small_run(model_directory, **settings, env_timeout=120.0)  # type: ignore[arg-type]
    stop(config, tmp_path / "run", monkeypatch)
    assert "begins its open episodes anew" in capsys.readouterr().err
    resume(tmp_path / "run")
    orphans = lose_a_worker(config, tmp_path / "killed")
    assert orphans
    _, alive = psutil.wait_procs(orphans, timeout=20)
    assert not alive
    resume(tmp_path / "killed")
