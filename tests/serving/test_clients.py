"""The real clients of other makers, asking our server: what they read, what they say, how often they send."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.running import ACTIONS, PROMPT, Running, eventually, serving
from twosome import Agent, Decision
from twosome.deciding.judgement import Judgement

QUESTIONS = {
    "next": {"type": "choice", "instructions": "you should now", "criteria": dict.fromkeys(ACTIONS)},
    "how": {"type": "score", "instructions": "how is it?", "criteria": ["bad", "good"]},
    "sure": {"type": "noul", "instructions": "are you sure?"},
}
STATE = "A kitchen."


def client(name: str) -> Any:
    return pytest.importorskip(name, reason="a client of the extra clients: pip install 'twosome[clients]'")


@pytest.fixture(scope="module")
def expected(agent: Agent) -> dict[str, dict[str, float]]:
    """What the agent says in process to :data:`QUESTIONS`."""
    return {
        "next": agent.decide(f"{STATE} you should now", ACTIONS),
        "how": agent.decide(f"{STATE} how is it?", ["bad", "good"]),
        "sure": agent.decide(f"{STATE} are you sure?", ["yes", "no"]),
    }


def check_system_one(answers: Any, expected: dict[str, dict[str, float]]) -> None:
    """Answers as objects, with their numbers unchanged."""
    assert dict(answers["next"].probabilities) == expected["next"]
    assert answers["next"].choice == max(expected["next"], key=lambda action: expected["next"][action])
    assert list(answers["how"].probabilities.values()) == list(expected["how"].values())
    assert answers["how"].score == expected["how"]["good"]
    assert answers["sure"].noul == expected["sure"]["yes"]


class TestTypeSafe:
    @pytest.fixture
    def sdk(self, server: Running) -> Iterator[Any]:
        made = client("typesafe_sdk").TypeSafeClient(api_key="any", base_url=server.address)
        yield made
        made.close()

    def test_all_kinds_at_once(self, sdk: Any, expected: dict[str, dict[str, float]]) -> None:
        response = sdk.system_one(STATE, QUESTIONS)
        check_system_one(response.answers, expected)
        assert response.model == "embedded"
        assert response.usage.output_tokens == 0
        assert response.request_id.startswith("req_")
        assert response.raw_http_response.json()["answers"]["next"]["x_label_mass"] > 0

    def test_models(self, sdk: Any) -> None:
        assert [model.name for model in sdk.models.list().models] == ["embedded"]

    @pytest.mark.parametrize("compression", ["zstd", False])
    def test_long_bodies_packed_and_not(self, compression: Any, server: Running, agent: Agent) -> None:
        if compression and sys.version_info < (3, 14):
            pytest.importorskip("backports.zstd", reason="there is no zstd")
        state = "A kitchen. " * 30 + "\u00e9"
        actions = [f"go to number {number}" for number in range(180)]
        body = {"state": state, "questions": {"q": {"type": "choice", "criteria": dict.fromkeys(actions)}}}
        assert 4000 < len(json.dumps(body)) < 6000
        with client("typesafe_sdk").TypeSafeClient(
            api_key="any", base_url=server.address, compression=compression
        ) as sdk:
            found = sdk.system_one(**body).answers["q"]
        assert dict(found.probabilities) == agent.decide(state, actions)

    def test_unicode_names_and_255_options(self, sdk: Any, agent: Agent) -> None:
        options = [f"caf\u00e9 \u2713 {number}" for number in range(255)]
        found = sdk.system_one(STATE, {"\u00fc\U0001f345": {"type": "choice", "criteria": dict.fromkeys(options)}})
        assert dict(found.answers["\u00fc\U0001f345"].probabilities) == agent.decide(STATE, options)

    @pytest.mark.parametrize(
        ("state", "questions", "words"),
        [
            (7, QUESTIONS, "state must be a text"),
            (STATE, {"q": {"type": "choice", "criteria": {"a ": None}}}, "white space"),
            (STATE, {"q": {"type": "choice", "criteria": {f"go {n}": None for n in range(256)}}}, "more than 255"),
            (STATE, {"q": {"type": "score", "instructions": "x", "criteria": [str(n) for n in range(11)]}}, "than 10"),
            ("word " * 3000, {"q": {"type": "choice", "criteria": {"go": None}}}, "at most"),
        ],
    )
    def test_errors_show_our_sentence_and_are_sent_once(
        self, state: Any, questions: Any, words: str, sdk: Any, server: Running
    ) -> None:
        before = server.posts()
        with pytest.raises(client("typesafe_sdk").TypeSafeUnprocessableEntityError, match=words):
            sdk.system_one(state, questions)
        assert eventually(lambda: server.posts() == before + 1)
        time.sleep(0.7)  # longer than its first pause
        assert server.posts() == before + 1

    def test_a_base_with_the_version_is_told_how_to_write_it(self, server: Running) -> None:
        sdk = client("typesafe_sdk")
        with (
            sdk.TypeSafeClient(api_key="any", base_url=f"{server.address}/v1") as made,
            pytest.raises(sdk.TypeSafeNotFoundError, match="without /v1"),
        ):
            made.system_one(STATE, QUESTIONS)


class Slow(Agent):
    """An agent that takes its time over each batch, and counts them."""

    seconds = 1.0
    computed = 0

    def judge(self, decisions: Any, *, values: bool = False) -> list[Judgement]:
        if any(self.recall(decision) is None for decision in decisions):
            self.computed += 1
            time.sleep(self.seconds)
        return super().judge(decisions, values=values)


@pytest.fixture
def slow(agent: Agent) -> Slow:
    return Slow(agent.loaded)


def test_a_client_that_gives_up_and_asks_again_joins_its_own_computation(slow: Slow) -> None:
    sdk = client("typesafe_sdk")
    slow.seconds = 2.5
    with serving({"slow": slow}) as server:
        patient: list[Any] = []

        def wait() -> None:
            with sdk.TypeSafeClient(api_key="any", base_url=server.address, timeout=30.0) as other:
                patient.append(other.system_one(STATE, QUESTIONS))

        waiting = threading.Thread(target=wait)
        waiting.start()
        with sdk.TypeSafeClient(api_key="any", base_url=server.address, timeout=1.0) as hasty:
            response = hasty.system_one(STATE, QUESTIONS)  # three requests of a second each, in about four
        waiting.join(30)
        assert response.answers == patient[0].answers
        assert slow.computed == 1
        assert eventually(lambda: server.posts() == 4)


def test_nothing_is_computed_for_a_client_that_has_gone(slow: Slow) -> None:
    sdk = client("typesafe_sdk")
    slow.seconds = 1.5
    with serving({"slow": slow}) as server:
        first = threading.Thread(target=server.choose, args=("One.",))
        first.start()
        assert eventually(lambda: slow.computed == 1)
        retry = sdk.RetryPolicy(max_retries=0)
        with (
            sdk.TypeSafeClient(api_key="any", base_url=server.address, timeout=0.3, retry=retry) as hasty,
            pytest.raises(sdk.TypeSafeAPITimeoutError),
        ):
            hasty.system_one("Two.", QUESTIONS)
        first.join(30)
        assert eventually(lambda: server.service.engine.counts.left == 3)
        assert slow.computed == 1
        assert slow.recall(Decision("Two. are you sure?", ("yes", "no"))) is None


class TestOpenAI:
    @pytest.fixture(params=["/v1", ""])
    def sdk(self, request: pytest.FixtureRequest, server: Running) -> Iterator[Any]:
        made = client("openai").OpenAI(api_key="any", base_url=f"{server.address}{request.param}")
        yield made
        made.close()

    def questions(self, named: bool) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [
            {"type": "choice", "instructions": "you should now", "choices": [{"value": action} for action in ACTIONS]},
            {"type": "score", "instructions": "how is it?", "levels": [{"label": "bad"}, {"label": "good"}]},
            {"type": "predicate", "instructions": "are you sure?"},
        ]
        names = ("next", "how", "sure")
        return [{**question, "name": name} for question, name in zip(found, names, strict=True)] if named else found

    @pytest.mark.parametrize("named", [True, False])
    def test_all_kinds(self, named: bool, sdk: Any, expected: dict[str, dict[str, float]]) -> None:
        decision = sdk.decisions.create(model="any", input=STATE, questions=self.questions(named))
        first, second, third = decision.answers
        assert {each.value: each.probability for each in first.probabilities} == expected["next"]
        assert [each.probability for each in second.probabilities] == list(expected["how"].values())
        assert third.probability == expected["sure"]["yes"]
        assert first.name == ("next" if named else None)
        assert decision.usage.total_tokens == decision.usage.input_tokens > 0
        assert first.x_label_mass > 0

    def test_booleans_and_messages(self, sdk: Any, agent: Agent) -> None:
        choices = [{"value": True}, {"value": False}]
        question = {"type": "choice", "instructions": "is it?", "choices": choices}
        message = {"role": "user", "content": [{"type": "input_text", "text": STATE}]}
        (answer,) = sdk.decisions.create(model="any", input=[message], questions=[question]).answers
        spoken = agent.decide(f"{STATE} is it?", ["true", "false"])
        assert [(each.value, each.probability) for each in answer.probabilities] == [
            (True, spoken["true"]),
            (False, spoken["false"]),
        ]
        assert isinstance(answer.choice, bool)

    def test_errors_are_filled_and_sent_once(self, sdk: Any, server: Running) -> None:
        openai, before = client("openai"), server.posts()
        question = {"type": "choice", "instructions": "x", "choices": [{"value": "a"}, {"value": "a"}]}
        with pytest.raises(openai.BadRequestError, match="twice") as raised:
            sdk.decisions.create(model="any", input=STATE, questions=[question])
        assert raised.value.code == "duplicate_value"
        assert raised.value.param == "questions[0].choices[1].value"
        assert raised.value.type == "invalid_request_error"
        time.sleep(0.7)  # longer than its first pause
        assert server.posts() == before + 1

    def test_models(self, server: Running) -> None:
        with client("openai").OpenAI(api_key="any", base_url=f"{server.address}/v1") as sdk:
            assert [model.id for model in sdk.models.list()] == ["embedded"]


def test_langchain_s_decisions(server: Running, expected: dict[str, dict[str, float]]) -> None:
    decisions = client("langchain_openai.decisions")
    model = decisions.OpenAIDecisions(model="any", base_url=f"{server.address}/v1", api_key="any", timeout=30)
    response = model.invoke(
        {
            "input": STATE,
            "questions": {
                "next": decisions.Choice(instructions="you should now", choices=dict.fromkeys(ACTIONS)),
                "how": decisions.Score(instructions="how is it?", levels=["bad", "good"]),
                "sure": decisions.Predicate(instructions="are you sure?"),
            },
        }
    )
    assert response.answers["next"].probabilities == expected["next"]
    assert list(response.answers["how"].probabilities.values()) == list(expected["how"].values())
    assert response.answers["how"].legend == {0: "bad", 1: "good"}
    assert response.answers["sure"].probability == expected["sure"]["yes"]
    assert response.usage.input_tokens
    assert response.request_id.startswith("req_")


def test_langchain_s_classifier(server: Running, expected: dict[str, dict[str, float]]) -> None:
    langchain = client("langchain_typesafe")
    model = langchain.TypeSafeClassifier(api_key="any", base_url=server.address)
    described = dict.fromkeys(ACTIONS, "it leaves options without a description out")
    questions = {
        "next": langchain.Choice(instructions="you should now", criteria=described),
        "how": langchain.Score(instructions="how is it?", criteria=["bad", "good"]),
        "sure": langchain.Noul(instructions="are you sure?"),
    }
    response = model.invoke({"state": STATE, "questions": questions})
    answers = {**response.choices, **response.scores, **response.nouls}
    check_system_one(answers, expected)


def test_ollama(server: Running, expected: dict[str, dict[str, float]]) -> None:
    ollama = client("ollama").Client(host=server.address)
    response = ollama.systemone(model="any", state=STATE, questions=QUESTIONS)
    check_system_one(response.answers, expected)
    with pytest.raises(client("ollama").ResponseError, match="white space"):
        ollama.systemone(model="any", state=STATE, questions={"q": {**QUESTIONS["next"], "criteria": {" a": None}}})


def test_deqio_which_sends_neither_model_nor_key(server: Running, expected: dict[str, dict[str, float]]) -> None:
    answers = client("deqio_client").DeqioClient(server.address).systemone(STATE, QUESTIONS)["answers"]
    assert answers["next"]["probabilities"] == expected["next"]
    assert answers["sure"]["noul"] == expected["sure"]["yes"]


class TestLiteLLM:
    @pytest.fixture
    def litellm(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it is fetched
        return client("litellm")

    @pytest.mark.parametrize("provider", ["typesafe", "hosted_vllm", "ollama"])
    def test_system_one(
        self, provider: str, litellm: Any, server: Running, expected: dict[str, dict[str, float]]
    ) -> None:
        response = litellm.systemone(
            model=f"{provider}/any", state=STATE, questions=QUESTIONS, api_base=server.address, api_key="any"
        )
        check_system_one(response.answers, expected)

    def test_decisions(self, litellm: Any, server: Running, expected: dict[str, dict[str, float]]) -> None:
        questions = TestOpenAI().questions(named=True)
        response = litellm.decisions(
            model="openai/any", input=STATE, questions=questions, api_base=f"{server.address}/v1", api_key="any"
        )
        first, second, third = response.answers
        assert {each.value: each.probability for each in first.probabilities} == expected["next"]
        assert [each.probability for each in second.probabilities] == list(expected["how"].values())
        assert third.probability == expected["sure"]["yes"]

    def test_errors_keep_their_class(self, litellm: Any, server: Running) -> None:
        questions = {"q": {"type": "choice", "instructions": "x", "criteria": {"a ": None}}}
        with pytest.raises(litellm.BadRequestError, match="white space"):
            litellm.systemone(
                model="typesafe/any", state=STATE, questions=questions, api_base=server.address, api_key="any"
            )


def test_jevcompat_finds_nothing_to_complain_about(
    agent: Agent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jevcompat = client("jevcompat.cli")
    client("typesafe_sdk")  # or one requirement is left out
    report = tmp_path / "report.json"
    with serving({"embedded": agent}, key="secret") as server:
        status = jevcompat.main(["test", server.address, "--key", "secret", "--json", str(report)])
    assert status == 0, capsys.readouterr().out
    summary = json.loads(report.read_text())["summary"]
    assert summary["MUST"]["passed"] == summary["MUST"]["tested"] == 32
    assert summary["SHOULD"]["passed"] == summary["SHOULD"]["tested"] >= 12


def test_three_clients_get_the_bits_of_the_agent(server: Running, agent: Agent) -> None:
    """The prompt of a task, split at every tenth space."""
    words = f"{PROMPT} and you see a tomato on the table, so you should first".split(" ")
    choices, told = [{"value": action} for action in ACTIONS], dict.fromkeys(ACTIONS)
    wanted = agent.decide(" ".join(words), ACTIONS)
    sdk = client("typesafe_sdk").TypeSafeClient(api_key="any", base_url=server.address)
    openai = client("openai").OpenAI(api_key="any", base_url=f"{server.address}/v1")
    ollama = client("ollama").Client(host=server.address)
    with sdk, openai:
        for at in range(3, len(words), 10):
            state, instructions = " ".join(words[:at]), " ".join(words[at:])
            question = {"type": "choice", "instructions": instructions, "criteria": told}
            found = sdk.system_one(state, {"q": question}).answers["q"].probabilities
            assert dict(found) == wanted
            found = ollama.systemone(model="m", state=state, questions={"q": question}).answers["q"].probabilities
            assert dict(found) == wanted
            question = {"type": "choice", "instructions": instructions, "choices": choices}
            (answer,) = openai.decisions.create(model="m", input=state, questions=[question]).answers
            assert {each.value: each.probability for each in answer.probabilities} == wanted


def test_the_asynchronous_client_s_requests_are_read_together(agent: Agent) -> None:
    sdk = client("typesafe_sdk")

    async def ask(server: Running) -> list[Any]:
        async with sdk.AsyncTypeSafeClient(api_key="any", base_url=server.address) as made:
            states = [f"Kitchen {number}." for number in range(24)]
            return list(await asyncio.gather(*(made.system_one(state, QUESTIONS) for state in states)))

    with serving({"a": Agent(agent.loaded)}) as server:
        responses = asyncio.run(ask(server))
        counts = server.service.engine.counts
        assert counts.computed == 3 * 24
        assert counts.batches <= 24
    for number, response in enumerate(responses):
        assert dict(response.answers["next"].probabilities) == agent.decide(
            f"Kitchen {number}. you should now", ACTIONS
        )
