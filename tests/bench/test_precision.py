"""Errors of readings against a higher precision, on decisions that play meets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tiny import build_model, byte_level
from twosome.bench import precision
from twosome.bench.play import Unadapted, play, some
from twosome.bench.precision import Comparison, Errors, by_task, decisions_of
from twosome.bench.scoring_report import Agreement, Setup
from twosome.bench.subjects import decisions_to_score, load_models
from twosome.cli import main
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.judging.judging import Error
from twosome.models.loading import EMBEDDED
from twosome.models.policy import LanguageModelPolicy
from twosome.scorer import Scorer
from twosome.tokens.encoding import EncodedDecision

DECISIONS = [
    Decision("You see the tomato. You should", ("chop the tomato", "walk to the table", "serve nothing")),
    Decision("You are holding nothing. You should now", ("pick up the tomato", "serve the dish")),
]


class Wrong:
    """A reader whose numbers are off by a known amount for the second decision."""

    def __init__(self, reader: Any, off: float) -> None:
        self._reader, self._off = reader, off

    def log_probs(self, encoded: Sequence[EncodedDecision]) -> Tensor:
        found = self._reader.log_probs(encoded).clone()
        last = sum(len(action) for action in encoded[-1].action_ids)
        found[-last:] += self._off
        return found


@pytest.fixture
def scorer() -> Scorer:
    return Scorer(build_model("llama"), byte_level(bos=True))


def test_errors_are_of_the_sampled_actions_and_told_apart_by_decision(scorer: Scorer) -> None:
    scorer.reader = Wrong(scorer.reader, 0.5)  # type: ignore[assignment]
    comparison = Comparison(scorer, DECISIONS, actions=2)
    right, wrong = (comparison.errors([decision]) for decision in DECISIONS)
    assert (right.decisions, right.actions, wrong.actions) == (1, 2, 2)
    assert right.ours.largest < 1e-4
    assert wrong.ours.largest == pytest.approx(0.5, abs=1e-4)
    assert wrong.ours.mean == pytest.approx(0.5, abs=1e-4)
    assert wrong.apart == pytest.approx(0.5, abs=1e-4)
    assert wrong.alone.largest < 1e-4
    both = comparison.errors()
    assert both.tokens == right.tokens + wrong.tokens
    assert both.ours.mean == pytest.approx(wrong.tokens / both.tokens * 0.5, abs=1e-4)
    assert comparison.ratio() == pytest.approx(0.5, abs=1e-4)  # in other order another decision is the last


def test_alone_is_in_the_models_own_precision_and_the_truth_is_not(scorer: Scorer) -> None:
    scorer.model.to(torch.bfloat16)
    comparison = Comparison(Scorer(scorer.model, scorer.encoder.tokenizer), DECISIONS, actions=9)
    errors = comparison.errors()
    assert errors.actions == 5
    assert 1e-3 < errors.alone.mean < errors.alone.largest
    assert errors.ratios == (errors.ours.largest / errors.alone.largest, errors.ours.mean / errors.alone.mean)
    scorer.model.float()
    float32 = Comparison(Scorer(scorer.model, scorer.encoder.tokenizer), DECISIONS, actions=9)
    for truth, expected in zip(comparison.truth, float32.single, strict=True):
        torch.testing.assert_close(truth, expected, rtol=0, atol=1e-4)


def test_ours_may_err_as_a_way_of_reading_may() -> None:
    def errors(ours: float) -> Errors:
        return Errors(1, 1, 1, alone=Error(0.1, 0.01), ours=Error(ours, 0.01), apart=0.0)

    assert not errors(0.29).problem(torch.bfloat16)
    assert "err by 3.1e-01 at most" in errors(0.31).problem(torch.bfloat16)
    assert errors(float("nan")).problem(torch.bfloat16)


def test_a_trained_model_is_not_held_to_the_rounding_of_a_small_one() -> None:
    fine = Errors(1, 1, 1, alone=Error(2e-4, 1e-5), ours=Error(2e-4, 1e-5), apart=3e-4)
    poor = Errors(1, 1, 1, alone=Error(2e-4, 1e-5), ours=Error(2e-3, 1e-5), apart=2e-3)
    assert not Agreement(3e-4, 1e-5, 0.0, fine).problems(exact=True, single=True)
    assert len(Agreement(3e-4, 1e-5, 0.0).problems(exact=True, single=True)) == 1
    assert len(Agreement(2e-3, 2e-3, 1e-7, poor).problems(exact=True, single=True)) == 3


def test_play_is_the_same_for_a_seed_and_another_for_another() -> None:
    first, again, other = (list(islice(play("tomato-salad", 4, seed), 12)) for seed in (0, 0, 1))
    assert first == again != other
    assert all(len(row) == 4 for row in first)


def test_some_decisions_are_distinct_and_not_all_from_the_beginning() -> None:
    found = some("food-preparation", 12, 0)
    assert len(found) == len(set(found)) == 12
    beginning = {decision for row in islice(play("food-preparation", 4, 0), 4) for decision in row}
    assert not set(found) <= beginning


def test_decisions_are_spread_over_tasks() -> None:
    found = decisions_of(["tomato-salad", "laundry", "pizza"], 7, 0)
    assert {task: len(its) for task, its in found.items()} == {"tomato-salad": 3, "laundry": 2, "pizza": 2}
    assert list(decisions_of(["tomato-salad", "laundry", "pizza"], 2, 0)) == ["tomato-salad", "laundry"]


def test_the_untrained_model_plays_without_its_adapter() -> None:
    models = load_models(Setup(model=EMBEDDED, task="tomato-salad"))
    policy = LanguageModelPolicy(models.ours, models.tokenizer)
    assert models.plain is models.ours
    with torch.no_grad():
        found = Unadapted(policy).action_log_probs(DECISIONS)
        assert torch.equal(found, policy.reference_action_log_probs(DECISIONS))
        assert not torch.equal(found, policy.action_log_probs(DECISIONS))


def test_play_that_meets_too_few_decisions_is_refused(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twosome.bench.subjects.play", lambda *_: iter([DECISIONS * 2] * 40))
    with pytest.raises(ConfigError, match="meets 2 different decisions in 128, and measuring takes 4"):
        decisions_to_score(Setup(task="tomato-salad"), LanguageModelPolicy(scorer.model, scorer.encoder.tokenizer))


def test_the_command_prints_a_table_and_a_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("bench", "precision", "--task", "tomato-salad,laundry", "--decisions", "4", "--dtype", "bfloat16")
    assert main(words) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out.splitlines()[-1])
    assert list(report["errors"]) == ["tomato-salad", "laundry", "all"]
    whole = report["errors"]["all"]
    assert (whole["decisions"], whole["actions"]) == (4, 8)
    assert whole["ratio"]["mean"] == pytest.approx(whole["ours"]["mean"] / whole["alone"]["mean"])
    assert 0 < whole["alone"]["mean"] < 0.1
    assert report["ratio"] == 0
    assert "laundry" in captured.out
    assert captured.err.startswith("loading embedded in bfloat16")


def test_a_reading_that_errs_too_much_ends_the_command_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Comparison._ours
    monkeypatch.setattr(precision.Comparison, "_ours", lambda self: [tokens + 0.01 for tokens in read(self)])
    words = ("bench", "precision", "--task", "tomato-salad", "--decisions", "2", "--json")
    assert main(words) == 1
    captured = capsys.readouterr()
    assert "ours is not right: log-probabilities err by 1.0e-02" in captured.err
    (line,) = captured.out.splitlines()
    assert json.loads(line)["errors"]["tomato-salad"]["ours"]["mean"] == pytest.approx(0.01, abs=1e-3)


def test_an_unknown_task_or_model_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("bench", "precision", "--task", "tomato-sald")) == 2
    assert main(("bench", "scoring", "--task", "tomato-sald")) == 2
    assert capsys.readouterr().err.count("unknown task 'tomato-sald': did you mean 'tomato-salad'?") == 2
    assert main(("bench", "scoring", "--model", "x", "--size", "30m")) == 2


def test_one_task_has_no_sum(scorer: Scorer) -> None:
    assert list(by_task(Comparison(scorer, DECISIONS, 1), {"kitchen": DECISIONS})) == ["kitchen"]
