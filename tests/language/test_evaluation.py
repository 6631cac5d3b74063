"""Measuring part by part: what is finished is kept, and the file says everything."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from tests.language.adapters import save_adapter
from tests.tiny import TEXT, small_run
from twosome.errors import ConfigError, RunError
from twosome.language.evaluation import LanguageSettings, evaluate_language
from twosome.language.measures import LANGUAGE_FILE, LanguageReport, Part
from twosome.models.loading import load_model
from twosome.runs.trainer import train

PARTS = ["text short", "task"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> LanguageSettings:
    text = tmp_path_factory.mktemp("texts") / "short.txt"
    text.write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    return LanguageSettings(texts=[text], decisions=3)


@pytest.fixture(scope="module")
def trained(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(small_run(model_directory, decisions=24), out)
    return out


@pytest.fixture
def run(trained: Path) -> Path:
    (trained / LANGUAGE_FILE).unlink(missing_ok=True)
    return trained


def parts_of(run: Path, settings: LanguageSettings, **arguments: bool) -> list[str]:
    """The parts that were computed."""
    parts: list[str] = []
    evaluate_language(run, settings, on_part=parts.append, **arguments)
    return parts


def test_a_run_gets_its_measures_in_a_file(run: Path, settings: LanguageSettings) -> None:
    report = evaluate_language(run, settings)
    content = json.loads((run / LANGUAGE_FILE).read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(report.to_json()))
    names = [measure["name"] for measure in content["measures"]]
    assert names[:2] == ["loss/short", "perplexity/short"]
    assert {"kl/short", "kl/task-prompts", "total-variation/task-actions", "top1-changed/task-actions"} <= set(names)
    keys = {"name", "off", "on", "difference", "interval", "n", "unit", "better", "method", "part", "settings"}
    assert all(set(measure) == keys for measure in content["measures"])
    changed = next(measure for measure in report.measures if measure.name == "kl/task-actions")
    assert changed.difference > 0  # one update was taken
    assert (changed.n, changed.unit) == (3, "decisions")


def test_a_finished_part_is_not_computed_again_unless_asked(run: Path, settings: LanguageSettings) -> None:
    assert parts_of(run, settings) == PARTS
    before = (run / LANGUAGE_FILE).read_bytes()
    assert parts_of(run, settings) == []
    assert parts_of(run, replace(settings, decisions=2)) == ["task"]
    assert parts_of(run, settings, again=True) == PARTS
    assert json.loads((run / LANGUAGE_FILE).read_bytes()) == json.loads(before)


def test_it_goes_on_where_it_stopped(run: Path, settings: LanguageSettings) -> None:
    def stop(part: str) -> None:
        if part == "task":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_language(run, settings, on_part=stop)
    assert parts_of(run, settings) == ["task"]


def test_measures_of_other_weights_are_not_kept(run: Path, settings: LanguageSettings) -> None:
    parts_of(run, settings)
    content = json.loads((run / LANGUAGE_FILE).read_text(encoding="utf-8"))
    (run / LANGUAGE_FILE).write_text(json.dumps({**content, "adapter_sha256": "0"}), encoding="utf-8")
    assert parts_of(run, settings) == PARTS


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 1', '{"measures": [{}]}'])
def test_a_damaged_file_is_told(content: str, run: Path, settings: LanguageSettings) -> None:
    (run / LANGUAGE_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match="remove it to measure anew"):
        evaluate_language(run, settings)


def test_a_run_in_use_is_left_alone(run: Path, settings: LanguageSettings) -> None:
    with FileLock(run / ".lock"), pytest.raises(RunError, match="another process"):
        evaluate_language(run, settings)


def test_an_adapter_directory_needs_no_run(model_directory: str, settings: LanguageSettings, tmp_path: Path) -> None:
    base, _ = load_model(model_directory)
    adapter = save_adapter(base, 0.1, tmp_path / "adapter")
    before = sorted(tmp_path.rglob("*"))
    report = evaluate_language(adapter, settings, model=model_directory)
    assert report.measures[0].name == "loss/short"
    assert not any("task" in measure.name for measure in report.measures)  # nobody said which
    assert sorted(tmp_path.rglob("*")) == before  # somebody else's directory
    kept = evaluate_language(adapter, settings, task="tomato-salad", out=tmp_path / "kept.json")
    assert any(measure.name == "kl/task-actions" for measure in kept.measures)
    assert (tmp_path / "kept.json").is_file()


def test_two_texts_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="same name"):
        LanguageSettings(texts=[Path("a/text.txt"), Path("b/text.txt")])


def test_a_part_without_a_file_is_kept_in_memory() -> None:
    report, part = LanguageReport("model", "digest"), Part("text", {"sha256": "1"})
    assert not report.has(part)
    report.put(part, [])
    assert report.measures == []
