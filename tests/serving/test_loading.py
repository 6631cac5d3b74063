"""How agents are named on the command line, and that trained ones are served as trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.running import ACTIONS, PROMPT, serving
from tests.tiny import save_model, small_run
from twosome import Agent
from twosome.errors import ConfigError
from twosome.runs.trainer import train
from twosome.serving.loading import born, load_agents, named_sources


@pytest.mark.parametrize(
    ("words", "model", "expected"),
    [
        ([], None, {"embedded": None}),
        ([], "google/gemma-3-270m", {"gemma-3-270m": None}),
        (["runs/salad/"], None, {"salad": "runs/salad/"}),
        (["a=runs/x", "b=runs/y=z"], None, {"a": "runs/x", "b": "runs/y=z"}),
    ],
)
def test_names(words: list[str], model: str | None, expected: dict[str, str | None]) -> None:
    assert named_sources(words, model) == expected


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "lr=1").mkdir()
    assert named_sources([str(tmp_path / "lr=1")], None) == {"lr=1": str(tmp_path / "lr=1")}


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="give them names"):
        named_sources(["runs/a", "old/a"], None)


def test_trained_agents_are_served_with_values_and_say_so(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model")
    for seed in (0, 1):
        train(small_run(model, decisions=24, seed=seed), tmp_path / f"run{seed}")
    sources = {"first": str(tmp_path / "run0"), "second": str(tmp_path / "run1"), "base": model}
    agents = load_agents(sources, {})
    with serving(agents, born={name: born(source) for name, source in sources.items()}) as server:
        for name, source in sources.items():
            question = {"type": "choice", "criteria": dict.fromkeys(ACTIONS)}
            rating = {"type": "score", "criteria": ["bad", "good"]}
            body = {"model": name, "state": PROMPT, "questions": {"next": question, "how": rating}}
            answers = server.post("/v1/systemone", body).body["answers"]
            alone = Agent.load(source)
            assert answers["next"]["probabilities"] == alone.decide(PROMPT, ACTIONS)
            assert answers["next"]["x_trained"] is (name != "base")
            assert answers["how"]["x_trained"] is False
            assert ("x_value" in answers["next"]) is (name != "base")
        known = server.send("GET", "/v1/models").body
        assert [each["description"].partition(",")[0] for each in known["models"]] == [
            "trained by practice",
            "trained by practice",
            "untrained",
        ]
        assert known["data"][0]["created"] == int((tmp_path / "run0/adapter/adapter_model.safetensors").stat().st_mtime)
