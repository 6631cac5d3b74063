"""``twosome compare``: variants of an algorithm side by side, and which learns soonest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twosome.errors import ConfigError
from twosome.terminal.parsing import Parser, positive

if TYPE_CHECKING:
    from twosome.laboratory.plan import Settings

TABLE_FILE, PICTURE_FILE = "comparison.md", "comparison.png"


def run(words: list[str]) -> int:
    """Run the command."""
    from twosome.evaluation.measurement import Measurements
    from twosome.laboratory.picture import draw
    from twosome.laboratory.plan import stages
    from twosome.laboratory.results import results
    from twosome.laboratory.table import table
    from twosome.reproduction.ledger import Ledger
    from twosome.runs.files import write_text
    from twosome.terminal.jobs import do_jobs, print_jobs

    settings, processes, timeout, dry = _parse(words)
    jobs, measurements = stages(settings), Measurements(settings.out)
    if dry:
        print_jobs(jobs, measurements)
        return 0
    print(f"comparing {', '.join(settings.variants)} on {', '.join(settings.tasks)} -> {settings.out}")
    taken = do_jobs(jobs, measurements, processes, timeout)
    found = results(settings)
    text = table(found)
    with Ledger(settings.out, timeout).alone("report"):
        write_text(settings.out / TABLE_FILE, text)
        draw(found, settings.out / PICTURE_FILE)
    print(text)
    print(
        f"done; {len(taken)} jobs in {sum(taken):.0f} CPU seconds; {settings.out / TABLE_FILE}, "
        f"{settings.out / PICTURE_FILE}"
    )
    return 0


def _parse(words: list[str]) -> tuple[Settings, int, float, bool]:
    from twosome.laboratory.plan import Settings
    from twosome.laboratory.variants import read_variants
    from twosome.reproduction.plan import TRAINED_TASKS
    from twosome.settings.config import PRESETS, usual_preset
    from twosome.terminal.jobs import add_jobs_arguments

    known = ", ".join(read_variants())
    parser = Parser(
        prog="twosome compare",
        description="Train variants of a preset on the same tasks with the same seeds, and write a table and a picture "
        "of how many decisions and CPU seconds each takes to 95 % of the optimum. What is there already is not done "
        "again, so a stopped comparison goes on by the same command; and several processes or hosts that share the "
        "directory do it together by the same command.",
        epilog=f"variants that come with twosome: {known}; --file adds your own.",
    )
    parser.add_argument(
        "--variants", nargs="+", metavar="NAME", help="which, the one to compare with first (default: all there are)"
    )
    parser.add_argument("--file", type=Path, help="YAML file of further variants: names, each with its settings")
    parser.add_argument(
        "--tasks",
        nargs="+",
        metavar="TASK",
        default=list(TRAINED_TASKS),
        help=f"what they learn (default: {', '.join(TRAINED_TASKS)})",
    )
    parser.add_argument("--seeds", type=positive, default=5, help="runs of each, with seeds from 0 (default: 5)")
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="what they are variants of (default: tiny for the embedded model, small for others)",
    )
    parser.add_argument("--decisions", type=positive, help="of every run (default: those of the preset)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs") / "comparison", help="directory (default: runs/comparison)"
    )
    add_jobs_arguments(parser)
    parser.add_argument("--curves-only", action="store_true", help="do not measure what each is worth at its end")
    arguments = parser.parse_args(words)
    variants = read_variants(arguments.file)
    chosen = arguments.variants or list(variants)
    for name in chosen:
        if name not in variants:
            raise ConfigError(f"unknown variant {name!r}: expected one of {', '.join(variants)}, or one of --file")
    settings = Settings(
        out=arguments.out,
        variants={name: variants[name] for name in chosen},
        tasks=tuple(arguments.tasks),
        seeds=arguments.seeds,
        preset=arguments.preset or usual_preset(arguments.model),
        decisions=arguments.decisions,
        model=arguments.model,
        final=not arguments.curves_only,
    )
    return settings, arguments.jobs, arguments.worker_timeout, arguments.dry_run
