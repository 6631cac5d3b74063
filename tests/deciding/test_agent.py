"""An agent as an object: what it says, that its bits never change, what it remembers, what it refuses."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path

import pytest
import torch

import twosome
from tests.tiny import save_model, small_run
from twosome import Agent, Decision
from twosome.cli import main
from twosome.deciding.agent import computing_with
from twosome.deciding.judgement import Judgement, softmax
from twosome.errors import ConfigError, InvalidDecision, ModelError, NumericalError, TokenizationError, TooLong
from twosome.runs.trainer import train
from twosome.types import ActionScores

PROMPT = "You see a tomato on the table. You should now"
ACTIONS = ("pick up the tomato", "chop the tomato", "serve the dish")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the embedded model that trained for a moment."""
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", "tomato-salad", "--out", str(out), "--decisions", "16", "--num_envs", "2"]
    assert main([*words, "--rollout_steps", "8", "--threads", "1"]) == 0
    return out


@pytest.fixture(scope="module")
def agent(run: Path) -> Agent:
    return Agent.load(run)


def test_three_lines_of_python(run: Path) -> None:
    agent = twosome.Agent.load(run)
    chances = agent.decide(PROMPT, ACTIONS)
    assert list(chances) == list(ACTIONS)
    assert math.fsum(chances.values()) == pytest.approx(1, abs=1e-15)


def test_it_is_the_softmax_in_float64_of_the_policy_s_float32_logits(agent: Agent) -> None:
    decision = Decision(PROMPT, ACTIONS)
    (judgement,) = agent.judge([decision])
    with torch.no_grad():
        scores = agent.policy.scorer.scores([decision])
        acting = agent.policy.action_log_probs([decision])[0]
    joint = scores.token_log_probs[0].double().sum(-1)
    words = torch.tensor([len(action.split()) for action in ACTIONS])
    assert judgement.log_probabilities == pytest.approx(joint.tolist(), abs=1e-5)
    assert judgement.logits == pytest.approx((joint / words).tolist(), abs=1e-5)
    assert judgement.probabilities == pytest.approx(
        torch.tensor(judgement.logits).double().softmax(-1).tolist(), abs=1e-15
    )
    assert judgement.probabilities == pytest.approx(acting.exp().tolist(), abs=1e-6)
    assert judgement.label_mass == pytest.approx(float(joint.exp().sum()), rel=1e-5)
    assert judgement.tokens == judgement.prompt_tokens + sum(judgement.action_tokens)
    assert judgement.decision.actions[judgement.best] == max(judgement.by_action, key=lambda a: judgement.by_action[a])


def test_the_same_bits_alone_in_company_in_any_order_and_from_memory(run: Path) -> None:
    met = [Decision(f"Room {n}. {PROMPT}", ACTIONS[: 1 + n % 3]) for n in range(24)]
    alone = [Agent.load(run).judge([decision], values=True)[0] for decision in met[:4]]
    one = Agent.load(run)
    together = one.judge(met, values=True)
    assert together[:4] == alone
    again = one.judge(met[::-1], values=True)[::-1]
    assert all(each.remembered for each in again)
    assert [(a.logits, a.value) for a in again] == [(t.logits, t.value) for t in together]
    backwards = Agent.load(run).judge([Decision(each.prompt, each.actions[::-1]) for each in met])
    assert [each.probabilities[::-1] for each in backwards] == [each.probabilities for each in together]


def first_token(scores: ActionScores) -> torch.Tensor:
    """A normalisation of somebody's own, which looks at what the actions are padded to."""
    widest = scores.token_log_probs.shape[-1]
    return (scores.token_log_probs[..., 0] / widest).masked_fill(~scores.action_mask, -torch.inf)


@pytest.mark.parametrize("name", ["sum", "token", "word/3", "byte", f"{__name__}:first_token"])
def test_no_normalisation_sees_how_far_its_company_is_padded(name: str) -> None:
    words = ("go", "stay here", "put the chopped tomato into the bowl on the counter and wait")
    met = [Decision(f"Room {n}. {PROMPT}", words[: 1 + n % 3]) for n in range(9)]
    agent = Agent.load(normalization=name)
    alone = [Agent(agent.loaded).judge([decision])[0] for decision in met]
    assert Agent(agent.loaded).judge(met) == alone


def test_what_score_prints_is_what_it_says(run: Path, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for action in ACTIONS for word in ("--action", action)]
    assert main(["score", "--adapter", str(run), "--prompt", PROMPT, *words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["actions"]
    (judgement,) = agent.judge([Decision(PROMPT, ACTIONS)])
    assert {row["action"]: row["probability"] for row in rows} == judgement.by_action
    assert tuple(row["logit"] for row in rows) == judgement.logits


def test_readings_that_depend_on_company_read_each_decision_by_itself(tmp_path: Path) -> None:
    def padded() -> Agent:
        agent = Agent.load(save_model(tmp_path / "model"))
        agent.policy.scorer.reader = agent.policy.scorer.__class__(
            agent.policy.model, agent.policy.scorer.encoder.tokenizer, "padded"
        ).reader
        return Agent(agent.loaded)

    met = [Decision("Room" + " and room" * n, ("go", "stay here for a while")) for n in range(6)]
    together = padded().judge(met)
    assert [padded().judge([decision])[0] for decision in met] == together
    reader = padded().policy.scorer.reader
    assert "padded" in reader.describe()


def test_mixtures_of_experts_read_each_decision_by_itself(tmp_path: Path) -> None:
    path = save_model(tmp_path / "model", "gpt_oss")
    met = [Decision("Room" + " and room" * n, ("go", "stay here for a while")) for n in range(6)]
    together = Agent.load(path).judge(met)
    assert [Agent.load(path).judge([decision])[0] for decision in met[::-1]] == together[::-1]
    assert Agent.load(path).policy.scorer.reader.describe().startswith("packed")


def test_the_critic_is_asked_if_wanted_and_there(run: Path, agent: Agent) -> None:
    decision = Decision(f"Now. {PROMPT}", ACTIONS)
    assert agent.has_critic
    assert agent.judge([decision])[0].value is None
    (judgement,) = agent.judge([decision], values=True)
    with torch.no_grad():
        assert judgement.value == pytest.approx(float(agent.policy.values([decision])[0]), abs=1e-6)
    assert agent.judge([decision])[0].value is None
    untrained = Agent.load()
    assert not untrained.has_critic
    assert untrained.judge([decision], values=True)[0].value is None
    assert (agent.trained, untrained.trained) == (True, False)


def test_temperature(run: Path) -> None:
    decision = Decision(PROMPT, ACTIONS)
    (cold,), (hot,) = (Agent.load(run, temperature=t).judge([decision]) for t in (1.0, 1e6))
    assert hot.logits == cold.logits
    assert hot.probabilities == pytest.approx([1 / 3] * 3, abs=1e-5)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="temperature must be"):
            Agent.load(run, temperature=wrong)


def test_softmax_by_hand_and_its_limits() -> None:
    assert softmax([0.0, math.log(3)]) == pytest.approx((0.25, 0.75), abs=1e-16)
    assert softmax([-5000.0, -5000.0]) == (0.5, 0.5)
    assert softmax([0.0, -math.inf]) == (1.0, 0.0)
    assert softmax([1.0, 0.3, -2.0])[::-1] == softmax([-2.0, 0.3, 1.0])
    with pytest.raises(NumericalError, match="every action"):
        softmax([-math.inf, -math.inf])
    judgement = Judgement(Decision("x", ("a", "b")), (1.0, 1.0), (-1.0, -2.0), (1, 1), 1)
    assert judgement.best == 0


def test_it_answers_several_threads(run: Path) -> None:
    agent, found = Agent.load(run), dict[int, list[float]]()
    met = [Decision(f"Room {n % 5}. {PROMPT}", ACTIONS) for n in range(20)]

    def ask(number: int) -> None:
        found[number] = list(agent.decide(met[number].prompt, met[number].actions).values())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(met))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {d: list(agent.judge([d])[0].probabilities) for d in met}
    assert [found[number] for number in range(len(met))] == [expected[decision] for decision in met]


def test_what_cannot_be_asked_is_told(agent: Agent, model_directory: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDecision, match="listed twice"):
        agent.decide(PROMPT, ["go", "go"])
    with pytest.raises(TooLong, match="at most"):
        agent.check(Decision("word " * 3000 + "end", ("go",)))
    with pytest.raises(TokenizationError):
        agent.decide("word " * 3000 + "end", ["go"])
    with pytest.raises(ModelError):
        Agent.load(tmp_path)
    with pytest.raises(ConfigError, match="threads"):
        Agent(agent.loaded, threads=0)


def test_an_agent_that_reads_numbers_is_refused(tmp_path: Path) -> None:
    config = small_run("embedded", policy="vector", decisions=32)
    train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match="no language model"):
        Agent.load(tmp_path / "run")


def test_memory_is_bounded(run: Path) -> None:
    agent = Agent.load(run, memory_limit=20_000)
    for number in range(40):
        agent.decide(f"Room {number}. {PROMPT}", ACTIONS)
    assert agent._answers.nbytes <= 20_000
    assert agent.recall(Decision(f"Room 0. {PROMPT}", ACTIONS)) is None
    assert agent.recall(Decision(f"Room 39. {PROMPT}", ACTIONS)) is not None


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with computing_with(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
