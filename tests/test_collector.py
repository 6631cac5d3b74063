"""The collector of cycles rests, and works again."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from twosome.collector import resting

COMMAND = """
import gc
from twosome.collector import importing

with importing():
    assert not gc.isenabled()
    import json.tool
frozen = gc.get_freeze_count()
assert gc.isenabled() and frozen
with importing():
    kept = [[] for _ in range(1000)]
assert gc.isenabled() and gc.get_freeze_count() == frozen
"""


def test_it_works_again_also_after_an_error() -> None:
    @resting()
    def fail() -> None:
        assert not gc.isenabled()
        raise KeyError

    assert gc.isenabled()
    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_who_switched_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with resting(), resting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_is_imported_first_is_not_looked_at_again() -> None:
    """In a process of its own: what is put aside stays so."""
    subprocess.run([sys.executable, "-c", COMMAND], check=True)
