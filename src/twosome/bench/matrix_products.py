"""Matrix products: how many operations some work takes in them, and the best rate of them that a device reaches."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


def _added_product_flops(total: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    return int(2 * left[0] * left[1] * right[1])


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> Any:
    return sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]


def _attention_backward_flops(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> Any:
    return sdpa_backward_flop_count(gradient, query, key, value)  # type: ignore[no-untyped-call]


_UNCOUNTED = {
    torch.ops.aten.addmm_: _added_product_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}
"""What torch leaves out: a product added in place, and those inside the CPU's attention kernel."""


def counting_products() -> FlopCounterMode:
    """A context that counts floating-point operations in matrix products, attention's among them."""
    return FlopCounterMode(display=False, custom_mapping=_UNCOUNTED)


def matmul_peak(model: Any, size: int = 1024) -> float:
    """The best rate of square matrix products in the model's precision on its device, in GFLOP/s."""
    device, dtype = model.device, model.dtype
    size = size if device.type == "cpu" else 8 * size
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    rates = []
    for _ in range(8):
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = clock()
        for _ in range(4):
            a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        rates.append(4 * 2 * size**3 / (clock() - began) / 1e9)
    return max(rates)
