"""What waits, what is joined, what is dropped, what is spoilt by what."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.serving.running import serving
from twosome import Agent, Decision
from twosome.deciding.judgement import Judgement
from twosome.errors import TokenizationError
from twosome.formats.refusals import Refusal
from twosome.serving.engine import Engine, Limits


class Watched(Agent):
    """Remembers what was computed together, and takes its time."""

    def __init__(self, agent: Agent, seconds: float = 0.0) -> None:
        super().__init__(agent.loaded)
        self.seconds = seconds
        self.batches: list[list[str]] = []

    def judge(self, decisions: Sequence[Decision], *, values: bool = False) -> list[Judgement]:
        if decisions:
            self.batches.append([decision.prompt for decision in decisions])
        time.sleep(self.seconds)
        return super().judge(decisions, values=values)


def decision(prompt: str) -> Decision:
    return Decision(prompt, ("go", "stay"))


def test_what_comes_meanwhile_is_read_together_and_what_is_there_already_is_joined(agent: Agent) -> None:
    watched = Watched(agent, 0.1)

    async def run() -> Engine:
        engine = Engine({"a": watched}, Limits(together=3))
        await engine.start()
        first = asyncio.ensure_future(engine.ask("a", [decision("one")]))
        await asyncio.sleep(0.05)
        rest = [engine.ask("a", [decision(word)]) for word in ("one", "two", "three", "two", "four", "five")]
        found = await asyncio.gather(first, *rest)
        assert found[0] == found[1]
        assert found[3][0].decision == decision("three")
        await engine.stop()
        return engine

    engine = asyncio.run(run())
    assert watched.batches == [["one"], ["two", "three", "four"], ["five"]]
    assert (engine.counts.computed, engine.counts.joined) == (5, 2)


def test_who_is_about_to_ask_again_is_waited_for_unless_as_many_wait_already(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, took = Watched(agent, 0.1), list[float]()

    async def run() -> None:
        engine = Engine({"a": watched})
        await engine.start()

        async def asked(*words: str, after: float = 0.0) -> None:
            await asyncio.sleep(after)
            await asyncio.gather(*(engine.ask("a", [decision(word)]) for word in words))

        began = time.monotonic()
        # Two are answered while two wait: these are read at once, not after a second.
        await asyncio.gather(asked("one", "two"), asked("three", "four", after=0.05))
        took.append(time.monotonic() - began)
        # Nobody waits now: who comes next is kept for a moment, in which another comes.
        await asyncio.gather(asked("five"), asked("six", after=0.05))
        await engine.stop()

    monkeypatch.setattr("twosome.serving.engine._GATHERING", 1.0)
    asyncio.run(run())
    assert watched.batches == [["one", "two"], ["three", "four"], ["five", "six"]]
    assert took[0] < 1.0


def test_what_waits_is_made_tokens_while_the_model_computes(agent: Agent) -> None:
    """Beside the thread that computes; and what is wrong with it is told to its asker, not lost there."""
    checked: list[tuple[str, str]] = []
    begun, ahead = threading.Event(), threading.Event()
    long = "word " * 3000 + "end"

    class Slow(Watched):
        def check(self, decision: Decision) -> None:
            checked.append((decision.prompt, threading.current_thread().name.rsplit("_", 1)[0]))
            if decision.prompt == long:
                ahead.set()
            super().check(decision)

        def judge(self, decisions: Sequence[Decision], *, values: bool = False) -> list[Judgement]:
            begun.set()
            assert ahead.wait(30)  # else nothing was done while this computed
            return super().judge(decisions, values=values)

    async def run() -> list[Any]:
        engine = Engine({"a": Slow(agent)})
        await engine.start()
        first = asyncio.ensure_future(engine.ask("a", [decision("one")]))
        assert await asyncio.to_thread(begun.wait, 30)
        found = await engine.ask("a", [decision("two"), decision(long)])
        await first
        await engine.stop()
        return found

    two, wrong = asyncio.run(run())
    assert checked[:3] == [("one", "twosome-deciding"), ("two", "twosome-ahead"), (long, "twosome-ahead")]
    assert two.by_action == agent.decide("two", ["go", "stay"])
    assert isinstance(wrong, TokenizationError)


def test_one_that_cannot_be_asked_spoils_no_other(agent: Agent) -> None:
    async def run() -> list[Any]:
        engine = Engine({"a": agent})
        await engine.start()
        found = await engine.ask("a", [decision("one"), decision("word " * 3000 + "end"), decision("two")])
        await engine.stop()
        return found

    one, two, three = asyncio.run(run())
    assert isinstance(two, TokenizationError)
    assert [one.by_action, three.by_action] == [agent.decide(word, ["go", "stay"]) for word in ("one", "two")]


def test_a_fault_in_a_batch_is_told_to_those_whose_it_is(agent: Agent) -> None:
    class Broken(Watched):
        def judge(self, decisions: Sequence[Decision], *, values: bool = False) -> list[Judgement]:
            if any(each.prompt == "broken" for each in decisions):
                raise RuntimeError("broken")
            return super().judge(decisions, values=values)

    async def run() -> list[Any]:
        engine = Engine({"a": Broken(agent)})
        await engine.start()
        found = await engine.ask("a", [decision("one"), decision("broken")])
        assert engine.alive
        await engine.stop()
        return found

    one, broken = asyncio.run(run())
    assert one.decision.prompt == "one"
    assert isinstance(broken, RuntimeError)


def test_too_much_at_once_is_told_to_come_again(agent: Agent) -> None:
    watched = Watched(agent, 0.2)

    async def run() -> None:
        engine = Engine({"a": watched}, Limits(together=1, waiting=2))
        await engine.start()
        asked = [asyncio.ensure_future(engine.ask("a", [decision(f"number {n}")])) for n in range(6)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await engine.stop()
        refused = [each for each in found if isinstance(each, Refusal)]
        assert len(refused) == 4
        assert {each.status for each in refused} == {429}
        assert refused[0].headers == {"Retry-After": "1"}
        assert refused[0].body["error"]["code"] == "rate_limit_exceeded"
        assert "invalid_request" not in str(refused[0].body)

    asyncio.run(run())


def test_what_nobody_waits_for_any_more_is_not_begun(agent: Agent) -> None:
    watched = Watched(agent, 0.2)

    async def run() -> Engine:
        engine = Engine({"a": watched})
        await engine.start()
        first = asyncio.ensure_future(engine.ask("a", [decision("one")]))
        await asyncio.sleep(0.05)
        leaving = asyncio.ensure_future(engine.ask("a", [decision("two"), decision("three")]))
        staying = asyncio.ensure_future(engine.ask("a", [decision("three")]))
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.gather(first, staying)
        await engine.stop()
        return engine

    engine = asyncio.run(run())
    assert watched.batches == [["one"], ["three"]]
    assert engine.counts.left == 1
    assert engine.waiting == 0


def test_agents_are_asked_by_name_and_else_the_first(agent: Agent) -> None:
    hot = Agent(agent.loaded, temperature=3.0)
    question = {"type": "choice", "criteria": {"go": None, "stay": None}}
    with serving({"cold": agent, "hot": hot}) as server:
        for name, asked, answering in (("cold", agent, "cold"), ("hot", hot, "hot"), ("jev-latest", agent, "cold")):
            reply = server.post("/v1/systemone", {"model": name, "state": "A.", "questions": {"q": question}}).body
            assert reply["model"] == answering
            assert reply["answers"]["q"]["probabilities"] == asked.decide("A.", ["go", "stay"])
        assert [each["id"] for each in server.send("GET", "/v1/models").body["data"]] == ["cold", "hot"]


@pytest.mark.parametrize("together", [1, 32])
def test_the_queue_is_empty_when_all_is_answered(together: int, agent: Agent) -> None:
    with serving({"a": Agent(agent.loaded)}, Limits(together=together)) as server:
        criteria = {"go": None, "stay": None}
        questions = {f"q{n}": {"type": "choice", "criteria": criteria, "instructions": f"n {n}"} for n in range(40)}
        assert server.post("/v1/systemone", {"state": "A.", "questions": questions}).status == 200
        assert server.service.engine.waiting == 0
        assert server.service.engine.counts.batches == -(-40 // together)
        assert server.service.running == 0
