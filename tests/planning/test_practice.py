"""A run that practises without gradients and is fitted then: what it reads, and what that takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.planning.test_planning import HERE, small
from twosome.bench.matrix_products import counting_products
from twosome.planning.counting import Pass, _Held, count, count_reading
from twosome.planning.describing import Described
from twosome.planning.devices import Devices
from twosome.planning.duration import Clock
from twosome.planning.layout import lay_out
from twosome.planning.memory import critic_weights, head_weights, memory, peak, weight_bytes
from twosome.planning.memory_terms import Program
from twosome.planning.plan import plan
from twosome.planning.practice import practice
from twosome.planning.report import as_json, lines
from twosome.planning.skeleton import Skeleton
from twosome.planning.workload import Workload
from twosome.runs.building import new_policy
from twosome.scoring.condition import adapter_off
from twosome.settings.config import RunConfig
from twosome.tokens.packing import build_pack

UPDATES, ROWS, ENVS = 3, 4, 2


def fitted(run: RunConfig, **changes: Any) -> RunConfig:
    return replace(run, fitted=replace(run.fitted, **changes))


@pytest.fixture(scope="module")
def run() -> RunConfig:
    made = small(algorithm="fitted", decisions=UPDATES * ROWS * ENVS)
    made = replace(made, lora=replace(made.lora, top_layers=1))
    return fitted(made, fit_passes=5, fit_minibatch=3, fit_every=None)


@pytest.fixture(scope="module")
def work(run: RunConfig, skeleton: Skeleton, described: Described) -> Workload:
    return practice(run, skeleton, described.tokenizer)


@pytest.fixture(scope="module")
def passes(skeleton: Skeleton, work: Workload) -> tuple[Pass, Pass]:
    assert work.practice is not None
    return count(skeleton, work.largest), count_reading(skeleton, work.practice.reading)


def test_each_decision_is_read_once_and_fitted_as_often_as_there_are_passes(
    run: RunConfig, skeleton: Skeleton, described: Described, work: Workload
) -> None:
    found = work.practice
    assert found is not None
    assert (work.decisions, work.updates, found.fits) == (UPDATES * ROWS * ENVS, UPDATES, 1)
    assert 1 < found.kept <= work.distinct <= work.decisions + ENVS
    alone = practice(replace(run, decisions=ROWS * ENVS), skeleton, described.tokenizer)
    assert alone.practice is not None
    assert (alone.practice.fits, alone.steps, alone.actor) == (0, 0, ())
    assert work.steps == 5 * -(-found.kept // 3)
    assert len(work.actor) == work.steps
    assert found.actions > work.distinct
    assert found.tried <= work.decisions
    assert sum(size.rows for size in found.phrases) == 0, "features do not ask the vocabulary"


def test_what_keeps_the_words_of_prompts_reads_them_again_without_the_vocabulary(
    run: RunConfig, skeleton: Skeleton, described: Described, work: Workload
) -> None:
    kept = practice(fitted(run, fit_keep=1.0), skeleton, described.tokenizer)
    assert kept.actor[: len(work.actor)] == work.actor
    words = kept.actor[len(work.actor) :]
    assert len(words) == kept.steps == work.steps
    assert all(0 < word.tokens < size.tokens and word.rows == 0 for word, size in zip(words, work.actor, strict=True))


def test_what_was_met_too_seldom_is_no_part_of_a_fit(
    run: RunConfig, skeleton: Skeleton, described: Described, work: Workload
) -> None:
    often = practice(fitted(run, fit_visits=2), skeleton, described.tokenizer).practice
    always = practice(fitted(run, fit_every=1, prior="adapter"), skeleton, described.tokenizer)
    assert often is not None
    assert work.practice is not None
    assert 0 < often.kept < work.practice.kept
    assert always.practice is not None
    assert always.practice.fits == UPDATES - 1, "before the first there is nothing to be fitted to"
    assert len(always.collecting) > len(work.collecting), "another adapter is another prior: all is read again"


def test_the_whole_base_is_counted_as_it_reads(run: RunConfig, work: Workload, passes: tuple[Pass, Pass]) -> None:
    """Layers below the adapter are there, the adapter is not: operations to the last one."""
    one, base = passes
    assert work.practice is not None
    policy: Any = new_policy(run)
    pack = build_pack(work.practice.reading, torch.device("cpu"), share=True)
    held = _Held([*policy.model.parameters(), *policy.model.buffers()])
    with adapter_off(policy.model), torch.no_grad(), counting_products() as forward, held:
        policy.scorer.reader.states(pack)
    assert base.forward == forward.get_total_flops()
    assert base.acting_bytes == pytest.approx(held.most, rel=0.05), "the real one works out layouts meanwhile"
    assert base.forward / base.tokens > 1.5 * one.forward / one.tokens, "fits read the layers with an adapter alone"


def test_memory_is_that_of_the_highest_moment(
    run: RunConfig, described: Described, skeleton: Skeleton, work: Workload, passes: tuple[Pass, Pass]
) -> None:
    found = memory(run, described, skeleton, work, *passes, Program(300, 20, 3, 1))
    terms = {term.name: term.nbytes for term in found.training}
    assert "critic" not in terms
    assert critic_weights(run, skeleton) == 0
    assert terms["networks of action values"] == 16 * head_weights(run, skeleton)
    assert terms["remembered lower layers"] > 0
    assert terms["a pass with its gradient"] == passes[0].training_bytes
    assert peak(found.acting) < peak(found.training)
    slow = replace(passes[1], acting_bytes=10 * passes[0].training_bytes)
    practising = memory(run, described, skeleton, work, passes[0], slow, Program(300, 20, 3, 1))
    assert {term.name: term.nbytes for term in practising.training}["a pass"] == slow.acting_bytes
    layout = lay_out(run, skeleton, passes[0], practising, 0, Devices(replace(HERE, nbytes=1), 1))
    assert layout.nbytes == peak(practising.training), "reading layers again saves nothing where no gradient is taken"


def test_time_is_that_of_the_run(run: RunConfig, skeleton: Skeleton, work: Workload, passes: tuple[Pass, Pass]) -> None:
    def clock(of: Workload) -> Clock:
        return Clock(run, skeleton, of, *passes, weight_bytes(skeleton, run))

    alone, two = (clock(work).duration(Devices(HERE, number)) for number in (1, 2))
    assert two.actor < alone.actor
    assert two.sent == pytest.approx(work.steps * 4 * skeleton.trained)
    assert alone.seconds == alone.collecting + alone.critic + alone.actor
    twice = clock(replace(work, actor=2 * work.actor, steps=2 * work.steps)).duration(Devices(HERE, 1))
    assert twice.actor == pytest.approx(2 * alone.actor)


def test_a_plan_tells_of_the_run_and_its_fit(run: RunConfig, described: Described) -> None:
    found = plan(run, described, Program(300, 20, 3, 1), [Devices(HERE, 1), Devices(HERE, 2)])
    told = "\n".join(lines(found))
    assert f"the run: {UPDATES * ROWS * ENVS} decisions in {UPDATES} updates" in told
    assert "then a fit of at most 5 passes" in told
    assert "= reading" in told
    first = as_json(found)["devices"][0]
    assert first["run_seconds"] == first["seconds"] == found.on[0].duration.seconds
    assert f"{found.on[0].duration.seconds / UPDATES:>9.3g}" in told.splitlines()[-2], "the table is of an update"
