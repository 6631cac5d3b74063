"""An agent as LangChain's own decision model, in process: the numbers of the agent, under LangChain's types."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.serving.running import ACTIONS, PROMPT, serving
from twosome import Agent
from twosome.errors import InvalidDecision, TooLong

core = pytest.importorskip("langchain_core.decisions", reason="needs langchain-core: pip install 'twosome[langchain]'")
messages = pytest.importorskip("langchain_core.messages")

STATE, INSTRUCTIONS = PROMPT.rsplit(" ", 1)


@pytest.fixture(scope="module")
def model(agent: Agent) -> Any:
    from twosome.serving.langchain import DecisionModel

    return DecisionModel(agent=agent, model="salad")


def choice(**changes: Any) -> Any:
    return core.Choice(**{"instructions": INSTRUCTIONS, "criteria": dict.fromkeys(ACTIONS), **changes})


def test_all_kinds_are_answered_with_the_numbers_of_the_agent(model: Any, agent: Agent) -> None:
    levels = {"instructions": "how is it?", "criteria": ["bad", "good"]}
    questions = {
        "next": choice(),
        "how": core.Score(**levels),
        "sure": core.Noul(instructions="are you sure?"),
    }
    response = model.invoke({"state": STATE, "questions": questions})
    assert isinstance(response, core.ClassifierResponse)
    assert response.model == "salad"
    assert list(response.answers) == ["next", "how", "sure"]
    expected = agent.decide(PROMPT, ACTIONS)
    assert response.choices["next"].probabilities == expected
    assert response.choices["next"].choice == max(expected, key=lambda action: expected[action])
    how = agent.decide(f"{STATE} how is it?", ["bad", "good"])
    assert response.scores["how"].probabilities == {0: how["bad"], 1: how["good"]}
    assert response.scores["how"].legend == {0: "bad", 1: "good"}
    assert response.nouls["sure"].noul == agent.decide(f"{STATE} are you sure?", ["yes", "no"])["yes"]
    assert response.usage["input_tokens"] > 0


def test_it_is_the_answer_of_the_server(model: Any, agent: Agent) -> None:
    question = choice(criteria={"pick up the tomato": "not shown", "serve the dish": None})
    found = model.invoke({"state": {"room": [1, "b"]}, "questions": {"q": question}})
    with serving({"salad": agent}) as server:
        body = {"state": {"room": [1, "b"]}, "questions": {"q": question.model_dump()}}
        sent = server.post("/v1/systemone", body).body
    assert core.ClassifierResponse.model_validate(sent) == found


def test_it_is_a_runnable(model: Any, agent: Agent) -> None:
    expected = agent.decide(PROMPT, ACTIONS)
    request = {"state": STATE, "questions": {"q": choice()}}
    chain = model | (lambda response: response.choices["q"].probabilities)
    assert chain.invoke(request) == expected
    assert chain.batch([request] * 3) == [expected] * 3
    assert asyncio.run(chain.ainvoke(request)) == expected


def test_messages_are_their_texts(model: Any) -> None:
    human, system = messages.HumanMessage(STATE), messages.SystemMessage("Cook.")

    def asked(state: Any) -> Any:
        return model.invoke({"state": state, "questions": {"q": choice()}}).answers["q"]

    assert asked(human) == asked([human]) == asked(STATE)
    assert asked([system, human]) == asked(f"Cook.\n{STATE}")
    parts = messages.HumanMessage([{"type": "text", "text": "Cook."}, {"type": "text", "text": STATE}])
    assert asked(parts) == asked(f"Cook.\n{STATE}")
    assert asked({"last": human}) == asked({"last": {"role": "human", "content": STATE}})
    with pytest.raises(InvalidDecision, match="text only"):
        asked(messages.HumanMessage([{"type": "image", "base64": "AA==", "mime_type": "image/png"}]))


def test_what_cannot_be_asked_is_told_in_a_sentence(model: Any) -> None:
    for question, told in (
        (core.Box(instructions="the tomato"), "text only"),
        (choice(criteria={" padded": None}), "cannot be an option"),
        (choice(criteria={str(number): None for number in range(256)}), "at most 255"),
        (core.Score(instructions="x", criteria=["same", "same"]), "same"),
    ):
        with pytest.raises(InvalidDecision, match=told):
            model.invoke({"state": STATE, "questions": {"q": question}})
    with pytest.raises(TooLong):
        model.invoke({"state": "word " * 3000, "questions": {"q": choice()}})


def test_it_is_loaded_like_an_agent(agent: Agent) -> None:
    from twosome.serving.langchain import DecisionModel

    loaded = DecisionModel.load(name="mine", temperature=2.0)
    answer = loaded.invoke({"state": STATE, "questions": {"q": choice()}})
    assert answer.model == "mine"
    assert answer.choices["q"].probabilities == Agent(agent.loaded, temperature=2.0).decide(PROMPT, ACTIONS)
