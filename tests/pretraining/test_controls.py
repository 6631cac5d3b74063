"""Controls take away what they say, and a stopped measurement goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pretraining.controls import AS_IT_IS, PHRASES, PROMPTS, RANDOM, SEEDS, UNIFORM, measure, permuted_prompts
from pretraining.zero_shot import Phrases, situations

from pretraining import controls, results


def test_permuted_prompts_are_all_others_and_phrases_stay() -> None:
    decisions = situations("tomato-salad").distinct
    change = permuted_prompts(situations("tomato-salad"), seed=3)
    changed = [change(decision) for decision in decisions]
    assert all(old.prompt != new.prompt for old, new in zip(decisions, changed, strict=True))
    assert [new.actions for new in changed] == [old.actions for old in decisions]
    assert Counter(new.prompt for new in changed) == Counter(old.prompt for old in decisions)


def test_permuted_phrases_take_the_worth_of_the_best_play_away() -> None:
    where = situations("food-preparation")
    optimal = where.optimum.optimal
    reading = {
        decision: Phrases(np.log(optimal[row, list(columns)] + 1e-9), *[np.ones(len(columns))] * 2)
        for decision, (row, columns) in zip(where.decisions, where.places, strict=True)
    }
    intact = controls.worths(where, reading)["sum"]
    permuted = [found["sum"].mean_return for _, found in controls._permuted_phrases(where, reading)]
    assert intact.mean_return == pytest.approx(0.7738, abs=1e-3)
    assert len(permuted) == SEEDS[PHRASES]
    assert max(permuted) < 0.2


def test_measuring_goes_on_where_it_stopped(model_directory: str, tmp_path: Path, monkeypatch) -> None:
    model, task = Path(model_directory), "food-preparation"
    monkeypatch.setattr(controls, "SEEDS", {RANDOM: 2, PHRASES: 2, PROMPTS: 2})
    measure(model, tmp_path, [task])
    found = results.load("zero-shot", tmp_path)
    rows = results.to_rows(found["rows"])
    conditions = {row.condition for row in rows}
    assert conditions >= {UNIFORM, AS_IT_IS, RANDOM, PROMPTS, PHRASES, "nouns absent", "nouns invented"}
    uniform = results.find(rows, task, UNIFORM, None)
    assert uniform is not None
    assert uniform.mean_return[0] == pytest.approx(0.00384, abs=1e-5)
    assert found["tasks"][task] == {"states": 27, "prompts": 18, "optimum": 0.77378}

    results.store(
        "zero-shot", {**found, "rows": [row for row in found["rows"] if row["condition"] != PHRASES]}, tmp_path
    )
    real, asked = controls.read, []
    monkeypatch.setattr(controls, "read", lambda *arguments: asked.append(1) or real(*arguments))
    measure(model, tmp_path, [task])
    assert len(asked) == 1  # the one reading that permuting the phrases needs
    again = results.to_rows(results.load("zero-shot", tmp_path)["rows"])
    assert sorted(again, key=repr) == sorted(rows, key=repr)
