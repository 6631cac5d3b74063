"""Linear layers with a low-rank update (LoRA, Hu et al. 2021), computed in fewer and better shaped matrix products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from twosome.scoring.layers import replaced_forward
from twosome.scoring.tape import Tape, running


class _AdaptedLinear(torch.autograd.Function):
    r"""``W x + bias + s B A x`` for every row x, the weight W and its bias frozen.

    With h = A x and the gradient g of the output, the gradients are :math:`s\, g h^T` for B, :math:`s\, B^T g\, x^T`
    for A and :math:`W^T g + s A^T B^T g` for x, each summed over rows where it belongs to a weight. PEFT's own layer
    comes to the same. But a product with a rank's few columns is several times dearer than one with as few rows, and
    scale, sum and gradient each take a pass over all rows there.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        scale: float,
        tape: Tape | None,
    ) -> Tensor:
        known = tape.recall() if tape is not None else None
        if known is None:
            outputs, inner = _adapted(rows, weight, bias, down, up, scale)
        else:
            outputs, inner = known.view(len(rows), -1), rows.to(down.dtype) @ down.T
        ctx.scale = scale
        ctx.save_for_backward(rows, weight, down, up, inner)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, down, up, inner = ctx.saved_tensors
        (gradient,) = gradients
        wide = gradient.to(up.dtype)
        of_inner = ctx.scale * (up.T @ wide.T)  # [r, rows]
        of_rows: Tensor | None = None
        if ctx.needs_input_grad[0]:
            of_rows = gradient @ weight
            if of_rows.dtype == down.dtype:
                of_rows.addmm_(of_inner.T, down)
            else:
                of_rows = (of_rows + of_inner.T @ down).to(of_rows.dtype)
        of_down = of_inner @ rows.to(down.dtype) if ctx.needs_input_grad[3] else None
        of_up = (ctx.scale * (inner.T @ wide)).T if ctx.needs_input_grad[4] else None
        return of_rows, None, None, of_down, of_up, None, None


def _adapted(
    rows: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Outputs [R, out] of ``rows`` [R, in], and h [R, r]."""
    # Not A x with rows as columns, however fast: for 8 rows a CPU rounds it differently than for more.
    inner = rows.to(down.dtype) @ down.T
    outputs = nn.functional.linear(rows, weight, bias)
    if outputs.dtype == inner.dtype:
        return outputs.addmm_(inner, up.T, alpha=scale), inner
    return (outputs + (inner @ up.T).mul_(scale)).to(outputs.dtype), inner


class Adapters:
    """The plain low-rank updates of a PEFT model's linear layers.

    Whatever is more than that (dropout, DoRA, quantised or trained weights, several adapters at once, one that was
    merged or is switched off) is left to PEFT.

    Args:
        model: A model, with an adapter or without.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers: list[Any] = []
        if hasattr(model, "peft_config"):
            from peft.tuners.lora.layer import Linear

            self._layers = [layer for layer in model.modules() if type(layer) is Linear]

    def __len__(self) -> int:
        """How many there are at the moment."""
        return sum(_plain_update(layer) is not None for layer in self._layers)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Let layer and update be computed together while the context lasts."""
        with ExitStack() as stack:
            for layer in self._layers:
                stack.enter_context(replaced_forward(layer, partial(_forward, layer, layer.forward)))
            yield


def _plain_update(layer: Any) -> str | None:
    """The name of the layer's only adapter, or None if there is more to it, or less."""
    base, active = layer.base_layer, [name for name in layer.active_adapters if name in layer.lora_A]
    if layer.disable_adapters or layer.merged or len(active) != 1:
        return None
    (name,) = active
    if name in layer.lora_variant or layer.lora_bias[name] or not isinstance(layer.lora_dropout[name], nn.Identity):
        return None
    trained = base.weight.requires_grad or (base.bias is not None and base.bias.requires_grad)
    return name if type(base) is nn.Linear and not trained else None


def _forward(layer: Any, otherwise: Callable[..., Tensor], inputs: Tensor, *arguments: Any, **named: Any) -> Tensor:
    """What the layer makes of ``inputs`` [..., in]: [..., out]."""
    name = _plain_update(layer)
    if name is None or arguments or named:
        return otherwise(inputs, *arguments, **named)
    base, down, up = layer.base_layer, layer.lora_A[name].weight, layer.lora_B[name].weight
    given = inputs.reshape(-1, inputs.shape[-1]), base.weight, base.bias, down, up, layer.scaling[name]
    if torch.is_grad_enabled():
        tape = running()
        found: Tensor = _AdaptedLinear.apply(*given, tape)  # type: ignore[no-untyped-call]
        if tape is not None:
            tape.record(found)
    else:
        found, _ = _adapted(*given)
    return found.view(*inputs.shape[:-1], -1)
