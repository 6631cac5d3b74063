#!/usr/bin/env python3
"""Sets twosome up and runs it: ``python3 dev.py demo`` and ``python3 dev.py test`` are all a fresh machine needs.

Standard library only. What is imported before the check of the Python is free of syntax that an older one cannot read,
so that this file can say what is wrong there.

What the commands do is in `development`; the environment they make is `.venv` beside this file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python3 -I` does not look beside the script by itself

from development import project
from development.messages import Failure, diagnose

HELP = """\
usage: python3 dev.py COMMAND [arguments]

  demo    set up what is missing, then train the small agent and print its table  (arguments go to `twosome demo`;
          with --model gemma a pretrained one instead, which is fetched once)
  test    set up what is missing, then lint, types and tests                      (arguments go to pytest;
          with --real the tests on a pretrained model instead, which is fetched once)
  check   lint and types only
  format  let ruff repair and format the code
  setup   only make or refresh .venv                                              (--extra NAME adds an extra)
  lock    resolve the newest versions and rewrite constraints.txt

environment variables
  TORCH_INDEX_URL   package index to take torch from, such as https://download.pytorch.org/whl/cpu (no GPU) or
                    https://download.pytorch.org/whl/cu126; without it pip decides, which on Linux means a CUDA build.
                    .venv remembers it; another value, or a removed .venv, makes a new one
  TWOSOME_REAL_MODEL  the model for `test --real`: a path; without it one is fetched into this user's cache
  CI                when set, a set-up that brought GPU packages along fails
"""


def check_python(version: tuple[int, ...], arguments: list[str]) -> None:
    """Raises Failure for a Python that is too old, naming a newer one that is at hand."""
    if tuple(version[:2]) >= project.OLDEST_PYTHON:
        return
    newer = next((name for minor in (13, 12, 11) for name in [f"python3.{minor}"] if runs(name)), None)
    again = " ".join([newer or "python3.11", "dev.py", *arguments])
    advice = f"run: {again}" if newer else f"install Python 3.11 or newer (https://python.org), then run: {again}"
    found = ".".join(map(str, version[:3]))
    raise Failure("twosome needs Python 3.11 or newer, and this is Python " + found, advice)


def runs(program: str) -> bool:
    """Whether ``program`` is on the PATH and starts (a version manager's stand-in may do only the first)."""
    path = shutil.which(program)
    return path is not None and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0


def main(arguments: list[str]) -> int:
    """Run the command in ``arguments``; the exit status."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if arguments else 2
    try:
        check_python(sys.version_info[:3], arguments)
        from development.commands import COMMANDS  # not before the check: an old Python may stumble over it

        if arguments[0] not in COMMANDS:
            raise Failure(f"there is no command {arguments[0]!r}", f"use one of: {', '.join(COMMANDS)}")
        return COMMANDS[arguments[0]](arguments[1:])
    except Failure as error:
        print(f"dev.py: {error}\n  what to do: {error.advice}", file=sys.stderr)
    except (OSError, ValueError) as error:
        explained = diagnose(str(error), "set-up")
        print(f"dev.py: {explained}\n  {error}\n  what to do: {explained.advice}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndev.py: stopped; the next call repairs what was left half-made", file=sys.stderr)
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
