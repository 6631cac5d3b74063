"""A language model's policy whose reading is shared out, and whose gradient is summed in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from twosome.decision import Decision
from twosome.distributed.balance import parts_of, prompts_of
from twosome.distributed.ranks import Ranks, shares_of
from twosome.distributed.sharding import Evenly, shard
from twosome.models.policy import LanguageModelPolicy
from twosome.scorer import Scorer
from twosome.scoring.memory import recall
from twosome.tokens.encoding import EncodedDecision

Item = TypeVar("Item")
Parts = Sequence[Sequence[Item]]
"""Of every share what it reads at once: nothing, where it has less to read than others."""


class SharedPolicy(LanguageModelPolicy):
    """Reads each distinct decision in one process, and gives every process the same numbers.

    Decisions are dealt into shares by tokens, without regard to how many processes there are; a process reads some of
    the shares. What was read is gathered. In a backward pass every process knows the loss of every decision, so each
    takes the gradient of its own shares, and the shares' gradients are summed in their order, once a step.

    The critic's network is computed whole in every process: that costs less than to send its gradient.

    Args:
        *arguments: Of :class:`~twosome.models.policy.LanguageModelPolicy`.
        shares: Into how many parts what is read is dealt.
        ranks: The processes.
        sharded: Keep of the frozen base's layers a piece in each process (:mod:`twosome.distributed.sharding`).
        **options: Likewise.
    """

    def __init__(self, *arguments: Any, shares: int, ranks: Ranks, sharded: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._shares, self._ranks = shares, ranks
        self._dealt = [shares_of(rank, ranks.count, shares) for rank in range(ranks.count)]
        self._own = self._dealt[ranks.rank]
        self._waves: list[Parts[Decision]] = []  # of a step's gradient, as far as they are still to come
        self._gradient = self._no_gradient()
        self._anchor = torch.zeros((), requires_grad=True)
        self._evenly: Evenly | None = None
        if sharded and ranks.count > 1:
            shard(self.scorer)
            self._evenly = Evenly(self.scorer, self._dealt, ranks.rank)

    def batches(self, decisions: Sequence[Decision]) -> list[list[Decision]]:
        """Distinct decisions in groups: of every share what it reads at once."""
        parts = parts_of(self.scorer, decisions, self._shares)
        groups = [self.scorer.batches(part) if part else [] for part in parts]
        count = max(map(len, groups), default=0)
        self._waves = [[group[wave] if wave < len(group) else [] for group in groups] for wave in range(count)]
        self._gradient.zero_()
        return [list(chain.from_iterable(wave)) for wave in self._waves]

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Log-probabilities of the admissible actions: float32 [B, A], ``-inf`` where padded."""
        if not torch.is_grad_enabled():
            return super().action_log_probs(decisions)
        self._effort["decisions"] += len(decisions)
        self._gradients += 1
        wave = self._next_wave(decisions)
        read = [super(SharedPolicy, self)._log_probs(self.scorer, wave[s]) if wave[s] else None for s in self._own]
        idle = self._again(wave)
        self._count_others(wave)
        rows = self._gathered(wave, [None if found is None else found.detach() for found in read])
        place = {decision: row for row, decision in enumerate(chain.from_iterable(wave))}
        picked = torch.tensor([place[decision] for decision in decisions], device=rows.device)

        def backward(gradient: Tensor) -> None:
            folded = torch.zeros_like(rows).index_add_(0, picked, gradient)
            self._take(wave, read, folded, idle)

        found: Tensor = _Shared.apply(self._anchor, rows[picked], backward)  # type: ignore[no-untyped-call]
        return found

    def action_features(self, decisions: Sequence[Decision]) -> Tensor:
        """Final hidden state of the frozen base at each phrase's last token: float32 [B, A, H], 0 where padded."""
        return nn.utils.rnn.pad_sequence(recall(self._phrases, decisions, self._read_phrases), batch_first=True)

    def effort(self) -> dict[str, int]:
        """Counts since it was made, of all processes."""
        counts = super().effort()
        told = self._ranks.gather(counts["tokens"].to_bytes(8, "little"))
        return {**counts, "tokens": sum(int.from_bytes(each, "little") for each in told)}

    def _log_probs(self, scorer: Scorer, decisions: Sequence[Decision]) -> Tensor:
        """Without gradient: each share read by who has it, and gathered."""
        parts = parts_of(scorer, decisions, self._shares)
        read = [super(SharedPolicy, self)._log_probs(scorer, parts[s]) if parts[s] else None for s in self._own]
        self._again(parts)
        self._count_others(parts)
        return _in_order(decisions, parts, self._gathered(parts, read))

    def _read_features(self, prompts: list[str]) -> Tensor:
        parts = prompts_of(self.scorer, prompts, self._shares)
        read = [super(SharedPolicy, self)._read_features(parts[s]).flatten() for s in self._own if parts[s]]
        encode = self.scorer.encoder.encode_prompt
        self._read_again([[EncodedDecision(encode(prompt), ()) for prompt in part] for part in parts])
        self._effort["read"] += len(prompts) - sum(len(parts[share]) for share in self._own)
        return _in_order(prompts, parts, torch.stack(self._exchanged(parts, read, lambda _: self.feature_size)))

    def _read_phrases(self, decisions: list[Decision]) -> list[Tensor]:
        parts, size = parts_of(self.scorer, decisions, self._shares), self.feature_size
        read = [
            torch.cat(self._read_frozen(self._frozen.phrase_features, list(parts[s]))).flatten()
            for s in self._own
            if parts[s]
        ]
        encoded = [[self.scorer.encode(decision) for decision in part] for part in parts]
        phrases = [[EncodedDecision((*e.prompt_ids, *i), ()) for e in part for i in e.action_ids] for part in encoded]
        self._read_again(phrases)
        found = self._exchanged(parts, read, lambda decision: len(decision.actions) * size)
        by_decision = dict(zip(chain.from_iterable(parts), found, strict=True))
        return [by_decision[decision].view(-1, size) for decision in decisions]

    def _next_wave(self, decisions: Sequence[Decision]) -> Parts[Decision]:
        """What of the step is due, or all of these decisions as a step of their own where none was announced."""
        if not self._waves or list(chain.from_iterable(self._waves[0])) != list(decisions):
            self._gradient.zero_()
            self._waves = [parts_of(self.scorer, list(dict.fromkeys(decisions)), self._shares)]
        return self._waves[0]

    def _take(
        self, wave: Parts[Decision], read: Sequence[Tensor | None], gradient: Tensor, idle: Sequence[Tensor]
    ) -> None:
        """Take the gradient of a wave's own shares; with the last wave of a step, give the weights the sum of all."""
        rows = torch.split(gradient, [len(part) for part in wave])
        for place, (share, found) in enumerate(zip(self._own, read, strict=True)):
            if found is not None:
                self._gradient[place] += self._of_weights(found, rows[share][:, : found.shape[1]])
        for nothing in idle:
            self._of_weights(nothing, torch.zeros_like(nothing))
        self._waves = self._waves[1:]
        if self._waves:
            return
        total = self._ranks.ordered_sum(self._gradient, [len(shares) for shares in self._dealt])
        self._gradient = self._no_gradient()
        for weight, piece in zip(self._actor, torch.split(total, [w.numel() for w in self._actor]), strict=True):
            own = piece.view_as(weight).to(weight.dtype)
            weight.grad = own if weight.grad is None else weight.grad + own

    def _of_weights(self, found: Tensor, gradient: Tensor) -> Tensor:
        """The gradient [G] of the weights; what they hold already stays as it is."""
        before = [weight.grad for weight in self._actor]
        for weight in self._actor:
            weight.grad = None
        torch.autograd.backward(found, gradient)  # what is read again in a backward pass forbids torch.autograd.grad
        pieces = [w.new_zeros(w.numel()) if w.grad is None else w.grad.flatten() for w in self._actor]
        for weight, held in zip(self._actor, before, strict=True):
            weight.grad = held
        return torch.cat([piece.float() for piece in pieces])

    def _again(self, parts: Parts[Decision]) -> list[Tensor]:
        """What is read where others have more to read and all must read equally often: numbers for nobody."""
        return self._read_again([[self.scorer.encode(each) for each in part] for part in parts])

    def _read_again(self, parts: Parts[EncodedDecision]) -> list[Tensor]:
        return [] if self._evenly is None else self._evenly.again(parts)

    def _no_gradient(self) -> Tensor:
        size = sum(weight.numel() for weight in self._actor)
        return torch.zeros(len(self._own), size, device=self.model.device)

    def _gathered(self, parts: Parts[Decision], read: Iterable[Tensor | None]) -> Tensor:
        """Log-probabilities of all parts, one after the other: float32 [B, A], ``-inf`` where padded."""
        own = [
            torch.cat([row[: len(decision.actions)] for decision, row in zip(parts[share], rows, strict=True)])
            for share, rows in zip(self._own, read, strict=True)
            if rows is not None
        ]
        found = self._exchanged(parts, own, lambda decision: len(decision.actions))
        return nn.utils.rnn.pad_sequence(found, batch_first=True, padding_value=-torch.inf)

    def _exchanged(self, parts: Parts[Item], own: list[Tensor], width: Callable[[Item], int]) -> list[Tensor]:
        """The numbers of every item, part after part; ``own`` are those of this process's parts, flat."""
        widths = [[width(item) for item in part] for part in parts]
        sizes = [sum(sum(widths[share]) for share in shares) for shares in self._dealt]
        flat = torch.cat([torch.zeros(0, device=self.model.device), *own])
        return list(torch.split(self._ranks.rows(flat, sizes), list(chain.from_iterable(widths))))

    def _count_others(self, parts: Parts[Decision]) -> None:
        """Count what other processes read; own readings are counted as they happen."""
        self._effort["scored"] += sum(map(len, parts)) - sum(len(parts[share]) for share in self._own)


class _Shared(torch.autograd.Function):
    """Numbers that others worked out in part; what their gradient does is up to ``backward``."""

    @staticmethod
    def forward(context: Any, anchor: Tensor, rows: Tensor, backward: Callable[[Tensor], None]) -> Tensor:
        context.taken = backward
        return rows.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, None, None]:
        with torch.enable_grad():
            context.taken(gradients[0])
        return None, None, None


def _in_order(items: Sequence[Item], parts: Parts[Item], rows: Tensor) -> Tensor:
    """``rows`` of the items of all parts, in the order of ``items``."""
    place = {item: row for row, item in enumerate(chain.from_iterable(parts))}
    return rows[torch.tensor([place[item] for item in items], device=rows.device)]
