"""Tasks of lm-evaluation-harness: the same numbers as ours, paired, and refusals that help."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import torch

from tests.language.adapters import adapt
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.language import harness
from twosome.language.harness import OFFLINE_TASKS, Harness, check_tasks
from twosome.models.loading import load_model
from twosome.scorer import score

needs_harness = pytest.mark.skipif(
    not harness.is_installed(), reason="needs lm-evaluation-harness: python3 dev.py setup --extra language"
)

DECISIONS = [
    Decision("The spoon is red. The bowl is green. What colour is the spoon?", ("Red.", "Green.", "Dark blue.")),
    Decision("Ines stood in the hall. Ines went to the attic. Where is", ("Ines?", "the hall?")),
    Decision("To make a salad, you should first", ("chop the tomato.", "serve it.", "go to the blorvet.", "sing.")),
]


def runner(scale: float) -> Harness:
    """The embedded model with an adapter; PEFT changes a model in place, so each gets its own."""
    model, tokenizer = load_model("embedded")
    return Harness(adapt(model, scale), tokenizer)


def test_a_missing_extra_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    check_tasks([])
    with pytest.raises(ConfigError, match=r'pip install "twosome\[language\]"'):
        check_tasks(["copying"])


@pytest.mark.parametrize(
    ("installed", "refused"), [("0.4.9", True), ("0.4.11", True), ("0.4.12", False), ("0.5", False), ("0.4.13", False)]
)
def test_a_harness_too_old_for_transformers_5_is_told_with_its_version(
    installed: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: object())
    monkeypatch.setattr(harness, "version", lambda name: installed)
    assert harness.is_installed() is not refused
    if refused:
        with pytest.raises(ConfigError, match=rf"0\.4\.12 or newer, and {installed} is installed"):
            check_tasks(["copying"])


def test_the_extra_asks_for_a_harness_that_works() -> None:
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    (wish,) = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]["language"]
    assert wish == f"lm-eval>={'.'.join(map(str, harness.OLDEST))}"


@needs_harness
def test_its_log_likelihoods_are_our_scores() -> None:
    from lm_eval.api.instance import Instance

    run = runner(0.02)
    scores = score(run.model, run.lm.tokenizer, DECISIONS).token_log_probs.sum(-1)
    for row, decision in enumerate(DECISIONS):
        for column, action in enumerate(decision.actions):
            pair = (decision.prompt, f" {action}")
            request = Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0)
            (found,) = run.lm.loglikelihood([request], disable_tqdm=True)
            assert found[0] == pytest.approx(scores[row, column].item(), abs=1e-5)


@needs_harness
def test_our_tasks_give_the_accuracy_of_our_scores() -> None:
    run = runner(0.05)
    (measure, _) = run.measure("copying", limit=12)
    rows = json.loads((harness.DATA / "copying.json").read_text(encoding="utf-8"))["examples"][:12]
    decisions = [Decision(row["context"], tuple(row["choices"])) for row in rows]
    for adapter, expected in ((True, measure.on), (False, measure.off)):
        with torch.no_grad():
            if adapter:
                best = score(run.model, run.lm.tokenizer, decisions).token_log_probs.sum(-1).argmax(-1)
            else:
                with run.model.disable_adapter():
                    best = score(run.model, run.lm.tokenizer, decisions).token_log_probs.sum(-1).argmax(-1)
        right = [int(index) == row["answer"] for index, row in zip(best, rows, strict=True)]
        assert expected == pytest.approx(sum(right) / 12)


@needs_harness
@pytest.mark.parametrize("task", OFFLINE_TASKS)
def test_an_adapter_of_zeros_changes_nothing_in_any_task(task: str) -> None:
    for measure in runner(0.0).measure(task, limit=10):
        assert measure.difference == 0.0
        assert measure.off == measure.on
        assert (measure.n, measure.unit, measure.better) == (10, "examples", "higher")
        assert measure.interval is not None
        assert measure.interval[0] < 0 < measure.interval[1]  # ten examples prove little


@needs_harness
def test_a_vandalised_adapter_loses_significantly() -> None:
    measure = runner(2.0).measure("fitting-word", limit=60)[0]
    assert measure.name == "fitting-word/acc"
    assert measure.off is not None
    assert measure.off > 0.7
    assert measure.interval is not None
    assert measure.interval[1] < -0.2


@needs_harness
def test_a_yaml_file_of_the_users_runs(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(
        '{"question": "What is red? The", "options": ["spoon.", "of."], "right": 0}\n' * 3, encoding="utf-8"
    )
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"task: mine\ndataset_path: json\ndataset_kwargs:\n  data_files: {{test: {tmp_path / 'mine.jsonl'}}}\n"
        f"  cache_dir: {tmp_path / 'cache'}\n"
        "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{question}}'\ndoc_to_choice: options\n"
        "doc_to_target: right\nmetric_list:\n  - metric: acc\n",
        encoding="utf-8",
    )
    check_tasks([str(file)])
    (measure,) = runner(0.0).measure(str(file))
    assert (measure.name, measure.n) == ("mine/acc", 3)


@pytest.mark.slow  # listing the harness's 14,000 tasks takes long
@needs_harness
def test_unknown_tasks_and_a_missing_network_are_told() -> None:
    check_tasks(["arc_challenge", "hellaswag", "piqa", "mmlu"])  # the names of the paper's tasks are right
    with pytest.raises(ConfigError, match=r"unknown language task 'nonsense'.*copying"):
        check_tasks(["nonsense"])
    with pytest.raises(ConfigError, match=r"cannot get the data of the language task 'arc_challenge'.*copying"):
        runner(0.0).measure("arc_challenge", limit=1)
