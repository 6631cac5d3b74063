"""The adapter worked into the weights it adapts: an ordinary model directory, in float32."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.utils import cached_file

from twosome.decision import Decision
from twosome.errors import ModelError
from twosome.exporting.sameness import Sameness, compare, scored
from twosome.models.loading import load_model, locate
from twosome.models.policy import LanguageModelPolicy
from twosome.models.quiet import quiet_unless_watched
from twosome.scoring.condition import base_of

VOCABULARY = "tokenizer.model"
BOUND = 1e-3
"""Nats per token: pretrained models in float32 are within 2e-5 of themselves, read otherwise; this is another model."""


def write_merged(policy: LanguageModelPolicy, out: Path, decisions: Sequence[Decision]) -> Sameness:
    """Write the agent's model without adapter into the empty directory ``out``: how far it is from the agent.

    The policy is used up: its adapter is merged.

    Args:
        policy: The agent.
        out: Where to.
        decisions: What it is compared on.

    Raises:
        ModelError: If the adapter cannot be merged, or what was written scores otherwise.
    """
    policy = raised(policy)
    expected = scored(policy, decisions)
    base = base_of(policy.model)
    name = str(base.name_or_path)
    with quiet_unless_watched():
        _merged(policy.model).save_pretrained(str(out), safe_serialization=True)
        policy.scorer.encoder.tokenizer.save_pretrained(str(out))
    copy_vocabulary(name, out)
    found = compare(expected, scored(reloaded(str(out), policy), decisions))
    if found.largest > BOUND:
        raise ModelError(
            f"what was written scores otherwise than the agent, by up to {found.largest:.2g} nats a token; expected "
            f"less than {BOUND:g}, and nothing was kept"
        )
    return found


def copy_vocabulary(base: str, out: Path) -> None:
    """Put the SentencePiece vocabulary of the base beside the tokenizer that was made of it, where it is at hand.

    transformers does without, but llama.cpp's converter would take the tokenizer for one of another kind.
    """
    try:
        kept = cached_file(locate(base)[0], VOCABULARY, local_files_only=True)
    except OSError:  # it has none, or none that is here
        return
    if kept is not None:
        shutil.copyfile(kept, out / VOCABULARY)


def raised(policy: LanguageModelPolicy) -> LanguageModelPolicy:
    """The policy in float32, which half precision is raised to without loss.

    Raises:
        ModelError: If the base was loaded in fewer bits.
    """
    base = base_of(policy.model)
    if getattr(base, "is_quantized", False):
        raise ModelError(
            "the base was loaded in 8 or 4 bits (loading.quantization), into which no adapter can be merged; export "
            "the adapter (--to adapter)"
        )
    if all(weight.dtype == torch.float32 for weight in policy.model.parameters()):
        return policy
    return _like(policy, policy.model.float(), policy.scorer.encoder.tokenizer)


def reloaded(model: str, policy: LanguageModelPolicy) -> LanguageModelPolicy:
    """A policy on what was written, that asks it as ``policy`` asks its model."""
    return _like(policy, *load_model(model, dtype="float32", device=str(policy.model.device)))


def _like(policy: LanguageModelPolicy, model: Any, tokenizer: Any) -> LanguageModelPolicy:
    prompting = policy.scorer.encoder.prompting
    made = LanguageModelPolicy(model, tokenizer, normalization=policy.normalization, prompting=prompting)
    made.temperature = policy.temperature
    return made


def _merged(model: Any) -> Any:
    """The model with its adapter worked in; a model all of whose weights were trained is that already."""
    if not hasattr(model, "merge_and_unload"):
        return model
    try:
        return model.merge_and_unload(safe_merge=True)
    except (ValueError, NotImplementedError, AttributeError, TypeError) as error:
        raise ModelError(
            f"PEFT cannot merge this kind of adapter ({' '.join(str(error).split())}); export the adapter itself "
            "(--to adapter)"
        ) from None
