"""Servers of other makers: the known worth of a small model that comes with its package, and a whole evaluation."""

from __future__ import annotations

import gzip
import importlib.util
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from twosome.cli import main
from twosome.envs.exploring import explore
from twosome.evaluation import exact
from twosome.evaluation.exact import ExactEvaluation, evaluate_exactly
from twosome.remote import RemotePolicy, ServerSettings
from twosome.text.states import TextWorld, text_world
from twosome.text.tasks import TASKS

WORDS = Path(__file__).parents[1] / "data" / "remote" / "words.json.gz"

needs_sparrow = pytest.mark.skipif(
    importlib.util.find_spec("sparrow_decider") is None, reason="sparrow-decider is not installed (the test extra)"
)
needs_jevcompat = pytest.mark.skipif(
    importlib.util.find_spec("jevcompat") is None, reason="jevcompat is not installed (the test extra)"
)


@contextmanager
def running(module: str, *words: str) -> Iterator[str]:
    """A server in a process of its own; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = f"import sys; from {module}.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", start, *words, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None, f"{module} ended with {process.returncode}"
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class RecordedWords(TextWorld):
    """A world whose states read as they did when they were recorded."""

    rows: dict[Any, Any]

    def narrate(self, state: Any) -> tuple[str, tuple[Any, ...]]:
        prompt, options = self.rows[state]
        return prompt, tuple(_Option(*option) for option in options)


@dataclass(frozen=True)
class _Option:
    text: str
    env_action: int


Worth = Callable[..., ExactEvaluation]


@pytest.fixture
def worth(monkeypatch: pytest.MonkeyPatch) -> Worth:
    """What a server is worth on a task that speaks the recorded words."""
    recorded = json.loads(gzip.decompress(WORDS.read_bytes()))

    def measure(url: str, task: str, *, greedy: bool = False) -> ExactEvaluation:
        def world(env: Any) -> TextWorld:
            shown = text_world(env)
            assert shown is not None
            states, words = explore(shown.world).states, recorded[task]
            rows = {s: words["decisions"][at] for s, at in zip(states, words["states"], strict=True) if at is not None}
            return RecordedWords(shown.world, shown.narrator, shown.time_limit, rows)

        monkeypatch.setattr(exact, "text_world", world)
        return evaluate_exactly(RemotePolicy(ServerSettings(url)), task, gamma=TASKS[task].gamma, greedy=greedy)

    return measure


@pytest.fixture(scope="module")
def nano_robot() -> Iterator[str]:
    with running("sparrow_decider", "--model", "nano-robot", "serve") as url:
        yield url


@needs_sparrow
@pytest.mark.parametrize(
    ("task", "success", "discounted_return"),
    [
        ("tomato-salad", 0.703, 0.318),
        ("food-preparation", 0.924, 0.433),
        ("entertainment", 0.013, 0.002),
        pytest.param("tomato-lettuce-salad", 0.413, 0.161, marks=pytest.mark.slow),
    ],
)
def test_sparrow_nano_robot_has_its_known_worth(
    worth: Worth, nano_robot: str, task: str, success: float, discounted_return: float
) -> None:
    found = worth(nano_robot, task)
    assert found.success == pytest.approx(success, abs=1e-3)
    assert found.discounted_return == pytest.approx(discounted_return, abs=1e-3)


@needs_sparrow
def test_sparrow_nano_robot_heats_the_pancake_as_well_as_can_be_when_greedy(worth: Worth, nano_robot: str) -> None:
    found = worth(nano_robot, "food-preparation", greedy=True)
    assert found.discounted_return == pytest.approx(found.optimal_return, abs=1e-12)


@needs_sparrow
def test_sparrow_nano_general_has_its_known_worth(worth: Worth) -> None:
    with running("sparrow_decider", "serve") as url:
        salad, pancake = worth(url, "tomato-salad"), worth(url, "food-preparation")
    assert (salad.success, salad.discounted_return) == pytest.approx((0.236, -0.045), abs=1e-3)
    assert (pancake.success, pancake.discounted_return) == pytest.approx((0.806, 0.335), abs=1e-3)


@needs_jevcompat
def test_a_whole_evaluation_against_the_reference_mock(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path))
    with running("jevcompat", "mock") as url:
        command = ["evaluate", "--task", "tomato-salad", "--model", url]
        assert main([*command, "--exact", "--json"]) == 0
        exactly = json.loads(capsys.readouterr().out)
        assert main([*command, "--episodes", "40", "--json"]) == 0
        sampled = json.loads(capsys.readouterr().out)
    assert exactly["server"]["answers"] == exactly["prompts"] == 21
    assert exactly["server"]["requests"] == 22
    assert sampled["server"]["requests"] == 0
    assert sampled["success"]["low"] < exactly["success"] < sampled["success"]["high"]
