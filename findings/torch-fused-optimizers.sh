#!/usr/bin/env bash
# torch's fused optimizers change parameters without counting it.
#
# Versions: torch 2.13.0, on a CPU.
# Expected: every change of a tensor in place raises its version counter (`tensor._version`). Autograd relies on it: a
#           backward pass through a weight that has changed since the forward pass raises a RuntimeError.
# Seen:     after a step of AdamW, Adagrad or SGD with fused=True the parameter has another value and the same counter.
#           The backward pass that raises after an ordinary step goes through and gives a wrong gradient.
# Matters:  fused AdamW is several times as fast on a CPU, so twosome uses it. Probabilities that were remembered by the
#           weights' counters would stay after the weights had moved.
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 numpy==2.4.6

show <<'PYTHON'
import sys

import torch

print("torch", torch.__version__)
as_described = True
for optimizer in (torch.optim.AdamW, torch.optim.Adagrad, torch.optim.SGD):
    for fused in (False, True):
        weight = torch.nn.Parameter(torch.tensor([1.0]))
        loss = (weight * weight).sum()  # its gradient is twice the weight: 2 where the forward pass was
        weight.grad = torch.ones(1)
        before = weight._version
        optimizer([weight], lr=0.5, fused=fused).step()
        counted = weight._version - before
        weight.grad = None
        try:
            loss.backward()
            outcome = f"gradient {weight.grad.item():.4g} where 2 is right"
            silent = weight.grad.item() != 2
        except RuntimeError as error:
            outcome = f"RuntimeError: {str(error)[:71]} ..."
            silent = False
        print(f"{optimizer.__name__:8} fused={fused!s:5} weight 1 -> {weight.item():.4g}, counted {counted}; {outcome}")
        as_described &= weight.item() != 1 and (counted == 0 and silent if fused else counted > 0 and not silent)

sys.exit(None if as_described else "no longer as described")
PYTHON
