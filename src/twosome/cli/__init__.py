"""The ``twosome`` command. Commands import what they need when they run, so that ``--help`` is instant."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS = {
    "demo": "train on tomato salad and compare with untrained play",
    "train": "align a language model with a task by practice",
    "plan": "say what a training will take, in memory and time, before it loads anything",
    "evaluate": "measure a trained run, an adapter, or an untrained model",
    "calibrate": "fit a temperature to an agent, so that its probabilities mean more",
    "evaluate-language": "measure what training changed of a model's language",
    "reproduce": "train and measure everything the paper claims, and report",
    "compare": "train variants of an algorithm side by side, and see which learns soonest",
    "report": "write one HTML file about runs: curves, tables, episodes",
    "export": "take an agent elsewhere: merged, as an adapter with a card, as GGUF",
    "play": "walk through a task yourself, or watch a model",
    "check-env": "check the prompts and the interface of a task",
    "words": "try wordings of a task on an untrained model",
    "bench": "measure the speed of worlds and of scoring",
    "score": "score action phrases after a prompt",
    "serve": "answer questions over HTTP as an agent decides",
    "serve-env": "have a task's environments here for runs elsewhere",
    "tasks": "list the tasks",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0 is success, 2 a mistake in the input (told in one sentence), 130 an interrupt.
    """
    _say_everything()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        _parser().print_help()
        return 0 if words else 2
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"twosome {version('twosome')}")
        return 0
    if words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return _fail(f"unknown command {words[0]!r}: {hint}`twosome --help` lists them")
    return _run(words[0], words[1:])


def _run(command: str, words: list[str]) -> int:
    import signal
    import warnings

    _wait_asleep()
    from twosome.errors import TwosomeError, first_line

    # A cluster's polite request to stop is treated like Ctrl-C: what was learned is saved.
    signal.signal(signal.SIGTERM, _interrupt)
    # Of interest to those libraries' authors, not to whoever runs a command.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")
    module = importlib.import_module(f"twosome.cli.{command.replace('-', '_')}")
    try:
        status: int = module.run(words)
        return status
    except TwosomeError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe went away, which is its right
        return 0
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not loaded for every command
            raise
        return _fail(
            f"out of memory on the device ({first_line(error)}); loading.recompute and a smaller "
            "loading.token_budget need less, and a stopped run goes on with --resume"
        )
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{place}")


def _wait_asleep() -> None:
    """Let threads that wait for one another sleep soon: others may want the processor.

    By default those of a build of torch with GNU's OpenMP look for work in a loop for milliseconds, after every
    operation. A thousand looks last as long as waking up takes. What the user chose stays; read when torch is loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def _say_everything() -> None:
    """Let no character that the terminal cannot show end a command: it is written as its number (``\\xe9``).

    What the command starts, an environment in a process of its own say, inherits that.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # whatever a caller put in place of a stream may have none
        if reconfigure is None or stream.errors not in ("strict", "surrogateescape"):
            continue
        reconfigure(errors="backslashreplace")
        if stream is sys.stdout and not stream.encoding.lower().replace("-", "").startswith("utf"):
            os.environ["PYTHONIOENCODING"] = f"{stream.encoding}:backslashreplace"


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<18} {summary}" for name, summary in COMMANDS.items())
    return argparse.ArgumentParser(
        prog="twosome",
        usage="twosome [-h] [--version] COMMAND ...",
        description="Aligns a language model with an environment by practice.",
        epilog=f"commands:\n{lines}\n\n`twosome COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _fail(message: str) -> int:
    print(f"twosome: error: {' '.join(message.split())}", file=sys.stderr)
    return 2
