"""An agent that is served, and asked by the client here, is worth to the number what it is worth in process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("twosome.serving", reason="this copy of twosome does not serve")
pytest.importorskip("uvicorn", reason="serving is an extra: pip install 'twosome[serve]'")
pytest.importorskip("starlette", reason="serving is an extra: pip install 'twosome[serve]'")

import torch

from tests.serving.running import serving
from twosome import Agent
from twosome.evaluation.exact import ExactEvaluation, evaluate_exactly
from twosome.remote import RemotePolicy, ServerSettings
from twosome.runs.agents import load_agent


@pytest.mark.parametrize("format", ["systemone", "decisions"])
def test_served_and_in_process_are_one_agent(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOSOME_CACHE", str(tmp_path))
    here = load_agent(normalization="sum").policy
    expected = evaluate_exactly(here, "food-preparation", gamma=0.95)
    with serving({"embedded": Agent.load(normalization="sum")}) as running:
        settings = ServerSettings(running.address, format=format, instruction="")  # type: ignore[arg-type]
        asked = RemotePolicy(settings)
        found = evaluate_exactly(asked, "food-preparation", gamma=0.95)
    assert rounded(found) == rounded(expected)
    assert expected.discounted_return == pytest.approx(0.588, abs=1e-3)
    assert asked.facts()["rounded_to_zero"] == 0
    assert asked.facts()["sum"] == pytest.approx([1.0, 1.0], abs=1e-15)
    for decision in asked._answers:
        if decision.prompt.startswith("There are four rooms"):
            near = {"atol": 1e-6, "rtol": 0.0}
            with torch.no_grad():
                assert torch.allclose(asked.action_log_probs([decision]), here.action_log_probs([decision]), **near)


def rounded(result: ExactEvaluation) -> ExactEvaluation:
    """To seven digits: log-probabilities are float32 in process, and pass through float64 over the wire."""
    numbers = {name: float(f"{value:.6g}") for name, value in vars(result).items() if type(value) is float}
    return replace(result, **numbers, reliability=())
