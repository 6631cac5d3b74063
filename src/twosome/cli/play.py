"""``twosome play``: walk through a task yourself, or watch a model."""

from __future__ import annotations

from pathlib import Path

from twosome.terminal.parsing import (
    Parser,
    add_environment_argument,
    add_policy_arguments,
    add_seed_argument,
    add_task_argument,
    add_temperature_argument,
    policy_arguments,
)
from twosome.terminal.servers import add_server_arguments, server_settings


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome play",
        description="Show each decision of one episode: the prompt, the actions and probabilities, the outcome.",
    )
    add_task_argument(parser)
    parser.add_argument(
        "--player",
        choices=("you", "model", "random", "best"),
        default="you",
        help="who chooses (default: you); best is found by search where the world shows its "
        "states, else advised by its oracle",
    )
    parser.add_argument("--agent", metavar="RUN_OR_ADAPTER", help="whose probabilities to show (implies a model)")
    parser.add_argument("--greedy", action="store_true", help="the model takes its most probable action")
    parser.add_argument("--gif", metavar="FILE", type=Path, help="write the episode as an animated picture")
    parser.add_argument("--pictures", action="store_true", help="show a picture made of characters, too")
    add_seed_argument(parser, "of the episode, and of what is drawn in it")
    add_environment_argument(parser)
    add_policy_arguments(parser)
    add_temperature_argument(parser)
    add_server_arguments(parser)
    arguments = parser.parse_args(words)

    from twosome.collector import importing

    with importing():
        from twosome.runs.agents import load_agent
        from twosome.text.trying import check_task
        from twosome.watching.playing import play

    server = server_settings(arguments, arguments.model)
    joined = check_task(arguments.task, arguments.environment)
    policy, environment = None, arguments.environment
    if arguments.agent is not None or arguments.model is not None or arguments.player == "model":
        agent = load_agent(
            arguments.agent,
            joined=joined,
            server=server,
            temperature=arguments.temperature,
            **policy_arguments(arguments),
        )
        policy, environment = agent.policy, {**agent.setting(arguments.task).environment, **arguments.environment}
    play(
        arguments.task,
        player=arguments.player,
        policy=policy,
        greedy=arguments.greedy,
        seed=arguments.seed,
        environment=environment,
        gif=arguments.gif,
        pictures=arguments.pictures,
        ask=input,
        tell=print,
    )
    return 0
