"""``twosome train TASK``: align a language model with a task by practice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jsonargparse import get_loader, set_loader

from twosome.distributed.joining import launched
from twosome.errors import ConfigError, TwosomeError
from twosome.settings.config import (
    PRESETS,
    RunConfig,
    differing,
    preset_config,
    preset_files,
    to_yaml,
    usual_preset,
)
from twosome.settings.notation import HOLDS_ITSELF, whole_number, whole_settings, with_numbers
from twosome.settings.shape import check_shape
from twosome.terminal.parsing import ConfigParser, Parser, add_trust_argument, positive

if TYPE_CHECKING:
    from twosome.distributed.joining import Joint

_load_yaml = get_loader("yaml")
TRUST = "--loading.trust_remote_code"
"""Counts on the command line only: a file of settings may be a stranger's."""


def run(words: list[str]) -> int:
    """Run the command."""
    if launched():
        from twosome.cli.ranks import run_together

        return run_together(words)
    if any(word.split("=", 1)[0] == "--resume" for word in words):
        return resume_run(words)
    if any(word.split("=", 1)[0] == "--from" for word in words):
        from twosome.cli.train_from import learn_from

        return learn_from(words)
    return begin_run(words)


def begin_run(words: list[str], joint: Joint | None = None) -> int:
    """``twosome train TASK``; with other processes, if there are any, as the first of them."""
    config, out = parse(words)
    if joint is not None and config.shares is None:
        config = replace(config, shares=joint.count)
    from twosome.collector import importing

    with importing():
        from twosome.runs.building import check_joiner
        from twosome.runs.files import check_free
        from twosome.runs.trainer import train
        from twosome.terminal.display import training_display
        from twosome.text.trying import check_task

    joined = check_task(config.task, config.environment)
    if config.policy == "language":
        check_joiner(joined, config.prompting)
    check_free(out)
    if config.start is not None:
        from twosome.runs.starting import describe_start

        print(describe_start(config))
    ranks = {} if joint is None else {"ranks": joint.begin(config.threads, config.rank_timeout, to_yaml(config))}
    with training_display(config, out) as display:
        train(config, out, display.update, on_stage=display.stage, **ranks)
    return 0


def resume_run(words: list[str], joint: Joint | None = None) -> int:
    """``twosome train --resume RUN``: go on with a run that was stopped, by however many processes."""
    parser = Parser(prog="twosome train --resume", description="Go on with a run; all other settings are its own.")
    parser.add_argument("--resume", required=True, metavar="RUN", help="directory of a run that was stopped")
    parser.add_argument("--decisions", type=positive, help="how many to take in all: a finished run goes on, too")
    add_trust_argument(parser)
    arguments = parser.parse_args(_written_out(words))
    out, decisions = Path(arguments.resume), arguments.decisions

    from twosome.collector import importing

    with importing():
        from twosome.runs.changes import resumable
        from twosome.runs.trainer import resume
        from twosome.terminal.display import training_display

    config = resumable(out, decisions).config
    if decisions is not None and config.algorithm != "fitted" and config.ppo.anneal_learning_rates:
        print(f"learning rates, annealed over the run, go on where a run of {decisions} decisions has them by then")
    ranks = {} if joint is None else {"ranks": joint.begin(config.threads, config.rank_timeout, to_yaml(config))}
    with training_display(config, out) as display:
        resume(
            out,
            display.update,
            trust_remote_code=arguments.trust_remote_code,
            decisions=decisions,
            on_stage=display.stage,
            **ranks,
        )
    return 0


def parse(words: list[str]) -> tuple[RunConfig, Path]:
    """The configuration and the run directory that the arguments describe.

    Defaults are overridden by the preset, the preset by ``--config``, that by flags.
    """
    # Task, preset and model decide the defaults of everything else, so they are read first.
    chosen = _read(_parser([]), words)
    preset = chosen.preset or usual_preset(chosen.model)
    parser = _parser(preset_files(chosen.TASK or chosen.task, preset))
    values = _read(parser, words)
    if values.resume:
        raise ConfigError("a run is resumed by `twosome train --resume RUN` and nothing else: its settings are its own")
    values.task = values.TASK or values.task
    if values.journal.file is not None or values["from"]:
        raise ConfigError("a run learns from a journal by `twosome train --from JOURNAL [RUN]`, without a task")
    if not values.task:
        raise ConfigError("name a task, for example `twosome train tomato-salad`; `twosome tasks` lists them")
    config = _instantiate(parser, values)
    if config.start is not None:
        from twosome.runs.starting import adopt

        config = adopt(config, _explicit(words, config, preset_config(values.task, preset)))
    if not values.config:  # a file of settings says all there is to say, also where it names no wording
        from twosome.settings.wording import with_words

        config = with_words(config)
    if config.loading.trust_remote_code and not any(word.startswith(TRUST) for word in words):
        raise ConfigError(
            f"the settings ask for code that comes with the model {config.model!r}; if you trust its author, say so "
            f"on the command line, too: {TRUST} true"
        )
    if values.print_settings:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    return config, Path(values.out or default_directory(config, preset))


def default_directory(config: RunConfig, preset: str) -> Path:
    """Where a run goes if the user does not say."""
    name = "".join(character if character.isalnum() else "-" for character in config.task)
    return Path("runs") / f"{name}-{preset}-seed{config.seed}"


def _read(parser: ConfigParser, words: list[str]) -> Any:
    """The parsed arguments; whatever goes wrong inside the parser is a mistake in what it was given."""
    try:
        return parser.parse_args(_written_out(words))
    except TwosomeError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, OSError, ArithmeticError) as error:
        raise ConfigError(f"the settings cannot be read: {error}") from None


def _explicit(words: list[str], config: RunConfig, preset: RunConfig) -> set[str]:
    """Dotted names of the settings that flags name, or a file has otherwise than the preset."""
    named = {word.split("=", 1)[0].removeprefix("--") for word in words if word.startswith("--")}
    return named | differing(preset, config)


def _load(text: str) -> Any:
    """A file of settings, with numbers read as a run's own file has them read; or any other value in YAML."""
    value = _load_yaml(text)
    if not isinstance(value, (dict, list)):
        return value
    try:
        value = _as_written(value, yaml.safe_load(text))
        return with_numbers(RunConfig, value) if isinstance(value, dict) else [whole_number(item) for item in value]
    except RecursionError:
        raise ConfigError(HOLDS_ITSELF) from None


def _as_written(value: Any, written: Any) -> Any:
    """The texts back that the parser's YAML took for numbers: a branch may be called 12e4."""
    if isinstance(value, dict) and isinstance(written, dict):
        return {name: _as_written(item, written.get(name)) for name, item in value.items()}
    if isinstance(value, list) and isinstance(written, list):
        return [_as_written(*pair) for pair in zip(value, written, strict=True)]
    return written if isinstance(value, float) and isinstance(written, str) else value


set_loader("yaml", _load, (yaml.YAMLError,))


def _written_out(words: list[str]) -> list[str]:
    """The arguments, with the 1e4 of ``--decisions 1e4`` as the whole number that it is."""
    whole = {f"--{name}" for name in whole_settings(RunConfig)}
    found: list[str] = []
    for word in words:
        flag, equals, value = word.partition("=")
        if equals and flag in whole:
            word = f"{flag}={whole_number(value)}"
        found.append(str(whole_number(word)) if found and found[-1] in whole else word)
    return found


def _parser(presets: list[Path]) -> ConfigParser:
    parser = ConfigParser(
        prog="twosome train",
        usage="twosome train TASK [--preset PRESET] [--model MODEL] [--SETTING VALUE ...]\n"
        "       twosome train --resume RUN [--decisions DECISIONS]\n"
        "       twosome train --from JOURNAL [RUN] [--help]",
        description="Align a language model with a task by practice: its policy over the admissible action phrases is "
        "improved from reward. Every setting is a flag, whose default a preset may change: --print_settings tells "
        "what a task, a preset and a model come to.",
        default_config_files=[str(preset) for preset in presets],
    )
    parser.add_argument("TASK", nargs="?", help="a task of `twosome tasks`, or a registered id (package:Name-v0)")
    parser.add_argument(
        "--preset",
        default=None,
        help=f"starting values: {', '.join(PRESETS)} (default: tiny for the embedded model, small for others)",
    )
    parser.add_argument("--out", type=str, default=None, help="run directory (default: runs/TASK-PRESET-seedN)")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run that was stopped, with its settings; with --decisions, for longer",
    )
    parser.add_argument(
        "--from", metavar="JOURNAL", help="learn from what was served: twosome train --from JOURNAL --help"
    )
    parser.add_argument("--config", action="config", help="YAML file of settings; flags override it")
    parser.add_argument("--print_settings", action="store_true", help="print all settings as YAML and stop")
    parser.add_class_arguments(RunConfig)
    return parser


def _instantiate(parser: ConfigParser, values: Any) -> RunConfig:
    """The dataclass behind the parsed values."""
    check_shape(RunConfig, values.as_dict())
    fields = parser.instantiate(values).as_dict()
    for name in ("TASK", "resume", "from", "config", "preset", "out", "print_settings"):
        fields.pop(name, None)
    return RunConfig(**fields)
