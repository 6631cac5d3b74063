"""The same decision has the same bits, however it is asked, beside whatever, by whomever, cold or remembered."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serving.running import Running, serving
from twosome import Agent, Decision
from twosome.cli import main
from twosome.text.tasks import open_task


@pytest.fixture(scope="module")
def met() -> list[Decision]:
    """Distinct decisions of a task, as a walk meets them."""
    found: dict[Decision, None] = {}
    with open_task("tomato-salad") as env:
        for seed in range(3):
            observation, _ = env.reset(seed=seed)
            for step in range(8):
                decision = Decision(observation["prompt"], observation["actions"])
                found[decision] = None
                observation, _, terminated, truncated, _ = env.step((step + seed) % len(decision.actions))
                if terminated or truncated:
                    break
    return list(found)


def choice(decision: Decision, **more: Any) -> dict[str, Any]:
    return {"type": "choice", "criteria": dict.fromkeys(decision.actions), **more}


def probabilities(answer: dict[str, Any]) -> dict[str, float]:
    found = answer["probabilities"]
    return found if isinstance(found, dict) else {each["value"]: each["probability"] for each in found}


def test_every_split_of_every_prompt_through_both_routes_is_what_score_prints(
    server: Running, met: list[Decision], capsys: pytest.CaptureFixture[str]
) -> None:
    for decision in met[:2]:
        words = [word for action in decision.actions for word in ("--action", action)]
        assert main(["score", "--prompt", decision.prompt, *words, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["actions"]
        expected = {row["action"]: row["probability"] for row in rows}
        places = [place for place, letter in enumerate(decision.prompt) if letter == " "]
        splits = [(decision.prompt, ""), *((decision.prompt[:at], decision.prompt[at + 1 :]) for at in places)]
        choices = [{"value": action} for action in decision.actions]
        for state, instructions in splits:
            body = {"state": state, "questions": {"q": choice(decision, instructions=instructions or None)}}
            assert probabilities(server.post("/v1/systemone", body).body["answers"]["q"]) == expected
            question = {"type": "choice", "choices": choices, "instructions": instructions}
            body = {"input": state, "questions": [question]}
            assert probabilities(server.post("/v1/decisions", body).body["answers"][0]) == expected


def test_company_order_and_number_of_questions_change_nothing(met: list[Decision], agent: Agent) -> None:
    def asked(running: Running, named: dict[str, Decision]) -> dict[str, dict[str, float]]:
        # One state of which the prompts are continuations is not to be had; so the state is empty.
        questions = {name: choice(d, instructions=d.prompt) for name, d in named.items()}
        answers = running.post("/v1/systemone", {"state": "", "questions": questions}).body["answers"]
        return {name: probabilities(answer) for name, answer in answers.items()}

    alone = [agent.judge([decision])[0].by_action for decision in met]
    with serving({"a": Agent.load()}) as running:
        together = asked(running, {f"q{number}": decision for number, decision in enumerate(met)})
        assert list(together.values()) == alone
    with serving({"a": Agent.load()}) as running:
        named = {f"r{number}": met[number] for number in reversed(range(len(met)))}
        doubled = {**named, **{f"again {name}": decision for name, decision in named.items()}}
        found = asked(running, doubled)
        for number, expected in enumerate(alone):
            assert found[f"r{number}"] == found[f"again r{number}"] == expected
    with serving({"a": Agent.load()}) as running, ThreadPoolExecutor(8) as pool:
        for _ in range(2):  # cold, then remembered
            found = list(pool.map(lambda decision: asked(running, {"q": decision})["q"], met * 2))
            assert found == alone * 2
        assert running.service.engine.counts.computed == len(met)


def test_the_order_of_options_changes_only_the_order_of_keys(server: Running, met: list[Decision]) -> None:
    for decision in met[:4]:
        forwards = server.choose(decision.prompt, decision.actions).body["answers"]["next"]
        backwards = server.choose(decision.prompt, decision.actions[::-1]).body["answers"]["next"]
        assert list(backwards["probabilities"]) == list(decision.actions[::-1])
        for name in ("probabilities", "x_logits", "x_label_mass"):
            assert backwards[name] == forwards[name]
