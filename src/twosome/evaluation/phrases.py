"""What a model thinks of phrases after prompts, each read once, whoever offers them with whatever others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from twosome.baselines.untrained import Untrained
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.functional.categorical import masked_log_softmax
from twosome.functional.normalization import resolve_normalization
from twosome.scorer import Scorer
from twosome.types import ActionScores

BATCH = 16
"""Decisions that are read together, and kept before the next are."""


class PhraseScores:
    """Log-probabilities of the tokens of phrases after prompts.

    Args:
        scorer: The model that reads.
        file: Where they are kept, a line for each, and believed when they are met again; None for in memory only.
        model: What the model is called, which such a file begins with.

    Raises:
        ConfigError: If the file is that of another model.
    """

    def __init__(self, scorer: Scorer, file: Path | None = None, model: str = "") -> None:
        self.scorer = scorer
        self._file = file
        self._known: dict[tuple[str, str], tuple[float, ...]] = {}
        if file is not None:
            self._known = _kept(file, model)

    def read(self, decisions: Sequence[Decision], on_progress: Callable[[int, int], None] | None = None) -> None:
        """Have the model read what it has not read yet."""
        unread: dict[str, dict[str, None]] = {}
        for decision in decisions:
            missing = [action for action in decision.actions if (decision.prompt, action) not in self._known]
            if missing:
                unread.setdefault(decision.prompt, {}).update(dict.fromkeys(missing))
        wanted = [Decision(prompt, tuple(actions)) for prompt, actions in unread.items()]
        wanted.sort(key=lambda decision: len(decision.prompt))
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            with torch.no_grad():
                found = self.scorer.scores(batch)
            self._keep(batch, found)
            if on_progress is not None:
                on_progress(start + len(batch), len(wanted))

    def _keep(self, decisions: Sequence[Decision], found: ActionScores) -> None:
        lines = []
        for row, decision in enumerate(decisions):
            for place, action in enumerate(decision.actions):
                tokens = found.token_log_probs[row, place][found.token_mask[row, place]].tolist()
                self._known[decision.prompt, action] = tuple(tokens)
                lines.append(json.dumps([decision.prompt, action, tokens]))
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))

    def scores(self, decisions: Sequence[Decision]) -> ActionScores:
        """What was read of the phrases of ``decisions``, read first where it was not."""
        self.read(decisions)
        known = [[self._known[decision.prompt, action] for action in decision.actions] for decision in decisions]
        shape = len(known), max(map(len, known)), max(len(tokens) for row in known for tokens in row)
        log_probs, mask = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
        for place, row in enumerate(known):
            for action, tokens in enumerate(row):
                log_probs[place, action, : len(tokens)] = torch.tensor(tokens)
                mask[place, action, : len(tokens)] = True
        return ActionScores(tuple(decisions), log_probs, mask)


class ScoredPolicy(Untrained):
    """Acts as the untrained model does under a normalization, by what was read of its phrases."""

    def __init__(self, phrases: PhraseScores, normalization: str) -> None:
        self._phrases = phrases
        self._normalize = resolve_normalization(normalization)

    def action_log_probs(self, decisions: Sequence[Decision]) -> Tensor:
        """Log-probabilities of the actions: float32 [B, A], ``-inf`` where padded."""
        scores = self._phrases.scores(decisions)
        return masked_log_softmax(self._normalize(scores))


def _kept(file: Path, model: str) -> dict[tuple[str, str], tuple[float, ...]]:
    """What stands in a file, which is begun if it is not there; a line that was cut short is left out."""
    if not file.is_file():
        file.write_text(f"{json.dumps({'model': model})}\n", encoding="utf-8")
    first, *lines = file.read_text(encoding="utf-8").splitlines() or [""]
    if first != json.dumps({"model": model}):
        raise ConfigError(
            f"{str(file)!r} must hold what {model!r} read, but begins with {first[:80]!r}; name another file"
        )
    known: dict[tuple[str, str], tuple[float, ...]] = {}
    for line in lines:
        try:
            prompt, action, tokens = json.loads(line)
        except ValueError:
            continue
        known[prompt, action] = tuple(tokens)
    return known
