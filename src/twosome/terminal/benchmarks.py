"""What was measured of scoring, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twosome.bench.precision import Errors
    from twosome.bench.scoring_report import Report


def print_errors(errors: Mapping[str, Errors]) -> None:
    """Errors as a table, in nats per token."""
    width = max(map(len, errors))
    pair = f"{'largest':>8} {'mean':>8}"
    print(f"{'nats':<{width}}  {'':>24}  {'alone':>17}  {'ours':>17}  {'ours : alone':>17}")
    print(f"{'':<{width}}  {'decisions':>9} {'actions':>7} {'tokens':>6}  {pair}  {pair}  {pair}")
    for name, its in errors.items():
        largest, mean = its.ratios
        print(
            f"{name:<{width}}  {its.decisions:>9} {its.actions:>7} {its.tokens:>6}  "
            f"{its.alone.largest:>8.1e} {its.alone.mean:>8.1e}  {its.ours.largest:>8.1e} {its.ours.mean:>8.1e}  "
            f"{largest:>8.2f} {mean:>8.2f}"
        )


def print_scoring(report: Report, threads: int) -> None:
    """The report as a table."""
    setup, agreement = report.setup, report.agreement
    where = f"{setup.task}, {setup.play} play" if setup.task else f"{setup.workload}, {setup.unique:.0%} distinct"
    print(f"{setup.model or setup.size} {setup.dtype}, {where}, {threads} thread(s)")
    print(f"ours: {report.reader}")
    print(
        f"agreement: {agreement.log_probs:.1e} nats, gradient {agreement.gradient:.1e}, "
        f"|ratio - 1| in other packs {agreement.ratio:g}"
    )
    if agreement.errors is not None:
        print_errors({"errors": agreement.errors})
    per = setup.sampled * setup.together
    print(f"the plain way is scaled from {per} decision(s) of each kind in a repetition")
    print(f"tokens read in a warm cycle: {report.reference_tokens:,} the plain way, {report.tokens:,} ours")
    print(f"matrix products: {report.peak:,.0f} GFLOP/s at best; {report.busy:.0%} of that in the policy update")
    plain, cold, warm = (
        report.rate(*which)
        for which in (("cycle, warm", "reference"), ("cycle, cold", "ours"), ("cycle, warm", "ours"))
    )
    print(
        f"decisions per second through a cycle: {plain:,.1f} the plain way, ours {cold:,.1f} cold and {warm:,.1f} "
        f"warm, when it reads {report.token_rate:,.0f} tokens per second"
    )
    print(f"{'seconds':<34} {'plain':>10} {'ours':>10} {'ratio':>8}")
    for phase in report.phases:
        print(f"{phase.name:<34} {phase.reference:>10.3f} {phase.ours:>10.3f} {phase.ratio:>7.1f}x")
