#!/usr/bin/env bash
# On a CPU, torch rounds a row differently depending on what stands beside it.
#
# Versions: torch 2.13.0, on a CPU, one thread, float32.
# Expected: the product of a row with a matrix is the same bits whether the row is multiplied alone or with others, and
#           a sum does not change when zeros are appended: they add nothing.
# Seen:     a row alone, or with one or two others, is rounded otherwise than in a product of 64 rows; zeros behind the
#           numbers change their sum. Another kernel, or another order of addition, is taken for another shape.
# Matters:  the first ratio of a PPO update is 1 only if a decision has the same log-probability while acting and while
#           learning, in batches that differ. twosome fills up to whole vectors to get it
#           (docs/decisions/scoring-paths.md).
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 numpy==2.4.6

show <<'PYTHON'
import sys

import torch
from torch.nn import functional

torch.set_num_threads(1)
torch.manual_seed(0)
print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())

rows, matrix = torch.randn(64, 256), torch.randn(256, 256)
together = functional.linear(rows, matrix)
products = {}
for count in range(1, 17):
    apart = functional.linear(rows[:count], matrix)
    if not torch.equal(apart, together[:count]):
        products[count] = (apart - together[:count]).abs().max().item()
print("rows multiplied apart that differ from the same rows among 64:", {k: f"{v:.1e}" for k, v in products.items()})

numbers = torch.randn(100, 37)
sums = {}
for zeros in (1, 3, 11, 27, 64):
    padded = functional.pad(numbers, (0, zeros)).sum(-1)
    if not torch.equal(padded, numbers.sum(-1)):
        sums[zeros] = (padded - numbers.sum(-1)).abs().max().item()
print("zeros behind 37 numbers that change their sum:", {k: f"{v:.1e}" for k, v in sums.items()})

sys.exit(None if products and sums else "no longer as described")
PYTHON
