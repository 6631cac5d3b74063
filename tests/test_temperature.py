"""A fitted temperature: kept beside the weights it belongs to, used wherever the agent acts, and nowhere else."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from twosome.cli import main
from twosome.decision import Decision
from twosome.errors import ConfigError, RunError
from twosome.functional.categorical import masked_log_softmax
from twosome.runs.agents import load_agent

FORK = Decision("You are at a fork. You should now", ("go left", "go on", "turn round"))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", "food-preparation", "--model", model_directory, "--out", str(out), "--decisions", "16"]
    assert main([*words, "--num_envs", "2", "--rollout_steps", "8", "--threads", "1"]) == 0
    return out


@pytest.fixture
def agent(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    return shutil.copytree(trained, tmp_path / "run")


def log_probs(source: Path, **settings: object) -> torch.Tensor:
    with torch.no_grad():
        return load_agent(source, **settings).policy.action_log_probs([FORK])[0]  # type: ignore[arg-type]


def test_calibrate_keeps_a_temperature_that_evaluate_uses(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "calibrate", str(agent), "--json")
    assert status == 0
    found = json.loads(out)
    kept = json.loads((agent / "temperature.json").read_text())
    assert kept["temperature"] == found["temperature"] != 1
    assert found["loss"] < found["loss_before"]
    assert list(kept["sha256"]) == ["adapter/adapter_model.safetensors"]
    used = json.loads(run(capsys, "evaluate", str(agent), "--exact", "--json")[1])
    plain = json.loads(run(capsys, "evaluate", str(agent), "--exact", "--json", "--temperature", "1")[1])
    assert used["temperature"] == found["temperature"]
    assert "temperature" not in plain
    assert used["calibration_error"] == pytest.approx(found["calibration_error"], abs=1e-5)
    assert plain["calibration_error"] == pytest.approx(found["calibration_error_before"], abs=1e-9)
    assert "at temperature" in run(capsys, "evaluate", str(agent), "--exact")[1]


def test_a_dry_run_keeps_nothing(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "calibrate", str(agent), "--dry-run")
    assert "nothing was kept" in out
    assert not (agent / "temperature.json").exists()


def test_an_agent_divides_its_logits_by_it(agent: Path) -> None:
    plain = log_probs(agent)
    assert torch.equal(log_probs(agent, temperature=1.0), plain)
    assert torch.allclose(log_probs(agent, temperature=2.5), masked_log_softmax(plain / 2.5), atol=1e-6)


def test_it_belongs_to_the_weights_it_was_fitted_to(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = log_probs(agent)
    assert run(capsys, "calibrate", str(agent))[0] == 0
    assert not torch.equal(log_probs(agent), plain)
    file = agent / "adapter" / "adapter_model.safetensors"
    save_file({name: weight + 0.01 for name, weight in load_file(file).items()}, file)  # as training on would
    with pytest.warns(UserWarning, match="fitted to other weights"):
        after = log_probs(agent)
    assert torch.equal(after, log_probs(agent, temperature=1.0))


def test_it_belongs_to_the_normalization_it_was_fitted_with(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "calibrate", str(agent))[0] == 0
    with pytest.warns(UserWarning, match="fitted with the normalization sum"):
        other = log_probs(agent, normalization="token")
    assert torch.equal(other, log_probs(agent, normalization="token", temperature=1.0))


def test_an_adapter_keeps_its_own(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter = agent / "adapter"
    with pytest.raises(ConfigError, match="name a --task"):
        load_agent(adapter).setting()
    assert run(capsys, "calibrate", str(adapter), "--task", "food-preparation")[0] == 0
    assert json.loads((adapter / "temperature.json").read_text())["sha256"].keys() == {"adapter_model.safetensors"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert not torch.equal(log_probs(adapter), log_probs(adapter, temperature=1.0))


@pytest.mark.parametrize(
    "text", ["", "[]", '{"temperature": 1}', '{"temperature": -1, "sha256": {}, "normalization": "word"}']
)
def test_a_damaged_file_is_told(agent: Path, text: str) -> None:
    (agent / "temperature.json").write_text(text)
    with pytest.raises(RunError, match=r"cannot read the temperature in .*delete it, or fit it again"):
        load_agent(agent)


@pytest.mark.parametrize("temperature", ["0", "-1", "nan", "inf"])
def test_a_temperature_is_a_positive_number(agent: Path, temperature: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "evaluate", str(agent), "--temperature", temperature)
    assert (status, "must be a positive number" in err) == (2, True)


def test_what_has_no_temperature_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    for words, complaint in (
        (("evaluate", "--task", "tomato-salad", "--uniform", "--temperature", "2"), "uniform play has no temperature"),
        (
            ("evaluate", "--task", "tomato-salad", "--model", "http://h", "--temperature", "2"),
            "only a language model here has a temperature",
        ),
    ):
        status, _, err = run(capsys, *words)
        assert (status, complaint in err) == (2, True)
