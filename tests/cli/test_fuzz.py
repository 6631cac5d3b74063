"""Whatever is typed or written into a configuration, it is taken or refused in one sentence: never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from twosome.cli import main
from twosome.cli.train import parse
from twosome.errors import TwosomeError
from twosome.runs.config import RunConfig, to_yaml

KEYS = [
    "task",
    "decisions",
    "seed",
    "model",
    "normalization",
    "environment",
    "ppo",
    "lora",
    "critic",
    "loading",
    "nothing",
]
PARTS = [
    "clip",
    "epochs",
    "gamma",
    "target_kl",
    "rank",
    "targets",
    "hidden",
    "bias",
    "dtype",
    "normalize_advantages",
    "x",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["1e-3", "tiny", "-1", "~"]),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from(PARTS) | st.text(max_size=5), SCALARS, max_size=3),
)


def taken_or_refused(words: list[str]) -> None:
    try:
        config, _ = parse(words)
    except TwosomeError:
        return
    assert isinstance(config, RunConfig)
    assert yaml.safe_load(to_yaml(config))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
@example(content={"ppo": {"gamma": float("nan")}})
@example(content={"ppo": {"clip": float("inf")}})
@example(content={"seed": 2**70})
@example(content={"critic": {"hidden": [0]}})
@example(content={"lora": {"targets": [1, None]}})
def test_any_configuration(content: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    taken_or_refused(["tomato-salad", "--config", str(file)])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(content=b"ppo: [")
@example(content=b"!!python/object/apply:os.system ['true']")
@example(content=b"&a [*a]")
@example(content=b"decisions: 1\ndecisions: 2")
@example(content=b"\xff\xfe")
@example(content=b"- 1")
def test_any_file(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    taken_or_refused(["tomato-salad", "--config", str(file)])


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(
        st.text(max_size=10) | st.sampled_from(["--seed", "--ppo.clip", "--ppo", "{}", "=", "--", "3"]), max_size=4
    )
)
@example(words=["--ppo", "nonsense"])
@example(words=["--config"])
@example(words=["--critic.hidden", "[1, [2]]"])
@example(words=["--environment", "[]"])
def test_any_words(words: list[str]) -> None:
    words = [word for word in words if word not in ("-h", "--help", "--print_settings") and "print" not in word]
    try:
        taken_or_refused(["tomato-salad", *words])
    except SystemExit as leave:  # a help in disguise, such as -h
        assert not leave.code  # noqa: PT017


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.text(max_size=10), min_size=1, max_size=3))
@example(words=["evaluate", "\x00"])
@example(words=["score", "--prompt", "\ud800", "--action", "go"])
@example(words=["play", "tomato-salad", "--seed", "-1"])
@example(words=["train", "a:b-v0"])
@example(words=["train", ":-v0"])
@example(words=["train", "twosome/Overcooked-v99"])
def test_any_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if words[0] in ("demo", "bench"):
        return
    status = main(words)
    captured = capsys.readouterr()
    assert status in (0, 2)
    assert "Traceback" not in captured.err
    if status == 2 and words[0]:
        assert captured.err.count("\n") <= 1
