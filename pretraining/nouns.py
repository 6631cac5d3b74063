"""Nouns to put into the environments' prompts, in groups by what the corpus does with them.

Foods that the corpus handles, foods it only talks about, nouns it does not have at all, and nouns that nobody has.
The known and the invented ones were drawn at random, once, before anything was measured with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twosome.decision import Decision

KNOWN_FOODS = ("olive", "pear", "lychee", "pepper", "radish", "turnip", "cucumber", "mushroom", "guava", "shallot")
KNOWN_MEALS = ("lasagne", "waffle", "omelette", "crumble", "roll", "bagel", "muffin", "casserole", "pretzel", "tart")
HELD_OUT = ("tomato", "lettuce", "onion")
ABSENT = ("pancake", "cheese", "hamburger", "pizza")
INVENTED = (
    "klaspep", "vaproozeff", "straiff", "gleffjamp", "kaicksleant", "choaskee", "nooshstunk", "byrtthil", "govoud",
    "skickdotch",
)  # fmt: skip


@dataclass(frozen=True)
class Swap:
    """Nouns in place of a task's own.

    Attributes:
        group: What the corpus does with the new nouns.
        nouns: New noun by old noun.
    """

    group: str
    nouns: Mapping[str, str]

    @property
    def label(self) -> str:
        """The new nouns."""
        return " and ".join(self.nouns.values())

    def __call__(self, decision: Decision) -> Decision:
        """Return a decision in which nouns stand for others, all at once, with the articles they need."""
        pattern = re.compile(rf"\b(an? )?({'|'.join(map(re.escape, self.nouns))})\b")

        def put(match: re.Match[str]) -> str:
            noun = self.nouns[match[2]]
            return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}" if match[1] else noun

        return Decision(
            pattern.sub(put, decision.prompt), tuple(pattern.sub(put, action) for action in decision.actions)
        )


def swaps(task: str) -> Iterator[Swap]:
    """Yield the nouns tried in a task, by group.

    The corpus handles chips and milk, so in ``entertainment`` they are the known ones; new nouns for chips are plural.
    """
    if task == "tomato-salad":
        groups = {"known": KNOWN_FOODS, "held out": HELD_OUT, "absent": ABSENT, "invented": INVENTED}
        for group, nouns in groups.items():
            yield from (Swap(group, {"tomato": noun}) for noun in nouns)
    elif task == "tomato-lettuce-salad":
        for group, nouns in {"known": KNOWN_FOODS, "held out": HELD_OUT, "invented": INVENTED}.items():
            count, step = (3, 1) if group == "held out" else (5, 3)  # the same three in other roles
            for first in range(0, count * step, step):
                yield Swap(group, {old: nouns[(first + shift) % len(nouns)] for shift, old in enumerate(HELD_OUT)})
    elif task == "food-preparation":
        for group, nouns in {"known": KNOWN_MEALS, "absent": ABSENT, "invented": INVENTED}.items():
            yield from (Swap(group, {"pancake": noun}) for noun in nouns)
    elif task == "entertainment":
        known = (("chips", "milk"), ("crackers", "juice"), ("peanuts", "tea"), ("biscuits", "cocoa"))
        known += (("raisins", "lemonade"), ("noodles", "coffee"))
        absent = (("pancakes", "cheese"), ("hamburgers", "pizza"), ("pizzas", "pancake"), ("burgers", "hamburger"))
        invented = tuple((f"{first}s", second) for first, second in zip(INVENTED[:5], INVENTED[5:], strict=True))
        for group, pairs in {"known": known, "absent": absent, "invented": invented}.items():
            yield from (Swap(group, {"chips": chips, "milk": milk}) for chips, milk in pairs)
