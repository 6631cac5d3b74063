"""The commands as a user types them: what they print, and what bad input gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twosome.cli import COMMANDS, main
from twosome.cli.train import parse


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    try:
        status = main(words)
    except SystemExit as leave:
        status = int(leave.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", "tomato-salad", "--model", model_directory, "--out", str(out), "--decisions", "16"]
    assert main([*words, "--num_envs", "2", "--rollout_steps", "8", "--threads", "1"]) == 0
    return out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert f"twosome {command}" in out


def test_tasks_lists_the_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "tasks")
    assert status == 0
    assert "tomato-salad" in out


def test_train_leaves_a_run(trained: Path) -> None:
    assert (trained / "adapter" / "adapter_config.json").is_file()
    assert json.loads((trained / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]


@pytest.mark.parametrize("source", ["run", "adapter"])
def test_evaluate_measures_a_run_and_an_adapter(source: str, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(trained)] if source == "run" else [str(trained / "adapter"), "--task", "tomato-salad"]
    status, out, _ = run(capsys, "evaluate", *words, "--episodes", "4", "--json")
    assert status == 0
    result = json.loads(out)
    assert result["episodes"] == 4
    assert result["gamma"] == 0.99
    for name in ("success", "discounted_return", "decisions"):
        assert result[name]["low"] <= result[name]["mean"] <= result[name]["high"]


def test_evaluate_prints_a_table(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "evaluate", str(trained), "--episodes", "2", "--greedy")
    assert status == 0
    assert "trained, greedy" in out
    assert "mean discounted return" in out


def test_score_prints_probabilities_that_sum_to_1(model_directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--model",
        model_directory,
        "--prompt",
        "You should now",
        "--action",
        "chop",
        "--action",
        "pick up the bowl",
    ]
    status, out, _ = run(capsys, "score", *words, "--normalization", "token", "--json")
    assert status == 0
    result = json.loads(out)
    assert result["normalization"] == "token"
    assert sum(action["probability"] for action in result["actions"]) == pytest.approx(1)
    assert [action["words"] for action in result["actions"]] == [1, 4]
    status, out, _ = run(capsys, "score", *words)
    assert status == 0
    assert "pick up the bowl" in out


def test_an_adapter_changes_the_scores(trained: Path, model_directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["score", "--prompt", "You should now", "--action", "chop", "--action", "pick up the bowl", "--json"]
    _, tuned, _ = run(capsys, *words, "--adapter", str(trained))
    _, untuned, _ = run(capsys, *words, "--model", model_directory)
    assert tuned != untuned


def test_play_random_and_model(model_directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "play", "tomato-salad", "--player", "random", "--seed", "1")
    assert status == 0
    assert "discounted return" in out
    status, out, _ = run(capsys, "play", "tomato-salad", "--player", "model", "--model", model_directory)
    assert status == 0
    assert "%" in out


def test_a_person_plays_the_best_play(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["banana", "99", *(str(action + 1) for action in (0, 2, 4, 0, 1, 3))])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    status, out, _ = run(capsys, "play", "tomato-salad")
    assert status == 0
    assert out.count("please type a number") == 2
    assert "success: discounted return +0.9205 after 28 steps" in out


def test_a_person_leaves(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: "q")
    status, out, _ = run(capsys, "play", "tomato-salad")
    assert status == 0
    assert out.endswith("left\n")


SCORE = ("score", "--prompt", "You should now")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tran", "tomato-salad"), "did you mean 'train'"),
        (("train", "tomato-salat"), "did you mean 'tomato-salad'"),
        (("train",), "name a task"),
        (("train", "tomato-salad", "--ppo.policy_learning_rate", "-1"), "must not be negative"),
        (("train", "tomato-salad", "--environment", '{"layout": "Z"}'), "layout"),
        (("train", "tomato-salad", "--environment", '{"colour": 1}'), "colour"),
        (("train", "CartPole-v1"), "not a text environment"),
        (("train", "no.such.package:Env-v0"), "cannot make the task"),
        (("train", "tomato-salad", "--template", "chat"), "--template chat; did you mean --prompting.template?"),
        (("train", "tomato-salad", "--env-processes", "true"), "did you mean --env_processes?"),
        (("train", "tomato-salad", "--desicions=9"), "did you mean --decisions?"),
        (("train", "tomato-salad", "--frobnicate"), "arguments: --frobnicate (see"),
        (("report", "runs/x", "--no_replay"), "did you mean --no-replay?"),
        (("train", "tomato-salad", "--resume", "runs/x"), "unrecognized"),
        (("train", "tomato-salad", "--resume=runs/x"), "unrecognized"),
        (("train", "tomato-salad", "--res", "runs/x"), "twosome train --resume RUN"),
        (("train", "--resume=runs/x"), "no run in"),
        (("evaluate", "--uniform", "--greedy", "--task", "tomato-salad"), "--greedy"),
        (("reproduce", "--only", "language"), "name one of twosome"),
        (("reproduce", "--only", "untrained", "generalization"), "name one of twosome"),
        (("evaluate",), "name a run"),
        (("evaluate", "no-such-run"), "neither a run"),
        (("evaluate", "--task", "nothing"), "unknown task"),
        (("evaluate", "--task", "tomato-salad", "--episodes", "0"), "at least 1"),
        (("evaluate", "--task", "tomato-salad", "--episodes", "x"), "invalid"),
        (("play", "nothing"), "unknown task"),
        (SCORE, "action list is empty"),
        ((*SCORE, "--action", "go", "--action", "go"), "listed twice"),
        (("score", "--prompt", "now ", "--action", "go"), "white space"),
        ((*SCORE, "--action", "go", "--normalization", "toekn"), "unknown normalization"),
        ((*SCORE, "--action", "go", "--model", "./no-such-model"), "cannot load"),
        ((*SCORE, "--action", "go", "--adapter", "./no-such-adapter"), "neither a run"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert status == 2
    assert out == ""
    assert message in err
    assert err.startswith("twosome: error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_settings_cannot_ask_for_code(
    trained: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = (trained / "config.yaml").read_text().replace("trust_remote_code: false", "trust_remote_code: true")
    (tmp_path / "settings.yaml").write_text(settings)
    status, _, err = run(capsys, "train", "tomato-salad", "--config", "settings.yaml")
    assert status == 2
    assert "--loading.trust_remote_code true" in err
    assert not (tmp_path / "runs").exists()
    parse(["tomato-salad", "--config", "settings.yaml", "--loading.trust_remote_code", "true"])


def test_tensorboard_is_looked_for_before_anything_is_written(
    model_directory: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twosome.runs.recorder.find_spec", lambda name: None)
    words = (
        "train",
        "tomato-salad",
        "--model",
        model_directory,
        "--tensorboard",
        "true",
        "--out",
        str(tmp_path / "run"),
    )
    status, _, err = run(capsys, *words)
    assert status == 2
    assert "twosome[tensorboard]" in err
    assert not (tmp_path / "run").exists()


def test_play_shows_an_agent_in_the_world_it_was_trained_in(
    model_directory: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["train", "tomato-salad", "--model", model_directory, "--out", str(out), "--decisions", "16"]
    small = ["--num_envs", "2", "--rollout_steps", "8", "--environment", '{"time_limit": 9}']
    assert run(capsys, *words, *small)[0] == 0
    status, shown, _ = run(capsys, "play", "tomato-salad", "--player", "random", "--agent", str(out))
    assert status == 0
    assert "after 9 steps" in shown or "success" in shown


def test_bad_models_and_directories_harm_nothing(
    model_directory: str, trained: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((Path(model_directory) / name).read_bytes())
    words = ("train", "tomato-salad", "--decisions", "16")
    for further, message in (
        (("--model", str(tmp_path), "--out", str(tmp_path / "out")), "no tokenizer"),
        (("--model", model_directory, "--out", str(tmp_path / "config.json" / "run")), "cannot write"),
        (("--model", model_directory, "--out", str(trained)), "not empty"),
        (("--out", str(tmp_path / "out"), "--loading.device", "cuda:77"), "cannot be used here"),
        (("--out", str(tmp_path / "out"), "--loading.device", "abacus"), "unknown device"),
    ):
        before = {path: path.read_bytes() for path in (*tmp_path.rglob("*"), *trained.rglob("*")) if path.is_file()}
        status, _, err = run(capsys, *words, *further)
        assert status == 2
        assert message in err
        assert err.count("\n") == 1
        assert before == {path: path.read_bytes() for path in before}
        assert not (tmp_path / "out").exists()
