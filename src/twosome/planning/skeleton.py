"""A model without its weights: of the right shapes, on no device, to be read with and counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from twosome.errors import ConfigError, ModelError, first_line
from twosome.models.loading import add_adapter
from twosome.scoring.attention import reading
from twosome.scoring.economies import Economies
from twosome.scoring.layers import layers_below_adapter
from twosome.scoring.readers import PackedReader
from twosome.settings.config import RunConfig
from twosome.tokens.blocks import Block
from twosome.tokens.layout import layout_of
from twosome.tokens.packing import Pack, build_pack

BUDGETS = {"cpu": 1024, "cuda": 4096}
"""Most tokens in a pass, where nothing is set; as :mod:`twosome.judging.probing` has them."""


class Skeleton:
    """A model and its adapter without weights, and the reader of its packs.

    Args:
        config: Of the model.
        run: How it is adapted and read.
        dtype: Of the frozen weights.
        device: ``cpu`` or ``cuda``: only how much is read in a pass follows from it.

    Raises:
        ModelError: If such models are not known, or not read in packs.
    """

    def __init__(self, config: Any, run: RunConfig, dtype: torch.dtype, device: str = "cpu") -> None:
        self.dtype, self.run = dtype, run
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.model = _emptied(_made(config, run, dtype), self._mode)
        text = config.get_text_config()
        self.width, self.vocabulary, self.depth = text.hidden_size, text.vocab_size, text.num_hidden_layers
        self._windows = {None, getattr(text, "sliding_window", None)}
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.trained = sum(parameter.numel() for parameter in trained)
        frozen = {id(parameter): parameter for parameter in self.model.parameters()}
        self.weights = sum(parameter.numel() for parameter in frozen.values()) - (self.trained if self._adapted else 0)
        self.frozen_layers = layers_below_adapter(self.model)
        self.budget = run.loading.token_budget or BUDGETS["cpu" if device == "cpu" else "cuda"]
        self.reader = PackedReader(self.model, self.budget, Economies(), frozen_layers=self.frozen_layers)
        self._known = False

    @property
    def lookup_weights(self) -> int:
        """Weights that are only looked up, by rows: input embeddings that are not the vocabulary's matrix as well."""
        table, head = self.model.get_input_embeddings().weight, self.model.get_output_embeddings()
        return 0 if head is not None and head.weight is table else table.numel()

    @property
    def layer_weights(self) -> int:
        """Weights of the largest layer that is gathered at once where the base is sharded: a decoder layer."""
        layers: dict[str, int] = {}
        for name, parameter in self.model.named_parameters():
            number = next((part for part in name.split(".") if part.isdigit()), "")
            if number:
                layers[number] = layers.get(number, 0) + parameter.numel()
        return max(layers.values(), default=self.weights)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let nothing be computed while the context lasts but shapes."""
        with ExitStack() as stack:
            stack.enter_context(self._mode)
            yield

    def pack(self, blocks: Sequence[Block]) -> Pack:
        """A pack whose layouts are worked out: that takes numbers, of which there are none while it is read."""
        made = build_pack(blocks, torch.device("cpu"))
        for wanted in (False, True):
            for window in self._windows:
                layout_of(made, wanted, window, torch.empty(0, dtype=self.dtype))
        if not self._known:
            self._learn(blocks)
        return made

    def _learn(self, blocks: Sequence[Block]) -> None:
        """Find the layers, as the reader does when it is made."""
        self._known = True
        pack, base = self.pack(blocks), self._base
        with self.reading(), torch.no_grad(), reading(base, pack):
            try:
                base.get_decoder()(input_ids=pack.ids, position_ids=pack.positions, use_cache=False)
            except Exception as error:  # of a family that is not read in packs
                raise ModelError(
                    f"{type(base).__name__} cannot be counted without weights, because it is not read in packs "
                    f"({first_line(error)})"
                ) from None
        if len(pack.readers) != self.depth:
            raise ModelError(
                f"{type(base).__name__} has {self.depth} layers, of which {len(pack.readers)} can be read in packs; "
                "plan counts models read in packs only"
            )
        self.reader.know_layers(pack)

    @property
    def _base(self) -> Any:
        return self.model.get_base_model() if self._adapted else self.model

    @property
    def _adapted(self) -> bool:
        return hasattr(self.model, "get_base_model")


def _made(config: Any, run: RunConfig, dtype: torch.dtype) -> Any:
    """A model on no device, with its adapter, or all of it trained."""
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval().requires_grad_(False)
            if run.finetune == "full":
                return model.requires_grad_(True)
            lora = run.lora
            return add_adapter(
                model, rank=lora.rank, alpha=lora.alpha, targets=lora.targets, top_layers=lora.top_layers
            )
    except (ModelError, ConfigError):
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"no model of the kind {config.model_type!r} can be made: {first_line(error)}") from None


def _emptied(model: Any, mode: FakeTensorMode) -> Any:
    """The model with tensors that have a shape and a place on a CPU, and no content."""
    made: dict[int, Any] = {}
    kept: list[Any] = []  # so that no number of an object is given again

    def empty(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            kept.append(tensor)
            other = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
            is_weight = isinstance(tensor, torch.nn.Parameter)
            made[id(tensor)] = torch.nn.Parameter(other, tensor.requires_grad) if is_weight else other
        return made[id(tensor)]  # type: ignore[no-any-return]

    with mode:
        for module in model.modules():
            for place in (module._parameters, module._buffers):
                for name, tensor in place.items():
                    if tensor is not None:
                        place[name] = empty(tensor)
    return model
