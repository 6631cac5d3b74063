"""Decision servers as the commands meet them: measured, played with, killed half-way, refused where weights are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.remote.stub import Stub
from twosome.cli import main
from twosome.errors import ConfigError, ModelError, RunError
from twosome.evaluation.measurement import Measurements
from twosome.models.loading import load_model, load_tokenizer
from twosome.remote import ServerSettings
from twosome.report import write_report
from twosome.reproduction.jobs import ServerJob
from twosome.reproduction.plan import Settings, stages
from twosome.runs.agents import load_agent
from twosome.runs.journal import read_lines
from twosome.settings.config import RunConfig

EXACTLY = ("evaluate", "--task", "food-preparation", "--exact", "--json", "--model")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def uniform(state: str, options: object) -> list[float]:
    return [1 / len(options)] * len(options)  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["systemone", "decisions"])
def test_a_server_that_does_not_care_is_worth_what_uniform_play_is(
    stub: Stub, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.probabilities = uniform
    status, out, _ = run(capsys, *EXACTLY, stub.url, "--server-format", format)
    assert status == 0
    found = json.loads(out)
    assert found["success"] == pytest.approx(0.019292, abs=1e-6)
    assert found["discounted_return"] == pytest.approx(0.003839, abs=1e-6)
    assert found["server"]["format"] == format
    assert found["server"]["answers"] == found["prompts"] == len(set(stub.asked())) == len(stub.asked())


def test_people_are_told_who_answered_and_how(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", "--task", "tomato-salad", "--model", stub.url)
    _, exact, _ = run(capsys, *words, "--exact")
    _, sampled, _ = run(capsys, *words, "--episodes", "3", "--greedy")
    for out in (exact, sampled):
        assert "decision server" in out
        assert f"server: stub-1 at {stub.url}/v1/systemone, asked 'What should you do now?'" in out
        assert re.search(r"sums from 1 to 1 before they were made 1; 0 of \d+ probabilities rounded to zero", out)


def test_play_shows_the_probabilities_of_a_server(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.probabilities = lambda state, options: [0.97, *[0.03 / (len(options) - 1)] * (len(options) - 1)]
    words = ("play", "tomato-salad", "--player", "model", "--model", stub.url, "--server-instruction", "And now?")
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert "97.0%" in out
    assert stub.requests[-1]["questions"]["action"]["instructions"] == "And now?"


def test_descriptions_come_from_a_file(stub: Stub, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "descriptions.json"
    file.write_text(json.dumps({"sit down": "rest"}))
    assert run(capsys, *EXACTLY, stub.url, "--server-descriptions", str(file))[0] == 0
    for text in ("[]", "{", '{"a": 1}'):
        file.write_text(text)
        status, _, err = run(capsys, *EXACTLY, stub.url, "--server-descriptions", str(file))
        assert (status, "descriptions" in err) == (2, True)


FIRST_WORDS = ("--environment", json.dumps({"wording": "first"}))
EVALUATION = """
import sys
from twosome.evaluation.exact import evaluate_exactly
from twosome.remote import RemotePolicy, ServerSettings
evaluate_exactly(RemotePolicy(ServerSettings(sys.argv[1], in_flight=2)), "entertainment", gamma=0.95)
"""


def test_a_killed_evaluation_goes_on_where_it_was(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.delay = 0.05
    process = subprocess.Popen([sys.executable, "-c", EVALUATION, stub.url])
    while len(stub.requests) < 12:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    time.sleep(0.1)  # what was under way at the server
    stub.delay, stub.requests = 0.0, []
    words = ("evaluate", "--task", "entertainment", "--exact", "--json", "--model", stub.url, *FIRST_WORDS)
    resumed = json.loads(run(capsys, *words)[1])
    facts = resumed["server"]
    assert facts["from_disk"] >= 9  # 12 were asked, one of them about decimals, and two may have been under way
    assert facts["requests"] == len(stub.requests) == facts["answers"] - facts["from_disk"]
    assert not [file for file in Path(facts["kept_in"]).iterdir() if file.suffix != ".json"]
    again = json.loads(run(capsys, *words)[1])
    assert again["server"]["requests"] == 0
    assert {**again, "server": None} == {**resumed, "server": None}


def test_reproduce_has_a_row_for_a_server(stub: Stub, tmp_path: Path) -> None:
    stub.probabilities = uniform
    place = {"out": tmp_path, "tasks": ("food-preparation",), "targets": ("cheese",), "parts": ("untrained",)}
    job = server_job(Settings(**place, server=ServerSettings(stub.url)))
    measurements = Measurements(tmp_path)
    assert job.missing(measurements)
    measurements.add(job.perform())
    lines = {(line["task"], line["greedy"]): line for line in read_lines(tmp_path / "measurements.jsonl")}
    assert {task for task, _ in lines} == {"food-preparation", "cheese"}
    assert lines["food-preparation", False]["return"] == pytest.approx(0.003839, abs=1e-6)
    assert lines["food-preparation", False]["server"]["answered_by"] == ["stub-1"]
    assert lines["food-preparation", False]["server"]["answers"] == 18
    assert not job.missing(Measurements(tmp_path))
    write_report([tmp_path], tmp_path / "report.html")
    assert f"| decision server {stub.url[7:]} |" in (tmp_path / "report.md").read_text(encoding="utf-8")
    otherwise = server_job(Settings(**place, server=ServerSettings(stub.url, instruction="Well?")))
    with pytest.raises(RunError, match="measured with other settings"):
        otherwise.missing(Measurements(tmp_path))


def server_job(settings: Settings) -> ServerJob:
    (job,) = [job for stage in stages(settings) for job in stage if isinstance(job, ServerJob)]
    return job


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("train", "tomato-salad", "--model", "https://h"), "no weights"),
        (("score", "--prompt", "a", "--action", "b", "--model", "https://h"), "no scores of tokens"),
        (("check-env", "tomato-salad", "--model", "https://h"), "no weights"),
        (("reproduce", "--dry-run", "--model", "https://h"), "no weights"),
        (("reproduce", "--dry-run", "--server", "h"), "no address of a decision server"),
        (("reproduce", "--dry-run", "--only", "ppo", "--server", "http://h"), "part 'untrained'"),
        (("evaluate", "--task", "tomato-salad", "--model", "https://h", "--saycan", "oracle"), "no scores of tokens"),
        (("evaluate", "--task", "tomato-salad", "--model", "https://h", "--normalization", "sum"), "--normalization"),
        (("evaluate", "--task", "tomato-salad", "--model", "https://h", "--template", "chat"), "--template"),
        (("evaluate", "run", "--task", "tomato-salad", "--model", "https://h"), "weights for a model of its own"),
        (("evaluate", "--task", "tomato-salad", "--server-in-flight", "2"), "--server-in-flight is about a decision"),
        (("evaluate", "--task", "tomato-salad", "--model", "https://u:p@h"), "must not hold a key"),
    ],
)
def test_where_no_server_will_do_a_sentence_says_so(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, *words)
    assert status == 2
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_more_options_than_a_server_takes_are_told_before_a_sampled_evaluation(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("evaluate", "--task", "entertainment", "--episodes", "1", "--model", stub.url, "--server-options", "8")
    status, _, err = run(capsys, *words)
    assert (status, "has 9 options, and the server takes 8" in err) == (2, True)
    assert stub.requests == []


def test_an_address_is_no_model_from_python_either() -> None:
    with pytest.raises(ModelError, match="no weights"):
        load_model("http://h")
    with pytest.raises(ModelError, match="no weights"):
        load_tokenizer("HTTPS://h")
    with pytest.raises(ModelError, match="no weights"):
        RunConfig(task="tomato-salad", model="http://h")
    agent = load_agent(model="http://h")
    assert not agent.trained
    with pytest.raises(ConfigError, match="no scores of tokens"):
        _ = agent.language
