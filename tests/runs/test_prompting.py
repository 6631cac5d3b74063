"""How prompts are put to a model is a setting of its run, and comes back with it; the environment has a say."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

import tests.small_worlds  # noqa: F401 - registers its environments
from tests.templates import CHATML, instructed
from tests.tiny import build_model, small_run
from twosome import Decision
from twosome.cli import main
from twosome.cli.train import parse
from twosome.errors import ConfigError
from twosome.evaluation.checking import check_environment
from twosome.evaluation.exact import evaluate_exactly
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.agents import load_agent
from twosome.runs.trainer import resume, train
from twosome.settings.config import RunConfig, from_mapping, to_yaml
from twosome.text.states import joiner
from twosome.text.tasks import make_task
from twosome.text.trying import check_task
from twosome.tokens.prompting import Prompting

CHAT = Prompting(template="chat", system="You are a cook.")
CHINESE, ENGLISH = "tests.small_worlds:ChineseLine-v0", "tests.worlds:Line-v0"
DECISION = Decision("You see the tomato. You should now", ("pick up the tomato", "serve nothing", "sing"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model whose tokenizer has a chat template."""
    directory = tmp_path_factory.mktemp("instruct")
    build_model("llama", vocab_size=410).save_pretrained(directory)
    instructed(CHATML).save_pretrained(directory)
    return str(directory)


@pytest.fixture(scope="module")
def run(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    train(small_run(model, decisions=48, prompting=CHAT), directory)
    return directory


def probabilities(policy: object) -> list[float]:
    assert isinstance(policy, LanguageModelPolicy)
    with torch.no_grad():
        return policy.action_log_probs([DECISION])[0].exp().tolist()


def test_a_run_records_its_prompting_and_everything_that_loads_it_has_it(run: Path, model: str) -> None:
    written = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert written["prompting"] == {"template": "chat", "system": "You are a cook.", "joiner": "space"}
    agent = load_agent(run)
    assert agent.language.scorer.encoder.prompting == CHAT
    plain = LanguageModelPolicy(agent.language.model, agent.language.scorer.encoder.tokenizer)
    assert probabilities(agent.policy) != pytest.approx(probabilities(plain), abs=1e-3)
    framed = LanguageModelPolicy(agent.language.model, agent.language.scorer.encoder.tokenizer, prompting=CHAT)
    assert probabilities(agent.policy) == pytest.approx(probabilities(framed))


def test_a_run_cannot_be_asked_with_another_prompting(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"its model \(template chat, joiner space\); leave out --template"):
        load_agent(run, prompting=Prompting())
    assert load_agent(run, prompting=CHAT).trained


def test_a_run_that_was_stopped_goes_on_with_its_template(model: str, run: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "run"

    class Stop(Exception):
        pass

    def stop(progress: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(small_run(model, decisions=48, prompting=CHAT, save_every=1), stopped, stop)
    resume(stopped)
    assert probabilities(load_agent(stopped).policy) == probabilities(load_agent(run).policy)


def test_a_run_that_starts_from_another_puts_its_prompts_like_that(model: str, run: Path) -> None:
    """The adapter and the critic learned to read prompts that are put in one way."""
    words = ["tomato-salad", "--start", str(run)]
    config, _ = parse(words)
    assert config.prompting == CHAT
    with pytest.raises(ConfigError, match=r"prompting\.template is 'none', but the start .* has 'chat'"):
        parse([*words, "--prompting.template", "none", "--prompting.system", "null"])
    assert parse([*words, "--prompting.joiner", "none"])[0].prompting == replace(CHAT, joiner="none")


def test_a_configuration_of_an_older_version_has_no_template() -> None:
    values = yaml.safe_load(to_yaml(RunConfig(task="tomato-salad")))
    del values["prompting"]
    assert from_mapping(values).prompting == Prompting()
    assert from_mapping(values) == RunConfig(task="tomato-salad")


def test_the_setting_has_one_name() -> None:
    config, _ = parse(
        ["tomato-salad", "--prompting.template", "chat", "--prompting.system", "", "--prompting.joiner=none"]
    )
    assert config.prompting == Prompting(template="chat", system="", joiner="none")
    with pytest.raises(ConfigError, match="prompting"):
        parse(["tomato-salad", "--prompting.template", "qwen"])
    with pytest.raises(ConfigError, match="which has no place for it"):
        parse(["tomato-salad", "--prompting.system", "Cook."])


def test_a_template_that_is_not_used_is_told(model: str, model_directory: str) -> None:
    with pytest.warns(UserWarning, match="has a chat template, which is not used"):
        load_agent(model=model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_agent(model=model, prompting=Prompting(template="chat"))
        load_agent(model=model_directory)


def test_the_commands_take_a_template_for_models_without_a_run(
    model: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", "--model", model, "--prompt", DECISION.prompt, "--json"]
    words += [word for action in DECISION.actions for word in ("--action", action)]
    assert main([*words, "--template", "chat", "--system", "You are a cook."]) == 0
    told = [row["probability"] for row in json.loads(capsys.readouterr().out)["actions"]]
    assert told == pytest.approx(probabilities(load_agent(model=model, prompting=CHAT).policy))
    assert main(["check-env", "tomato-salad", "--model", model, "--template", "chat", "--json"]) == 0
    longer = json.loads(capsys.readouterr().out)["measures"]["longest_sentence_tokens"]
    assert main(["check-env", "tomato-salad", "--model", model, "--json"]) == 0
    assert longer > json.loads(capsys.readouterr().out)["measures"]["longest_sentence_tokens"]
    for wrong in (["score", str(run)], ["evaluate", str(run), "--template", "none"], [*words, "--system", "Cook."]):
        assert main(wrong) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(("task", "said"), [(CHINESE, ""), (ENGLISH, None), ("tomato-salad", None)])
def test_an_environment_says_what_its_phrases_are_joined_with(task: str, said: str | None) -> None:
    assert check_task(task) == said
    assert joiner(make_task(task, permute_phrases=3)) == said  # also where another narrator speaks for it


def test_what_an_environment_says_is_believed_where_nobody_says_otherwise(model_directory: str) -> None:
    agent = load_agent(model=model_directory, joined=check_task(CHINESE))
    assert agent.language.scorer.encoder.prompting == Prompting(joiner="none")
    result = evaluate_exactly(agent.policy, task=CHINESE, gamma=0.99, environment={"shown": True})
    other = evaluate_exactly(
        load_agent(model=model_directory).policy, task=CHINESE, gamma=0.99, environment={"shown": True}
    )
    assert result.discounted_return != other.discounted_return
    with pytest.raises(
        ConfigError, match=r"joined to prompts with '', but prompting.joiner is space; set it .* to none"
    ):
        load_agent(model=model_directory, prompting=Prompting(), joined=check_task(CHINESE))
    chat = Prompting(template="chat")
    with pytest.raises(ConfigError, match="no chat template"):  # which joins nothing; the joiner is not what is refused
        load_agent(model=model_directory, prompting=chat, joined=check_task(CHINESE))


def test_a_run_cannot_join_phrases_otherwise_than_its_environment_says(model_directory: str, tmp_path: Path) -> None:
    config = small_run(model_directory, task=CHINESE, environment={}, decisions=24)
    with pytest.raises(ConfigError, match=r"prompting\.joiner is space; set it"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    train(
        small_run(model_directory, task=CHINESE, environment={}, decisions=24, prompting=Prompting(joiner="none")),
        tmp_path / "run",
    )
    assert load_agent(tmp_path / "run").language.scorer.encoder.frame.gap == ""
    assert main(["train", CHINESE, "--model", model_directory, "--out", str(tmp_path / "other")]) == 2
    assert main(["evaluate", str(tmp_path / "run"), "--episodes", "2"]) == 0
    assert main(["evaluate", str(tmp_path / "run"), "--task", ENGLISH, "--episodes", "2"]) == 0  # it says nothing


def test_check_env_joins_as_the_environment_says(model_directory: str) -> None:
    apart = check_environment(CHINESE, model=model_directory, elsewhere=False, prompting=Prompting(joiner="none"))
    assert check_environment(CHINESE, model=model_directory, elsewhere=False) == apart
    assert not apart.count("error")
    with pytest.raises(ConfigError, match=r"set it .* to none"):
        check_environment(CHINESE, model=model_directory, elsewhere=False, prompting=Prompting())


def test_a_joiner_that_is_none_of_both_is_refused() -> None:
    env = make_task(CHINESE)
    env.unwrapped.narrator.joiner = "-"  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"joiner of ChineseLineWords is '-'; expected"):
        joiner(env)
