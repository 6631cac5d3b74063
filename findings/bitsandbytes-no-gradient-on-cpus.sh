#!/usr/bin/env bash
# On CPUs that multiply bfloat16, a 4 bit layer of bitsandbytes lets no gradient through once it was asked without one.
#
# Versions: bitsandbytes 0.50.2, torch 2.13.0.
# Expected: what a frozen `Linear4bit` in eval mode gives depends on its input in the same way before and after a call
#           under `torch.no_grad()`; gradients reach what lies below it, as they do for QLoRA on a GPU.
# Seen:     the first call without a gradient puts the weights into another order, for a faster kernel. From then on a
#           backward pass leaves the input's `grad` at None, though the output says that it requires one, and the layer's
#           numbers are a little others. Nothing is raised; torch warns once, in the backward pass, of an operator
#           without a registered gradient, not of which. In train mode, and on CPUs without the
#           instruction, nothing happens.
# Matters:  in a model of several layers the path past the layer (the residual) still carries a gradient, so an adapter
#           below it trains, on a part of its gradient. Policies are read without a gradient while they act and with one
#           while they learn, in eval mode both times (src/twosome/models/quantized.py keeps the weights as they are).
set -eu
. "$(dirname "$0")/lib.sh"
if ! grep -q avx512_bf16 /proc/cpuinfo 2> /dev/null; then
    echo "nothing to see on this machine: its processor does not multiply bfloat16 (avx512_bf16)"
    exit 0
fi
install torch==2.13.0 bitsandbytes==0.50.2 numpy==2.4.6

show <<'PYTHON'
import sys

import bitsandbytes
import torch
from bitsandbytes.nn import Linear4bit

print("bitsandbytes", bitsandbytes.__version__, "torch", torch.__version__)


def layer_in(mode):
    torch.manual_seed(0)
    layer = Linear4bit(256, 256, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
    layer.weight.requires_grad_(False)
    return layer.to("cpu").train(mode == "train")


def reaches(layer):
    """Whether a gradient reaches the input, and the output itself."""
    torch.manual_seed(1)
    hidden = torch.randn(8, 256, dtype=torch.bfloat16, requires_grad=True)
    found = layer(hidden).float()
    found.square().sum().backward()
    return hidden.grad is not None, found.detach()


seen = {}
for mode in ("train", "eval"):
    layer = layer_in(mode)
    before, first = reaches(layer)
    with torch.no_grad():
        layer(torch.ones(8, 256, dtype=torch.bfloat16))
    after, second = reaches(layer)
    seen[mode] = before, after
    change = float((first - second).abs().max() / first.abs().max())
    print(f"{mode:5}: a gradient passes before a call without one: {before}, after: {after}; outputs moved by {change:.1e}")
sys.exit(None if seen == {"train": (True, True), "eval": (True, False)} else "no longer as described")
PYTHON
