"""``twosome tasks``: list the tasks."""

from __future__ import annotations

from twosome.terminal.parsing import Parser


def run(words: list[str]) -> int:
    """Run the command."""
    import twosome  # noqa: F401 - registers the environments
    from twosome.families import FAMILIES
    from twosome.text.tasks import TASKS

    parser = Parser(prog="twosome tasks", description="List the tasks, or the levels of BabyAI and Minigrid.")
    parser.add_argument("family", nargs="?", choices=("babyai",), help="list the levels of this family")
    if parser.parse_args(words).family is not None:
        from twosome.worlds.babyai import games

        print("\n".join(games()))
        return 0
    width = max(map(len, TASKS))
    for name, task in TASKS.items():
        print(f"{name:<{width}}  {task.summary}")
    print("\nWorlds of others, each an extra of twosome (docs/worlds.md says how their tasks are named):")
    for family in FAMILIES.values():
        print(f'\n{family.title}, pip install "twosome[{family.extra}]"')
        for example in family.examples:
            print(f"  {example}")
    print("\nAny registered Gymnasium environment with text observations works too, as package:Name-v0.")
    return 0
