"""Who reads what: decisions and prompts in parts of about equal numbers of tokens, those that begin alike together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from twosome.decision import Decision
from twosome.scorer import Scorer
from twosome.tokens.packing import WORTH_SHARING, common_prefix

Ids = tuple[int, ...]


def parts_of(scorer: Scorer, decisions: Sequence[Decision], count: int) -> list[list[Decision]]:
    """Distinct decisions in ``count`` parts, which depend on nothing else; the last ones may be empty."""
    encoded = [scorer.encode(decision) for decision in decisions]
    prompts = [each.prompt_ids for each in encoded]
    sizes = [len(each.prompt_ids) + _beginnings(each.action_ids) for each in encoded]
    return [[decisions[number] for number in part] for part in balanced(prompts, sizes, count)]


def prompts_of(scorer: Scorer, prompts: Sequence[str], count: int) -> list[list[str]]:
    """Distinct prompts in ``count`` parts."""
    ids = [scorer.encoder.encode_prompt(prompt) for prompt in prompts]
    return [[prompts[number] for number in part] for part in balanced(ids, list(map(len, ids)), count)]


def balanced(prompts: Sequence[Ids], sizes: Sequence[int], count: int) -> list[list[int]]:
    """Numbers of items in ``count`` parts, the largest of which takes as few tokens as it can.

    In the order of their prompts, so that few beginnings are read in two parts.

    Args:
        prompts: Token ids of each item's prompt.
        sizes: Tokens that each takes by itself.
        count: How many parts.
    """
    order = sorted(range(len(prompts)), key=lambda number: prompts[number])
    common = [common_prefix(prompts[a], prompts[b]) for a, b in pairwise(order)]
    saved = [0, *(length if length >= WORTH_SHARING else 0 for length in common)]
    low, high = max((sizes[number] for number in order), default=0), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        if len(_filled(order, sizes, saved, middle)) > count:
            low = middle + 1
        else:
            high = middle
    parts = _filled(order, sizes, saved, low)
    return parts + [[] for _ in range(count - len(parts))]


def _filled(order: Sequence[int], sizes: Sequence[int], saved: Sequence[int], most: int) -> list[list[int]]:
    """Neighbours together, each part filled with at most ``most`` tokens before the next begins."""
    parts: list[list[int]] = []
    total = 0
    for place, number in enumerate(order):
        more = sizes[number] - saved[place]
        if not parts or total + more > most:
            parts.append([])
            total, more = 0, sizes[number]  # a part reads the beginning of its first prompt itself
        parts[-1].append(number)
        total += more
    return parts


def _beginnings(actions: Sequence[Ids]) -> int:
    """How many tokens actions take where common beginnings are read once."""
    return len({beginning for ids in actions for beginning in accumulate((each,) for each in ids)})
