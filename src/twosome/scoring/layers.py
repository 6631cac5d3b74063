"""The layers of a causal language model, found by watching it read, and what can be left out of them exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from twosome.errors import ModelError
from twosome.scoring.tape import Tape

_PROJECTIONS = ("o_proj", "out_proj", "dense", "c_proj", "wo", "q_proj")
"""Of attention: what treats each row by itself, and is not asked for keys and values."""
_INPUT_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value")


class Layers:
    """A model's decoder layers, in order.

    Args:
        model: The model.
        attentions: ``id`` of every attention module that a reading passed through, in order.

    Raises:
        ModelError: If the attention modules do not lie in one list of layers each.
    """

    def __init__(self, model: nn.Module, attentions: Mapping[int, Any]) -> None:
        modules = {id(module): name for name, module in model.named_modules()}
        self.attention = [model.get_submodule(modules[number]) for number in attentions]
        self.layers = [_layer_of(model, modules[number]) for number in attentions]
        self._last_rowwise = _rowwise(self.layers[-1], self.attention[-1])
        named = self.attention[0].named_children() if len(self.layers) > 1 else ()
        self._first_projections = [child for name, child in named if name in _INPUT_PROJECTIONS]

    @property
    def last_attention(self) -> int:
        """``id`` of the last layer's attention module."""
        return id(self.attention[-1])

    @contextmanager
    def last_restricted(self, rows: Tensor) -> Iterator[None]:
        """Let the last layer compute ``rows`` [R] alone, beyond keys and values; the others come out as anything.

        Whatever treats each row by itself can: the feed-forward part, and attention's projections of queries and of its
        output.
        """
        with ExitStack() as stack:
            for module in self._last_rowwise:
                stack.enter_context(_restricted(module, rows))
            yield

    @contextmanager
    def first_once(self, distinct: Tensor, kind: Tensor) -> Iterator[None]:
        """Let the first layer's projections to queries, keys and values be computed once for every distinct token.

        Before it nothing has told a token from another of the same id, unless the model adds its position, which
        :meth:`first_inputs` shows.

        Args:
            distinct: int64 [D], a row of every distinct token.
            kind: int64 [T], which of them each row is.
        """
        with ExitStack() as stack:
            for module in self._first_projections:
                stack.enter_context(_spread(module, distinct, kind))
            yield

    @contextmanager
    def first_inputs(self, found: list[Tensor]) -> Iterator[None]:
        """Append what the first layer's projections are given, [1, T, H] each, to ``found``."""
        with ExitStack() as stack:
            for module in self._first_projections:
                handle = module.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0]))
                stack.callback(handle.remove)
            yield

    @contextmanager
    def checkpointed(
        self, again: Callable[[], AbstractContextManager[Any]], tapes: list[Tape] | None = None
    ) -> Iterator[None]:
        """Let every layer keep nothing but its input for the backward pass, which works out the rest again.

        Args:
            again: Makes the contexts in which the layers are read now, to read one of them again in.
            tapes: Have layers keep what their matrix products gave, too; one for each is appended.
        """

        def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
            if tapes is None:
                return nullcontext(), again()
            tapes.append(Tape())
            return tapes[-1].recording(), _both(again(), tapes[-1].recalling())

        with ExitStack() as stack:
            for layer in self.layers:
                again_from_input = partial(
                    checkpoint,
                    layer.forward,
                    use_reentrant=False,
                    preserve_rng_state=False,  # no dropout is ever on
                    context_fn=contexts,
                )
                stack.enter_context(replaced_forward(layer, again_from_input))
            yield

    @contextmanager
    def stopping_before(self, depth: int, found: list[Tensor]) -> Iterator[None]:
        """Let a reading end with :class:`Stop` where layer ``depth`` begins, its input appended to ``found``."""

        def stop(_: nn.Module, arguments: Sequence[Any], named: dict[str, Any]) -> None:
            found.append(arguments[0] if arguments else named["hidden_states"])
            raise Stop

        handle = self.layers[depth].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    @contextmanager
    def starting_at(self, depth: int, hidden: Tensor) -> Iterator[None]:
        """Let layer ``depth`` begin with ``hidden`` [1, T, H], and leave out those before it."""

        def begin(_: nn.Module, arguments: Sequence[Any], named: dict[str, Any]) -> Any:
            if arguments:
                return (hidden, *arguments[1:]), named
            return arguments, {**named, "hidden_states": hidden}

        with ExitStack() as stack:
            for layer in self.layers[:depth]:
                stack.enter_context(replaced_forward(layer, _passing_on))
            handle = self.layers[depth].register_forward_pre_hook(begin, with_kwargs=True)
            stack.callback(handle.remove)
            yield


def layers_below_adapter(model: Any) -> int:
    """How many decoder layers, from the bottom, have no trainable parameter; 0 if anything below them trains."""
    depth = model.config.get_text_config().num_hidden_layers
    lowest = depth
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    for name in trainable:
        numbers = [int(part) for part in name.split(".") if part.isdigit()]
        lowest = min(lowest, numbers[0] if numbers else 0)
    return lowest if trainable and lowest < depth else 0


@contextmanager
def _both(first: AbstractContextManager[Any], second: AbstractContextManager[Any]) -> Iterator[None]:
    with first, second:
        yield


class Stop(Exception):
    """Ends a reading early; see :meth:`Layers.stopping_before`."""


def _rowwise(layer: nn.Module, attention: nn.Module) -> list[nn.Module]:
    """The parts of a layer beside attention that multiply by matrices, and attention's projections of rows alone."""
    inside = set(attention.modules())
    beside = [
        child
        for child in layer.children()
        if child not in inside
        and attention not in set(child.modules())
        and any(parameter.ndim > 1 for parameter in child.parameters())
    ]
    return beside + [child for name, child in attention.named_children() if name in _PROJECTIONS]


def _layer_of(model: nn.Module, name: str) -> nn.Module:
    """The member of a list of layers that holds the module ``name``."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if isinstance(model.get_submodule(".".join(parts[: end - 1])), nn.ModuleList):
            return model.get_submodule(".".join(parts[:end]))
    raise ModelError(f"{name} of {type(model).__name__} is in no list of layers")


def _passing_on(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    return hidden_states


@contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Let ``module`` compute ``forward`` while the context lasts."""
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before


def _restricted(module: nn.Module, rows: Tensor) -> AbstractContextManager[None]:
    """Let ``module`` see ``rows`` of its input [1, T, H] alone, and put them back in their places."""
    lengths: list[int] = []

    def gather(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        lengths.append(arguments[0].shape[1])
        return arguments[0].index_select(1, rows), *arguments[1:]

    def scatter(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        # Ones, because the gradient of a root at 0 is no number, even where nothing asks for it.
        whole = output.new_ones(output.shape[0], lengths.pop(), output.shape[2])
        return whole.index_copy_(1, rows, output)

    return _hooked(module, gather, scatter)


def _spread(module: nn.Module, distinct: Tensor, kind: Tensor) -> AbstractContextManager[None]:
    """Let ``module`` see ``distinct`` rows of its input [1, T, H] alone, and give every row its ``kind``'s output."""

    def gather(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return arguments[0].index_select(1, distinct), *arguments[1:]

    def repeat(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        # As a lookup of word embeddings, whose gradient is a plain sum over rows.
        return torch.embedding(output[0], kind).unsqueeze(0)

    return _hooked(module, gather, repeat)


@contextmanager
def _hooked(module: nn.Module, before: Callable[..., Any], after: Callable[..., Any]) -> Iterator[None]:
    """What ``module`` is given and what it gives passes through ``before`` and ``after`` while the context lasts."""
    handles = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Recomputed(torch.autograd.Function):
    """A function whose inner results are worked out again for the backward pass rather than kept."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, function: Callable[[], Tensor]) -> Tensor:
        ctx.function = function
        with torch.no_grad():
            return function()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        with torch.enable_grad():
            again = ctx.function()
        torch.autograd.backward(again, gradients)
        return None, None


def recomputed(function: Callable[[], Tensor]) -> Tensor:
    """``function()``, computed a second time when its gradient is wanted, so that little memory is held in between.

    Gradients reach the parameters that ``function`` uses, through ``backward`` but not through ``torch.autograd.grad``.
    """
    if not torch.is_grad_enabled():
        return function()
    anchor = torch.zeros((), requires_grad=True)  # autograd passes over functions whose inputs need no gradient
    result: Tensor = _Recomputed.apply(anchor, function)  # type: ignore[no-untyped-call]
    return result
