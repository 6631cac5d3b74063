"""``twosome calibrate``: fit a temperature to an agent, and keep it beside its weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twosome.errors import ConfigError
from twosome.terminal.parsing import (
    Parser,
    add_environment_argument,
    add_json_argument,
    add_policy_arguments,
    policy_arguments,
)


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome calibrate",
        description="Fit the temperature at which the agent's probabilities say best which actions are optimal, over "
        "all states of a task, weighted by how often it comes to them; and keep it beside the agent's weights, where "
        "evaluate, play and serve find it.",
    )
    parser.add_argument("source", metavar="RUN_OR_ADAPTER", help="what to fit it to")
    parser.add_argument("--task", help="whose states it is fitted over (default: the task of the run)")
    parser.add_argument("--dry-run", action="store_true", help="fit and tell, and keep nothing")
    add_json_argument(parser)
    add_environment_argument(parser)
    add_policy_arguments(parser)
    arguments = parser.parse_args(words)

    from twosome.collector import importing

    with importing():
        from twosome.calibrating.fitting import Tempered, fitted, keep_temperature
        from twosome.evaluation.exact import evaluate_exactly
        from twosome.runs.agents import load_agent
        from twosome.terminal.waiting import waiting
        from twosome.text.trying import check_task

    joined = check_task(arguments.task, arguments.environment) if arguments.task is not None else None
    agent = load_agent(arguments.source, joined=joined, temperature=1.0, **policy_arguments(arguments))
    policy, setting = agent.language, agent.setting(arguments.task)
    if not agent.trained:
        raise ConfigError("a temperature is kept beside trained weights; name a run or an adapter")
    where: dict[str, Any] = {"gamma": setting.gamma, "environment": {**setting.environment, **arguments.environment}}
    with waiting(f"looking at all of {setting.task}"):
        found = fitted(policy, setting.task, **where)
        before = evaluate_exactly(policy, setting.task, **where)
        after = evaluate_exactly(Tempered(policy, found.temperature), setting.task, **where)
    facts = {"task": setting.task, **where, "normalization": policy.normalization, **asdict(found)}
    del facts["temperature"]
    facts |= {"calibration_error_before": before.calibration_error, "calibration_error": after.calibration_error}
    file = None if arguments.dry_run else keep_temperature(Path(arguments.source), found.temperature, facts)
    if arguments.json:
        print(json.dumps({"temperature": found.temperature, **facts}))
        return 0
    print(f"{setting.task}: temperature {found.temperature:.4g}, fitted over {found.states} states")
    print(f"  log loss of optimal actions  {found.loss_before:.4f} -> {found.loss:.4f} nats a decision")
    print(f"  calibration error            {before.calibration_error:.4f} -> {after.calibration_error:.4f}")
    print(f"  discounted return, sampled   {before.discounted_return:.4f} -> {after.discounted_return:.4f}")
    if found.at_bound:
        print("  there is no best temperature: colder (or warmer) is better without end, and this is where it was left")
    print("nothing was kept" if file is None else f"kept in {file}; delete it to be at 1 again")
    return 0
