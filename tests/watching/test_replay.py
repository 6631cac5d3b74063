"""Episodes recorded with pictures and with what the model would do before and after training."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.tiny import small_run
from twosome import Decision
from twosome.errors import EnvironmentFault, RunError
from twosome.runs.agents import load_agent
from twosome.runs.journal import read_lines
from twosome.runs.trainer import train
from twosome.watching.replay import COLOURS, LONGEST, chosen_episodes, record_replay

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def trained(model: str, out: Path, task: str, **changes: Any) -> Path:
    torch.set_num_threads(1)
    train(small_run(model, task=task, decisions=48, **changes), out)
    return out


@pytest.fixture(scope="module")
def run(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    short = {"time_limit": 12}  # so that some episodes end, and none is long
    return trained(model_directory, tmp_path_factory.mktemp("runs") / "run", "tomato-salad", environment=short)


@pytest.fixture(scope="module")
def replay(run: Path) -> dict[str, Any]:
    return json.loads(record_replay(run).read_text())


def steps_of(replay: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for episode in replay["episodes"] for step in episode["steps"]]


def test_recorded_episodes_are_replayed_as_they_were(run: Path, replay: dict[str, Any]) -> None:
    records = {record["index"]: record for record in read_lines(run / "episodes.jsonl")}
    replayed = [episode for episode in replay["episodes"] if episode["index"] is not None]
    assert replayed
    for episode in replayed:
        record = records[episode["index"]]
        for name in ("success", "truncated", "discounted_return", "decisions", "seed"):
            assert episode[name] == record[name], name
        for now, then in zip(episode["steps"], record["steps"], strict=True):
            for name in ("prompt", "actions", "action", "reward", "duration"):
                assert now[name] == then[name], name


def test_before_is_the_adapter_off_and_after_is_on(run: Path, replay: dict[str, Any]) -> None:
    policy = load_agent(run).policy
    untrained = load_agent(None, model=replay["model"], normalization="word").policy
    for step in steps_of(replay)[:6]:
        decision = [Decision(step["prompt"], tuple(step["actions"]))]
        with torch.no_grad():
            assert step["after"] == pytest.approx(policy.action_log_probs(decision)[0].exp().tolist(), abs=1e-5)
            assert step["before"] == pytest.approx(untrained.action_log_probs(decision)[0].exp().tolist(), abs=1e-5)
            assert step["value"] == pytest.approx(float(policy.values(decision)[0]), abs=1e-5)
    assert any(step["before"] != step["after"] for step in steps_of(replay))


def test_the_first_two_episodes_are_played_by_the_untrained_and_the_trained_model(replay: dict[str, Any]) -> None:
    first, second = replay["episodes"][:2]
    assert (first["names"], second["names"]) == (["untrained"], ["trained"])
    assert first["seed"] == second["seed"]


def test_every_decision_has_a_picture_and_each_is_kept_once(replay: dict[str, Any]) -> None:
    frames = replay["frames"]
    assert len(set(frames)) == len(frames)
    shown = {step["frame"] for step in steps_of(replay)} | {episode["last_frame"] for episode in replay["episodes"]}
    assert shown == set(range(len(frames)))
    assert len(frames) < len(steps_of(replay)) + len(replay["episodes"])
    picture = Image.open(io.BytesIO(base64.b64decode(frames[0])))
    assert picture.format == "PNG"
    assert len(picture.convert("RGB").getcolors(1 << 20)) <= COLOURS
    assert sum(map(len, frames)) / len(frames) < 40_000


def test_it_knows_the_optimum(replay: dict[str, Any]) -> None:
    assert replay["optimum"] is not None
    assert replay["gamma"] == 0.99


def test_it_is_recorded_once_for_the_same_weights(run: Path, replay: dict[str, Any]) -> None:
    path = run / "replay.json"
    before = path.stat().st_mtime_ns
    record_replay(run)
    assert path.stat().st_mtime_ns == before
    path.write_text(json.dumps({**replay, "weights": "others"}))
    record_replay(run)
    assert json.loads(path.read_text()) == replay
    path.write_text("damaged")
    record_replay(run)
    assert json.loads(path.read_text()) == replay


def test_an_environment_that_is_not_determined_is_reported(run: Path, replay: dict[str, Any]) -> None:
    episodes = run / "episodes.jsonl"
    written = episodes.read_bytes()
    lines = [json.loads(line) for line in written.splitlines()]
    for line in lines:
        line["steps"][-1]["reward"] += 1
    episodes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "replay.json").unlink()
    try:
        with pytest.raises(EnvironmentFault, match=r"pays .* instead of .* not\s+determined by its seed"):
            record_replay(run)
    finally:
        episodes.write_bytes(written)
        record_replay(run)


def test_a_run_without_an_adapter_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    with pytest.raises(RunError, match="only runs of a language model"):
        record_replay(tmp_path)


def test_an_environment_without_pictures_has_none(
    model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    run = trained(model_directory, tmp_path / "garden", "garden:Garden-v0", environment={"time_limit": 5})
    replay = json.loads(record_replay(run).read_text())
    assert replay["frames"] == []
    assert all(step["frame"] is None for step in steps_of(replay))
    assert any(episode["index"] is not None for episode in replay["episodes"])


def test_an_episode_that_does_not_end_is_left(
    run: Path, replay: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twosome.watching.replay.MOST", 3)
    (run / "replay.json").unlink()
    played = json.loads(record_replay(run).read_text())["episodes"][:2]
    assert [(episode["decisions"], episode["truncated"], episode["success"]) for episode in played] == [
        (3, True, False)
    ] * 2


def test_the_household_is_replayed_with_pictures(model_directory: str, tmp_path: Path) -> None:
    run = trained(model_directory, tmp_path / "household", "food-preparation", environment={})
    replay = json.loads(record_replay(run).read_text())
    assert all(step["frame"] is not None for step in steps_of(replay))
    assert all(len(episode["steps"]) <= LONGEST for episode in replay["episodes"])


def test_chosen_episodes_are_first_best_last_and_a_failure() -> None:
    def record(index: int, score: float, success: bool, steps: bool = True) -> dict[str, Any]:
        step = {"prompt": "x", "actions": ["a"], "action": 0, "reward": 0.0}
        kept = {"steps": [step]} if steps else {}
        return {"index": index, "seed": 0, "discounted_return": score, "success": success, **kept}

    records = [
        record(0, 0.1, False, steps=False),
        record(1, 0.2, True),
        record(2, 0.9, True),
        record(3, 0.0, False),
        record(4, 0.9, True),
        {"index": 5, "steps": [{}]},
    ]
    chosen = [(names, record["index"]) for names, record in chosen_episodes(records)]
    assert chosen == [(["first"], 1), (["best"], 2), (["last failure"], 3), (["last"], 4)]
    assert [names for names, _ in chosen_episodes(records[1:2])] == [["first", "best", "last"]]
    assert chosen_episodes(records[:1]) == []
