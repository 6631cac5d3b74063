"""``twosome score``: score action phrases after a prompt."""

from __future__ import annotations

import json

from twosome.terminal.parsing import Parser, add_json_argument, add_policy_arguments, policy_arguments


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(prog="twosome score", description="Score action phrases after a prompt, as the policy does.")
    add_policy_arguments(parser)
    parser.add_argument(
        *("--agent", "--adapter"), metavar="RUN_OR_ADAPTER", help="whose probabilities (default: the untrained model's)"
    )
    parser.add_argument("--prompt", required=True, help="what the model reads, without a space at the end")
    parser.add_argument("--action", action="append", default=[], help="an action phrase; give one for each action")
    add_json_argument(parser)
    arguments = parser.parse_args(words)

    from twosome.decision import Decision
    from twosome.errors import InvalidDecision

    if not arguments.action:
        raise InvalidDecision("the action list is empty; give at least one --action")
    decision = Decision(arguments.prompt, tuple(arguments.action))

    from twosome.collector import importing

    with importing():
        from twosome.deciding.agent import Agent, computing_with
        from twosome.functional.words import count_words
        from twosome.runs.agents import load_agent

    with computing_with(threads=1):
        loaded = load_agent(arguments.agent, **policy_arguments(arguments))
    agent = Agent(loaded)
    (judgement,) = agent.judge([decision])
    rows = [
        {
            "action": action,
            "probability": judgement.probabilities[index],
            "logit": judgement.logits[index],
            "log_probability": judgement.log_probabilities[index],
            "tokens": judgement.action_tokens[index],
            "words": count_words(action),
        }
        for index, action in enumerate(decision.actions)
    ]
    normalization = agent.policy.normalization
    if arguments.json:
        print(json.dumps({"prompt": decision.prompt, "normalization": normalization, "actions": rows}))
        return 0
    print(f"{normalization} normalisation\nprobability  joint log-prob  tokens  action")
    for row in sorted(rows, key=lambda row: -float(str(row["probability"]))):
        print(f"{row['probability']:>11.4f}  {row['log_probability']:>14.4f}  {row['tokens']:>6}  {row['action']}")
    return 0
