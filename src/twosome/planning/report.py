"""A plan in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twosome.planning.duration import Duration
from twosome.planning.memory import peak
from twosome.planning.memory_terms import Term
from twosome.planning.plan import SHARES, OnDevices, Plan
from twosome.planning.workload import Practice

KINDS = {"training": "training", "loading": "weights just read", "acting": "acting alone", "scoring": "one score"}


def lines(plan: Plan) -> Iterator[str]:
    """The plan as text."""
    run, work = plan.run, plan.work
    yield f"{run.model} on {run.task}: {plan.weights:,} weights, {plan.trained:,} that train; nothing was loaded"
    if work.practice is not None:
        yield from _practice(plan, work.practice)
    else:
        yield from _update(plan)
    for on in plan.on:
        yield ""
        yield from _on(on, plan)
    if len(plan.on) > 1:
        yield ""
        yield from _table(plan)


def _update(plan: Plan) -> Iterator[str]:
    run, work = plan.run, plan.work
    yield (
        f"an update: {work.decisions} decisions, {work.distinct} distinct under uniform play; {work.tokens:,} tokens "
        f"in {work.steps} actor steps; the largest pass has {plan.one.tokens}; {run.updates} updates in the run"
    )


def _practice(plan: Plan, practice: Practice) -> Iterator[str]:
    work, fits = plan.work, "a fit" if practice.fits == 1 else f"{practice.fits} fits"
    yield (
        f"the run: {work.decisions} decisions in {practice.updates} updates, {work.distinct} distinct under uniform "
        f"play, each read once without gradient; then {fits} of at most {plan.run.fitted.fit_passes} passes, to "
        f"{practice.kept} decisions in the end; {work.tokens:,} tokens in all, the largest pass with a gradient has "
        f"{plan.one.tokens}"
    )


def _on(on: OnDevices, plan: Plan) -> Iterator[str]:
    device = on.devices.device
    yield f"{on.devices.name}  ({device.source})"
    for name, words in KINDS.items():
        terms = getattr(on.memory, name)
        yield f"  {words:<18} {_megabytes(peak(terms)):>12}{'  of which' if name == 'training' else ''}"
        if name == "training":
            yield from (_term(term) for term in terms if term.nbytes)
    own = on.duration
    if plan.work.practice is not None:
        yield (
            f"  the run            {own.seconds:>10.3g} s  = reading {own.collecting:.3g} + values of actions "
            f"{own.critic:.3g} + fitting, at most {own.actor:.3g} + sending {own.gradients + own.gathering:.3g}: about "
            f"{_time(own.seconds)}"
        )
    else:
        yield _seconds(own, plan.run.updates)
    shares = ", ".join(
        f"{factor * device.share:.0%}: {seconds:.3g} s" for factor, seconds in zip(SHARES, on.others, strict=True)
    )
    yield f"  by the share of {device.operations / 1e12:.3g} TFLOP/s that is reached: {shares}"
    yield f"  layout: {_megabytes(on.layout.nbytes)} each; {'fits' if on.layout.fits else 'DOES NOT FIT'}"
    yield from (f"    - {reason}" for reason in on.layout.reasons)


def _seconds(own: Duration, updates: int) -> str:
    return (
        f"  an update          {own.seconds:>10.3g} s  = collecting {own.collecting:.3g} + critic {own.critic:.3g} + "
        f"actor {own.actor:.3g} + sending {own.gradients + own.gathering:.3g}; the first takes "
        f"{own.reading_prompts:.3g} more; the run about {_time(own.seconds * updates)}"
    )


def _table(plan: Plan) -> Iterator[str]:
    """Several devices side by side."""
    first, updates = plan.on[0].duration.seconds, plan.work.updates
    titles = f"{'memory':>10} {'s/update':>9} {'decisions/s':>12} {'speed-up':>9} {'sent':>10}"
    yield f"{'devices':<10} {'layout':<24} {titles}"
    for on in plan.on:
        own = on.duration
        words = "sharded" if on.layout.sharded else "whole base"
        words += ", recompute" if on.layout.recompute else ""
        yield (
            f"{on.devices.name:<10} {words if on.layout.fits else 'does not fit':<24} "
            f"{on.layout.nbytes / 1e9:>7.1f} GB {own.seconds / updates:>9.3g} "
            f"{plan.work.decisions / own.seconds:>12.1f} "
            f"{first / own.seconds:>8.2f}x {own.sent / updates / 1e9:>7.2f} GB"
        )


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as a JSON object."""
    return {
        "model": plan.run.model,
        "task": plan.run.task,
        "weights": plan.weights,
        "trained": plan.trained,
        "distinct": plan.work.distinct,
        "tokens": plan.work.tokens,
        "largest_pass": plan.one.tokens,
        "updates": plan.work.updates,
        "devices": [_device(on, plan) for on in plan.on],
    }


def _device(on: OnDevices, plan: Plan) -> dict[str, Any]:
    """Of one kind of device; ``seconds``, ``operations`` and bytes sent are those of so many ``updates``."""
    return {
        "name": on.devices.name,
        "source": on.devices.device.source,
        **{f"{name}_bytes": peak(getattr(on.memory, name)) for name in KINDS},
        "terms": {term.name: term.nbytes for term in on.memory.training},
        "seconds": on.duration.seconds,
        "run_seconds": on.duration.seconds * plan.run.updates / plan.work.updates,
        "parts": {name: getattr(on.duration, name) for name in ("collecting", "critic", "reading_prompts", "actor")},
        "sending": on.duration.gradients + on.duration.gathering,
        "operations": on.duration.operations,
        "sent_bytes": on.duration.sent,
        "by_share": {f"{factor * on.devices.device.share:.3f}": s for factor, s in zip(SHARES, on.others, strict=True)},
        "sharded": on.layout.sharded,
        "recompute": on.layout.recompute,
        "fits": on.layout.fits,
        "reasons": list(on.layout.reasons),
    }


def _term(term: Term) -> str:
    return f"    {term.name:<28} {_megabytes(term.nbytes):>12}  {term.reason}"


def _megabytes(nbytes: float) -> str:
    return f"{nbytes / 2**20:,.0f} MiB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
