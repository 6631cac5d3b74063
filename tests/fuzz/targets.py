"""What is tried: each target makes an input, hands it in, and lets through only what a user would call an answer."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.bench import CONTEXT, Bench
from tests.fuzz.inputs import FILES, SCALARS, TEXTS, VALUES, WORDS, changed, damage, settings_mappings
from twosome import Decision
from twosome.cli.train import parse
from twosome.errors import EnvironmentFault, TwosomeError
from twosome.functional.normalization import resolve_normalization
from twosome.models.loading import load_adapter
from twosome.runs.agents import load_agent
from twosome.runs.config import RunConfig, from_mapping, to_yaml
from twosome.runs.journal import read_lines
from twosome.text.guard import GuardedEnv
from twosome.text.tasks import TASKS, make_task


@dataclass(frozen=True)
class Target:
    """Something that takes input.

    Attributes:
        check: Draws an input and hands it in; whatever it raises is a fault.
        share: Of the inputs, relative to the others.
        summary: What is tried.
    """

    check: Callable[[Bench, st.DrawFn], None]
    share: int
    summary: str


def try_inputs(target: Target, bench: Bench, count: int, start: str) -> tuple[int, list[str]]:
    """Try ``count`` inputs: how many were tried, and of every fault the smallest input that shows it."""
    tried = 0

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        nonlocal tried
        tried += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.check(bench, data.draw)

    try:
        one()
    except ExceptionGroup as group:
        return tried, [_told(error) for error in group.exceptions]
    except Exception as error:
        return tried, [_told(error)]
    return tried, []


def _told(error: BaseException) -> str:
    notes = "; ".join(getattr(error, "__notes__", ()))
    return f"{_place(error)} {type(error).__name__}: {str(error)[:300]} [{notes[:1500]}]"


def _place(error: BaseException) -> str:
    """The last line of the package that an error passed."""
    trace, found = error.__traceback__, "?"
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "twosome" in name or "tests" in name:
            found = f"{Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _one_sentence(said: str) -> None:
    assert said.startswith("twosome: error: "), said
    assert said.count("\n") == 1, said


def check_settings(bench: Bench, draw: st.DrawFn) -> None:
    """A configuration as a run's config.yaml would hold it: what is taken is of the right types and reads back."""
    mapping = draw(settings_mappings())
    try:
        config = from_mapping(mapping)
    except TwosomeError:
        return
    assert from_mapping(yaml.safe_load(to_yaml(config))) == config or mapping != mapping  # nan is not itself
    for name in ("decisions", "num_envs", "rollout_steps", "seed", "threads", "save_every", "record_every"):
        assert type(getattr(config, name)) is int, name
    assert isinstance(config.model, str)
    assert isinstance(config.ppo.gamma, (int, float))
    assert config.updates > 0


def check_files(bench: Bench, draw: st.DrawFn) -> None:
    """A file given to --config, of which most bytes are no configuration."""
    file = bench.place()
    file.write_bytes(draw(FILES))
    _taken_or_refused(["tomato-salad", "--config", str(file)])


def check_flags(bench: Bench, draw: st.DrawFn) -> None:
    """Words after `train`."""
    words = draw(st.lists(WORDS, max_size=5))
    if not {"-h", "--help", "--print_settings"} & set(words):
        _taken_or_refused(words)


def _taken_or_refused(words: list[str]) -> None:
    try:
        config, _ = parse(words)
    except TwosomeError:
        return
    except SystemExit as leave:  # a help in disguise
        assert not leave.code  # noqa: PT017
        return
    assert isinstance(config, RunConfig)
    assert yaml.safe_load(to_yaml(config))


def check_words(bench: Bench, draw: st.DrawFn) -> None:
    """A command line: status 0, or status 2 and one sentence."""
    given_words = draw(st.lists(WORDS, min_size=1, max_size=7))
    place = bench.place()
    place.mkdir()
    names = {"MODEL": bench.model, "RUN": str(bench.finished), "STOPPED": str(bench.stopped), "FREE": "free"}
    words = [names.get(word, word) for word in given_words]
    if words[0] == "train" and "--resume" in words:  # would really train
        words = [word for word in words if word != str(bench.stopped)]
    before = _contents(bench.finished) | _contents(bench.stopped)
    with chdir(place):
        status, said = bench.command(words, draw(st.lists(TEXTS | st.sampled_from(["1", "²", "0", "q"]), max_size=3)))
    assert status in (0, 1, 2), status
    assert "Traceback" not in said
    if status == 2:
        _one_sentence(said)
    assert before == _contents(bench.finished) | _contents(bench.stopped)


def check_tasks(bench: Bench, draw: st.DrawFn) -> None:
    """Names of tasks, and arguments of their environments."""
    name = draw(st.sampled_from(list(TASKS)) | TEXTS | WORDS)
    keys = st.sampled_from(["layout", "view_radius", "time_limit", "task", "faithful", "repaired", "render_mode"])
    arguments = draw(st.dictionaries(keys | st.text(max_size=4), SCALARS | VALUES, max_size=2))
    if not isinstance(name, str) or any(word in arguments for word in ("name", "id")):
        return
    with suppress(TwosomeError):
        env = make_task(name, **arguments)
        env.reset(seed=0)
        env.close()


def check_normalizations(bench: Bench, draw: st.DrawFn) -> None:
    """Names of normalizations."""
    with suppress(TwosomeError):
        assert callable(resolve_normalization(draw(TEXTS | WORDS)))


def _texts(draw: st.DrawFn) -> tuple[Any, Any]:
    """A prompt and actions: any characters, very long, very many, each the beginning of another."""
    text = st.text(max_size=40) | TEXTS
    prompt = draw(text | st.sampled_from(["now", "<s>", "</s><pad>", "\x00", "take the", None]))
    kind = draw(st.sampled_from(["any", "any", "any", "prefixes", "many", "long prompt", "long action", "one token"]))
    actions: Any = draw(st.lists(text, max_size=5))
    if kind == "prefixes":
        words = draw(st.lists(st.sampled_from(["take", "the", "bowl", "é", "\u200b", "a"]), min_size=1, max_size=8))
        actions = [" ".join(words[: n + 1]) for n in range(len(words))]
    elif kind == "many" and draw(st.integers(0, 7)) == 0:
        actions = [f"take bowl {n}" for n in range(draw(st.integers(100, 3000)))]
    elif kind == "long prompt" and isinstance(prompt, str):
        prompt = prompt * (
            draw(st.integers(1, 100_000 if draw(st.integers(0, 15)) == 0 else 2000)) // (len(prompt) + 1)
        )
    elif kind == "long action":
        actions = [(draw(text) or "a") * draw(st.integers(1, 500)), "go"]
    elif kind == "one token":
        actions = draw(
            st.lists(st.sampled_from(["<pad>", "<s>", "</s>", "<unk>", "a", "b", "0"]), min_size=1, max_size=4)
        )
    return prompt, draw(st.sampled_from([tuple(actions), tuple(actions), tuple(actions), actions]))


def check_texts(bench: Bench, draw: st.DrawFn) -> None:
    """Prompts and actions through every tokenizer: spans are the tokens of the texts, and fit."""
    prompt, actions = _texts(draw)
    encoder = draw(st.sampled_from(bench.encoders))
    try:
        encoded = encoder.encode(Decision(prompt, actions))
    except TwosomeError as refusal:
        assert "\n" not in str(refusal).strip()  # noqa: PT017
        return
    assert len(encoded.action_ids) == len(actions)
    assert encoded.prompt_ids
    assert all(encoded.action_ids)
    if encoder._max_length is not None:
        assert len(encoded.prompt_ids) + max(map(len, encoded.action_ids)) <= CONTEXT
    assert encoded.cut == 0 or encoder.long_prompts != "refuse"


def check_scores(bench: Bench, draw: st.DrawFn) -> None:
    """Prompts and actions through models: every score is a log-probability."""
    prompt, actions = _texts(draw)
    scorer = draw(st.sampled_from(bench.scorers))
    try:
        decision = Decision(prompt, actions)
        with torch.no_grad():
            scores = scorer.scores([decision])
            features = scorer.features([prompt])
    except TwosomeError as refusal:
        assert "\n" not in str(refusal).strip()  # noqa: PT017
        return
    assert torch.isfinite(scores.token_log_probs).all()
    assert (scores.token_log_probs <= 0).all()
    assert scores.action_mask.all()
    assert torch.isfinite(features).all()


def check_adapters(bench: Bench, draw: st.DrawFn) -> None:
    """Adapters that were damaged, changed, or belong to another model."""
    place = bench.place()
    shutil.copytree(bench.finished / "adapter", place)
    for _ in range(draw(st.integers(1, 2))):
        files = sorted(path for path in place.iterdir() if path.is_file())
        if files:
            damage(draw, draw(st.sampled_from(files)))
    with suppress(TwosomeError):
        load_adapter(copy.deepcopy(bench.base[0]), place)


def check_checkpoints(bench: Bench, draw: st.DrawFn) -> None:
    """Checkpoints that were damaged, or made up with right hashes, as of a newer version or a stranger."""
    place = bench.place()
    shutil.copytree(bench.stopped, place)
    folder = sorted((place / "checkpoints").iterdir())[-1]
    if draw(st.booleans()):
        damage(draw, draw(st.sampled_from(sorted(folder.iterdir()))))
    else:
        name = draw(st.sampled_from(["state.json", "manifest.json"]))
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(changed(draw, content)))
        if name == "state.json":
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            (folder / "manifest.json").write_text(json.dumps(manifest))
    _resumed_or_refused(bench, place)


def check_runs(bench: Bench, draw: st.DrawFn) -> None:
    """Run directories of which files were damaged: evaluated, and taken up again."""
    place = bench.place()
    shutil.copytree(draw(st.sampled_from([bench.finished, bench.stopped])), place)
    for _ in range(draw(st.integers(1, 2))):
        files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.name != "learning_curve.png"]
        damage(draw, draw(st.sampled_from(files)))
    if draw(st.booleans()):
        with suppress(TwosomeError, OSError):
            load_agent(place).setting()
    else:
        _resumed_or_refused(bench, place)


def _resumed_or_refused(bench: Bench, place: Path) -> None:
    """Taken up, or refused with everything left as it was."""
    before = _contents(place)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        try:
            bench.take_up(place)
        except (TwosomeError, OSError):
            after = _contents(place)
            assert {name: after.get(name) for name in before} == before


def check_journals(bench: Bench, draw: st.DrawFn) -> None:
    """Metrics and episodes of a run, torn or made up, as the report and the curve read them."""
    file = bench.place()
    file.write_bytes(draw(st.binary(max_size=80) | FILES))
    assert all(isinstance(line, dict) for line in read_lines(file))


class Answering(gymnasium.Env[Any, Any]):
    """An environment that gives the answer it was told to give."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    answer: Any = None
    first: Any = ({"prompt": "now", "actions": ("go",)}, {})

    def reset(self, **arguments: Any) -> Any:
        return self.first

    def step(self, action: Any) -> Any:
        return self.answer


def check_environments(bench: Bench, draw: st.DrawFn) -> None:
    """Environments that answer anything: what comes through is a decision, a finite number and two truths."""
    seen = {
        "prompt": draw(st.just("now") | VALUES),
        "actions": draw(st.just(("go",)) | st.tuples(TEXTS, TEXTS) | VALUES),
    }
    info = {"duration": draw(st.just(1) | VALUES), "success": draw(st.booleans() | VALUES)}
    whole = [seen, draw(st.just(1.0) | SCALARS), draw(st.booleans() | SCALARS), draw(st.booleans() | SCALARS), info]
    if draw(st.integers(0, 3)) == 0:
        whole[draw(st.integers(0, 4))] = draw(VALUES)
    env = Answering()
    env.answer = draw(st.sampled_from([tuple(whole), tuple(whole), tuple(whole), whole, tuple(whole[:3]), None]))
    env.first = draw(st.sampled_from([env.first, env.first, (whole[0], whole[4]), whole]))
    guarded = GuardedEnv(env, "environment 0")
    try:
        guarded.reset(seed=1)
        observation, reward, terminated, truncated, info = guarded.step(0)
    except EnvironmentFault as fault:
        assert "\n" not in str(fault)  # noqa: PT017
        return
    Decision(observation["prompt"], observation["actions"])
    assert torch.isfinite(torch.tensor(reward, dtype=torch.float32))
    assert {type(terminated), type(truncated), type(info["success"])} == {bool}
    assert torch.tensor(info["duration"]) >= 1


def _contents(run: Path) -> dict[str, bytes | None]:
    """Every file of a run, the lock apart."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in run.rglob("*") if path.name != ".lock"}


TARGETS = {
    "settings": Target(check_settings, 12, "configurations as mappings"),
    "files": Target(check_files, 1, "files given to --config"),
    "flags": Target(check_flags, 1, "words after `train`"),
    "words": Target(check_words, 3, "words of every command"),
    "tasks": Target(check_tasks, 20, "task names and arguments of environments"),
    "normalizations": Target(check_normalizations, 10, "names of normalizations"),
    "texts": Target(check_texts, 20, "prompts and actions through tokenizers"),
    "scores": Target(check_scores, 5, "prompts and actions through models"),
    "environments": Target(check_environments, 15, "answers of environments"),
    "journals": Target(check_journals, 10, "metrics and episodes"),
    "adapters": Target(check_adapters, 1, "damaged and foreign adapters"),
    "checkpoints": Target(check_checkpoints, 2, "damaged, made up and newer checkpoints"),
    "runs": Target(check_runs, 1, "damaged run directories"),
}
