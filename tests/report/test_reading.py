"""What a report is made of: finding runs, telling replicates apart, and curves and tables worked out by hand."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from tests.report.made import add_replay, make_run, measurement, write_lines
from twosome.errors import RunError
from twosome.report import write_report
from twosome.report.comparison import compare
from twosome.report.curves import RETURN, group_curve, last_performance, learned_after, run_curve
from twosome.report.drawing import Axes, logarithmic_ticks, thousands, ticks
from twosome.report.formatting import count, ends, percent, score
from twosome.report.generalization import controls, matrices
from twosome.report.grouping import group, main_groups
from twosome.report.language import abilities
from twosome.report.measures import Key, apart, cells
from twosome.report.reading import Material, Measured, find_runs, read
from twosome.report.replays import changes, collect
from twosome.report.results import headlines, optima, results, styles, with_training
from twosome.report.statistics import Interval


def measured(path: Path, lines: list[dict[str, object]]) -> Material:
    path.mkdir(parents=True, exist_ok=True)
    write_lines(path / "measurements.jsonl", lines)
    return read([path])


def test_runs_are_found_where_they_lie(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one")
    deep = make_run(tmp_path / "runs" / "ppo" / "tomato-salad" / "none" / "seed3", seed=3)
    make_run(deep / "checkpoints" / "inside")
    make_run(tmp_path / ".hidden")
    assert find_runs(one) == [one]
    assert find_runs(tmp_path) == [one, deep]
    found = {run.path: (run.agent, run.normalization) for run in read([tmp_path]).runs}
    assert found == {one: ("twosome", "word"), deep: ("ppo", None)}


def test_the_place_of_a_run_names_agent_and_normalization(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "twosome" / "cheese" / "sum" / "seed0", task="cheese", normalization="sum")
    [found] = read([run]).runs
    assert (found.agent, found.task, found.normalization) == ("twosome", "cheese", "sum")
    assert found.name == "twosome/cheese/sum/seed0"


def test_a_run_given_twice_is_read_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert len(read([run, tmp_path, run / ".." / "run"]).runs) == 1


@pytest.mark.parametrize("content", ["", "[]", "task: 3", "task: [", "\x00"])
def test_a_run_that_cannot_be_read_is_told_and_left_out(tmp_path: Path, content: str) -> None:
    make_run(tmp_path / "good")
    (make_run(tmp_path / "bad") / "config.yaml").write_text(content)
    material = read([tmp_path])
    assert [run.path.name for run in material.runs] == ["good"]
    assert len(material.notes) == 1
    assert "bad was left out" in material.notes[0]


def test_nothing_to_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to report"):
        read([tmp_path])
    with pytest.raises(RunError, match="no directory"):
        read([tmp_path / "none"])


def test_lines_that_are_no_measurements_are_counted(tmp_path: Path) -> None:
    lines = [measurement("uniform", "cheese", 0.5), {"agent": "uniform"}, measurement("uniform", "cheese", math.nan)]
    material = measured(tmp_path, lines)
    assert len(material.measurements) == 1
    assert "2 lines" in material.notes[0]


def test_seeds_are_replicates_and_other_settings_are_not(tmp_path: Path) -> None:
    for seed in (1, 0):
        make_run(tmp_path / f"a{seed}", seed=seed, threads=seed + 1)
        make_run(tmp_path / f"b{seed}", seed=seed, ppo={"policy_learning_rate": 0.01, "gamma": 0.99})
    groups, notes = group(read([tmp_path]).runs)
    assert not notes
    assert [[run.path.name for run in each.runs] for each in groups] == [["a0", "a1"], ["b0", "b1"]]
    assert [each.label for each in groups] == [
        "TWOSOME (word), ppo.policy_learning_rate 0.001",
        "TWOSOME (word), ppo.policy_learning_rate 0.01",
    ]


def test_the_same_run_twice_is_no_second_replicate(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    make_run(tmp_path / "copy-of-a")
    groups, notes = group(read([tmp_path]).runs)
    assert [len(each.runs) for each in groups] == [1]
    assert "copy-of-a has the seed and the settings of a" in notes[0]


def test_an_unfinished_run_is_no_replicate_of_finished_ones(tmp_path: Path) -> None:
    make_run(tmp_path / "a", seed=0)
    make_run(tmp_path / "b", seed=1, updates=5)
    groups, notes = group(read([tmp_path]).runs)
    assert [run.path.name for run in groups[0].runs] == ["a"]
    assert notes == ["b is not finished, so it was left out."]
    groups, notes = group(read([tmp_path / "b"]).runs)
    assert [run.path.name for run in groups[0].runs] == ["b"]
    assert "what there is of it is shown" in notes[0]


def test_of_many_groups_on_a_task_one_is_told_of_at_length(tmp_path: Path) -> None:
    for normalization in ("sum", "token", "word", "byte"):
        make_run(tmp_path / normalization, normalization=normalization)
    make_run(tmp_path / "sum-again", normalization="sum", seed=1)
    groups, _ = group(read([tmp_path]).runs)
    assert len(groups) == 4
    assert [each.normalization for each in main_groups(groups)] == ["sum"]
    assert [each.normalization for each in main_groups(groups, ("twosome", "token"))] == ["token"]


def test_a_point_of_a_curve_is_the_mean_of_the_last_twenty_episodes(tmp_path: Path) -> None:
    [run] = read([make_run(tmp_path / "run", learned_at=10)]).runs
    curve = run_curve(run, RETURN)
    assert curve is not None
    assert curve.decisions[0] == 100
    assert curve.at(1000) == 0.0  # ten episodes, all failed
    assert curve.at(2000) == pytest.approx(0.45)  # ten of each kind
    assert curve.at(3000) == pytest.approx(0.9)


def test_decisions_to_95_percent_by_hand(tmp_path: Path) -> None:
    """Episodes pay 0.9 from number 10 (or 15) on, so number 29 (34) is the last of twenty that did."""
    make_run(tmp_path / "a", seed=0, learned_at=10)
    make_run(tmp_path / "b", seed=1, learned_at=15)
    make_run(tmp_path / "c", seed=2, learned_at=39)
    [found], _ = group(read([tmp_path]).runs)
    assert learned_after(found, 0.92) == Interval(3500.0, 3000.0, math.inf, 3)
    assert learned_after(found, 0.0) is None


def test_a_few_good_episodes_at_the_beginning_are_not_yet_learning(tmp_path: Path) -> None:
    [found], _ = group(read([make_run(tmp_path / "a", learned_at=0)]).runs)
    assert learned_after(found, 0.9) == Interval(2000.0, None, None, 1)


def test_the_band_is_over_seeds(tmp_path: Path) -> None:
    for seed, learned_at in enumerate((10, 20)):
        make_run(tmp_path / str(seed), seed=seed, learned_at=learned_at)
    [found], _ = group(read([tmp_path]).runs)
    point = next(point for point in group_curve(found, RETURN) if point.decisions == 3000)
    assert point.score.value == pytest.approx((0.9 + 0.45) / 2)
    assert (point.score.low, point.score.high) == pytest.approx((0.45, 0.9))
    assert last_performance(found.runs[0], RETURN) == pytest.approx(0.9 * 30 / 40)


def test_measured_returns_are_preferred_to_those_of_training(tmp_path: Path) -> None:
    add_replay(make_run(tmp_path / "run"))
    lines = [
        measurement("twosome", "tomato-salad", 0.91, trained_on="tomato-salad", normalization="word", seed=0),
        measurement("zero-shot", "tomato-salad", 0.4, normalization="word"),
        measurement("zero-shot", "cheese", 0.3, normalization="word"),
    ]
    material = measured(tmp_path, lines)
    groups, _ = group(material.runs)
    found = cells(material.measurements)
    best = optima(groups, found)
    assert best == {"tomato-salad": 1.0, "cheese": 1.0}
    found = with_training(groups, found, best)
    rows = results(groups, found, best)
    assert [(row.label, row.discounted_return.value, row.method) for row in rows] == [
        ("TWOSOME (word)", 0.91, "exact"),
        ("untrained model (word)", 0.4, "exact"),
    ]
    [line] = headlines(groups, found, best)
    assert (line.before[0].value, line.before_source, line.after[0].value) == (0.4, "untrained, exact", 0.91)


def test_without_measurements_the_report_tells_of_training(tmp_path: Path) -> None:
    material = read([add_replay(make_run(tmp_path / "run"))])
    groups, _ = group(material.runs)
    best = optima(groups, {})
    [line] = headlines(groups, with_training(groups, {}, best), best)
    assert (line.optimum, line.before[0].value) == (0.92, pytest.approx(0.45))
    assert (line.before_source, line.after_source) == ("first 20 episodes", "last 100 episodes of training")


def test_a_single_measurement_keeps_its_own_interval_and_several_get_one_over_seeds(tmp_path: Path) -> None:
    trained = {"trained_on": "a", "normalization": "word"}
    lines = [measurement("uniform", "a", 0.2, success_interval=[0.1, 0.3], method="episodes", episodes=100)]
    lines += [measurement("twosome", "a", score, seed=seed, **trained) for seed, score in enumerate((0.7, 0.9))]
    found = cells(measured(tmp_path, lines).measurements)
    uniform = found[Key("uniform", None, None, "a", None, False)]
    assert uniform.success == Interval(0.2, 0.1, 0.3, 1)
    assert uniform.method == "100 episodes"
    assert found[Key("twosome", "word", "a", "a", None, False)].success == Interval(0.8, 0.7, 0.9, 2)


def test_apart_means_that_intervals_do_not_touch() -> None:
    assert apart(Interval(0.9, 0.8, 1.0, 3), Interval(0.5, 0.4, 0.6, 3)) == 1
    assert apart(Interval(0.5, 0.4, 0.6, 3), Interval(0.9, 0.8, 1.0, 3)) == -1
    assert apart(Interval(0.5, 0.4, 0.85, 3), Interval(0.9, 0.8, 1.0, 3)) == 0
    assert apart(Interval(0.5, None, None, 1), Interval(0.5, None, None, 1)) == 0


def test_the_matrix_has_untrained_beside_trained(tmp_path: Path) -> None:
    lines = [measurement("zero-shot", task, 0.4, normalization="word") for task in ("a", "b")]
    for on in ("a", "b"):
        for task in ("a", "b", "c"):
            score = 0.9 if on == task else 0.1
            lines.append(measurement("twosome", task, score, trained_on=on, normalization="word", seed=0))
    lines.append(measurement("zero-shot", "a", 0.1, normalization="word", control="permuted"))
    found = cells(measured(tmp_path, lines).measurements)
    success, returns = matrices(found)
    assert (success.measure, returns.measure) == ("success", "discounted_return")
    assert success.columns == ["untrained", "a", "b"]
    rows = {task: fields for task, _, fields in success.rows}
    assert [field and field.level for field in rows["a"]] == [4, 9, 1]
    assert [field and field.against_untrained for field in rows["a"]] == [None, 1, -1]
    assert [field and field.own for field in rows["b"]] == [False, False, True]
    assert rows["c"][0] is None
    [control] = controls(found)
    assert (control.task, control.control, control.plain.success.value) == ("a", "permuted", 0.4)


@pytest.mark.parametrize(("trained", "against"), [(0.9998, 0), (0.998, -1), (1.0, 0)])
def test_what_no_table_shows_is_no_difference(tmp_path: Path, trained: float, against: int) -> None:
    """A matrix of Gemma's said "100.0 %, worse" of six tasks in which one episode of ten thousand differed."""
    lines = [measurement("zero-shot", task, 0.99999, normalization="sum") for task in ("a", "b")]
    lines += [
        measurement("twosome", "b", trained - drawn, trained_on="a", normalization="sum", seed=seed)
        for seed, drawn in enumerate((0.0, 1e-6, 2e-6))
    ]
    (success, _) = matrices(cells(measured(tmp_path, lines).measurements))
    (field,) = [fields[1] for task, _, fields in success.rows if task == "b"]
    assert field is not None
    assert field.against_untrained == against


def test_one_matrix_holds_normalizations_that_differ_from_task_to_task(tmp_path: Path) -> None:
    lines = [measurement("zero-shot", task, 0.4, normalization="sum") for task in ("a", "b", "c")]
    lines += [measurement("zero-shot", task, 0.7, normalization="sum/3") for task in ("a", "b", "c")]
    for on, normalization in (("a", "sum"), ("b", "sum"), ("c", "sum/3")):
        for task in ("a", "b", "c"):
            lines.append(measurement("twosome", task, 0.5, trained_on=on, normalization=normalization, seed=0))
    lines.append(measurement("twosome", "a", 0.5, trained_on="a", normalization="word", seed=0))  # an ablation
    success, _ = matrices(cells(measured(tmp_path, lines).measurements))
    assert (success.agent, success.columns) == ("TWOSOME (sum)", ["untrained", "a", "b", "c (sum/3)"])
    rows = {task: fields for task, _, fields in success.rows}
    assert [field and field.against_untrained for field in rows["b"]] == [None, 1, 1, -1]  # each against its own

    lines += [measurement("twosome", "b", 0.5, trained_on="a", normalization="word", seed=0)]  # tested elsewhere, too
    both = [each for each in matrices(cells(measured(tmp_path, lines).measurements)) if each.measure == "success"]
    assert [each.agent for each in both] == ["TWOSOME (sum)", "TWOSOME (word)"]


def test_agents_are_compared_on_the_tasks_of_the_reference(tmp_path: Path) -> None:
    lines = []
    for task in ("a", "b"):
        lines.append(measurement("uniform", task, 0.2))
        for seed in range(3):
            trained = {"trained_on": task, "seed": seed}
            lines.append(measurement("twosome", task, 0.9 + 0.01 * seed, normalization="word", **trained))
            lines.append(measurement("ppo", task, 0.6, **trained))
    lines.append(measurement("zero-shot", "a", 0.4, normalization="sum"))
    found = cells(measured(tmp_path, lines).measurements)
    comparison = compare(found, styles(found))
    assert comparison is not None
    assert comparison.tasks == ["a", "b"]
    assert comparison.left_out == ["untrained model (sum)"]
    aggregate = dict(comparison.aggregate)
    assert aggregate["TWOSOME (word)"].value == pytest.approx((0.91 - 0.2) / 0.8)
    assert aggregate["TWOSOME (word)"].runs == 6
    assert aggregate["uniform play"].value == 0.0
    assert {duel.second: duel.probability.value for duel in comparison.duels} == {
        "PPO from scratch": 1.0,
        "uniform play": 1.0,
    }
    assert comparison.duels[0].first == "TWOSOME (word)"
    assert compare(cells([Measured("uniform", "a", 0.2, 0.2, optimum=1.0)]), {}) is None


def test_runs_that_were_not_measured_are_compared_by_the_end_of_their_training(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path / f"fast{seed}", seed=seed, learned_at=5)
        make_run(tmp_path / f"slow{seed}", seed=seed, learned_at=25, ppo={"policy_learning_rate": 0.01, "gamma": 0.99})
    groups, _ = group(read([tmp_path]).runs)
    together = with_training(groups, {}, {"tomato-salad": 0.9})
    comparison = compare(together, styles(together))
    assert comparison is not None
    assert comparison.methods == ["last 100 episodes of training"]
    assert [round(interval.value, 6) for _, interval in comparison.aggregate] == [35 / 40, 15 / 40]
    [duel] = comparison.duels
    assert (duel.first, duel.probability.value) == ("TWOSOME (word), ppo.policy_learning_rate 0.001", 1.0)


def test_language_tables_are_read_leniently() -> None:
    content = {"model": "m", "measures": [{"name": "x", "off": 1, "on": 2.5, "interval": [-1, 4]}, 3, {"n": "many"}]}
    [table] = abilities([("run", content), ("other", {"measures": None})])
    first, second = table.rows
    assert (first.difference, first.changed, first.items) == (1.5, False, None)
    assert (second.name, second.difference, second.changed) == ("", None, None)


def test_changes_of_mind_are_counted_over_different_decisions(tmp_path: Path) -> None:
    groups, _ = group(read([add_replay(make_run(tmp_path / "run"))]).runs)
    [found] = changes(groups)
    assert (found.decisions, found.changed) == (4, 4)
    assert found.largest[0].before == ("wait ", 0.75, 0.1)
    assert found.largest[0].after == ("act ", 0.25, 0.9)
    assert found.largest[0].moved == pytest.approx(0.65)


def test_every_picture_is_kept_once_and_what_does_not_fit_is_told(tmp_path: Path) -> None:
    for seed in range(3):
        add_replay(make_run(tmp_path / str(seed), seed=seed))
    groups, _ = group(read([tmp_path]).runs)
    replays = collect(groups)
    assert len(replays.frames) == 4  # of three runs; the picture that no decision shows is dropped
    assert len(replays.runs) == 3
    small = collect(groups, budget=replays.size // 2)
    assert [run["label"] for run in small.runs] == ["tomato-salad, TWOSOME (word), seed 0"]
    assert len(small.left_out) == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"episodes": 3},
        {"episodes": [{"steps": [{"prompt": "x"}]}]},
        {"episodes": [{"steps": [{"actions": ["a"], "before": [1], "after": ["1"], "action": 0}]}]},
        {"episodes": [{"steps": [{"actions": ["a"], "before": [1], "after": [1], "action": 1}]}]},
        {"frames": ["not base64!"], "episodes": [None]},
    ],
)
def test_a_damaged_replay_is_left_out(tmp_path: Path, damage: dict[str, object]) -> None:
    run = make_run(tmp_path / "run")
    (run / "replay.json").write_text(json.dumps(damage))
    groups, _ = group(read([run]).runs)
    assert collect(groups).runs == []
    assert changes(groups) == []


def test_numbers_as_people_read_them() -> None:
    assert [score(value) for value in (0.92051, -0.5, None)] == ["0.921", "\u22120.500", "\u2013"]
    read_out = [percent(v).replace("\u00a0", " ") for v in (0, 1 + 1e-12, 0.5, 0.0001, 0.9999, -0.1)]
    assert read_out == [
        "0 %",
        "100 %",
        "50.0 %",
        "< 0.1 %",
        "> 99.9 %",
        "\u221210.0 %",
    ]
    assert [count(value) for value in (1536.0, math.inf, None)] == ["1\u202f536", "not reached", "\u2013"]
    assert ends(Interval(1.0, 0.5, 1.5, 3), "score") == "[0.500, 1.500]"
    assert ends(Interval(1.0, None, None, 1), "score") == ""
    assert ends(Interval(9.0, 5.0, math.inf, 3), "count") == "[5, not reached]"
    assert ends(Interval(math.inf, math.inf, math.inf, 3), "count") == ""


def test_ticks_are_round_numbers() -> None:
    assert ticks(0, 1) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.13, 0.92) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert ticks(0, 3072, about=4) == [0, 1000, 2000, 3000]
    assert ticks(5, 5) == [5]
    assert [thousands(value) for value in (500, 2000, 1_500_000)] == ["500", "2k", "1.5M"]
    assert logarithmic_ticks(90, 200_000) == [100, 1000, 10_000, 100_000]
    assert logarithmic_ticks(100, 6000) == [100, 200, 500, 1000, 2000, 5000]
    assert logarithmic_ticks(100, 100) == [100]


def test_a_short_curve_beside_a_long_one_is_not_a_sliver(tmp_path: Path) -> None:
    short = make_run(tmp_path / "short")  # 4,000 decisions
    long = make_run(tmp_path / "long", policy="vector", updates=800)
    assert "log scale" not in write_report([short], tmp_path / "one.html").read_text(encoding="utf-8")
    page = write_report([short, long], tmp_path / "two.html").read_text(encoding="utf-8")
    assert page.count("decisions (log scale)") == 2  # return and success
    curves = re.findall(r'<polyline[^>]*points="([^"]*)"', page)
    last = sorted(float(points.split()[-1].split(",")[0]) for points in curves)
    axes = Axes("decisions", (100.0, 80_000.0), (0.0, 1.0), logarithmic=True)
    assert last == pytest.approx([axes.x(4000)] * 2 + [axes.x(80_000)] * 2, abs=0.1)
    assert axes.x(4000) - axes.x(400) == pytest.approx(axes.x(40_000) - axes.x(4000))


@pytest.mark.parametrize(
    ("settings", "agent", "normalization"),
    [
        ({}, "twosome", "word"),
        ({"finetune": "full"}, "twosome-full", "word"),
        ({"policy": "vector"}, "ppo", None),
        ({"policy": "vector", "environment": {"all_actions": True}}, "ppo-unmasked", None),
    ],
)
def test_a_run_outside_a_reproduction_says_itself_who_was_trained(
    settings: dict[str, object], agent: str, normalization: str | None, tmp_path: Path
) -> None:
    [found] = read([make_run(tmp_path / "run", **settings)]).runs
    assert (found.agent, found.normalization) == (agent, normalization)


def test_settings_that_change_no_number_keep_replicates_together_and_others_do_not(tmp_path: Path) -> None:
    make_run(tmp_path / "a", seed=0, loading={"dtype": "auto", "path": "auto"}, env_processes=False)
    make_run(tmp_path / "b", seed=1, loading={"dtype": "auto", "path": "padded"}, env_processes=True)
    make_run(tmp_path / "c", seed=1, loading={"dtype": "bfloat16", "path": "auto"}, env_processes=False)
    groups, notes = group(read([tmp_path]).runs)
    assert sorted(len(each.runs) for each in groups) == [1, 2]
    assert not notes


def test_runs_whose_environments_are_elsewhere_are_replicates_of_those_here(tmp_path: Path) -> None:
    make_run(tmp_path / "a", seed=0, environment={})
    make_run(tmp_path / "b", seed=1, environment={"servers": ["host:9117"]})
    assert [len(each.runs) for each in group(read([tmp_path]).runs)[0]] == [2]


def test_a_configuration_nested_too_deep_is_left_out(tmp_path: Path) -> None:
    make_run(tmp_path / "good")
    (make_run(tmp_path / "bad") / "config.yaml").write_text("[" * 5000)
    material = read([tmp_path])
    assert [run.path.name for run in material.runs] == ["good"]
    assert len(material.notes) == 1
