"""Everything the paper claims, in small: what is done, that nothing is done twice, and that a kill costs nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twosome.cli import main
from twosome.errors import ConfigError, RunError
from twosome.evaluation.exact import evaluate_exactly
from twosome.evaluation.generalization import readable
from twosome.evaluation.measurement import Measurement, Measurements, Subject
from twosome.report.reading import find_runs
from twosome.reproduction import plan
from twosome.reproduction.execution import Progress, execute
from twosome.reproduction.jobs import LanguageJob, MeasureJob, TrainJob, UntrainedJob
from twosome.reproduction.plan import PARTS, TRAINED_TASKS, Settings, stages
from twosome.runs.agents import load_agent
from twosome.runs.journal import read_lines
from twosome.settings.config import PRESETS, preset_config
from twosome.settings.wording import with_words
from twosome.text.tasks import TASKS
from twosome.tokens.prompting import Prompting

FIELDS = [
    *("agent", "trained_on", "task", "normalization", "control", "seed", "method", "episodes", "success"),
    *("success_interval", "return", "return_interval", "optimum", "greedy", "calibration_error"),
]


def words(out: Path, model: str, *more: str) -> list[str]:
    """A reproduction of seconds: one small task, a tiny model, few decisions."""
    small = ["--tasks", "food-preparation", "--targets", "cheese", "tomato-salad", "--decisions", "256"]
    return ["reproduce", "--out", str(out), "--model", model, "--seeds", "1", *small, *more]


ALL = ["untrained", "random", "twosome", "ppo", "generalization"]


@pytest.fixture(scope="module")
def done(model_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reproduction") / "all"
    assert main(words(out, model_directory, "--jobs", "1", "--only", *ALL)) == 0
    return out


def outcome(out: Path) -> dict[str, bytes]:
    """The bytes of all that does not tell a time."""
    names = ("measurements.jsonl", "metrics.jsonl", "episodes.jsonl", "config.yaml")
    kept = [file for file in out.rglob("*") if file.name in names or file.suffix == ".safetensors"]
    return {str(file.relative_to(out)): file.read_bytes() for file in kept if "checkpoints" not in file.parts}


def test_every_agent_is_measured_on_every_task_it_can_read(done: Path) -> None:
    lines = read_lines(done / "measurements.jsonl")
    assert all(sorted({*line, "missed"}) == sorted({*FIELDS, "missed"}) for line in lines)
    assert all(0 <= line.get("missed", 0) <= 1e-3 for line in lines), (
        "it is no embedded model, so hardly anything is left"
    )
    tasks: dict[tuple[str, bool], set[str]] = {}
    for line in lines:
        tasks.setdefault((line["agent"], line["greedy"]), set()).add(line["task"])
    everything, household = {"food-preparation", "cheese", "tomato-salad"}, {"food-preparation", "cheese"}
    assert tasks == {
        ("uniform", False): everything,
        ("optimum", True): everything,
        **{("zero-shot", greedy): everything for greedy in (False, True)},
        **{("random-weights", greedy): {"food-preparation"} for greedy in (False, True)},
        **{("saycan", greedy): {"food-preparation"} for greedy in (False, True)},
        **{("saycan-oracle", greedy): {"food-preparation"} for greedy in (False, True)},
        **{("twosome", greedy): everything for greedy in (False, True)},
        **{("ppo", greedy): household for greedy in (False, True)},
        **{("ppo-unmasked", greedy): household for greedy in (False, True)},
    }
    assert all(line["method"] == "exact" for line in lines)
    assert {line["control"] for line in lines if line["agent"] == "zero-shot"} == {None, "permuted", "renamed"}


def test_known_numbers_are_in_their_place(done: Path) -> None:
    lines = read_lines(done / "measurements.jsonl")
    (uniform,) = [x for x in lines if (x["agent"], x["task"]) == ("uniform", "food-preparation")]
    assert uniform["success"] == pytest.approx(0.019292, abs=1e-6)
    assert uniform["optimum"] == pytest.approx(0.95**5)
    (best,) = [x for x in lines if (x["agent"], x["task"]) == ("optimum", "tomato-salad")]
    assert best["return"] == best["optimum"] == pytest.approx(0.9205, abs=1e-4)
    unmasked = [x for x in lines if x["agent"] == "ppo-unmasked" and not x["greedy"]]
    assert all(x["success"] < 0.01 for x in unmasked), "hardly trained, and without a mask"
    same = [x["return"] for x in lines if x["agent"] == "ppo" and not x["greedy"]]
    assert same[0] == pytest.approx(same[1], abs=1e-12), "renamed, the task is the same to who reads no words"


def test_runs_lie_where_a_report_looks_for_them(done: Path) -> None:
    runs = {str(run.relative_to(done)) for run in find_runs(done)}
    assert runs == {
        f"runs/twosome/food-preparation/{preset_config('food-preparation', 'tiny').normalization}/seed0",
        "runs/ppo/food-preparation/none/seed0",
        "runs/ppo-unmasked/food-preparation/none/seed0",
    }


def test_done_again_nothing_is_done(done: Path, model_directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in (done / "runs").rglob("*") if file.is_file()}
    assert main(words(done.parent / "none", model_directory, "--dry-run")) == 0
    assert "done" not in capsys.readouterr().out
    assert not (done.parent / "none").exists()
    assert main(words(done, model_directory, "--only", *ALL, "--dry-run")) == 0
    assert "missing" not in capsys.readouterr().out
    assert main(words(done, model_directory, "--only", *ALL)) == 0
    assert before == {file: file.stat().st_mtime_ns for file in (done / "runs").rglob("*") if file.is_file()}


@pytest.mark.parametrize("kind", ["SIGKILL", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_killed_side_by_side_and_run_again_it_ends_with_the_same_bytes(
    kind: str, done: Path, model_directory: str, tmp_path: Path
) -> None:
    """Killed once while it trains and once later, with its children left to find out for themselves."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "twosome", *words(out, model_directory, "--jobs", "2", "--only", *ALL)]
    for sign in ("runs/*/*/*/*/metrics.jsonl", "measurements.jsonl"):
        before = size(out, sign)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 240
        while size(out, sign) == before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(getattr(signal, kind))
        assert process.wait(60) in (-signal.SIGKILL, 130, 0)
    deadline = time.monotonic() + 60
    while main(words(out, model_directory, "--jobs", "1", "--only", *ALL)) != 0:
        assert time.monotonic() < deadline, "a child of the killed process still holds a run"
        time.sleep(1)
    assert outcome(out) == outcome(done)


def size(out: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in out.glob(pattern))


def test_a_run_with_other_settings_is_not_taken_for_this_one(
    done: Path, model_directory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(done, model_directory, "--only", "ppo", "--decisions", "512")) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--only", "everything"], "unknown part 'everything'"),
        (["--tasks", "soup"], "unknown task 'soup'"),
        (["--targets", "soup"], "unknown task 'soup'"),
        (["--preset", "ppo"], "--preset"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_nonsense_is_refused(more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "--out", str(tmp_path / "out"), *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_template_reaches_every_run_and_measurement_of_a_language_model_and_no_other() -> None:
    chat = Prompting(template="chat", system="")
    for job in (job for stage in stages(Settings(Path("out"), seeds=1, prompting=chat)) for job in stage):
        if isinstance(job, TrainJob):
            assert job.config.prompting == (chat if job.config.policy == "language" else Prompting()), job.name
        if isinstance(job, MeasureJob) and job.run is None and job.model is not None:
            assert job.prompting == chat, job.name
            assert job.subject.agent in ("saycan", "saycan-oracle")
        if isinstance(job, UntrainedJob):
            assert job.prompting == chat, job.name


def test_untrained_play_reads_once_and_measures_what_acting_would(done: Path, model_directory: str) -> None:
    """Three normalisations once took three readings of every task, most of the hours that a real model needs."""
    lines = read_lines(done / "measurements.jsonl")
    for name in ("sum", "token", "word"):
        policy = load_agent(model=model_directory, normalization=name).policy
        where = {"gamma": TASKS["cheese"].gamma, "environment": {"wording": "everyday"}}
        found = evaluate_exactly(policy, "cheese", **where, within=plan.NEARLY_ALL)
        (line,) = [
            line
            for line in lines
            if (line["agent"], line["task"], line["normalization"], line["control"], line["greedy"])
            == ("zero-shot", "cheese", name, None, False)
        ]
        assert (line["return"], line["success"]) == (found.discounted_return, found.success)


def test_what_practice_begins_with_is_measured_untrained_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset may divide its normalization; the table then shows what that alone is worth."""
    known = plan.preset_config
    monkeypatch.setattr(plan, "preset_config", lambda *names: replace(known(*names), normalization="sum/3"))
    settings = Settings(Path("out"), seeds=1)
    for job in (job for stage in stages(settings) for job in stage):
        if isinstance(job, UntrainedJob):
            assert [subject.normalization for subject in job.subjects] == ["sum", "token", "word", "sum/3"]
        if isinstance(job, TrainJob) and (job.config.policy, job.config.normalization) == ("language", "sum/3"):
            assert job.directory.relative_to(settings.out / "runs").parts[2:] == ("sum-by-3", "seed0")


def test_the_whole_plan_has_every_agent_normalization_and_task() -> None:
    jobs = [job for stage in stages(Settings(Path("out"), seeds=2)) for job in stage]
    trained = [job for job in jobs if isinstance(job, TrainJob)]
    per_task = {"twosome": 3, "twosome-full": 1, "ppo": 1}
    for agent, count in per_task.items():
        directories = [job.directory for job in trained if job.directory.parts[2] == agent]
        assert len(set(directories)) == len(directories) == count * 2 * len(TRAINED_TASKS)
    assert len([job for job in trained if "ppo-unmasked" in job.directory.parts]) == 2 * 2
    matrix = [job for job in jobs if isinstance(job, MeasureJob) and "other tasks" in job.name]
    tested = {job.subject.trained_on: set(job.tasks) for job in matrix if job.subject.agent == "twosome"}
    assert tested == {task: set(TASKS) - {task} for task in TRAINED_TASKS}
    assert len([job for job in jobs if isinstance(job, LanguageJob)]) == len(TRAINED_TASKS)


def test_a_pretrained_model_is_spared_the_parts_that_take_hours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other normalisations and training of all weights took most of the time, and nobody had asked for them."""
    few = ["reproduce", "--dry-run", "--seeds", "1", "--out", str(tmp_path / "out")]
    assert main([*few, "--preset", "small", "--model", "some/model"]) == 0
    told = capsys.readouterr().out
    trained = [line.split("train ")[1] for line in told.splitlines() if "  train twosome" in line]
    assert sorted(trained) == sorted(f"twosome {task} sum seed 0" for task in TRAINED_TASKS)
    assert "left out with the preset small: normalizations, full" in told
    assert "--only normalizations full adds them" in told
    assert "seconds are those of the embedded model" in told
    assert "some/model will take many times as long" in told
    assert main([*few, "--preset", "small", "--model", "some/model", "--only", "full", "normalizations"]) == 0
    told = capsys.readouterr().out
    assert "left out" not in told
    assert told.count("  train twosome-full ") == len(TRAINED_TASKS)
    assert main(few) == 0
    told = capsys.readouterr().out
    assert "left out" not in told
    assert "many times as long" not in told
    assert told.count("  train twosome") == 4 * len(TRAINED_TASKS)


@pytest.mark.parametrize("preset", ["tiny", "small", "fitted"])
def test_all_weights_learn_at_a_tenth_of_the_adapters_rate(preset: str) -> None:
    """Where values are fitted into the weights, the rate is another setting, and was the adapter's own."""
    jobs = [job for stage in stages(Settings(Path("out"), preset=preset, seeds=1, parts=("full",))) for job in stage]
    for job in jobs:
        if isinstance(job, TrainJob):
            usual, config = preset_config(job.config.task, preset), job.config
            rates = [(each.ppo.policy_learning_rate, each.fitted.fit_learning_rate) for each in (usual, config)]
            actor = 1 if config.algorithm == "fitted" else 0
            assert rates[1][actor] == pytest.approx(rates[0][actor] / 10)
            assert rates[1][1 - actor] == rates[0][1 - actor]
            assert config.finetune == "full"


def test_random_weights_are_measured_with_the_words_of_the_model_they_are_like() -> None:
    settings = Settings(Path("out"), preset="small", model="some/model", parts=("untrained", "random"))
    jobs = [job for stage in stages(settings) for job in stage if isinstance(job, UntrainedJob)]
    (one,) = (job for job in jobs if job.weights is not None)
    plain = next(job for job in jobs if job.name == "measure zero-shot")
    assert (one.weights, one.model, one.prompting) == (0, plain.model, plain.prompting)
    assert one.tasks == TRAINED_TASKS
    assert all(one.environments[task] == plain.environments[task] for task in one.tasks)
    assert {(subject.agent, subject.seed) for subject in one.subjects} == {("random-weights", 0)}
    assert [each.normalization for each in one.subjects] == [each.normalization for each in plain.subjects]


def test_the_same_environment_for_every_agent() -> None:
    """Also where a preset changes it, the published rules say."""
    for job in (job for stage in stages(Settings(Path("out"), preset="paper", seeds=1)) for job in stage):
        if isinstance(job, MeasureJob | UntrainedJob):
            assert all(
                job.environments[task].get("faithful", False) == (TASKS[task].world == "virtualhome")
                for task in job.tasks
            )
        if isinstance(job, TrainJob):
            assert job.config.environment.get("faithful", False) == (TASKS[job.config.task].world == "virtualhome")


def test_a_preset_is_the_one_that_train_takes() -> None:
    from twosome.cli.train import parse

    for task in TRAINED_TASKS:
        for preset in PRESETS:
            assert with_words(preset_config(task, preset)) == parse([task, "--preset", preset])[0]


def test_an_agent_without_words_reads_tasks_of_its_shape() -> None:
    config = preset_config("tomato-lettuce-salad", "ppo")
    kitchens = [task for task in TASKS if task.endswith("salad") and task != "tomato-salad"]
    assert list(readable(config, list(TASKS))) == kitchens
    assert readable(preset_config("tomato-salad", "tiny"), ("cheese",)) == ("cheese",)


def test_a_torn_line_is_dropped_and_a_strange_one_told(tmp_path: Path) -> None:
    found = Measurement(
        subject=Subject("twosome", "tomato-salad", "word", seed=1),
        task="cheese",
        greedy=False,
        method="episodes",
        episodes=100,
        success=0.5,
        success_interval=(0.4, 0.6),
        discounted_return=0.3,
        return_interval=(0.2, 0.4),
        optimum=None,
    )
    line = json.dumps(found.to_json())
    file = tmp_path / "measurements.jsonl"
    file.write_text(f"{line}\n{line[:50]}")
    measurements = Measurements(tmp_path)
    assert found.key in measurements
    measurements.add([])
    assert file.read_text() == f"{line}\n"
    assert Measurement.from_json(json.loads(line)) == found
    file.write_text('{"agent": "twosome"}\n')
    with pytest.raises(RunError, match="no measurement"):
        Measurements(tmp_path)


def test_language_is_measured_where_it_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    module = types.ModuleType("twosome.language.evaluation")
    module.evaluate_language = seen.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "twosome.language.evaluation", module)
    for name in ("twosome.language",):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    settings = Settings(tmp_path, seeds=2, parts=("twosome", "language"))
    for job in stages(settings)[-1]:
        job.perform()
    normalizations = {task: preset_config(task, "tiny").normalization for task in TRAINED_TASKS}
    assert seen == [tmp_path / "runs" / "twosome" / task / normalizations[task] / "seed0" for task in TRAINED_TASKS]


def test_progress_counts_what_is_half_done(tmp_path: Path) -> None:
    class Half(TrainJob):
        def missing(self, known: Any) -> bool:
            return True

        def done(self) -> float:
            return 0.5

        def perform(self) -> list[Measurement]:
            return []

    seen: list[Progress] = []
    config = preset_config("cheese", "ppo")
    jobs = [Half("first", 30.0, config, tmp_path), Half("second", 10.0, config, tmp_path)]
    done: list[str] = []
    execute([jobs], Measurements(tmp_path), on_progress=seen.append, on_done=lambda job, seconds: done.append(job.name))
    assert done == ["first", "second"]
    assert [round(progress.share, 3) for progress in seen] == [0.375, 0.75, 0.875, 1.0]
    assert [progress.finished for progress in seen] == [0, 1, 1, 2]
    assert seen[0].active == ("first",)


def test_every_part_is_told_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all(name in text for name in PARTS)


def test_unknown_parts_are_refused_from_python() -> None:
    with pytest.raises(ConfigError, match="seeds"):
        Settings(Path("out"), seeds=0)
