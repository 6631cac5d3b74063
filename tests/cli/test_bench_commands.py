"""`bench scoring` and what `bench actions` measures, small."""

from __future__ import annotations

import json
import math

import pytest
import torch

from twosome.bench.actions import measure_actions
from twosome.bench.matrix_products import counting_products
from twosome.bench.scoring import ScoringBench
from twosome.bench.scoring_report import Agreement
from twosome.bench.workloads import hundred_tokens
from twosome.cli import main
from twosome.models.loading import EMBEDDED, load_tokenizer
from twosome.tokens.encoding import Encoder


def test_scoring_is_compared_phase_by_phase(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(("bench", "scoring", "--unique", "0.1", "--repetitions", "1", "--sampled", "1"))
    out = capsys.readouterr().out
    assert status == 0
    report = json.loads(out.splitlines()[-1])
    assert report["agreement"]["ratio"] == 0
    assert 10 * report["tokens"] < report["reference_tokens"]
    assert 0.05 < report["busy"] < 1
    phases = {phase["name"]: phase for phase in report["phases"]}
    for state in ("cold", "warm"):
        parts = [phases[f"{name}, {state}"] for name in ("actor", "critic", "value update", "policy update")]
        cycle = phases[f"cycle, {state}"]
        for way in ("reference", "ours"):
            assert cycle[way] == pytest.approx(sum(part[way] for part in parts))
        assert cycle["ratio"] == pytest.approx(cycle["reference"] / cycle["ours"])
        assert cycle["ratio"] > 5  # tens; but this machine may be doing something else
        assert report["decisions_per_second"][state] == pytest.approx(128 / cycle["ours"])
        assert f"cycle, {state}" in out
    assert report["tokens_per_second"] == pytest.approx(report["tokens"] / phases["cycle, warm"]["ours"])


def test_a_trained_model_is_measured_on_decisions_of_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    """Its readings are judged by a higher precision, and what play repeats is repeated."""
    words = ("--model", "embedded", "--task", "tomato-salad", "--play", "untrained", "--decisions", "2")
    status = main(("bench", "scoring", *words, "--repetitions", "1", "--sampled", "1"))
    captured = capsys.readouterr()
    assert status == 0
    report = json.loads(captured.out.splitlines()[-1])
    assert report["setup"]["model"] == "embedded"
    assert "size" not in report["setup"]
    assert "workload" not in report["setup"]
    errors = report["agreement"]["errors"]
    assert errors["decisions"] == 2
    assert 0 < errors["ours"]["mean"] < 1e-4
    assert report["agreement"]["ratio"] == 0
    phases = {phase["name"]: phase for phase in report["phases"]}
    assert phases["cycle, warm"]["ratio"] > 3
    assert captured.err.splitlines()[0] == "loading embedded in float32"
    assert "scaled from 1 decision(s)" in captured.out


def test_ways_that_disagree_are_not_timed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScoringBench, "agreement", lambda bench: Agreement(2e-5, 3e-5, 1e-7))
    monkeypatch.setattr(ScoringBench, "run", lambda *_, **__: pytest.fail("it was timed all the same"))
    assert main(("bench", "scoring")) == 1
    error = capsys.readouterr().err
    assert error.count("the two ways disagree") == 3
    assert "2.0e-05 nats" in error


def test_half_precision_is_held_to_its_ratios_alone() -> None:
    found = Agreement(log_probs=0.02, gradient=0.03, ratio=0)
    assert not found.problems(exact=False, single=True)
    assert len(Agreement(0.02, 0.03, 1e-7).problems(exact=False, single=True)) == 1
    assert not Agreement(0.02, 0.03, 1e-7).problems(exact=False, single=False)


def test_the_products_inside_attention_count() -> None:
    query, key, value = (torch.randn(2, 3, rows, 8, requires_grad=True) for rows in (16, 48, 48))
    mask = torch.zeros(2, 1, 16, 48)
    with counting_products() as counter:
        outputs = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask)
        torch.autograd.backward(outputs.sum())
    # Two products forward; five backward, the first of them once more.
    assert counter.get_total_flops() == (2 + 5) * 2 * (2 * 3) * 16 * 48 * 8


def test_a_product_that_is_added_in_place_counts() -> None:
    with counting_products() as counter:
        torch.zeros(4, 5).addmm_(torch.ones(4, 3), torch.ones(3, 5))
    assert counter.get_total_flops() == 2 * 4 * 3 * 5


def test_every_decision_of_the_fixed_shape_has_it() -> None:
    encoder = Encoder(load_tokenizer(EMBEDDED))
    decisions = hundred_tokens(5, 0)
    assert len(set(decisions)) == 5
    for decision in decisions:
        encoded = encoder.encode(decision)
        assert len(encoded.prompt_ids) == 100
        assert [len(ids) for ids in encoded.action_ids] == [5] * 8


def test_many_actions_cost_time_and_memory() -> None:
    cost = measure_actions("3m", 5, repetitions=1)
    assert cost.actions == 5
    assert cost.reference is not None
    assert 0 < cost.seconds < cost.reference
    assert cost.recompute > 0
    assert 0 < cost.recompute_megabytes < cost.megabytes < 200 or math.isnan(cost.megabytes)
