"""``twosome evaluate``: measure a trained run, an adapter, or an untrained model."""

from __future__ import annotations

import json
from dataclasses import asdict

from twosome.cli.parsing import Parser, add_policy_arguments, not_negative, positive
from twosome.errors import ConfigError


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome evaluate",
        description="Measure success, discounted return and length over episodes, with 95 % intervals.",
    )
    parser.add_argument("source", nargs="?", metavar="RUN_OR_ADAPTER", help="default: the untrained model")
    parser.add_argument("--task", help="default: the task of the run")
    parser.add_argument("--episodes", type=positive, default=100)
    parser.add_argument("--greedy", action="store_true", help="take the most probable action instead of sampling")
    parser.add_argument("--seed", type=not_negative, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_policy_arguments(parser)
    arguments = parser.parse_args(words)

    from twosome.runs.agents import check_task, load_agent

    if arguments.source is None and arguments.task is None:
        raise ConfigError("name a run, an adapter, or a --task to measure the untrained model on")
    if arguments.task is not None:
        check_task(arguments.task)
    agent = load_agent(arguments.source, model=arguments.model, normalization=arguments.normalization)

    from twosome.cli.display import print_evaluations
    from twosome.runs.evaluation import evaluate

    setting = agent.setting(arguments.task)
    result = evaluate(
        agent.policy,
        setting.task,
        episodes=arguments.episodes,
        gamma=setting.gamma,
        greedy=arguments.greedy,
        seed=arguments.seed,
        environment=setting.environment,
    )
    if arguments.json:
        print(json.dumps(asdict(result)))
    else:
        name = f"{'trained' if agent.trained else 'untrained'}, {'greedy' if arguments.greedy else 'sampled'}"
        print_evaluations([(name, result)])
    return 0
