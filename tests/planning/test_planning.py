"""What a training will take: counted without weights, equal to what the real model does, and laid out with reasons."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from twosome.bench.matrix_products import counting_products
from twosome.cli import main
from twosome.errors import ConfigError, ModelError
from twosome.models.loading import EMBEDDED_DIRECTORY
from twosome.models.pieces import PIECE
from twosome.planning import devices as devices_module
from twosome.planning.counting import Pass, _Held, count
from twosome.planning.describing import Described
from twosome.planning.devices import GPUS, Device, Devices, assuming, parse_devices
from twosome.planning.duration import Clock
from twosome.planning.headers import Files, read_headers
from twosome.planning.layout import lay_out
from twosome.planning.memory import memory, peak, weight_bytes
from twosome.planning.memory_terms import Program
from twosome.planning.plan import check
from twosome.planning.resident import settled_bytes
from twosome.planning.skeleton import Skeleton
from twosome.planning.workload import Workload, workload
from twosome.runs.building import new_policy
from twosome.scoring.vocabulary import target_log_probs
from twosome.settings.config import RunConfig, preset_config
from twosome.tokens.packing import build_pack

HERE = Device("cpu", 50e9, 0.75, float("inf"), 5e9, 1e9, 2, 8 * 10**9, 1e-5, False, "made up")
SMALL = {"num_envs": 2, "rollout_steps": 4}


def small(**changes: Any) -> RunConfig:
    run = preset_config("food-preparation", "tiny")
    return replace(run, **SMALL, ppo=replace(run.ppo, accumulation_steps=2), **changes)


@pytest.fixture(scope="module")
def run() -> RunConfig:
    return small()


@pytest.fixture(scope="module")
def work(run: RunConfig, skeleton: Skeleton, described: Described) -> Workload:
    return workload(run, skeleton, described.tokenizer)


@pytest.fixture(scope="module")
def one(skeleton: Skeleton, work: Workload) -> Pass:
    return count(skeleton, work.largest)


def test_headers_say_what_the_weights_are(tmp_path: Path) -> None:
    files = read_headers(EMBEDDED_DIRECTORY)
    assert files is not None
    assert sum(files.numbers.values()) == 2_066_112
    assert (files.nbytes, files.dtype) == (2 * 2_066_112, "bfloat16")
    assert read_headers(tmp_path) is None
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError, match="cannot be read"):
        read_headers(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((2**60).to_bytes(8, "little"))
    with pytest.raises(ModelError, match="no safetensors file"):
        read_headers(tmp_path)


def test_no_weight_is_there_to_be_counted(skeleton: Skeleton) -> None:
    assert skeleton.weights == 2_066_112
    assert all(type(weight.data).__name__ == "FakeTensor" for weight in skeleton.model.parameters())


def test_counted_is_what_the_model_does(run: RunConfig, skeleton: Skeleton, work: Workload, one: Pass) -> None:
    """Operations to the last one, and bytes at the peak but for what the real vocabulary's parts are made of."""
    counted = one
    policy: Any = new_policy(run)
    pack = build_pack(work.largest, torch.device("cpu"), share=True)
    held = _Held([*policy.model.parameters(), *policy.model.buffers()])
    with torch.no_grad(), counting_products() as forward:
        policy.scorer.reader.states(pack)
    with held, counting_products() as both:
        hidden = policy.scorer.reader.states(pack)
        found = target_log_probs(policy.model.get_output_embeddings(), hidden, pack.row_of, pack.targets)
        torch.autograd.backward(found.sum())
    assert counted.forward == forward.get_total_flops()
    vocabulary = 4 * skeleton.vocabulary * skeleton.width * len(pack.rows)
    assert counted.forward + counted.backward == both.get_total_flops() - vocabulary
    assert counted.training_bytes == pytest.approx(held.most, rel=0.02)


def test_reading_layers_again_holds_less(one: Pass, described: Described, run: RunConfig, work: Workload) -> None:
    lean = replace(run, loading=replace(run.loading, recompute=True))
    counted = count(Skeleton(described.config, lean, torch.float32), work.largest)
    assert counted.training_bytes < 0.6 * one.training_bytes
    assert counted.backward == pytest.approx(one.backward + one.forward, rel=0.1)


def test_a_workload_is_what_uniform_play_meets(run: RunConfig, work: Workload) -> None:
    assert work.decisions == 8
    assert 1 < work.distinct <= 8
    assert work.steps == run.ppo.epochs * 1
    assert sum(size.tokens for size in work.actor) == run.ppo.epochs * sum(size.tokens for size in work.collecting)


def test_terms_add_up_and_each_has_a_reason(
    run: RunConfig, described: Described, skeleton: Skeleton, work: Workload, one: Pass
) -> None:
    program = Program(300, 20, 3, 1)
    found = memory(run, described, skeleton, work, one, one, program)
    terms = {term.name: term.nbytes for term in found.training}
    assert terms["weights"] == 4 * 2_066_112
    assert terms["adapter"] == 16 * skeleton.trained
    assert terms["critic"] == 16 * (192 * 128 + 128 * 128 + 128 + 128 + 128 + 1)
    assert peak(found.training) == sum(terms.values())
    assert all(term.reason for term in found.training)
    copies = {term.name: term.nbytes for term in found.loading}["copies while loading"]
    assert copies == 2 * 2_066_112, "the file is in half precision, and is there beside what is made of it"
    large = replace(described, files=Files(dict.fromkeys(["BF16"], 10**9)))
    beside = [
        {term.name: term.nbytes for term in memory(each, large, skeleton, work, one, one, program).loading}
        for each in (run, replace(run, loading=replace(run.loading, quantization="8bit")))
    ]
    assert [terms["copies while loading"] for terms in beside] == [4 * PIECE, 2 * 10**9], "read in pieces, or whole"
    assert peak(found.scoring) < peak(found.acting) < peak(found.training)


def test_more_devices_take_less_time_and_send_more(
    run: RunConfig, skeleton: Skeleton, work: Workload, one: Pass
) -> None:
    clock = Clock(run, skeleton, work, one, one, weight_bytes(skeleton, run))
    alone, four = (clock.duration(Devices(HERE, number)) for number in (1, 4))
    assert alone.sent == 0
    assert four.actor < alone.actor
    assert four.sent == pytest.approx(work.steps * 2 * 3 / 4 * 4 * skeleton.trained)
    sharded = clock.duration(Devices(GPUS["h200"], 4), sharded=True)
    assert sharded.gathering > 0
    assert sharded.sent > clock.duration(Devices(GPUS["h200"], 4)).sent


def test_a_layout_says_why(run: RunConfig, described: Described, skeleton: Skeleton, work: Workload, one: Pass) -> None:
    nbytes = weight_bytes(skeleton, run)
    found = memory(run, described, skeleton, work, one, one, None)
    need = peak(found.training)

    def on(memory_of_each: float, number: int) -> Any:
        device = replace(GPUS["h200"], nbytes=int(memory_of_each / 0.9) + 1)
        return lay_out(run, skeleton, one, found, nbytes, Devices(device, number))

    plain = on(need, 2)
    assert (plain.sharded, plain.recompute, plain.fits) == (False, False, True)
    assert any("the whole base on each" in reason for reason in plain.reasons)
    lean = on(need - 1, 2)
    assert (lean.sharded, lean.recompute, lean.fits) == (False, True, True)
    parted = on(lean.nbytes - 1, 8)
    assert parted.sharded
    assert any("do not fit one device" in reason for reason in parted.reasons)
    nothing = on(1000, 1)
    assert not nothing.fits
    assert not nothing.sharded
    assert any("it does not fit" in reason for reason in nothing.reasons)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems give back at once, or never")
def test_what_was_freed_is_not_counted_as_held() -> None:
    """A tokenizer leaves a hundred megabytes free behind, which the first readings are then put into."""
    before = settled_bytes()
    pieces = [bytes(1000) for _ in range(40_000)]
    last = bytes(1000)
    held = settled_bytes() - before
    pieces.clear()
    freed = settled_bytes() - before
    assert held > 30e6
    assert freed < 0.5 * held, len(last)


def test_devices_are_named_and_numbered() -> None:
    assert parse_devices("cpu:2", HERE) == Devices(HERE, 2)
    assert parse_devices("H200", HERE) == Devices(GPUS["h200"], 1)
    assert Devices(GPUS["h100"], 16).link == GPUS["h100"].network
    for text in ("b300:8", "h200:0", "h200:x", ""):
        with pytest.raises(ConfigError, match="--devices must be one of cpu, a100"):
            parse_devices(text, HERE)


def test_figures_of_a_device_can_be_told_and_are_named() -> None:
    told = assuming(GPUS["h200"], ["share=0.5", "hosted=4"])
    assert (told.share, told.hosted, told.operations) == (0.5, 4, GPUS["h200"].operations)
    assert told.source.endswith("; told: share 0.5; told: hosted 4")
    for word in ("speed=3", "share", "share=fast", "share=0", "share=inf", "call=nan", "nbytes=-1"):
        with pytest.raises(ConfigError, match="--assume takes NAME=NUMBER"):
            assuming(GPUS["h200"], [word])


def test_what_is_not_counted_is_refused(run: RunConfig) -> None:
    with pytest.raises(ConfigError, match="policy=vector"):
        check(replace(run, policy="vector"))
    with pytest.raises(ConfigError, match="algorithm=all_actions"):
        check(replace(run, algorithm="all_actions"))
    with pytest.raises(ConfigError, match=r"loading\.path"):
        check(replace(run, loading=replace(run.loading, path="padded")))


def test_the_command_prints_memory_time_and_layout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices_module, "this_machine", lambda: HERE)
    words = ["plan", "--task", "food-preparation", "--num_envs", "2", "--rollout_steps", "4"]
    words += ["--ppo.accumulation_steps", "2", "--devices", "cpu", "cpu:2", "--assume", "link=1e9"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["devices"]] == ["cpu:1", "cpu:2"]
    assert all("told: link 1e+09" in each["source"] for each in found["devices"])
    assert all(each["seconds"] > 0 and each["training_bytes"] > 0 and each["reasons"] for each in found["devices"])
    assert main(["plan", "--task", "food-preparation", "--devices", "abacus:3"]) == 2
    assert "--devices must be one of" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_is_within_a_tenth_of_what_a_training_takes(tmp_path: Path) -> None:
    """Each in a process of its own; half of it is interpreter and libraries, so the rest is held to a quarter."""
    run = ["--task", "tomato-salad", "--decisions", "128", "--ppo.epochs", "1", "--ppo.wait_for_reward", "false"]
    told = subprocess.run([sys.executable, "-m", "twosome", "plan", "--json", *run], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    planned = json.loads(told.stdout)["devices"][0]
    code = "import sys; from twosome.cli import main; s = main(sys.argv[1:]); print(open('/proc/self/status').read())"
    command = [sys.executable, "-c", code, "train", *run, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"VmHWM:\s*(\d+) kB", done.stdout)
    if found is None:
        pytest.skip("this system does not tell the most memory that a process had")
    measured, program = int(found.group(1)) * 1024, planned["terms"]["interpreter and libraries"]
    assert planned["training_bytes"] == pytest.approx(measured, rel=0.1)
    assert planned["training_bytes"] - program == pytest.approx(measured - program, rel=0.25)
