"""Whatever is typed, configured, answered or found on a disk, it is taken or refused in one sentence.

Some inputs of every target of the fuzzer (``python -m tests.fuzz`` tries as many as you like), and a test for every
fault it found, named after it.
"""

from __future__ import annotations

import copy
import json
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fuzz.bench import Bench
from tests.fuzz.targets import TARGETS, try_inputs
from tests.fuzz.worlds import SCRIPTED, Answering, Scripted, Speechless
from twosome import Decision
from twosome.baselines import UniformPolicy
from twosome.cli import main
from twosome.cli.train import parse
from twosome.errors import (
    ConfigError,
    EnvironmentFault,
    ModelError,
    NumericalError,
    RunError,
    TwosomeError,
)
from twosome.evaluation.checking import check_environment
from twosome.evaluation.sampled import evaluate
from twosome.functional.normalization import resolve_normalization
from twosome.models.loading import load_adapter
from twosome.runs.agents import load_agent
from twosome.runs.directory import RunDirectory
from twosome.runs.journal import read_lines
from twosome.scorer import Scorer
from twosome.settings.config import RunConfig, from_mapping
from twosome.text.guard import GuardedEnv

SLOW = ("files", "flags", "words", "runs", "checkpoints", "adapters", "weights", "tokenizers", "readings", "checks")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Path:
    """A copy of a run that was killed after its second update."""
    shutil.copytree(bench.stopped, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def adapter(bench: Bench, tmp_path: Path) -> Path:
    shutil.copytree(bench.finished / "adapter", tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_inputs(name: str, bench: Bench) -> None:
    tried, faults = try_inputs(TARGETS[name], bench, 15 if name in SLOW else 60, f"selection {name}")
    assert tried
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize(
    "content",
    [
        b"ppo: [",
        b"!!python/object/apply:os.system ['true']",
        b"&a [*a]",
        b"decisions: 1\ndecisions: 2",
        b"\xff\xfe",
        b"- 1",
        b"[" * 3000,
        b"ppo: {gamma: .nan}",
        b"ppo: {clip: .inf}",
        b"seed: 1180591620717411303424",
        b"critic: {hidden: [0]}",
        b"lora: {targets: [1, null]}",
        b"env_timeout: .nan",
    ],
)
def test_odd_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    _taken_or_refused(["tomato-salad", "--config", str(tmp_path / "config.yaml")])


@pytest.mark.parametrize(
    "words",
    [
        ["--ppo", "nonsense"],
        ["--config"],
        ["--critic.hidden", "[1, [2]]"],
        ["--environment", "[]"],
        ["--environment", "[" * 3000],
        ["--env_timeout", "-1"],
        ["--long_prompts", "cut"],
    ],
)
def test_odd_words(words: list[str]) -> None:
    _taken_or_refused(["tomato-salad", *words])


def _taken_or_refused(words: list[str]) -> None:
    try:
        config, _ = parse(words)
    except TwosomeError:
        return
    assert isinstance(config, RunConfig)


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "\x00"],
        ["score", "--prompt", "\ud800", "--action", "go"],
        ["score", "--prompt", "now", "--action", "go", "--normalization", ":"],
        ["play", "tomato-salad", "--seed", "-1"],
        ["play", "tomato-salad", "--environment", "[" * 3000],
        ["train", "a:b-v0"],
        ["train", ":-v0"],
        ["train", "twosome/Overcooked-v99"],
    ],
)
def test_odd_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", [":", ".a:b", "a.b:", "math:pi"])
def test_a_normalization_that_names_no_function(name: str) -> None:
    """An empty or a relative module was a traceback, and a number passed for a function."""
    with pytest.raises(ConfigError, match="normalization"):
        resolve_normalization(name)


def test_a_figure_that_is_no_number_is_asked_again(bench: Bench) -> None:
    """A superscript two is a digit, but int() does not know it."""
    status, said = bench.command(["play", "tomato-salad"], ["²", "٣", "q"])
    assert (status, said) == (0, "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_envs": 2.5}, "num_envs must be a whole number, got 2.5"),
        ({"decisions": True}, "decisions must be a whole number, got True"),
        ({"model": 3}, "model must be a text, got 3"),
        ({"critic": {"hidden": ["8"]}}, "critic.hidden must be a list, each item a whole number"),
        ({"loading": {"dtype": "float8"}}, "loading.dtype must be one of auto, "),
        ({"lora": {"targets": 3}}, "lora.targets must be a text or a list, each item a text or null, got 3"),
        ({"environment": {1: 2}}, "environment must be a mapping"),
        ({"ppo": {"gamma": None}}, "ppo.gamma must be a number, got null"),
    ],
)
def test_a_setting_of_the_wrong_type_in_a_run_directory(values: dict[str, Any], message: str) -> None:
    """The command line checked types, config.yaml of a run did not, so that a run began with 2.5 environments."""
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        from_mapping(values)


@pytest.mark.parametrize("content", [b"\xf4seed: 1", b"[" * 1500, b"2001-99-99", b"? [1]\n: 2", b""])
def test_a_configuration_in_a_run_directory_that_cannot_be_read(content: bytes, run: Path) -> None:
    (run / "config.yaml").write_bytes(content)
    with pytest.raises(RunError, match=r"cannot read .*config\.yaml"):
        RunDirectory.open(run)


def test_a_manifest_that_names_another_update(run: Path, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """One bit of the number, which no hash covers, made a run one update shorter without a word."""
    newest = max((run / "checkpoints").iterdir())
    manifest = json.loads((newest / "manifest.json").read_text())
    (newest / "manifest.json").write_text(json.dumps({**manifest, "update": manifest["update"] + 1}))
    bench.take_up(run)
    assert f"passing over the damaged checkpoint {newest.name}: its manifest.json says" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["config", "policy", "algorithm", "collector", "recorder"])
def test_a_whole_checkpoint_of_another_shape(missing: str, run: Path, bench: Bench) -> None:
    """Its hashes are right, but what it holds is not what this version writes."""
    from twosome.runs.checkpoint import newest_checkpoint, write_checkpoint

    checkpoint = newest_checkpoint(run)
    assert checkpoint is not None
    state = {name: value for name, value in checkpoint.state.items() if name != missing}
    shutil.rmtree(run / "checkpoints")
    write_checkpoint(run, checkpoint.update, state)
    with pytest.raises(RunError, match="is whole, but not what this version of twosome writes"):
        bench.take_up(run)


def test_lost_episodes_leave_the_metrics_alone(run: Path, bench: Bench) -> None:
    """Metrics were cut before it was seen that the episodes cannot be continued."""
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b"{}\n")
    (run / "episodes.jsonl").write_bytes(b"")
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match=r"episodes\.jsonl are not what was written"):
        bench.take_up(run)
    assert (run / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("line", ["1", "[]", "null", "[" * 100_000, "{"])
def test_a_line_of_metrics_that_is_no_object(line: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"update": 1}\n' + line + '\n{"update": 3}\n')
    assert read_lines(tmp_path / "metrics.jsonl") == [{"update": 1}]


@pytest.mark.parametrize(("name", "value"), [("alpha_pattern", None), ("target_modules", 3), ("peft_type", "nothing")])
def test_an_adapter_that_peft_stumbles_over(name: str, value: Any, adapter: Path, bench: Bench) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, name: value}))
    with pytest.raises(ModelError, match="does not fit"):
        load_agent(adapter, model=bench.model)


@pytest.fixture
def dangerous_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "dangerous_module.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "dangerous_module"
    sys.modules.pop("dangerous_module", None)


def test_an_adapter_does_not_import_what_it_names(adapter: Path, bench: Bench, dangerous_module: str) -> None:
    """For a megatron_config, PEFT imports whatever module the file calls megatron_core."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    further = {"megatron_config": {"a": 1}, "megatron_core": dangerous_module}
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **further}))
    with pytest.raises(ModelError, match="megatron_config"):
        load_adapter(bench.base[0], adapter)
    assert dangerous_module not in sys.modules


@pytest.mark.parametrize("tokens", [True, "0", [1, 2], 2**63, 1e19])
def test_an_adapter_that_waits_for_tokens_to_activate_it(tokens: Any, adapter: Path, bench: Bench) -> None:
    """Scores would depend on what else is in the pack; with tokens of the wrong type PEFT fell over while reading."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "alora_invocation_tokens": tokens}))
    with pytest.raises(ModelError, match="activated LoRA"):
        load_adapter(bench.base[0], adapter)


@pytest.mark.parametrize("reward", [10**400, -(10**400)])
def test_a_reward_of_hundreds_of_digits(reward: int) -> None:
    env = Answering()
    env.answer = ({"prompt": "now", "actions": ("go",)}, reward, False, False, {})
    guarded = GuardedEnv(env, "environment 0")
    guarded.reset(seed=1)
    with pytest.raises(EnvironmentFault, match=r"paid -?inf for 'go'"):
        guarded.step(0)


def test_a_prompt_of_thousands_of_digits() -> None:
    env = Answering()
    env.first = ({"prompt": 10**5000, "actions": ("go",)}, {})
    with pytest.raises(EnvironmentFault, match="returned a int of type int where a text was expected"):
        GuardedEnv(env, "environment 0").reset(seed=1)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    """An environment of one endless answer, which a test may change."""
    shown = {"prompt": "now", "actions": ("go", "rest")}
    monkeypatch.setattr(Scripted, "firsts", [(shown, {})])
    monkeypatch.setattr(Scripted, "answers", [(shown, 0.0, False, False, {})])
    monkeypatch.setattr(Scripted, "closing", None)
    return Scripted


@pytest.mark.parametrize("check", [True, False])
def test_an_environment_that_would_end_the_process_as_it_is_closed(check: bool, scripted: type[Scripted]) -> None:
    """`evaluate` and `check-env` left with the status of the environment, without a word."""
    scripted.closing = SystemExit(3)
    checked = partial(check_environment, SCRIPTED, decisions=3, elsewhere=False)
    evaluated = partial(evaluate, UniformPolicy(), SCRIPTED, episodes=1, num_envs=1, longest=2)
    with pytest.warns(RuntimeWarning, match=r"could not be closed: SystemExit: 3"):
        (checked if check else evaluated)()


def test_an_environment_that_would_end_the_process_as_it_is_walked_through(scripted: type[Scripted]) -> None:
    scripted.answers = [SystemExit(3)]
    with pytest.raises(EnvironmentFault, match="raised SystemExit while it was walked through: 3"):
        check_environment(SCRIPTED, decisions=3, elsewhere=False)


def test_an_error_that_cannot_say_what_it_is(scripted: type[Scripted]) -> None:
    """The text of the error is somebody's code, too."""
    scripted.answers = [Speechless()]
    with pytest.raises(EnvironmentFault, match=r"raised Speechless$"):
        evaluate(UniformPolicy(), SCRIPTED, episodes=1, num_envs=1)
    with pytest.raises(EnvironmentFault, match="raised Speechless while"):
        check_environment(SCRIPTED, decisions=3, elsewhere=False)


def test_an_adapter_whose_weights_are_no_numbers(bench: Bench) -> None:
    """Where it was known how the model is read, nothing looked at the numbers."""
    model = load_adapter(copy.deepcopy(bench.base[0]), bench.adapters[0])
    scorer = Scorer(model, bench.base[1])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(torch.nan)
        with pytest.raises(NumericalError, match="log-probabilities are not numbers"):
            scorer.scores([Decision("now", ("go", "rest"))])
