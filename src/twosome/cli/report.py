"""``twosome report RUN...``: one HTML file about runs, to look at, to send, and to print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twosome.terminal.parsing import Parser, add_trust_argument

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT_FILE = "report.html"


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome report",
        description="Write one self-contained HTML file about runs: learning curves, results with intervals, "
        "comparisons, and episodes to step through. Its tables are written beside it as Markdown.",
    )
    parser.add_argument(
        "directories", nargs="+", metavar="RUN", type=Path, help="a run directory, or a directory that holds runs"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"default: {REPORT_FILE} in the directory, if one is given, else here"
    )
    parser.add_argument(
        "--no-replay", action="store_true", help="do not load models to record episodes that are not recorded yet"
    )
    parser.add_argument(
        "--matrix",
        type=Path,
        metavar="PNG",
        help="only draw, as a PNG, how agents do on tasks that they did not practise",
    )
    add_trust_argument(parser)
    arguments = parser.parse_args(words)

    from twosome.laboratory.matrix import write_matrix
    from twosome.report import write_report

    if arguments.matrix is not None:
        print(write_matrix(arguments.directories, arguments.matrix))
        return 0
    alone = arguments.directories[0] if len(arguments.directories) == 1 else Path()
    out = arguments.out or alone / REPORT_FILE
    if not arguments.no_replay:
        record_episodes(arguments.directories, arguments.trust_remote_code)
    write_report(arguments.directories, out)
    print(f"{out} ({out.stat().st_size / 1e6:.1f} MB): open it in any browser")
    return 0


def record_episodes(directories: Sequence[Path], trust_remote_code: bool = False) -> None:
    """Record the episodes of the first run of every group; a run that cannot be replayed is told and passed over."""
    from twosome.errors import TwosomeError
    from twosome.report.grouping import TRAINED_AGENTS, group
    from twosome.report.reading import read
    from twosome.watching.replay import record_replay

    named = {directory.resolve() for directory in directories}
    groups, _ = group(read(directories).runs)
    for each in groups:
        if each.agent not in TRAINED_AGENTS:
            continue
        for rank, one in enumerate(each.runs):
            if rank == 0 or one.path in named:
                try:
                    record_replay(one.path, trust_remote_code=trust_remote_code)
                except TwosomeError as error:
                    print(f"no episodes of {one.name}: {' '.join(str(error).split())}", file=sys.stderr)
