"""``twosome reproduce``: everything the paper claims, measured, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twosome.terminal.parsing import Parser, add_prompting_arguments, positive, prompting_of
from twosome.terminal.servers import add_server_arguments, server_settings

if TYPE_CHECKING:
    from twosome.reproduction.plan import Settings


def run(words: list[str]) -> int:
    """Run the command."""
    from twosome.evaluation.measurement import Measurements
    from twosome.reproduction.ledger import Ledger
    from twosome.reproduction.plan import PARTS, stages
    from twosome.terminal.jobs import do_jobs, print_jobs

    settings, processes, timeout, dry = _parse(words)
    jobs = stages(settings)
    measurements = Measurements(settings.out)
    if dry:
        print_jobs(jobs, measurements)
        _tell_left_out(settings)
        return 0
    print(f"reproducing {', '.join(part for part in PARTS if part in settings.parts)} -> {settings.out}")
    _tell_left_out(settings)
    taken = do_jobs(jobs, measurements, processes, timeout)
    with Ledger(settings.out, timeout).alone("report"):
        report = _report(settings)
    print(f"done; {len(taken)} jobs in {sum(taken):.0f} CPU seconds; {len(measurements)} measurements; {report}")
    return 0


def _tell_left_out(settings: Settings) -> None:
    """Say which parts the preset leaves out, where they are."""
    from twosome.reproduction.plan import LEFT_OUT

    parts = [part for part in LEFT_OUT.get(settings.preset, ()) if part not in settings.parts]
    if parts:
        print(
            f"left out with the preset {settings.preset}: {', '.join(parts)}, hours of training on a pretrained model; "
            f"the same command with --only {' '.join(parts)} adds them"
        )


def _parse(words: list[str]) -> tuple[Settings, int, float, bool]:
    from twosome.reproduction.plan import LEFT_OUT, PARTS, TRAINED_TASKS, Settings
    from twosome.settings.config import PRESETS, usual_preset
    from twosome.terminal.jobs import add_jobs_arguments
    from twosome.text.tasks import TASKS

    parts = "; ".join(f"{name}: {what}" for name, what in PARTS.items())
    exceptions = "".join(f"; with the preset {preset} without {', '.join(names)}" for preset, names in LEFT_OUT.items())
    parser = Parser(
        prog="twosome reproduce",
        description="Train and measure every agent that the paper compares, several seeds of each, and write a report. "
        "What is there already is not done again, so a stopped reproduction goes on by the same command; and several "
        "processes or hosts that share the directory do it together by the same command.",
        epilog=f"parts: {parts}",
    )
    parser.add_argument(
        "--preset",
        choices=[name for name in PRESETS if name != "ppo"],
        help="of the language model's runs (default: tiny for the embedded model, small for others)",
    )
    parser.add_argument("--seeds", type=positive, default=5, help="runs of every kind (default: 5)")
    parser.add_argument("--out", type=Path, default=None, help="directory (default: runs/reproduction-PRESET)")
    add_jobs_arguments(parser)
    parser.add_argument("--only", nargs="+", metavar="PART", help=f"parts to do (default: all{exceptions})")
    parser.add_argument(
        "--tasks",
        nargs="+",
        metavar="TASK",
        default=list(TRAINED_TASKS),
        help="tasks to train on (default: the four of the paper)",
    )
    parser.add_argument(
        "--targets", nargs="+", metavar="TASK", default=list(TASKS), help="tasks to test on besides (default: all)"
    )
    parser.add_argument("--decisions", type=positive, help="of every run (default: those of the presets)")
    parser.add_argument("--server", metavar="ADDRESS", help="also measure a decision server, http:// or https://")
    add_server_arguments(parser, "--server ADDRESS")
    add_prompting_arguments(parser)
    arguments = parser.parse_args(words)
    preset = arguments.preset or usual_preset(arguments.model)
    settings = Settings(
        out=arguments.out or Path("runs") / f"reproduction-{preset}",
        preset=preset,
        seeds=arguments.seeds,
        parts=tuple(arguments.only or (part for part in PARTS if part not in LEFT_OUT.get(preset, ()))),
        tasks=tuple(arguments.tasks),
        targets=tuple(arguments.targets),
        decisions=arguments.decisions,
        model=arguments.model,
        server=server_settings(arguments, arguments.server),
        prompting=prompting_of(arguments),
    )
    return settings, arguments.jobs, arguments.worker_timeout, arguments.dry_run


def _report(settings: Settings) -> Path:
    """The report of what is there, with an episode or two of every kind of run."""
    from twosome.cli.report import record_episodes
    from twosome.report import write_report

    record_episodes([settings.out])
    return write_report([settings.out], settings.out / "report.html")
