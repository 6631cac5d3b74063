"""Flags of the commands, as they are declared."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import twosome

PACKAGE = Path(twosome.__file__).parent


def declarations() -> dict[str, list[str]]:
    """Where each argument of a command is declared, by how: the arguments of ``add_argument``."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for place in ("cli", "terminal") for path in (PACKAGE / place).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                words = [*map(ast.unparse, node.args), *sorted(ast.unparse(each) for each in node.keywords)]
                found[", ".join(words)].append(f"{path.name}:{node.lineno}")
    return found


def test_what_several_commands_take_is_declared_once() -> None:
    """Declared by each for itself, `--threads` said in one command what it is for, and in two others nothing."""
    twice = {words: places for words, places in declarations().items() if len(places) > 1}
    assert not twice


def test_every_argument_says_what_it_is() -> None:
    silent = {places[0]: words for words, places in declarations().items() if "help=" not in words}
    assert not silent


def test_every_default_is_told() -> None:
    """`compare --help` did not say that a pretrained model would be trained by the embedded one's preset."""
    told = ("default: ", "(default)")
    nothing = ("default=None", "default=[]", "default={}")
    untold = {
        places[0]: words
        for words, places in declarations().items()
        if "default=" in words and not any(each in words for each in (*told, *nothing))
    }
    assert not untold
