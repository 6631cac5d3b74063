"""The commands of ``python -m pretraining``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from pretraining.__main__ import build_parser


def test_every_command_is_handled() -> None:
    [commands] = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert "language" in commands.choices
    assert [name for name, parser in commands.choices.items() if not callable(parser.get_default("handle"))] == []


def test_a_corpus_needs_the_standard_library_alone(tmp_path: Path) -> None:
    script = f"""
import sys
from pretraining.__main__ import main
main(["corpus", {str(tmp_path / "corpus.txt")!r}, "--documents", "3"])
print({{"torch", "numpy", "twosome"}} & set(sys.modules))
"""
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "set()"
