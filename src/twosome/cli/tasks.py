"""``twosome tasks``: list the tasks."""

from __future__ import annotations

from twosome.cli.parsing import Parser


def run(words: list[str]) -> int:
    """Run the command."""
    Parser(prog="twosome tasks", description="List the tasks.").parse_args(words)
    import twosome  # noqa: F401 - registers the environments
    from twosome.text.tasks import TASKS

    width = max(map(len, TASKS))
    for name, task in TASKS.items():
        print(f"{name:<{width}}  {task.summary}")
    print("\nAny registered Gymnasium environment with text observations works too, as package:Name-v0.")
    return 0
