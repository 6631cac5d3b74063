"""What is tried: each target makes an input, hands it in, and lets through only what a user would call an answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.adapters import check_adapters, check_weights
from tests.fuzz.bench import Bench
from tests.fuzz.models import check_scores, check_texts
from tests.fuzz.requests import check_outcomes, check_requests
from tests.fuzz.stored import check_checkpoints, check_journals, check_readings, check_runs
from tests.fuzz.tokenizers import check_tokenizers
from tests.fuzz.typed import check_files, check_flags, check_normalizations, check_settings, check_tasks, check_words
from tests.fuzz.worlds import check_checks, check_environments, check_evaluations, check_rollouts


@dataclass(frozen=True)
class Target:
    """Something that takes input.

    Attributes:
        check: Draws an input and hands it in; whatever it raises is a fault.
        share: Of the inputs, relative to the others.
        summary: What is tried.
    """

    check: Callable[[Bench, st.DrawFn], None]
    share: int
    summary: str


def try_inputs(target: Target, bench: Bench, count: int, start: str, *, smallest: bool = True) -> tuple[int, list[str]]:
    """Try ``count`` inputs: how many were tried, and of every fault an input that shows it, the smallest if asked."""
    tried = 0

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if smallest else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        nonlocal tried
        tried += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                target.check(bench, data.draw)
            except SystemExit as leave:  # would end the fuzzer, as it would end the command
                raise AssertionError(f"left with status {leave.code}") from leave

    try:
        one()
    except ExceptionGroup as group:
        return tried, [_told(error) for error in group.exceptions]
    except Exception as error:
        return tried, [_told(error)]
    return tried, []


def _told(error: BaseException) -> str:
    error = error.__cause__ if isinstance(error.__cause__, SystemExit) else error
    notes = "; ".join(getattr(error, "__notes__", ()))
    return f"{_place(error)} {type(error).__name__}: {str(error)[:300]} [{notes[:1500]}]"


def _place(error: BaseException) -> str:
    """The last line of the package that an error passed."""
    trace, found = error.__traceback__, "?"
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "twosome" in name or "tests" in name:
            found = f"{Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


TARGETS = {
    "settings": Target(check_settings, 12, "configurations as mappings"),
    "files": Target(check_files, 1, "files given to --config"),
    "flags": Target(check_flags, 1, "words after `train`"),
    "words": Target(check_words, 3, "words of every command"),
    "tasks": Target(check_tasks, 20, "task names and arguments of environments"),
    "normalizations": Target(check_normalizations, 10, "names of normalizations"),
    "texts": Target(check_texts, 20, "prompts and actions through tokenizers"),
    "scores": Target(check_scores, 5, "prompts and actions through models"),
    "environments": Target(check_environments, 15, "answers of environments"),
    "evaluations": Target(check_evaluations, 10, "answers of environments, in evaluations"),
    "rollouts": Target(check_rollouts, 10, "answers of environments, in rollouts that are taken up again"),
    "checks": Target(check_checks, 5, "answers of environments, under check-env"),
    "journals": Target(check_journals, 10, "metrics and episodes"),
    "adapters": Target(check_adapters, 1, "damaged and foreign adapters"),
    "weights": Target(check_weights, 2, "adapters of several kinds with changed settings and weights"),
    "tokenizers": Target(check_tokenizers, 2, "damaged and changed tokenizers"),
    "readings": Target(check_readings, 2, "what was found out about reading a model, damaged and made up"),
    "checkpoints": Target(check_checkpoints, 2, "damaged, made up and newer checkpoints"),
    "runs": Target(check_runs, 1, "damaged run directories"),
    "requests": Target(check_requests, 10, "bodies of requests to a server"),
    "outcomes": Target(check_outcomes, 5, "what came of its decisions, told to a server"),
}
