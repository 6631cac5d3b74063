"""The policy: a LoRA actor and a critic head on one frozen language model (TWOSOME, section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import Parameter

from twosome.arrival import check_state
from twosome.decision import Decision
from twosome.errors import ModelError, RunError
from twosome.functional.categorical import masked_log_softmax
from twosome.functional.normalization import resolve_normalization
from twosome.judging.probing import Path as ScoringPath
from twosome.models.critic import UNIT
from twosome.models.critic import Critic as Critic
from twosome.models.gguf.naming import GgufFile
from twosome.models.saving import CRITIC_FILE, save_model, trained_weights
from twosome.models.words import Words
from twosome.scorer import Scorer
from twosome.scoring.attention import Attention
from twosome.scoring.condition import adapter_off, base_of, is_adapted
from twosome.scoring.kept import KeptReadings, Visited
from twosome.scoring.layers import layers_below_adapter
from twosome.scoring.memory import LIMIT, Memory, recall
from twosome.scoring.readers import PackedReader
from twosome.tokens.encoding import LongPrompts, Tokenizer
from twosome.tokens.prompting import Prompting
from twosome.types import ActionScores, Place


class LanguageModelPolicy:
    """Acts by the joint probability of admissible phrases, and values states by their prompt.

    Only adapter and critic train, or all weights and the critic where a frozen copy of the model is given. While no
    gradient is wanted, action probabilities are remembered until a trained weight changes, and the frozen base's
    features of a prompt for as long as the policy lives, so a repeated decision costs a dictionary lookup.

    Args:
        model: A PEFT model, frozen base plus adapter, in eval mode; or a base model alone, to act untrained.
        tokenizer: Its tokenizer.
        critic: Head on the frozen base's features, or None for a policy that is only asked to act.
        normalization: Name of a normalization; see :mod:`twosome.functional.normalization`.
        path: How to score; None to find out.
        token_budget: Most tokens in one forward pass; None for what suits the device.
        frozen: The base as it was, where the model's own weights train and no adapter can be switched off.
        lean: Save memory in the backward pass by reading again.
        memory_limit: Bytes that each of the memories (probabilities, features, plans, activations of layers below the
            adapter) may take; the least recently used goes first.
        long_prompts: What becomes of a prompt that does not fit into the model's context.
        attention: ``"segments"``, or ``"sparse"`` for a block-sparse kernel on a GPU.
        probe_again: Try how the model is read again, rather than believe what was found out before.
        prompting: How prompts and phrases are put to the model.
        keep_readings: Keep, of what is read in packs while acting, what its gradient takes, for an update's first step.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        critic: Critic | None = None,
        *,
        normalization: str = "word",
        path: ScoringPath | None = None,
        token_budget: int | None = None,
        frozen: Any = None,
        lean: bool = False,
        memory_limit: int = LIMIT,
        long_prompts: LongPrompts = "refuse",
        attention: Attention = "segments",
        probe_again: bool = False,
        prompting: Prompting | None = None,
        keep_readings: bool = False,
    ) -> None:
        self.model = model
        self.critic = critic.to(model.device) if critic is not None else None
        self._normalization, self._temperature = normalization, 1.0
        self._normalize = resolve_normalization(normalization)
        self.feature_size: int = model.config.get_text_config().hidden_size
        # Listed once: PEFT switches requires_grad off and on with the adapter.
        self._actor = [parameter for parameter in model.parameters() if parameter.requires_grad]
        made = partial(
            Scorer,
            tokenizer=tokenizer,
            path=path,
            token_budget=token_budget,
            memory_limit=memory_limit,
            long_prompts=long_prompts,
            attention=attention,
            again=probe_again,
            prompting=prompting,
        )
        self.scorer = made(model, frozen_layers=layers_below_adapter(model), lean=lean)
        self._frozen = self.scorer if frozen is None else made(frozen)
        self._acting: Memory[Decision, Tensor] = Memory(memory_limit)
        self._acting_version: tuple[int, int] | None = None
        self._gradients = 0
        self.visited = Visited(memory_limit)
        self._kept = KeptReadings(self._actor, memory_limit)
        reader = self.scorer.reader
        self._keeping = reader if isinstance(reader, PackedReader) and self._adapted and keep_readings else None
        if self._keeping is not None:
            self._keeping.keep_products()
        self._expected: list[Decision] = []
        self._reference: Memory[Decision, Tensor] = Memory(memory_limit)
        self._features: Memory[str, Tensor] = Memory(memory_limit)
        self._phrases: Memory[Decision, Tensor] = Memory(memory_limit)
        self._begun: Memory[tuple[int, ...], Tensor] = Memory(memory_limit)
        self._words = Words(self.scorer, self._frozen, memory_limit)
        self._effort = dict.fromkeys(("decisions", "scored", "prompts", "read"), 0)

    @property
    def normalization(self) -> str:
        """The name of the normalization, for as long as the policy lives."""
        return self._normalization

    @property
    def temperature(self) -> float:
        """What logits are divided by; 1 unless it is set. What is remembered of another is forgotten."""
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        self._temperature = temperature
        self._acting.clear()
        self._kept.clear()
        self._reference.clear()

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Log-probabilities of the admissible actions: float32 [B, A], ``-inf`` where padded."""
        self._effort["decisions"] += len(decisions)
        if torch.is_grad_enabled():
            self._gradients += 1
            kept = self._kept.take(decisions)
            return self._log_probs(self.scorer, decisions) if kept is None else kept
        # Not by the weights' own counters alone: torch's fused optimizers change weights and do not count it.
        version = self._gradients, sum(parameter._version for parameter in self._actor)
        if version != self._acting_version:
            self._acting.clear()
            self._kept.clear()
            self._acting_version = version
            self._expected = self.visited.turn(self.keeps_readings)  # what is read alone is dearer then
        self.visited.add(decisions)
        # Once something must be computed, what is likely to come is read with it: together they cost far less.
        expected, self._expected = self._expected, []
        return self._remembered(self._acting, self.scorer, decisions, expected)

    def reference_action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """The same under the frozen base, adapter off, without gradient."""
        with torch.no_grad():
            return self._remembered(self._reference, self._frozen, decisions)

    def values(self, decisions: Sequence[Decision]) -> Tensor:
        """State values from the frozen base's reading of the prompt: float32 [B]."""
        return self._valued(self.features([decision.prompt for decision in decisions]))

    def features(self, prompts: Sequence[str]) -> Tensor:
        """Final hidden state of the frozen base, adapter off, at each prompt's last token: float32 [B, H]."""
        self._effort["prompts"] += len(prompts)
        return torch.stack(recall(self._features, prompts, self._read_features))

    def action_features(self, decisions: Sequence[Decision]) -> Tensor:
        """Final hidden state of the frozen base at each phrase's last token: float32 [B, A, H], 0 where padded."""
        found = recall(self._phrases, decisions, partial(self._read_frozen, self._frozen.phrase_features))
        return nn.utils.rnn.pad_sequence(found, batch_first=True)

    def prompt_change(self, decisions: Sequence[Decision]) -> Tensor:
        """How far the adapter moves the prompts' words, relatively; see :mod:`twosome.models.words`: float32 [B]."""
        return self._words.change([self.scorer.encode(decision).prompt_ids for decision in decisions])

    def action_scores(self, decisions: Sequence[Decision]) -> tuple[Tensor, ActionScores]:
        """Log-probabilities of the admissible actions [B, A], and what of each of their tokens they are made of."""
        self._gradients += torch.is_grad_enabled()
        scores = self.scorer.scores(decisions)
        return self._normalized(scores), scores

    def token_values(self, places: Sequence[Place]) -> Tensor:
        """Values where phrases have begun, from the frozen base's state at the last token so far: float32 [n]."""
        encoded = [(place, self.scorer.encode(place.decision)) for place in places]
        begun = [(*each.prompt_ids, *each.action_ids[place.action][: place.tokens]) for place, each in encoded]
        read = partial(self._read_frozen, self._frozen.reader.features)
        return self._valued(torch.stack(recall(self._begun, begun, read)))

    def batches(self, decisions: Sequence[Decision]) -> list[list[Decision]]:
        """Distinct decisions in groups that are best scored together: those that were, and are kept, first."""
        kept, others = self._kept.batches(decisions)
        return kept + (self.scorer.batches(others) if others else [])

    @property
    def keeps_readings(self) -> bool:
        """Whether what acting reads is kept for an update's first step."""
        return self._keeping is not None

    def begin_rollout(self) -> None:
        """Where readings are kept, read anew: what is kept must not depend on whether a run was stopped in between."""
        if self._keeping is not None:
            self._acting_version = None

    def cut_prompts(self, decisions: Sequence[Decision]) -> int:
        """How many of the decisions have a prompt that the model reads only a part of."""
        return sum(self.scorer.encode(decision).cut > 0 for decision in decisions)

    def actor_parameters(self) -> list[Parameter]:
        """The weights of the adapter, or of the model if all of them train."""
        return list(self._actor)

    def critic_parameters(self) -> list[Parameter]:
        """The critic head's weights."""
        return list(self.critic.parameters()) if self.critic is not None else []

    def scale_values(self, factor: float) -> None:
        """Have the critic's network count in a unit ``factor`` times as large; what it says of any state stays."""
        if self.critic is not None:
            self.critic.scale(factor)

    def state_dict(self) -> dict[str, Tensor]:
        """The weights of actor and critic."""
        actor = "adapter" if self._adapted else "model"
        state = {f"{actor}.{name}": tensor for name, tensor in trained_weights(self.model).items()}
        if self.critic is not None:
            state |= {f"critic.{name}": tensor for name, tensor in self.critic.weights().items()}
        return {name: tensor.detach().clone() for name, tensor in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state_dict` returned.

        Raises:
            RunError: If it is not all that, or more.
        """
        from peft import set_peft_model_state_dict

        parts: dict[str, dict[str, Tensor]] = {"adapter": {}, "model": {}, "critic": {}}
        found, expected = (
            {name: tensor for name, tensor in weights.items() if name != f"critic.{UNIT}"}  # there where it is not 1
            for weights in (state, self.state_dict())
        )
        check_state(found, expected, "actor and critic")
        for name, tensor in state.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        if self._adapted:
            set_peft_model_state_dict(self.model, parts["adapter"])
        else:
            self.model.load_state_dict(parts["model"], strict=False)  # tied weights are listed once
        if self.critic is not None:
            self.critic.load_weights(parts["critic"])
        self._acting.clear()

    def save(self, directory: Path) -> None:
        """Write ``adapter/`` in PEFT's format, or all of ``model/`` with its tokenizer; and ``critic.safetensors``."""
        save_model(self.model, self.scorer.encoder.tokenizer, directory, self.gguf_file)
        if self.critic is not None:
            save_file(self.critic.weights(), str(directory / CRITIC_FILE))

    def load_critic(self, file: Path) -> None:
        """Read the critic's weights back.

        Raises:
            RunError: If the file is missing or of another shape.
        """
        if self.critic is None:
            raise ModelError("this policy has no critic to load weights into")
        try:
            self.critic.load_weights(load_file(str(file)))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise RunError(f"cannot read the critic from {str(file)!r}: {error}") from None

    def facts(self) -> dict[str, Any]:
        """What a run notes of its policy: the device, how the model is scored, and the GGUF file it was read from."""
        file = {"model_file": self.gguf_file.note()} if self.gguf_file is not None else {}
        return {"device": str(self.model.device), "scoring": self.scorer.reader.describe(), **file}

    @property
    def gguf_file(self) -> GgufFile | None:
        """The file that the frozen model was read from, if it was a GGUF file."""
        found: GgufFile | None = getattr(base_of(self._frozen.model), "gguf_file", None)
        return found

    def effort(self) -> dict[str, int]:
        """Counts since it was made.

        Returns:
            ``tokens`` that went through the model, for whatever purpose, and again where something was read again;
            ``decisions`` asked for, and how many of them were ``scored`` rather than remembered; the critic's
            ``prompts``, and how many of them were ``read``.
        """
        readers = {id(scorer): scorer.reader for scorer in (self.scorer, self._frozen)}
        return {"tokens": sum(reader.tokens for reader in readers.values()), **self._effort}

    @property
    def _adapted(self) -> bool:
        return is_adapted(self.model)

    def _frozen_base(self) -> AbstractContextManager[Any]:
        """The model without its adapter, while the context lasts."""
        return adapter_off(self.model)

    def _read_features(self, prompts: list[str]) -> Tensor:
        self._effort["read"] += len(prompts)
        with self._frozen_base():
            return self._frozen.features(prompts)

    def _read_frozen(self, read: Callable[[list[Any]], Any], asked: list[Any]) -> Any:
        with self._frozen_base():
            return read(asked)

    def _valued(self, features: Tensor) -> Tensor:
        if self.critic is None:
            raise ModelError("this policy was loaded without a critic, so it can act but not value states")
        values: Tensor = self.critic(features)
        return values

    def _log_probs(self, scorer: Scorer, decisions: Sequence[Decision]) -> Tensor:
        self._effort["scored"] += len(decisions)
        return self._normalized(scorer.scores(decisions))

    def _normalized(self, scores: ActionScores) -> Tensor:
        return masked_log_softmax(self._normalize(scores) / self.temperature)

    def _remembered(
        self,
        memory: Memory[Decision, Tensor],
        scorer: Scorer,
        decisions: Sequence[Decision],
        expected: Sequence[Decision] = (),
    ) -> Tensor:
        """Log-probabilities without gradient, the missing ones computed and kept, and ``expected`` ones with them."""

        def compute(missing: list[Decision]) -> list[Tensor]:
            if self._keeping is not None and memory is self._acting:
                return self._kept.read(
                    self._keeping, scorer.batches(missing), partial(self._log_probs, scorer), missing
                )
            # Only where something is read: to switch an adapter off and on takes milliseconds.
            with self._frozen_base() if memory is self._reference else nullcontext():
                found = self._log_probs(scorer, missing)
            return [row[: len(d.actions)] for d, row in zip(missing, found, strict=True)]

        rows = recall(memory, [*decisions, *expected], compute)[: len(decisions)]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-torch.inf)
