"""Checks a text environment against the principles its prompts should follow.

1. Prompt and action read on as one sentence.
2. Articles stay: "pick up the tomato", not "pick up tomato".
3. What an action speaks of is named in the prompt.
4. An action is phrased for the situation; so no two actions of a decision read the same, and situations in which
   different actions are best do not read the same either, unless the world itself does not tell them apart.

Source of the principles: Tan et al., "True Knowledge Comes from Practice", ICLR 2024, section 4.4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

from twosome.decision import Decision
from twosome.errors import InvalidDecision
from twosome.principles import grammar
from twosome.principles.faults import Fault, Severity
from twosome.principles.walking import Seen, Walk


def check(walked: Walk) -> list[Fault]:
    """Return the faults of the texts met on a walk."""
    unique = list({(seen.prompt, seen.actions): seen for seen in walked.seen}.values())
    lexicon = Lexicon.of(unique)
    faults = [*walked.faults]
    for seen in unique:
        faults += [*_check_reading(seen), *_check_nouns(seen, lexicon), *_check_alike(seen)]
    for seen in walked.seen:
        faults += _check_offer(seen)
    return [*faults, *_check_told_apart(walked.seen)]


@dataclass(frozen=True)
class Lexicon:
    """What the texts of an environment teach about its words, all in the singular.

    Attributes:
        nouns: Nouns that prompts or actions use with a determiner.
        articled: Nouns that prompts use with an article.
        also_bare: Those of them that prompts also use without one, right after a verb or a preposition ("watching TV").
    """

    nouns: frozenset[str]
    articled: frozenset[str]
    also_bare: frozenset[str]

    @classmethod
    def of(cls, decisions: Sequence[Seen]) -> Lexicon:
        """The words of some decisions."""
        prompts = {seen.prompt for seen in decisions}
        actions = {action for seen in decisions for action in seen.actions}
        phrases = [phrase for prompt in prompts for phrase in grammar.noun_phrases(prompt, grammar.ARTICLES)]
        articled = frozenset(phrase.noun for phrase in phrases)
        adjectives = {word for phrase in phrases for word in phrase.words[:-1]}
        bare = frozenset(
            grammar.singular(noun)
            for prompt in prompts
            for noun, before in grammar.bare_nouns(prompt, articled)
            if before not in adjectives
        )
        spoken = frozenset(phrase.noun for action in actions for phrase in _phrases(action))
        return cls(articled | spoken, articled, bare)


def _check_reading(seen: Seen) -> Iterator[Fault]:
    for action in seen.actions:
        for message, place in grammar.stumbles(seen.prompt, action):
            yield Fault("reads-on", "error", message, f"{seen.prompt[-40:]!r} + {action!r}" if place else repr(action))


def _check_nouns(seen: Seen, lexicon: Lexicon) -> Iterator[Fault]:
    named = {grammar.singular(word.text) for word in grammar.words_of(seen.prompt)}
    for action in seen.actions:
        for noun, before in _bare(action, lexicon.articled):
            severity: Severity = "warning" if grammar.singular(noun) in lexicon.also_bare else "error"
            message = "a noun lost its article in an action, though prompts use it with one; give it back"
            yield Fault("articles", severity, message, f"{noun!r} after {before!r} in {action!r}")
        for noun in _nouns(action, lexicon.nouns):
            if noun not in named:
                message = (
                    "an action speaks of something its prompt never names; name it, or phrase the action otherwise"
                )
                yield Fault("named", "error", message, f"{noun!r} of {action!r} after {seen.prompt!r}")


def _check_offer(seen: Seen) -> Iterator[Fault]:
    if seen.actions and seen.best is not None and not seen.best:
        message = "no best action is offered in a state, so no policy can be optimal; offer what the world admits"
        yield Fault("offered", "warning", message, f"{seen.actions} after {seen.prompt!r}")


def _check_alike(seen: Seen) -> Iterator[Fault]:
    if len({" ".join(action.lower().split()) for action in seen.actions}) < len(seen.actions):
        folded = [" ".join(action.lower().split()) for action in seen.actions]
        twice = next(action for place, action in enumerate(folded) if action in folded[:place])
        message = "two actions of a decision read the same; phrase them apart, or offer one of them"
        yield Fault("distinct", "error", message, f"{twice!r} after {seen.prompt!r}")
        return
    try:
        Decision(seen.prompt, seen.actions)
    except InvalidDecision as error:
        yield Fault("valid", "error", "a decision cannot be scored", str(error))


def _check_told_apart(walked: Sequence[Seen]) -> Iterator[Fault]:
    """Yield groups of states that read the same although no action is best in all of them.

    The world is why, where even their observations are the same; the narrator is, where those differ.
    """
    alike: dict[tuple[str, tuple[str, ...]], dict[Any, list[frozenset[str]]]] = defaultdict(lambda: defaultdict(list))
    for seen in walked:
        if seen.best:
            alike[seen.prompt, seen.actions][seen.look].append(seen.best)
    for (prompt, _), by_look in alike.items():
        hidden = [group for group in by_look.values() if not frozenset.intersection(*group)]
        told = [frozenset.intersection(*group) for group in by_look.values() if group not in hidden]
        if hidden:
            message = "one observation for states with different best actions: the world is partially observed"
            yield Fault("told-apart", "note", message, _contrast(prompt, hidden[0]))
        if told and not frozenset.intersection(*told):
            message = "one prompt for observations with different best actions; let the narrator tell more"
            yield Fault("told-apart", "warning", message, _contrast(prompt, told))


def _contrast(prompt: str, best: Sequence[frozenset[str]]) -> str:
    """A prompt, and the best phrases of the two cases behind it that differ most."""
    first, second = min(combinations(dict.fromkeys(best), 2), key=lambda pair: len(pair[0] & pair[1]))
    words = [" or ".join(map(repr, sorted(phrases))) for phrases in (first, second)]
    return f"best is {words[0]} in one case and {words[1]} in another of {len(best)} that read {prompt!r}"


@lru_cache(maxsize=100_000)
def _phrases(action: str) -> tuple[grammar.Phrase, ...]:
    return tuple(grammar.noun_phrases(action))


@lru_cache(maxsize=100_000)
def _bare(action: str, nouns: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple(grammar.bare_nouns(action, nouns))


@lru_cache(maxsize=100_000)
def _nouns(action: str, nouns: frozenset[str]) -> tuple[str, ...]:
    return tuple(grammar.nouns_in(action, nouns))
