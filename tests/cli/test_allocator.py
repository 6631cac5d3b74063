"""Memory that one pass frees is there for the next, unless the user's environment says otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

GLIBC = platform.libc_ver()[0] == "glibc"

PASSES = """
import resource, sys
from twosome.cli.allocator import keep_freed_memory
import torch
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    keep_freed_memory()

def work():
    kept = [torch.ones(2**20) for _ in range(8)]  # 4 MB each, freed together, as a pass frees its activations
    del kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

work(), work()
print(min(faults() for _ in range(5)))
"""


def page_faults(how: str, **environment: str) -> int:
    clean = {name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "GLIBC_TUNABLES"}
    words = [sys.executable, "-c", PASSES, how]
    output = subprocess.run(words, env={**clean, **environment}, check=True, capture_output=True, text=True).stdout
    return int(output)


@pytest.mark.skipif(not GLIBC, reason="only glibc gives memory back this way")
def test_freed_memory_is_taken_again_without_a_page_fault() -> None:
    assert page_faults("keep") < 100
    assert page_faults("leave") > 1000


@pytest.mark.skipif(not GLIBC, reason="only glibc gives memory back this way")
def test_the_users_own_settings_come_first() -> None:
    assert page_faults("keep", MALLOC_TRIM_THRESHOLD_="131072") > 1000
