"""Variants side by side: what they are, when each had learned, and a comparison that is stopped and goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from twosome.algorithms import ALGORITHMS
from twosome.cli import main
from twosome.errors import ConfigError
from twosome.laboratory import results as results_module
from twosome.laboratory.plan import Settings, stages
from twosome.laboratory.results import Result, processor_seconds, results
from twosome.laboratory.table import table
from twosome.laboratory.variants import read_variants, vary
from twosome.report.formatting import MISSING
from twosome.report.statistics import Interval
from twosome.runs.journal import read_lines
from twosome.settings.config import preset_config
from twosome.text.tasks import TASKS

VARIANTS = """
fast: {ppo: {policy_learning_rate: 0.01}}
grouped:
  algorithm: groups
  num_envs: 8
  groups: {size: 8, baseline: leave_one_out}
"""


@pytest.mark.parametrize("task", ["tomato-salad", "tomato-lettuce-salad", "food-preparation", "entertainment"])
def test_every_variant_that_comes_with_the_project_is_a_run(task: str) -> None:
    preset = preset_config(task, "tiny")
    configs = {name: vary(preset, variant) for name, variant in read_variants().items()}
    assert configs["preset"] == preset
    # Three presets have one step anyway.
    assert len({str(config) for config in configs.values()}) >= len(configs) - 1
    assert {config.algorithm for config in configs.values()} == set(ALGORITHMS)


def test_a_variant_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(VARIANTS + "preset: {environment: {time_limit: 7}}\n")
    variants = read_variants(tmp_path / "mine.yaml")
    preset = preset_config("food-preparation", "tiny")
    grouped = vary(preset, variants["grouped"])
    assert (grouped.algorithm, grouped.groups.size, grouped.groups.scale) == ("groups", 8, preset.groups.scale)
    assert grouped.ppo == preset.ppo
    assert vary(preset, variants["preset"]).environment == {**preset.environment, "time_limit": 7}
    assert "short_tv" in variants


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "must be a mapping from names to settings"),
        ("a: 3", "'a' must be a mapping of settings, got 3"),
        ("a/b: {}", "letters, digits"),
        ("a: {seed: 3}", "sets seed, which a comparison decides"),
        ("a: {ppo: {clip: wide}}", r"ppo\.clip must be a number"),
        ("a: {ppo: [", "cannot be read"),
    ],
)
def test_what_is_no_variant_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_variants(tmp_path / "mine.yaml")


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("a: {ppo: {clop: 0.1}}")
    with pytest.raises(ConfigError, match="clop"):
        vary(preset_config("tomato-salad", "tiny"), read_variants(tmp_path / "mine.yaml")["a"])


def test_seconds_of_a_run_that_was_stopped_are_those_of_what_counts() -> None:
    """Two processes: the second made updates 2 and 3 anew, counting from 0."""
    lines = [(1, 2.0), (2, 3.0), (3, 4.0), (2, 1.5), (3, 2.0), (4, 2.5)]
    timing = [{"update": update, "seconds": 9.9, "cpu_seconds": seconds} for update, seconds in lines]
    assert processor_seconds(timing) == {1: 2.0, 2: 3.5, 3: 4.0, 4: 4.5}
    assert processor_seconds([{"update": 1, "seconds": 1.0}]) == {}  # of a version that did not count them


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, runs=5)


def test_the_table_marks_what_is_apart_and_keeps_the_losers() -> None:
    def made(variant: str, decisions: Interval, learned: int = 5) -> Result:
        seconds = interval(decisions.value / 100, decisions.low or 0, decisions.high or 0)
        return Result(
            "tomato-salad", variant, decisions, seconds, interval(0.9, 0.8, 0.92), None, 0.9205, learned, 5000
        )

    never = interval(math.inf, 2000, math.inf)
    rows = table(
        [
            made("preset", interval(1000, 900, 1200)),
            made("half", interval(500, 400, 600)),
            made("same", interval(800, 700, 1000)),
            made("lost", never, learned=1),
        ]
    ).splitlines()
    assert rows[2].startswith("| tomato-salad (0.920) | preset | 1\u202f000 [900, 1\u202f200] | 1.00 | 10.0")
    assert "| half | **500 [400, 600]** | 0.50 |" in rows[3]
    assert "| same | 800 [700, 1\u202f000] | 0.80 |" in rows[4]
    assert f"| lost | not reached [2\u202f000, not reached] (!) | {MISSING} |" in rows[5]
    assert rows[5].endswith("| 1 of 5 |")


def compare(tmp_path: Path, *further: str) -> int:
    (tmp_path / "mine.yaml").write_text(VARIANTS)
    words = ["compare", "--preset", "ppo", "--tasks", "tomato-salad", "--seeds", "2", "--jobs", "1", *further]
    words += ["--decisions", "512", "--out", str(tmp_path / "out"), "--file", str(tmp_path / "mine.yaml")]
    return main([*words, "--variants", "preset", "fast", "grouped"])


def test_a_comparison_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from twosome.reproduction.jobs import TrainJob

    for further, jobs in (([], 1 + 6 + 6), (["--curves-only"], 1 + 6)):
        assert compare(tmp_path, "--dry-run", *further) == 0
        assert capsys.readouterr().out.count("missing") == jobs
    perform, done = TrainJob.perform, list[str]()

    def stop(job: TrainJob) -> Any:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(job.name)
        return perform(job)

    with monkeypatch.context() as patch:
        patch.setattr(TrainJob, "perform", stop)
        assert compare(tmp_path) == 130
    assert compare(tmp_path) == 0
    lines = read_lines(tmp_path / "out" / "timing.jsonl")
    trained = [line["job"] for line in lines if str(line["job"]).startswith("train")]
    assert len(trained) == len(set(trained)) == 6
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert [row.split("|")[2].strip() for row in text.splitlines() if row.startswith("| tomato")] == [
        "preset",
        "fast",
        "grouped",
    ]
    assert (tmp_path / "out" / "comparison.png").stat().st_size > 5000
    assert main(["report", str(tmp_path / "out")]) == 0
    assert "grouped" in (tmp_path / "out" / "report.html").read_text()


def test_a_run_has_learned_when_its_last_20_episodes_returned_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compare(tmp_path) == 0
    settings = Settings(tmp_path / "out", {"fast": {}}, ("tomato-salad",), seeds=2, preset="ppo", decisions=512)
    never = results(settings)[0]
    assert (never.learned, never.decisions.value, never.seconds.value) == (0, math.inf, math.inf)
    assert never.optimum == pytest.approx(0.9205, abs=1e-4)
    monkeypatch.setattr(results_module, "SUFFICIENT", -10.0)  # anything will do, as soon as 20 episodes ended
    found = results(settings)[0]
    run = tmp_path / "out" / "runs" / "fast" / "tomato-salad" / "none" / "seed0"
    ended, counted = 0, []
    for line in read_lines(run / "metrics.jsonl"):
        ended += line["episodes"]
        counted.append((line["decisions"], ended))
    first = next((decisions for decisions, episodes in counted if episodes >= 20), None)
    assert (first is None) == (found.learned == 0)
    seconds = [json.loads(line)["cpu_seconds"] for line in (run / "timing.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds)


def test_nothing_can_be_learned_where_no_optimum_is_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown task 'cooking'"):
        Settings(tmp_path, {"preset": {}}, ("cooking",))
    settings = Settings(tmp_path, read_variants(), tuple(TASKS), seeds=2)
    train, measure = stages(settings)
    assert len(train) - 1 == len(measure) == len(TASKS) * len(read_variants()) * 2
