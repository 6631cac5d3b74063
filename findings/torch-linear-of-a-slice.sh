#!/usr/bin/env bash
# A bfloat16 linear layer takes dozens of times as long for a slice of its input as for a copy of the slice.
#
# Versions: torch 2.13.0 on a CPU (x86-64; seen with AVX2 and AVX-512).
# Expected: linear layers take as long for some rows of a tensor as for a copy of them, whose cost is nothing beside it.
# Seen:     with a vocabulary of 65,536, the last 4 of 12 positions of 5 sentences take 20 times and more as long as a copy
#           of them does; in float32 about three times. With one sentence the slice even says that it is contiguous,
#           `.contiguous()` and a plain `.clone()` change nothing, and only `clone(memory_format=torch.contiguous_format)`
#           or `reshape(-1, H)` helps.
# Matters:  transformers' `logits_to_keep` hands the vocabulary's matrix exactly such a slice: the option that is to save
#           time takes seconds for a vocabulary of 262,144. Whoever asks for the logits of a few positions in bfloat16
#           on a CPU should pack them first.
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 numpy==2.4.6

show <<'PYTHON'
import statistics
import sys
import time

import torch

print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())
torch.set_num_threads(1)
torch.manual_seed(0)


def seconds(rows, weight):
    spent = []
    for _ in range(4):
        began = time.process_time()
        torch.nn.functional.linear(rows, weight)
        spent.append(time.process_time() - began)
    return statistics.median(spent[1:])


ratios = {}
with torch.inference_mode():
    for dtype in (torch.bfloat16, torch.float32):
        weight = torch.randn(65_536, 640).to(dtype)
        for sentences in (5, 1):
            rows = torch.randn(sentences, 12, 640).to(dtype)[:, -4:]
            packed = rows.clone(memory_format=torch.contiguous_format)
            same = torch.equal(torch.nn.functional.linear(rows, weight), torch.nn.functional.linear(packed, weight))
            ratios[dtype, sentences] = seconds(rows, weight) / seconds(packed, weight)
            print(
                f"{str(dtype):15} {sentences} x 4 rows, contiguous: {rows.is_contiguous()}, strides {rows.stride()}: the slice"
                f" takes {ratios[dtype, sentences]:.1f} times as long as a copy; same numbers: {same}"
            )
as_described = min(ratios[torch.bfloat16, sentences] for sentences in (5, 1)) > 8
sys.exit(None if as_described else "no longer as described")
PYTHON
