"""What transformers prints while it loads: kept for those who watch, or said elsewhere in a sentence."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet_unless_watched() -> Iterator[None]:
    """No progress bar of the weights where nobody watches it."""
    from transformers.utils import logging

    if sys.stderr.isatty() or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


@contextmanager
def silent_unless_watched() -> Iterator[None]:
    """The same where transformers' own switch does not reach a bar: nothing is written at all."""
    if sys.stderr.isatty():
        yield
        return
    with quiet_unless_watched(), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextmanager
def without_future() -> Iterator[None]:
    """No word of what transformers and PEFT will do otherwise in their next versions: that is for their authors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")
        yield


@contextmanager
def without_report() -> Iterator[None]:
    """Transformers without its table of weights that did not arrive: ``check_base`` says it in a sentence."""
    from transformers.utils import logging

    logger = logging.get_logger("transformers.modeling_utils")
    logger.addFilter(_is_no_report)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_report)


def _is_no_report(record: Any) -> bool:
    return "LOAD REPORT" not in record.getMessage()
