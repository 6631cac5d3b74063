"""From a journal to a run that others read: on a tiny model, through the command line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytest.importorskip("uvicorn", reason="serving is an extra: pip install 'twosome[serve]'")

from twosome import Agent, Decision
from twosome.cli import main
from twosome.journal.records import Outcome, Recorded
from twosome.journal.writing import JournalWriter
from twosome.serving.loading import identities
from twosome.serving.recording import Sampling, log_probabilities

ACTIONS = ("pick up the tomato", "chop the tomato", "serve the dish")
PROMPTS = tuple(f"You see the {thing}. You should now" for thing in ("tomato", "bowl", "table", "dish"))


def journal(place: Path, agent: Agent, source: str | None, count: int, **changes: object) -> Path:
    """A journal of an agent that was served, where the second action is the right one."""
    identity = identities({"a": agent}, {"a": source})["a"]
    lot, sampling = random.Random(1), Sampling(1)
    with JournalWriter(place) as written:
        for number in range(count):
            (judged,) = agent.judge([Decision(lot.choice(PROMPTS), ACTIONS)])
            name, log_probs = f"r{number}:0", log_probabilities(judged)
            drawn = sampling.draw(name, judged.probabilities)
            line = Recorded(name, 1.0, "a", identity, judged.decision, log_probs, judged.best, drawn)
            written.decisions([Recorded(**{**vars(line), **changes})])
            if number % 10:  # of the others nobody heard
                written.outcomes([Outcome(name, 2.0, drawn, "sampled", float(drawn == 1))])
    return place


@pytest.fixture(scope="module")
def served(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return journal(tmp_path_factory.mktemp("j") / "journal.jsonl", Agent.load(model_directory), None, 120)


@pytest.fixture(scope="module")
def run(served: Path, model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "learned"
    assert main(["train", "--from", str(served), *quick(model_directory), "--out", str(out)]) == 0
    return out


def quick(model: str) -> list[str]:
    return ["--model", model, "--passes", "6", "--learning-rate", "0.01", "--least-effective", "5"]


def chance(agent: Agent) -> float:
    """How probable the right action is, over the prompts."""
    return sum(agent.decide(prompt, ACTIONS)[ACTIONS[1]] for prompt in PROMPTS) / len(PROMPTS)


def test_it_learns_what_paid_and_says_so(run: Path, model_directory: str) -> None:
    before, after = chance(Agent.load(model_directory)), chance(Agent.load(run))
    assert after > before + 0.2
    learned = json.loads((run / "learned.json").read_text(encoding="utf-8"))
    assert learned["decisions"] + learned["held_out"] == 108
    assert learned["left_out"] == {"have no outcome yet": 12}
    assert learned["sound"]
    # The held-out decisions foretell what the agent would earn; that is known here.
    assert learned["after"]["low"] <= after <= learned["after"]["high"]
    assert learned["before"]["low"] <= before <= learned["before"]["high"]
    assert learned["gain"]["low"] > 0


def test_the_run_is_one_like_any_other(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], served: Path
) -> None:
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
    assert len((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 6
    assert main(["evaluate", str(run)]) == 2
    assert "learned from a journal, which has no task; name a --task" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--task", "tomato-salad", "--episodes", "1", "--longest", "2"]) == 0
    assert main(["train", "--resume", str(run)]) == 2
    assert "learned from a journal, and is whole" in capsys.readouterr().err
    words = ["export", str(run), str(tmp_path / "card"), "--to", "adapter", "--no-results"]
    assert main(words) == 2
    assert "name a --task" in capsys.readouterr().err
    assert main([*words, "--task", "tomato-salad"]) == 0
    assert (tmp_path / "card" / "README.md").is_file()
    assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0


def test_it_is_the_same_again(run: Path, served: Path, model_directory: str, tmp_path: Path) -> None:
    assert main(["train", "--from", str(served), *quick(model_directory), "--out", str(tmp_path / "run")]) == 0
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (run / weights).read_bytes()


def test_it_learns_on_from_its_own_journal(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = journal(tmp_path / "second.jsonl", Agent.load(run), str(run), 60)
    words = ["train", "--from", str(file), str(run), "--passes", "2", "--out", str(tmp_path / "on")]
    assert main(words) == 0
    assert "not sound: the estimate rests on" in capsys.readouterr().out  # sixty are few
    assert Agent.load(tmp_path / "on").trained
    assert chance(Agent.load(tmp_path / "on")) > chance(Agent.load(run))


def test_a_warmer_agent_explores_and_the_weights_know_it(model_directory: str, tmp_path: Path) -> None:
    file = journal(tmp_path / "j", Agent.load(model_directory, temperature=3.0), None, 80)
    words = ["train", "--from", str(file), *quick(model_directory), "--out", str(tmp_path / "run"), "--passes", "1"]
    assert main(words) == 0
    learned = json.loads((tmp_path / "run" / "learned.json").read_text(encoding="utf-8"))
    served = chance(Agent.load(model_directory))  # at the temperature 1 that it learns at
    assert learned["before"]["low"] <= served <= learned["before"]["high"]


def refuses(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["train", "--from", *words]) == 2
    return capsys.readouterr().err


def test_the_journal_of_another_agent_is_refused(
    served: Path, run: Path, model_directory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert "another agent" in refuses([str(served), str(run), *out], capsys)
    words = [str(served), "--model", model_directory, "--normalization", "sum", *out]
    assert "under the normalisation word" in refuses(words, capsys)
    # Of the same name and kind, and yet another model: its probabilities come out otherwise.
    assert "was written by another model than 'embedded'" in refuses([str(served), *out], capsys)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_is_refused_in_a_sentence(
    served: Path, model_directory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    model = ["--model", model_directory]
    assert "is not empty" in refuses([str(served), *model, "--out", str(tmp_path / "full")], capsys)
    assert "held_out must be between" in refuses([str(served), *model, "--held-out", "1"], capsys)
    assert "cannot read the journal" in refuses([str(tmp_path / "none"), *model], capsys)
    assert "nothing to start from" in refuses([str(served), str(tmp_path)], capsys)
    assert main(["train", "tomato-salad", "--journal.file", str(served)]) == 2
    assert "train --from JOURNAL" in capsys.readouterr().err


def test_equal_rewards_teach_nothing(model_directory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = journal(tmp_path / "j", Agent.load(model_directory), None, 40)
    text = file.read_text(encoding="utf-8").replace('"reward": 1.0', '"reward": 0.0')
    file.write_text(text, encoding="utf-8")
    words = [str(file), "--model", model_directory, "--out", str(tmp_path / "run")]
    assert "every outcome has the reward 0" in refuses(words, capsys)


def test_killed_on_the_way_it_leaves_nothing(
    served: Path, model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    from twosome.hindsight import learning

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    words = ["train", "--from", str(served), *quick(model_directory), "--out", str(tmp_path / "run")]
    replaced: Callable[..., object] = interrupted
    monkeypatch.setattr(learning, "_measured", replaced)
    assert main(words) == 130
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    (tmp_path / ".run.partial").mkdir()  # what a kill -9 leaves
    (tmp_path / ".run.partial" / "config.yaml").touch()
    assert main(words) == 0
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (run / weights).read_bytes()
    assert torch.get_num_threads() == 1
