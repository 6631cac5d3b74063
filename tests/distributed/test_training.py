"""One run over several processes: the same numbers, whoever computes them, also where their number changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.distributed.threads import ThreadRanks, together
from tests.runs.outcome import files_of, outcome
from tests.tiny import SETTINGS, small_run
from twosome.algorithms.config import PPOConfig
from twosome.errors import ConfigError, RunError
from twosome.runs import trainer
from twosome.runs.trainer import Progress, follow, resume, train
from twosome.settings.config import LoadingConfig, RunConfig

SHARES = 3


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads draw their first weights from one generator of torch's, which processes have each for itself."""
    lock = threading.Lock()
    monkeypatch.setattr(torch, "manual_seed", lambda seed: None)  # in the middle of another thread's drawing

    def alone(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any) -> Any:
            with lock:
                torch.default_generator.manual_seed(0)
                return make(*arguments)

        return made

    for name in ("new_policy", "make_algorithm"):
        monkeypatch.setattr(trainer, name, alone(getattr(trainer, name)))


def run_on(count: int, config: RunConfig, first: Callable[[ThreadRanks], Any]) -> None:
    """``first`` as rank 0 of ``count``, which others follow."""
    together(count, lambda ranks: first(ranks) if ranks.rank == 0 else follow(config, ranks))


def run_of(model: str, algorithm: str = "ppo", **changes: Any) -> RunConfig:
    settings = {"decisions": 3 * 24, "algorithm": algorithm, **SETTINGS.get(algorithm, {}), "shares": SHARES}
    return small_run(model, **{**settings, **changes})


@pytest.mark.parametrize("algorithm", ["ppo", "groups", "trie", "fitted", "full_vocabulary"])
def test_a_run_ends_the_same_whoever_computes_what(algorithm: str, model_directory: str, tmp_path: Path) -> None:
    config = run_of(model_directory, algorithm)
    train(config, tmp_path / "alone")
    run_on(2, config, lambda ranks: train(config, tmp_path / "two", ranks=ranks))
    assert outcome(tmp_path / "two", files_of(config)) == outcome(tmp_path / "alone", files_of(config))


def test_more_processes_than_shares_or_environments(model_directory: str, tmp_path: Path) -> None:
    config = run_of(model_directory, shares=2)
    train(config, tmp_path / "alone")
    run_on(4, config, lambda ranks: train(config, tmp_path / "four", ranks=ranks))
    assert outcome(tmp_path / "four") == outcome(tmp_path / "alone")


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantised_base_ends_the_same_whoever_computes_what(bits: Any, model_directory: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    config = run_of(model_directory, decisions=2 * 24, loading=LoadingConfig(quantization=bits))
    train(config, tmp_path / "alone")
    run_on(2, config, lambda ranks: train(config, tmp_path / "two", ranks=ranks))
    assert outcome(tmp_path / "two") == outcome(tmp_path / "alone")


def test_packs_too_small_for_a_share_are_read_in_waves(model_directory: str, tmp_path: Path) -> None:
    """Shares of several packs, not of equally many: what they give does not depend on who reads them."""
    config = run_of(model_directory, loading=LoadingConfig(token_budget=64))
    train(config, tmp_path / "alone")
    run_on(2, config, lambda ranks: train(config, tmp_path / "two", ranks=ranks))
    assert outcome(tmp_path / "two") == outcome(tmp_path / "alone")


@pytest.mark.parametrize("finetune", ["lora", "full"])
def test_shares_change_an_update_by_rounding_alone(finetune: str, model_directory: str, tmp_path: Path) -> None:
    usual = PPOConfig(policy_learning_rate=1e-3, normalize_advantages="rollout")
    config = run_of(model_directory, finetune=finetune, decisions=24, ppo=usual)
    train(config, tmp_path / "shares")
    train(replace(config, shares=None), tmp_path / "whole")
    place = "adapter/adapter_model" if finetune == "lora" else "model/model"
    shares, whole = (load_file(str(tmp_path / run / f"{place}.safetensors")) for run in ("shares", "whole"))
    assert max(float((shares[name] - whole[name]).abs().max()) for name in whole) < 1e-6
    assert (tmp_path / "shares/critic.safetensors").read_bytes() == (tmp_path / "whole/critic.safetensors").read_bytes()
    ours, theirs = (json.loads((tmp_path / run / "metrics.jsonl").read_text()) for run in ("shares", "whole"))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_one_share_is_the_whole_to_the_last_bit(model_directory: str, tmp_path: Path) -> None:
    """A run that was begun by one process goes on with several as if nothing had happened."""
    config = run_of(model_directory, shares=None)
    train(config, tmp_path / "whole")
    run_on(2, config, lambda ranks: train(config, tmp_path / "two", ranks=ranks))
    assert outcome(tmp_path / "two") == outcome(tmp_path / "whole")


def test_a_run_goes_on_with_any_number_of_processes(
    model_directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped with two processes, with one, and ended with four."""
    config = run_of(model_directory, decisions=6 * 24)
    train(config, tmp_path / "whole")
    run = tmp_path / "run"

    class Stop(BaseException):
        pass

    def stop_after(update: int) -> Callable[[Progress], None]:
        def stop(progress: Progress) -> None:
            if progress.update == update:
                raise Stop

        return stop

    with monkeypatch.context() as patch:  # as a kill leaves it: nothing is saved on the way out
        patch.setattr(trainer.RunDirectory, "saving", lambda *_: nullcontext())
        with pytest.raises(Stop):
            run_on(2, config, lambda ranks: train(config, run, stop_after(3), ranks=ranks))
        with pytest.raises(Stop):
            resume(run, stop_after(5))
    run_on(4, config, lambda ranks: resume(run, ranks=ranks))
    assert outcome(run) == outcome(tmp_path / "whole")


def test_weights_that_differ_stop_the_run(model_directory: str, tmp_path: Path) -> None:
    """A bit that one process holds otherwise would grow unseen."""
    config = run_of(model_directory)

    def first(ranks: ThreadRanks) -> None:
        def spoil(stage: str) -> None:
            if "update 2" in stage:
                with torch.no_grad():
                    next(iter(seen[0].critic_parameters())).add_(1e-3)

        seen: list[Any] = []
        make = trainer.new_policy
        trainer.new_policy = lambda *a: seen.append(make(*a)) or seen[-1]  # type: ignore[assignment, func-returns-value]
        train(config, tmp_path / "run", on_stage=spoil, ranks=ranks)

    with pytest.raises(RunError, match=r"rank 1 holds other (weights|actions) than rank 0"):
        run_on(2, config, first)


def test_shares_and_kept_readings_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="keep_readings does not go with shares=2"):
        RunConfig(task="tomato-salad", shares=2, loading=LoadingConfig(keep_readings=True))
    with pytest.raises(ConfigError, match="shares must be at least 1"):
        RunConfig(task="tomato-salad", shares=0)
    with pytest.raises(ConfigError, match="rank_timeout must be a positive"):
        RunConfig(task="tomato-salad", rank_timeout=0)
