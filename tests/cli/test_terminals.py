"""What a terminal cannot show is written as its number; no command ends in a traceback over a letter."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from twosome.cli import main
from twosome.overcooked import OvercookedEnv
from twosome.text.environment import Option, TextEnv
from twosome.text.overcooked import OvercookedNarrator

SCORE = ("score", "--prompt", "Au café, you should now", "--action", "boire le thé", "--action", "打开")


class Accented:
    """Our narrator, with an accent on every "e"."""

    def __init__(self, env: OvercookedEnv) -> None:
        self.narrator = OvercookedNarrator.of(env)

    def narrate(self, observation: Any, info: dict[str, Any]) -> tuple[str, tuple[Option, ...]]:
        prompt, options = self.narrator.narrate(observation, info)
        accented = tuple(Option(option.text.replace("e", "é"), option.env_action) for option in options)
        return prompt.replace("e", "é"), accented


def make_accented(**arguments: Any) -> TextEnv:
    env = OvercookedEnv(**arguments)
    return TextEnv(env, Accented(env))


gymnasium.register("Accented-v0", entry_point=make_accented)


def printed(words: tuple[str, ...], encoding: str, monkeypatch: pytest.MonkeyPatch, stdin: str = "") -> tuple[int, str]:
    """Exit status of a command, and what a terminal of some encoding gets from it."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding=encoding))
    monkeypatch.setitem(os.environ, "PYTHONIOENCODING", "")  # put back when the test is over
    status = main(words)
    return status, out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_phrases_are_printed_whatever_the_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out = printed(SCORE, encoding, monkeypatch)
    assert status == 0
    assert "th\\xe9" in out if encoding == "ascii" else "thé" in out
    assert "打开" in out if encoding == "utf-8" else "\\u6253\\u5f00" in out


@pytest.mark.parametrize(
    "words",
    [
        ("play", "Accented-v0", "--player", "random"),
        ("play", "Accented-v0"),
        ("check-env", "Accented-v0", "--decisions", "20"),
        ("train", "Accented-v0", "--decisions", "8", "--num_envs", "2", "--rollout_steps", "4", "--out", "caf\u00e9"),
    ],
)
def test_every_command_ends_well_on_an_ascii_terminal(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ("--ppo.policy_minibatch", "4", "--critic.hidden", "[4]") if words[0] == "train" else ()
    status, out = printed((*words, *settings), "ascii", monkeypatch, stdin="é\nq\n")
    assert status in (0, 1)  # check-env finds faults in such words
    assert "\\xe9" in out


def test_what_a_command_starts_inherits_that(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(("tasks",), "ascii", monkeypatch)
    found = subprocess.run([sys.executable, "-c", "print('th\u00e9')"], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "th\\xe9\n")
