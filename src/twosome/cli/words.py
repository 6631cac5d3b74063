"""``twosome words``: try wordings of a task on an untrained model, before anything is trained."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twosome.errors import ConfigError
from twosome.terminal.parsing import (
    Parser,
    add_environment_argument,
    add_json_argument,
    add_prompting_arguments,
    add_task_argument,
    add_trust_argument,
    not_negative,
    prompting_of,
)

if TYPE_CHECKING:
    import argparse

    from twosome.evaluation.phrases import PhraseScores
    from twosome.evaluation.wordings import Choice


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome words",
        description="Try wordings of a task on an untrained model: how likely the best actions are, and what success "
        "and return that gives, exactly. The task's world must show its states.",
    )
    add_task_argument(parser)
    parser.add_argument("--model", help="hub id, directory or GGUF file (default: the embedded one)")
    parser.add_argument(
        "--wordings",
        metavar="FILE",
        type=Path,
        help="TOML: a table for each wording with arguments of the environment, such as "
        "wording.grab = 'take {target}' (default: the task as it is)",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="keep results there, a line each, and take up from it")
    parser.add_argument("--phrases", metavar="FILE", type=Path, help="keep what this model read there, to read it once")
    parser.add_argument(
        "--worst", type=not_negative, default=0, help="show so many decisions where the best is unlikely (default: 0)"
    )
    add_json_argument(parser, "a JSON object for each wording")
    add_environment_argument(parser)
    add_prompting_arguments(parser)
    add_trust_argument(parser)
    arguments = parser.parse_args(words)
    candidates = {"as it is": {}} if arguments.wordings is None else read_wordings(arguments.wordings)

    from twosome.caching import key_of
    from twosome.evaluation.wordings import choices, seen_of, try_wording
    from twosome.models.loading import EMBEDDED
    from twosome.terminal.waiting import waiting

    model = arguments.model or EMBEDDED
    label = model if prompting_of(arguments) is None else f"{model}, {prompting_of(arguments)}"
    environments = {name: {**arguments.environment, **given} for name, given in candidates.items()}
    # All are made first, so that a mistake in the last wording is told before a model is loaded.
    seen = {name: seen_of(arguments.task, environment) for name, environment in environments.items()}
    keys = {
        name: key_of([label, arguments.task, environment, [[one.prompt, one.actions] for one in seen[name]]])
        for name, environment in environments.items()
    }
    known = _kept(arguments.out)
    phrases = None
    if arguments.worst or not set(keys.values()) <= known.keys():
        phrases = _phrases(arguments, model, label)
    for name, environment in environments.items():
        line = {**known.get(keys[name], {}), "name": name}
        if keys[name] not in known:
            assert phrases is not None
            with waiting(f"reading {name}"):
                trial = try_wording(phrases, arguments.task, name, environment)
            line = {"key": keys[name], "model": model, "environment": environment, **asdict(trial)}
            _keep(arguments.out, line)
        print(json.dumps(line) if arguments.json else describe(line), flush=True)
        if arguments.worst:
            assert phrases is not None
            found = choices(phrases, seen[name], "sum")
            print("\n".join(map(describe_choice, sorted(found, key=lambda one: one.probability)[: arguments.worst])))
    return 0


def _phrases(arguments: argparse.Namespace, model: str, label: str) -> PhraseScores:
    """The model, loaded, with what it read before."""
    from twosome.evaluation.phrases import PhraseScores
    from twosome.runs.building import load_base
    from twosome.scorer import Scorer
    from twosome.settings.config import LoadingConfig

    base, tokenizer = load_base(model, LoadingConfig(trust_remote_code=arguments.trust_remote_code))
    return PhraseScores(Scorer(base, tokenizer, prompting=prompting_of(arguments)), arguments.phrases, label)


def read_wordings(file: Path) -> dict[str, dict[str, Any]]:
    """The wordings of a file by name: arguments of the environment.

    Raises:
        ConfigError: If it cannot be read, or holds something else.
    """
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the wordings in {str(file)!r}: {error}") from None
    for name, arguments in found.items():
        if not isinstance(arguments, dict):
            raise ConfigError(
                f"{name!r} in {str(file)!r} must be a table of arguments of the environment, got {arguments!r}; write "
                f'[{name}] and below it, say, wording.grab = "take {{target}}"'
            )
    if not found:
        raise ConfigError(f"{str(file)!r} holds no wording; write a table for each")
    return found


def describe(line: dict[str, Any]) -> str:
    """One wording: what it is worth under each normalization."""
    worths = "  ".join(
        f"{name} {_percent(worth['success'])} ({worth['mean_return']:.3f}), best {worth['best']:.3f}"
        for name, worth in line["worths"].items()
    )
    return f"{line['name']}: {line['decisions']} decisions, {line['tokens']:.0f} tokens a prompt; {worths}"


def describe_choice(choice: Choice) -> str:
    """A decision in which the best is unlikely."""
    best = " or ".join(map(repr, sorted(choice.best)))
    return f"    {choice.probability:.4f} {best}, likeliest {choice.favourite!r}, after {choice.decision.prompt!r}"


def _percent(success: float | None) -> str:
    return "-" if success is None else f"{100 * success:.1f} %"


def _kept(file: Path | None) -> dict[str, dict[str, Any]]:
    """Results that are in a file, by what they depend on."""
    if file is None or not file.is_file():
        return {}
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue  # a line that was cut short is measured again
    return {line["key"]: line for line in lines}


def _keep(file: Path | None, line: dict[str, Any]) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"{json.dumps(line)}\n")
