"""Base model, tokenizer and adapter, from a hub id, a directory, a GGUF file, or the model that ships with twosome."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError

from twosome.addresses import check_is_no_server
from twosome.collector import resting
from twosome.errors import ConfigError, ModelError, first_line
from twosome.models.arrival import (
    Weights,
    adapter_config,
    check_adapter,
    check_base,
    check_is_model,
    check_sizes,
    say_other_base,
)
from twosome.models.gguf.copies import directory_of
from twosome.models.gguf.naming import GgufFile, find_gguf
from twosome.models.gguf.tokenizer import read_copied
from twosome.models.pieces import converted_in_pieces
from twosome.models.quantized import Quantization, keep_unpacked, quantization_config, read_all_columns_alike
from twosome.models.quiet import quiet_unless_watched, without_future, without_report
from twosome.models.targets import ALL_LINEAR, linear_layers_of, tell_left_out, why_not
from twosome.tokenizing.reading import FILES, has_tokenizer, read_tokenizer
from twosome.tokens.encoding import Tokenizer

EMBEDDED = "embedded"
EMBEDDED_DIRECTORY = Path(__file__).parent / "embedded"
MOST_UNFROZEN = 1_000_000_000
"""Most weights of a model that may train as a whole: with frozen copy, gradient and Adam's moments five times that."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def load_model(
    name: str,
    *,
    revision: str | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
    quantization: Quantization = "none",
    trust_remote_code: bool = False,
) -> tuple[Any, Tokenizer]:
    """A frozen causal language model in eval mode, and its tokenizer.

    Args:
        name: ``"embedded"`` for the model that ships with twosome, a Hugging Face hub id, a local directory, or a GGUF
            file: a path, or ``owner/repo::file.gguf``.
        revision: Branch, tag or commit of a hub id.
        dtype: Precision of the frozen weights; ``"auto"`` is float32 on a CPU, else what the checkpoint was saved in.
        device: ``"auto"`` takes a GPU if there is one.
        quantization: Load the base in 8 or 4 bits through bitsandbytes.
        trust_remote_code: Run code that comes with the model. Off unless you trust its author.

    Raises:
        ModelError: If model or tokenizer is missing or cannot be read, or not all weights are in the files.
    """
    from transformers import AutoModelForCausalLM

    target = _resolve_device(device)
    source, gguf = locate(name, revision)
    tokenizer = load_tokenizer(name, revision=revision, trust_remote_code=trust_remote_code)
    arguments: dict[str, Any] = {"dtype": _resolve_dtype(dtype, target)}
    if quantization != "none":
        arguments |= {"quantization_config": quantization_config(quantization), "device_map": str(target)}
    try:
        in_file = "auto" if quantization != "none" else arguments["dtype"]
        with resting(), quiet_unless_watched(), without_report(), converted_in_pieces(in_file):
            model, info = AutoModelForCausalLM.from_pretrained(
                source,
                revision=revision or "main",
                trust_remote_code=trust_remote_code,
                use_safetensors=True,  # pickled weights can run code
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, by name
                **arguments,
            )
        if not getattr(model, "is_quantized", False):
            model = model.to(target)
    except _troubles(trust_remote_code) as error:
        hint = "; pickled weights are not read, convert them to safetensors" if "safetensors" in str(error) else ""
        raise ModelError(f"cannot load the model {name!r}: {first_line(error)}{hint}") from None
    check_base(model, info, name)
    read_all_columns_alike(model)
    keep_unpacked(model)
    # Adapters name their base by what the user called it, not by where it lay on this machine.
    model.name_or_path = model.config._name_or_path = name
    model.gguf_file = gguf
    return model.eval().requires_grad_(False), tokenizer


def locate(name: str, revision: str | None = None) -> tuple[str, GgufFile | None]:
    """From where a model is loaded, a directory or a hub id; and the GGUF file that the directory was made of, if any.

    Raises:
        ModelError: If it is a GGUF file that cannot be read, or a decision server.
    """
    if name == EMBEDDED:
        return str(EMBEDDED_DIRECTORY), None
    check_is_no_server(name)
    file = find_gguf(name, revision)
    return (name, None) if file is None else (str(directory_of(file)), file)


def load_tokenizer(name: str, *, revision: str | None = None, trust_remote_code: bool = False) -> Tokenizer:
    """The tokenizer of a model; see :func:`load_model`.

    Raises:
        ModelError: If there is none.
    """
    check_is_model(name)
    source, gguf = locate(name, revision)
    if gguf is not None:
        with resting():
            return read_copied(source)
    if Path(source).is_dir() and not has_tokenizer(source):
        raise ModelError(
            f"the model directory {name!r} holds no tokenizer: expected one of {', '.join(FILES)}; save the tokenizer "
            "beside the model with tokenizer.save_pretrained"
        )
    with resting():
        return read_tokenizer(name, source, revision=revision, trust_remote_code=trust_remote_code)


def _troubles(trust_remote_code: bool) -> tuple[type[Exception], ...]:
    """What loading may raise: with code that comes with the model, anything."""
    if trust_remote_code:
        return (Exception,)
    return OSError, ValueError, ImportError, KeyError, TypeError, RuntimeError, SafetensorError


def add_adapter(
    model: Any,
    *,
    rank: int,
    alpha: float,
    targets: str | Sequence[str] | None,
    top_layers: int | None = None,
    dropout: float = 0.0,
) -> Any:
    """Wrap ``model`` in PEFT with a fresh LoRA adapter in float32.

    Args:
        model: A frozen causal language model.
        rank: LoRA rank r.
        alpha: LoRA scale; the update is multiplied by ``alpha / rank``.
        targets: Names of the linear layers to adapt, ``"all-linear"``, or None for PEFT's choice for the architecture.
        top_layers: Adapt at most so many layers, the last; None for all, as where the model has no more.
        dropout: Must be 0: with dropout the rollout's and the update's probabilities would differ.

    Raises:
        ConfigError: If dropout is not 0.
        ModelError: If the layers are not in the model, or no gradient passes through them.
    """
    from peft import LoraConfig, get_peft_model

    if dropout:
        raise ConfigError(f"lora dropout must be 0, got {dropout}: scores are taken in eval mode so that ratios are 1")
    keep_unpacked(model)
    top = _top(model, top_layers)
    every = isinstance(targets, str) and targets.lower() == ALL_LINEAR
    if every and top is not None:
        names: Any = linear_layers_of(model, top)  # PEFT takes no numbers of layers beside all-linear
    elif isinstance(targets, str):
        names = ALL_LINEAR if every else [targets]
    else:
        names = None if targets is None else [*targets]
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=names,
        layers_to_transform=None if every else top,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, config).eval()
    except ValueError as error:
        raise ModelError(why_not(model, targets, first_line(error))) from None
    tell_left_out(adapted, targets)
    return adapted


def _top(model: Any, layers: int | None) -> list[int] | None:
    """Numbers of the last ``layers`` layers, or None for all."""
    depth = model.config.get_text_config().num_hidden_layers
    # At most, so that a preset holds for every model.
    return None if layers is None or layers > depth else list(range(depth - layers, depth))


def load_adapter(model: Any, directory: str | Path, *, trainable: bool = False) -> Any:
    """Wrap ``model`` in PEFT with the adapter saved in ``directory``.

    Raises:
        ModelError: If the adapter is missing, belongs to another model, or not all of its weights arrive.
    """
    from peft import PeftModel

    path = Path(directory)
    if not (path / "adapter_config.json").is_file():
        raise ModelError(f"no adapter in {str(directory)!r}: expected a directory with adapter_config.json")
    if not (path / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"the adapter in {str(directory)!r} has no adapter_model.safetensors; pickled ones are not read"
        )
    settings = adapter_config(path)
    if settings.get("megatron_config") is not None:
        raise ModelError(
            f"the adapter in {str(directory)!r} has a megatron_config, for which PEFT would import whatever module the "
            "file names; remove it from adapter_config.json"
        )
    if settings.get("alora_invocation_tokens") is not None:
        raise ModelError(
            f"the adapter in {str(directory)!r} is an activated LoRA (alora_invocation_tokens), which acts on some "
            "tokens only, depending on the whole sentence; prompts and actions cannot be scored with it"
        )
    check_sizes(path, settings)
    before = Weights(model)
    try:
        with without_future():
            adapted = PeftModel.from_pretrained(model, str(path), is_trainable=trainable).eval()
        check_adapter(adapted, path, before)
    except ModelError:
        raise
    except Exception as error:  # PEFT may raise anything on a configuration that was damaged or made up
        raise ModelError(
            f"the adapter in {str(directory)!r} does not fit {type(model).__name__}: {first_line(error)}"
        ) from None
    say_other_base(adapted, path)
    return adapted


def unfreeze(model: Any) -> Any:
    """Let all weights of ``model`` train, and return a frozen copy of it as it is now.

    Raises:
        ModelError: If it is too large to be kept twice, or not in float32.
    """
    weights = sum(parameter.numel() for parameter in model.parameters())
    if weights > MOST_UNFROZEN:
        raise ModelError(
            f"{type(model).__name__} has {weights:,} weights; finetune=full keeps a frozen copy and trains at most "
            f"{MOST_UNFROZEN:,}: use finetune=lora"
        )
    if model.dtype != torch.float32 or getattr(model, "is_quantized", False):
        raise ModelError(f"finetune=full trains float32 weights, got {model.dtype}: set loading.dtype=float32")
    frozen = copy.deepcopy(model)
    model.requires_grad_(True)
    return frozen


def _resolve_device(device: str) -> torch.device:
    if device != "auto":
        try:
            target = torch.device(device)
        except RuntimeError:
            raise ConfigError(f"unknown device {device!r}: expected auto, cpu, cuda, cuda:0, mps...") from None
        try:
            torch.empty(1, device=target)
        except (RuntimeError, AssertionError, NotImplementedError) as error:  # depends on the build of torch
            raise ConfigError(f"the device {device!r} cannot be used here: {first_line(error)}") from None
        return target
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _resolve_dtype(dtype: Dtype, device: torch.device) -> torch.dtype | str:
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    resolved: torch.dtype = getattr(torch, dtype)
    return resolved
