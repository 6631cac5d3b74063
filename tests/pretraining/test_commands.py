"""The commands of ``python -m pretraining``."""

from __future__ import annotations

import argparse

from pretraining.__main__ import build_parser


def test_every_command_is_handled() -> None:
    [commands] = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert "language" in commands.choices
    assert [name for name, parser in commands.choices.items() if not callable(parser.get_default("handle"))] == []
