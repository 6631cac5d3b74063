"""``twosome evaluate``: measure a trained run, an adapter, or an untrained model."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twosome.errors import ConfigError
from twosome.terminal.changes import print_changes, with_base
from twosome.terminal.parsing import (
    Parser,
    add_environment_argument,
    add_json_argument,
    add_policy_arguments,
    add_seed_argument,
    add_temperature_argument,
    policy_arguments,
    positive,
)
from twosome.terminal.servers import add_server_arguments, server_facts, server_lines, server_settings

if TYPE_CHECKING:
    import argparse

    from twosome.evaluation.exact import ExactEvaluation
    from twosome.evaluation.sampled import Evaluation
    from twosome.types import Policy

EPISODES = 100


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome evaluate",
        description="Measure success, discounted return and length over episodes, with 95 % intervals; or exactly.",
    )
    parser.add_argument("source", nargs="?", metavar="RUN_OR_ADAPTER", help="default: the untrained model")
    parser.add_argument("--best", action="store_true", help="the best policy of the RUN, instead of its last")
    parser.add_argument("--task", help="what to measure on (default: the task of the run)")
    parser.add_argument("--episodes", type=positive, help=f"how many to run (default: {EPISODES})")
    parser.add_argument(
        "--exact", action="store_true", help="compute instead of sampling, where the world shows its states"
    )
    parser.add_argument(
        "--within",
        type=float,
        metavar="SHARE",
        help="with --exact: leave out decisions to which together no more than this share of episodes come",
    )
    parser.add_argument("--uniform", action="store_true", help="measure uniform play of the --task instead of a model")
    parser.add_argument(
        "--optimum", action="store_true", help="measure the best play of the --task: by search, or its world's oracle"
    )
    parser.add_argument(
        "--saycan",
        choices=("oracle", "learned"),
        help="measure the model as SayCan: what it says times what can be done, by the environment or learned",
    )
    parser.add_argument("--greedy", action="store_true", help="take the most probable action instead of sampling")
    parser.add_argument(
        "--longest", type=positive, help="decisions after which an episode that does not end is left (default: 1000)"
    )
    parser.add_argument(
        "--changes", type=positive, metavar="N", help="with --exact: also the N decisions that practice changed most"
    )
    add_seed_argument(parser, "of the episodes, and of what --saycan learned learns from")
    add_json_argument(parser)
    add_environment_argument(parser)
    add_policy_arguments(parser)
    add_temperature_argument(parser)
    add_server_arguments(parser)
    arguments = parser.parse_args(words)

    if arguments.within is not None and not arguments.exact:
        raise ConfigError("--within needs --exact: sampled episodes ask only where they come in any case")
    if arguments.changes and not arguments.exact:
        raise ConfigError("--changes needs --exact: it looks at all states of the task")
    if arguments.optimum:
        _optimum(arguments)
        return 0
    policy, name, setting = _subject(arguments)
    changed = with_base(policy) if arguments.changes else None
    measure = _exact if arguments.exact else _sampled
    measure(arguments, policy, name, setting)
    if changed is not None:
        print_changes(changed, arguments.changes, setting)
    return 0


def _subject(arguments: argparse.Namespace) -> tuple[Policy, str, dict[str, Any]]:
    """The policy to measure, what it is called, and where: arguments of both kinds of evaluation."""
    from twosome.collector import importing

    with importing():
        from twosome.evaluation.saycan import learned_saycan, oracle_saycan, unmasked
        from twosome.runs.agents import load_agent
        from twosome.text.trying import check_task

    server = server_settings(arguments, arguments.model)
    if arguments.exact and arguments.episodes is not None:
        raise ConfigError("--exact runs no episodes; leave out --episodes, or --exact")
    if arguments.exact and arguments.longest is not None:
        raise ConfigError("--exact runs no episodes; leave out --longest, or --exact")
    if arguments.uniform and (arguments.source or arguments.saycan or arguments.model or arguments.task is None):
        raise ConfigError("--uniform measures uniform play of a --task, without a run, an adapter or a --model")
    if arguments.source is None and arguments.task is None:
        raise ConfigError("name a run, an adapter, or a --task to measure the untrained model on")
    joined = check_task(arguments.task, arguments.environment) if arguments.task is not None else None
    if arguments.uniform and arguments.temperature is not None:
        raise ConfigError("uniform play has no temperature; leave out --temperature")
    if arguments.uniform and arguments.greedy:
        raise ConfigError("uniform play has no most probable action; leave out --greedy")
    if arguments.uniform:
        from twosome.baselines import UniformPolicy
        from twosome.text.tasks import gamma_of

        gamma = gamma_of(arguments.task)
        return (
            UniformPolicy(),
            "uniform",
            {"task": arguments.task, "gamma": gamma, "environment": arguments.environment},
        )
    if arguments.saycan and (arguments.source or arguments.task is None):
        raise ConfigError("--saycan measures an untrained model on a --task, without a run or an adapter")
    agent = load_agent(
        _source(arguments),
        joined=joined,
        server=server,
        temperature=arguments.temperature,
        **policy_arguments(arguments),
    )
    setting = agent.setting(arguments.task)
    environment = {**setting.environment, **arguments.environment}
    where = {"task": setting.task, "gamma": setting.gamma, "environment": environment}
    if arguments.saycan == "oracle":
        return oracle_saycan(agent.language), "SayCan, oracle affordances", where
    if arguments.saycan == "learned":
        policy = learned_saycan(agent.language, setting.task, seed=arguments.seed, environment=environment)
        where["environment"] = unmasked(setting.task, environment)
        return policy, "SayCan, learned affordances", where
    name = "decision server" if server is not None else "trained" if agent.trained else "untrained"
    if (temperature := _temperature(agent.policy)) != 1:
        name += f" at temperature {temperature:.4g}"
    return agent.policy, name, where


def _source(arguments: argparse.Namespace) -> Path | None:
    """What to load: the run, the adapter, the best policy of the run, or nothing."""
    source = None if arguments.source is None else Path(arguments.source)
    if not arguments.best:
        return source
    if source is None:
        raise ConfigError("--best is the best policy of a run; name the RUN")
    from twosome.runs.best import best_directory

    return best_directory(source)


def _sampled(arguments: argparse.Namespace, policy: Policy, name: str, setting: dict[str, Any]) -> None:
    from twosome.evaluation.sampled import LONGEST, evaluate
    from twosome.terminal.display import print_evaluations
    from twosome.terminal.waiting import waiting

    episodes = arguments.episodes or EPISODES
    with waiting(f"evaluating {setting['task']}") as told:
        result = evaluate(
            policy,
            **setting,
            episodes=episodes,
            greedy=arguments.greedy,
            seed=arguments.seed,
            longest=arguments.longest or LONGEST,
            on_progress=partial(told.episodes, episodes),
        )
    if arguments.json:
        _print_json(result, policy)
        return
    print_evaluations([(f"{name}, {'greedy' if arguments.greedy else 'sampled'}", result)])
    _print_server(policy)


def _optimum(arguments: argparse.Namespace) -> None:
    from twosome.evaluation.advised import evaluate_oracle
    from twosome.evaluation.optimum import optimal_play
    from twosome.evaluation.sampled import LONGEST
    from twosome.terminal.display import print_evaluations
    from twosome.terminal.waiting import waiting
    from twosome.text.tasks import gamma_of

    if arguments.source or arguments.uniform or arguments.saycan or arguments.model or arguments.task is None:
        raise ConfigError("--optimum measures the best play of a --task, without a run, an adapter or a --model")
    task, environment, episodes = arguments.task, arguments.environment, arguments.episodes or EPISODES
    with waiting(f"playing {task} as well as can be") as told:
        best = optimal_play(task, gamma_of(task), environment)
        found = (
            None
            if best is not None
            else evaluate_oracle(
                task,
                episodes=episodes,
                gamma=gamma_of(task),
                seed=arguments.seed,
                longest=arguments.longest or LONGEST,
                environment=environment,
                on_progress=partial(told.episodes, episodes),
            )
        )
    if best is None and found is None:
        raise ConfigError(f"{task!r} does not show its states and has no oracle, so its optimum is not known")
    if arguments.json:
        print(json.dumps(asdict(found) if found is not None else best._asdict() if best is not None else None))
    else:
        print_evaluations([] if found is None else [("optimum (the world's oracle)", found)], best)


def _exact(arguments: argparse.Namespace, policy: Policy, name: str, setting: dict[str, Any]) -> None:
    from twosome.evaluation.exact import evaluate_exactly
    from twosome.terminal.display import success_note
    from twosome.terminal.waiting import waiting

    with waiting(f"evaluating {setting['task']} exactly") as told:

        def progress(asked: int, all_of_them: int) -> None:
            told.status = f"{asked} of {all_of_them} different decisions read"

        how = {"greedy": arguments.greedy, "within": arguments.within or 0.0}
        result = evaluate_exactly(policy, **setting, **how, on_progress=progress)
    if arguments.json:
        _print_json(result, policy)
        return
    print(f"{result.task}, {name}{', greedy' if arguments.greedy else ''}, exact")
    print(f"  success              {'-' if result.success is None else f'{result.success:.4%}'}")
    print(f"  discounted return    {result.discounted_return:.4f} (optimum {result.optimal_return:.4f})")
    print(f"  decisions            {result.decisions:.2f} per episode")
    print(f"  optimal choices      {result.optimal_choices:.1%} of the decisions of an episode")
    where = f"over {result.states} states ({result.prompts} prompts)"
    if result.accuracy is not None:
        print(f"  most probable action {result.accuracy:.1%} optimal {where}")
    else:
        print(f"  asked                {result.asked} of {result.prompts} prompts; {result.missed:.2%} of the episodes")
        print("                       come to another one, from where even play is assumed")
    print(
        f"  calibration error    {result.calibration_error:.4f} between the probability of what it does and how often "
        "that is optimal"
    )
    if note := success_note(result.success_by):
        print(note)
    _print_server(policy)


def _print_json(result: Evaluation | ExactEvaluation, policy: Policy) -> None:
    """One JSON object: the result, and the server that was asked, if one was."""
    facts, temperature = server_facts(policy), _temperature(policy)
    more = {} if facts is None else {"server": facts}
    print(json.dumps({**asdict(result), **({} if temperature == 1 else {"temperature": temperature}), **more}))


def _temperature(policy: Policy) -> float:
    """What its logits are divided by; 1 of whoever has none."""
    return float(getattr(policy, "temperature", 1.0))


def _print_server(policy: Policy) -> None:
    """What has to be known of the server that was asked, if one was."""
    facts = server_facts(policy)
    for line in [] if facts is None else server_lines(facts):
        print(line)
