"""The examples run as their documentation says, from outside the package."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from twosome.baselines import UniformPolicy
from twosome.cli import main
from twosome.envs.exploring import OpenWorld, explore
from twosome.envs.oracle import evaluate, uniform
from twosome.evaluation.exact import evaluate_exactly
from twosome.journal.reading import read_journal
from twosome.overcooked.tasks import TASKS as OVERCOOKED
from twosome.runs.agents import load_agent
from twosome.text.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def garden(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of the example environment, whose module can be imported."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return "garden:Garden-v0"


def documented(command: str) -> list[str]:
    """The words after ``python -m twosome`` of the line in the example's docstring that gives ``command``."""
    docstring = ast.get_docstring(ast.parse((EXAMPLES / "garden.py").read_text(encoding="utf-8"))) or ""
    lines = [line.split() for line in docstring.splitlines()]
    return next(words[3:] for words in lines if words[:4] == ["python", "-m", "twosome", command])


def test_check_env_finds_nothing(garden: str, model_directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-env", garden, "--model", model_directory, "--tokenizer-only", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == []
    assert set(report["skipped"]) == {"likely"}  # weights drawn by lot have no words that they like
    assert report["exhaustive"]
    assert report["measures"]["states"] == 14


def test_it_can_be_trained_on(garden: str, model_directory: str, tmp_path: Path) -> None:
    words = documented("train")
    assert words == ["train", garden]
    words += ["--model", model_directory, "--out", str(tmp_path / "run"), "--decisions", "16"]
    assert main([*words, "--num_envs", "2", "--rollout_steps", "8", "--ppo.policy_minibatch", "8"]) == 0
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").is_file()


def test_resting_for_ever_is_worse_than_trying_anything(garden: str) -> None:
    """The model rests at first. While that cost nothing it learned nothing else, whatever the number of decisions."""
    world = gymnasium.make(garden).unwrapped.env.unwrapped.world
    graph = explore(world)
    resting = np.zeros_like(graph.rewards)
    resting[:, -1] = graph.admissible.any(axis=1)
    values = [evaluate(graph, policy, 0.99, 20).mean_return for policy in (resting, uniform(graph))]
    assert values[0] < values[1] - 0.1
    assert graph.success_by == "told"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_documented_command_ends_in_success(garden: str, seed: int, tmp_path: Path) -> None:
    assert main([*documented("train"), "--seed", str(seed), "--out", str(tmp_path / "run")]) == 0
    agent = load_agent(tmp_path / "run")
    assert evaluate_exactly(agent.policy, garden).success == pytest.approx(1.0, abs=0.001)


def test_it_shows_its_states(garden: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(gymnasium.make(garden).unwrapped.env.unwrapped.world, OpenWorld)
    assert main(["evaluate", "--uniform", "--exact", "--task", garden, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["optimal_return"] == 1.0
    assert 0 < result["success"] < 1
    assert main(["play", garden, "--player", "best"]) == 0
    assert "success: discounted return +1.0000 after 6 steps" in capsys.readouterr().out


def test_the_check_in_its_docstring_works_in_its_directory() -> None:
    words = [sys.executable, "-m", "twosome", *documented("check-env")]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.run(words, cwd=EXAMPLES, capture_output=True, text=True, env=environment, timeout=120)
    assert process.returncode == 0, process.stderr
    assert "0 errors, 0 warnings, 0 notes" in process.stdout


def test_the_page_about_adding_an_environment_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "add-an-environment.md").read_text(encoding="utf-8")
    code = (EXAMPLES / "garden.py").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    assert blocks
    for block in blocks:
        for piece in block.strip("\n").split("\n    ...\n"):
            assert piece in code, piece


def test_the_code_on_the_page_about_the_worlds_runs() -> None:
    page = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "environments.md", "exec"), {})


@pytest.mark.parametrize("task", ["tomato-salad", "lettuce-onion-tomato-salad", "entertainment", "laundry-placed"])
def test_the_tables_on_the_page_about_the_worlds_are_right(task: str) -> None:
    page = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
    result = evaluate_exactly(UniformPolicy(), task, gamma=TASKS[task].gamma)
    row = next(line for line in page.splitlines() if line.startswith(f"| {task} |") and f"| {result.states} |" in line)
    digits = 4 if task in OVERCOOKED else 5
    for number in (f"{result.optimal_return:.4f} (", f"{result.success:.3%}".replace("%", " %")):
        assert number in row
    assert f"| {result.prompts} |" in row
    assert f"| {result.discounted_return:.{digits}f} |" in row


def test_tickets_are_routed_learned_from_and_routed_again(
    model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example as it is, on a tiny model: served over HTTP, told late, learned from, served again."""
    pytest.importorskip("uvicorn", reason="serving is an extra: pip install 'twosome[serve]'")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    tickets = importlib.import_module("tickets")
    shop = tickets.Shop(1, 30, 4, ("--model", model_directory), (), ("--passes", "1"))
    day = tickets.day(shop, 3, tmp_path)
    assert len(day.learning) == len(day.staying) == 60
    assert {"known wordings, learned", "new wordings, untrained"} < set(day.tests)
    (said,) = day.said
    assert "learned from" in said
    contents = read_journal(tmp_path / "journal-0.jsonl")
    assert len(contents.decisions) == 30
    assert 20 <= len(contents.outcomes) <= 30
    earned = Counter(day.learning[:30])
    assert Counter(told.reward for told in contents.outcomes.values()) <= earned
    assert all(told.chosen == "sampled" for told in contents.outcomes.values())
    assert (tmp_path / "run-0" / "adapter" / "adapter_model.safetensors").is_file()
    tickets.draw([day, day], shop, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
    rows = tickets.table([day, day], shop).splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:4]] == ["1 to 30, drawn", "31 to 60, drawn"]


def test_the_hidden_routing_of_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    tickets = importlib.import_module("tickets")
    assert [tickets.Ticket("x", "returns").reward(queue) for queue in ("returns", "repairs", "orders")] == [
        1,
        0.3,
        -0.3,
    ]
    assert tickets.Ticket("x", "security").reward("password") == -1
    assert tickets.tickets(20, 1) == tickets.tickets(20, 1)
    assert {ticket.queue for ticket in tickets.tickets(200, 1)} == set(tickets.QUEUES)
    last = [max(re.split(r"{\w+}", wordings[-1]), key=len) for wordings in tickets.TICKETS.values()]
    assert not [ticket for ticket in tickets.tickets(300, 1) if any(words in ticket.text for words in last)]
    assert all(any(words in ticket.text for words in last) for ticket in tickets.tickets(50, 1, slice(-1, None)))
