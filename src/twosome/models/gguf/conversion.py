"""A GGUF file as an ordinary model directory, through transformers' unpacking: safetensors, config, tokenizer.

Weights keep every bit that unpacking gives them: float32, or the half precision that the whole file is in.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from twosome.errors import ModelError, first_line
from twosome.models.arrival import check_base
from twosome.models.gguf.checks import (
    ROTARY_FACTORS,
    check_architecture,
    check_described,
    check_placed,
    check_size,
)
from twosome.models.gguf.header import Header, TensorInfo, read_header
from twosome.models.gguf.naming import GgufFile
from twosome.models.gguf.tokenizer import check_tokenizer, read_tokenizer
from twosome.models.quiet import silent_unless_watched, without_report

INSTALL = 'pip install "twosome[gguf]"'
FORMAT = 1
"""Grows when a file is turned into another directory than before."""
_F32, _F16, _BF16 = 0, 1, 30


def made_with() -> dict[str, Any]:
    """What a directory made of a file depends on, besides the file."""
    libraries = ("transformers", "tokenizers", "gguf")
    return {"format": FORMAT, **{library: _version(library) for library in libraries}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def convert(file: GgufFile, target: Path) -> None:
    """Write the model of ``file`` into the directory ``target``.

    Raises:
        ModelError: If it cannot be read, or another model would come of it.
        OSError, SafetensorError: If it cannot be written.
    """
    _check_installed(file)
    header = read_header(file)
    check_architecture(file, header)
    check_tokenizer(file, header)
    with _alone(file, target) as where:
        with _readable(file, "tokenizer"):
            tokenizer = read_tokenizer(header, where)
        model = _model(file, header, where)
    _narrow(model, header)
    with silent_unless_watched():
        model.save_pretrained(str(target))
        tokenizer.save_pretrained(str(target))


def describe(file: GgufFile, folder: Path) -> tuple[Any, Any, dict[str, int]]:
    """The configuration, the tokenizer, and how many weights in which precision come of a file, none of them unpacked.

    Args:
        file: The file.
        folder: Where a temporary directory may be made.

    Raises:
        ModelError: If it cannot be read.
    """
    from transformers import AutoConfig

    _check_installed(file)
    header = read_header(file)
    check_architecture(file, header)
    check_tokenizer(file, header)
    with _alone(file, folder / "described") as where:
        with _readable(file, "tokenizer"):
            tokenizer = read_tokenizer(header, where)
        with _readable(file, "model"):
            config = AutoConfig.from_pretrained(**where)
    half = _half_of(header)
    kind = "F32" if half is None else {torch.float16: "F16", torch.bfloat16: "BF16"}[half]
    return config, tokenizer, {kind: sum(info.numbers for info in header.tensors)}


def _check_installed(file: GgufFile) -> None:
    try:
        import gguf  # noqa: F401
        from transformers import GgufConfig  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"reading the GGUF file {file.name!r} needs what is not installed here ({error}): {INSTALL}"
        ) from None


@contextmanager
def _alone(file: GgufFile, target: Path) -> Iterator[dict[str, str]]:
    """What tells transformers of a file, in a directory without others: it would mix in a tokenizer that lay there."""
    with tempfile.TemporaryDirectory(prefix=".gguf-", dir=target.parent) as folder:
        place = Path(folder) / "model.gguf"
        try:
            place.symlink_to(file.path.resolve())
        except OSError:  # Windows asks for a privilege
            try:
                os.link(file.path, place)
            except OSError:
                shutil.copyfile(file.path, place)
        yield {"pretrained_model_name_or_path": folder, "gguf_file": place.name}


def _model(file: GgufFile, header: Header, where: dict[str, str]) -> Any:
    """The model in float32, with all weights of the file."""
    from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig

    with _readable(file, "model"):
        config = AutoConfig.from_pretrained(**where)
        check_described(file, header, config)
        check_size(file, header, config)
        _take_rotary_factors(file, header, config)
        with without_report():
            model, info = AutoModelForCausalLM.from_pretrained(
                **where,
                config=config,
                # Without this what was loaded counts as quantized, and can neither be saved nor cast.
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, by name
            )
    check_base(model, info, file.name, advice="its metadata, one for one: get the file again, or another one")
    check_placed(file, header, model)
    vars(model.config).pop("_model_name_or_path", None)
    return model


@contextmanager
def _readable(file: GgufFile, what: str) -> Iterator[None]:
    """Say in a sentence what transformers could not read; with a file that was made up it may raise anything."""
    try:
        with silent_unless_watched():
            yield
    except ModelError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            raise
        raise ModelError(f"cannot read the {what} of the GGUF file {file.name!r}: {first_line(error)}") from None


def _take_rotary_factors(file: GgufFile, header: Header, config: Any) -> None:
    """Have rotary frequencies divided by the factors in the file, which transformers passes over."""
    info = next((info for info in header.tensors if info.name == ROTARY_FACTORS), None)
    if info is None:
        return
    rotary = config.rope_parameters
    if info.kind != _F32 or rotary.get("rope_type") != "default":
        raise ModelError(
            f"the GGUF file {file.name!r} has rotary factors ({ROTARY_FACTORS}) of a kind that is not known here: get "
            "the model as a directory or from a hub instead"
        )
    factors = _numbers(file, info)
    config.rope_parameters = {
        **rotary,
        "rope_type": "longrope",  # the one that takes a factor for each; the same for all lengths
        "short_factor": factors,
        "long_factor": factors,
        "attention_factor": 1.0,
        "original_max_position_embeddings": config.max_position_embeddings,
    }


def _numbers(file: GgufFile, info: TensorInfo) -> list[float]:
    from gguf import GGUFReader

    (found,) = (tensor for tensor in GGUFReader(file.path).tensors if tensor.name == info.name)
    return [float(number) for number in found.data]


def _narrow(model: Any, header: Header) -> None:
    """Weights back in half precision, if that is what all of the file but its norms is in, and nothing is lost."""
    half = _half_of(header)
    if half is None:
        return
    for weight in model.parameters():
        narrow = weight.data.to(half)
        if torch.equal(narrow.float(), weight.data):
            weight.data = narrow


def _half_of(header: Header) -> torch.dtype | None:
    """The half precision that all of a file but its norms is in, if it is in one."""
    kinds = {info.kind for info in header.tensors}
    if kinds - {_F32} not in ({_F16}, {_BF16}):
        return None
    return torch.float16 if _F16 in kinds else torch.bfloat16
