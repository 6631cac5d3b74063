"""A run and an adapter know the GGUF file they were trained on, and tell when it is another, or gone."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gguf_files import write_gguf
from tests.tiny import small_run, trained
from twosome.cli import main
from twosome.decision import Decision
from twosome.errors import ModelError, RunError
from twosome.language.evaluation import LanguageSettings, evaluate_language
from twosome.runs.agents import load_agent
from twosome.runs.starting import adopt
from twosome.runs.trainer import Progress, resume, train
from twosome.settings.config import RunConfig

pytest.importorskip("gguf")

ROOT = Path(__file__).resolve().parents[3]
DECISION = Decision("You see the tomato, so you should now", ("take the bowl", "chop the tomato"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.gguf and a run that was trained on it."""
    folder = tmp_path_factory.mktemp("made")
    write_gguf(folder / "model.gguf", "llama")
    shutil.move(trained(small_run(str(folder / "model.gguf"), decisions=24), tmp_path_factory), folder / "run")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it, whose run says that it was trained on the copied file, and was interrupted."""
    folder = tmp_path / "place"
    shutil.copytree(made, folder)
    for file in folder.rglob("*"):
        if file.suffix in {".json", ".yaml"}:
            text = file.read_text().replace(str(made), str(folder))
            file.write_text(text.replace('"finished"', '"interrupted"') if file.name == "versions.json" else text)
    return folder


def scores(agent: Any) -> torch.Tensor:
    with torch.no_grad():
        return agent.language.scorer.scores([DECISION]).token_log_probs


def other(place: Path) -> None:
    write_gguf(place / "model.gguf", "llama", change=lambda t: t.update({k: w * 1.5 for k, w in t.items()}))


def test_the_run_and_the_adapter_note_the_file(made: Path) -> None:
    import hashlib

    content = (made / "model.gguf").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    note = json.loads((made / "run" / "versions.json").read_text())["model_file"]
    assert note == json.loads((made / "run" / "adapter" / "gguf.json").read_text())
    file = str(made / "model.gguf")
    assert note == {"name": file, "path": str((made / "model.gguf").resolve()), "sha256": digest, "size": len(content)}
    assert digest in (made / "run" / "adapter" / "README.md").read_text()
    config = json.loads((made / "run" / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == file


def test_the_run_its_adapter_and_the_moved_file_give_the_same_in_silence(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = scores(load_agent(place / "run"))
    assert torch.equal(scores(load_agent(place / "run" / "adapter")), expected)
    (place / "model.gguf").rename(place / "moved.gguf")
    capsys.readouterr()
    for source in (place / "run", place / "run" / "adapter"):
        assert torch.equal(scores(load_agent(source, model=str(place / "moved.gguf"))), expected)
    assert "trained on" not in capsys.readouterr().err


def test_a_relative_name_is_found_from_elsewhere(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    train(small_run("model.gguf", decisions=24), place / "relative")
    expected = scores(load_agent(place / "relative"))
    monkeypatch.chdir(tmp_path)
    assert torch.equal(scores(load_agent(place / "relative")), expected)
    assert torch.equal(scores(load_agent(place / "relative" / "adapter")), expected)
    versions = place / "relative" / "versions.json"
    versions.write_text(versions.read_text().replace("finished", "interrupted"))
    with pytest.raises(RunError, match="resume it from the directory where it was started"):
        resume(place / "relative")


@pytest.mark.parametrize("what", ["run", "adapter"])
@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_file_that_changed_or_is_gone_is_refused(place: Path, what: str, how: str) -> None:
    if how == "changed":
        other(place)
        told = r"model.gguf' \(SHA-256 \w{12}\.\.\., [\d,]+ bytes\).*whose SHA-256 is now \w{12}.*--model"
    else:
        (place / "model.gguf").unlink()
        told = r"was trained on the GGUF file '.*model.gguf' \(SHA-256 \w{12}.*; now there is no GGUF file"
    with pytest.raises(ModelError, match=told):
        load_agent(place / "run" if what == "run" else place / "run" / "adapter")


def test_other_weights_that_were_named_are_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other(place)
    load_agent(place / "run", model=str(place / "model.gguf"))
    assert "holds only if these are the same weights" in capsys.readouterr().err


def test_a_run_is_not_resumed_on_another_file(place: Path) -> None:
    before = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    other(place)
    with pytest.raises(ModelError, match="was trained on the GGUF file"):
        resume(place / "run")
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_is_resumed_on_the_same_file(place: Path, tmp_path: Path) -> None:
    config = small_run(str(place / "model.gguf"), decisions=48, save_every=1)
    train(config, tmp_path / "whole")

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "half", stop)
    resume(tmp_path / "half")
    for file in ("metrics.jsonl", "adapter/adapter_model.safetensors", "adapter/README.md", "adapter/gguf.json"):
        assert (tmp_path / "half" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_run_that_trained_all_weights_finds_its_base(place: Path, tmp_path: Path) -> None:
    config = small_run(str(place / "model.gguf"), decisions=24, finetune="full")
    train(config, tmp_path / "full")
    scores(load_agent(tmp_path / "full"))
    other(place)
    (tmp_path / "full" / "versions.json").unlink()  # as in best/
    with pytest.raises(ModelError, match="was trained on the GGUF file"):
        load_agent(tmp_path / "full")


def test_a_start_finds_its_file_and_refuses_another(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = replace(RunConfig(task="tomato-salad"), start=str(place / "run"))
    assert adopt(start, set()).model == str(place / "model.gguf")
    other(place)
    with pytest.raises(ModelError, match=r"the start .* was trained on the GGUF file"):
        adopt(start, set())
    config = small_run(str(place / "model.gguf"), decisions=24, start=str(place / "run"))
    train(config, tmp_path / "new")
    assert "holds only if these are the same weights" in capsys.readouterr().err


def test_the_best_policy_of_a_run_knows_its_file(place: Path, tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    shutil.copytree(place / "run" / "adapter", tmp_path / "best" / "adapter")
    for name in ("config.yaml", "critic.safetensors"):
        shutil.copy(place / "run" / name, tmp_path / "best")
    load_agent(tmp_path / "best")
    other(place)
    with pytest.raises(ModelError, match="was trained on the GGUF file"):
        load_agent(tmp_path / "best")


@pytest.mark.parametrize(
    "command",
    [
        ["train", "tomato-salad", "--decisions", "8", "--num_envs", "2", "--rollout_steps", "4", "--out"],
        ["evaluate", "--task", "tomato-salad", "--episodes", "1"],
        ["score", "--prompt", "You should", "--action", "sing"],
        ["check-env", "tomato-salad"],
        ["play", "tomato-salad", "--player", "model", "--greedy"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_takes_a_file(
    made: Path, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*command, str(tmp_path / "run"), "--ppo.policy_minibatch", "4"] if command[-1] == "--out" else command
    assert main([*words, "--model", str(made / "model.gguf")]) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "evaluate-language", "report"])
def test_commands_about_a_run_find_its_file(made: Path, tmp_path: Path, command: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(made / "run", run)
    words = {"evaluate": ["--episodes", "1"], "evaluate-language": ["--decisions", "2", "--tasks"], "report": []}
    assert main([command, str(run), *words[command]]) == 0


def test_plain_peft_loads_the_adapter_as_the_page_says(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "gguf.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    _plain(lines.replace("gemma-3-270m", "model"), made, tmp_path, monkeypatch)


def test_plain_peft_loads_the_adapter_as_its_card_says(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card = (made / "run" / "adapter" / "README.md").read_text(encoding="utf-8")
    lines = card[card.rindex("```python") :].removeprefix("```python\n").removesuffix("```\n")
    adapter = '"runs/tomato-salad-tiny-seed0/adapter"'
    _plain(lines.replace("ADAPTER_DIRECTORY", adapter), made, tmp_path, monkeypatch)


def _plain(lines: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the lines load gives what we give."""
    (tmp_path / "models").mkdir()
    shutil.copy(made / "model.gguf", tmp_path / "models")
    shutil.copytree(made / "run", tmp_path / "runs" / "tomato-salad-tiny-seed0")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(lines, found)
    ours = load_agent(made / "run").language
    tokenizer = found.get("tokenizer", ours.scorer.encoder.tokenizer)
    sentence = DECISION.sentence(1)
    assert tokenizer(sentence)["input_ids"] == ours.scorer.encoder.tokenizer(sentence)["input_ids"]
    ids = torch.tensor([tokenizer(sentence)["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(found["model"].eval()(ids).logits, ours.model(ids).logits, atol=1e-6, rtol=0)


def test_measures_of_another_file_are_not_taken_for_those_of_this_one(place: Path, tmp_path: Path) -> None:
    settings = LanguageSettings(texts=(), decisions=1)
    names = []
    for _ in range(2):
        report = evaluate_language(place / "run", settings, model=str(place / "model.gguf"), out=tmp_path / "kept.json")
        names.append(report.model)
        other(place)
    assert len(set(names)) == 2
