#!/usr/bin/env bash
# torch's float32 log_softmax over a large vocabulary is off by 2e-5 on a CPU, all tokens to the same side.
#
# Versions: torch 2.13.0 on a CPU.
# Expected: the sum over a row is taken as torch.sum takes it, in parts, so that it is right to a few units of the last place.
# Seen:     over 262,144 logits as a language model gives them (most of them far below the largest) the result is too large
#           by up to 2e-5 nats, while log-sums over parts of 2,048 tokens put together are right to 2e-6.
#           All rows are off to the same side, so the error does not average out; with real models it is twice as large.
# Matters:  a sum over the tokens of a phrase adds it up, and what is measured against log_softmax in float32 calls the
#           better numbers wrong. References want the logits in double precision.
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 numpy==2.4.6

show <<'PYTHON'
import sys

import torch

print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())
torch.set_num_threads(1)
logits = torch.randn(32, 262_144, generator=torch.Generator().manual_seed(0)) * 5
truth = torch.log_softmax(logits.double(), dim=-1)[:, 0]
whole = torch.log_softmax(logits, dim=-1)[:, 0] - truth
parts = torch.stack([part.logsumexp(-1) for part in logits.split(2048, dim=-1)]).logsumexp(0)
by_parts = logits[:, 0] - parts - truth
for name, error in (("log_softmax", whole), ("by parts", by_parts)):
    print(f"{name:12} off by {error.min():+.1e} to {error.max():+.1e} nats, in the mean {error.mean():+.1e}")
as_described = whole.mean() > 5e-6 and whole.min() > 0 and by_parts.abs().max() < 4e-6
sys.exit(None if as_described else "no longer as described")
PYTHON
