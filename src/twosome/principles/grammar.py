"""Just enough English to check prompts: whether two texts read as one sentence, and where noun phrases lie.

No tagger and no dictionary: a noun phrase is an article (or another determiner) and what follows it up to a closed word
(a preposition, a form of "be", a conjunction...) or punctuation; its last word is its noun. What has been seen with an
article somewhere is known to be a noun elsewhere. That misses some phrases of free text, and takes few for nouns that
are none; it is meant for the short, regular sentences of narrators.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_DETERMINERS = """
this that these those some any no each every either neither both all another other my your his her its our their
one two three four five six seven eight nine ten
"""
_CONJUNCTIONS = "and or but nor then than as while if so"
_CLOSED = """
about above across after against ahead along among around at away back before behind below beneath beside between beyond
by down during for from in inside into near next of off on onto out outside over past through to together toward towards
under until up upon with within without
is are was were be been being am has have had do does did can could will would shall should may might must
that which who whose where when it they you he she we them him us me
now not only here there too also again yet still already earlier later once twice
left right north south east west forward forwards backward backwards home
"""
ARTICLES = frozenset({"a", "an", "the"})
DETERMINERS = ARTICLES | frozenset(_DETERMINERS.split())
CONJUNCTIONS = frozenset(_CONJUNCTIONS.split())
CLOSED = CONJUNCTIONS | frozenset(_CLOSED.split())
LONGEST_PHRASE = 5
"""Words of a noun phrase beyond which one is rather in the middle of a sentence."""

_CLOSERS = "\"')]\u201d\u2019\u00bb\u300b\u300d\u300f\u3011\uff09"
_END = rf"[.!?\u2026\u3002\uff01\uff0e\uff1f\uff61\u0964\u06d4\u061f\u104b\u17d4][{re.escape(_CLOSERS)}]*$"
"""The end of a sentence, in other scripts, too."""


class Word(NamedTuple):
    """A word in its place.

    Attributes:
        text: In lower case.
        clause: Number of the piece of text between punctuation marks that it is in.
    """

    text: str
    clause: int


class Phrase(NamedTuple):
    """A noun phrase.

    Attributes:
        determiner: The word it begins with.
        words: What follows, the noun last, in lower case.
    """

    determiner: str
    words: tuple[str, ...]

    @property
    def noun(self) -> str:
        """Its noun in the singular."""
        return singular(self.words[-1])


def words_of(text: str) -> list[Word]:
    """Return the words of a text."""
    clauses = re.split(r"[.,;:!?()\[\]\"“”…\n]+", text.lower())
    return [
        Word(word, number)
        for number, clause in enumerate(clauses)
        for word in re.findall(r"[^\W_]+(?:['\u2019-][^\W_]+)*", clause)
    ]


def singular(word: str) -> str:
    """Return a word without its plural ending; the same for both numbers, if not always a word."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(s|sh|ch|x|z|o)es$", word):
        return word[:-2]
    return word[:-1] if re.search(r"[^siu]s$", word) and len(word) > 3 else word


def noun_phrases(text: str, determiners: frozenset[str] = DETERMINERS) -> Iterator[Phrase]:
    """Yield the noun phrases of a text that begin with one of ``determiners``."""
    words = words_of(text)
    for start, word in enumerate(words):
        if word.text not in determiners:
            continue
        found: list[str] = []
        for following in words[start + 1 :]:
            if following.text in CLOSED | DETERMINERS or following.clause != word.clause:
                # "the cook holding the bowl", "the cook sees the bowl": the word before the next phrase is a verb.
                if following.clause == word.clause and following.text in DETERMINERS and len(found) > 1:
                    found.pop()
                break
            found.append(following.text)
        while found and (found[-1].endswith("ly") or found[-1].isdigit()):
            found.pop()
        if 0 < len(found) <= LONGEST_PHRASE:
            yield Phrase(word.text, tuple(found))


def bare_nouns(text: str, nouns: frozenset[str], *, first: int = 1) -> Iterator[tuple[str, str]]:
    """Yield each of ``nouns`` that stands without a determiner where one is due, with the word before it.

    Due is one after a verb or a preposition, be it at once ("pick up tomato") or with adjectives between ("chop fresh
    tomato"); not after "and", which may pass a determiner on, nor for a name ("room 5", "tomato's").

    Args:
        text: An action phrase.
        nouns: In the singular.
        first: Position from which to look; the first word of an action phrase is its verb.
    """
    words = words_of(text)
    for place, word in enumerate(words):
        named = place + 1 < len(words) and words[place + 1].text.isdigit()
        if place < first or named or word.text in CLOSED or singular(word.text) not in nouns:
            continue
        before = [other.text for other in words[:place] if other.clause == word.clause]
        if not before or before[-1] in CONJUNCTIONS:
            continue
        while before and before[-1] not in CLOSED | DETERMINERS and not before[-1].endswith("'s"):
            before.pop()
        if not before or before[-1] in CLOSED:
            yield word.text, words[place - 1].text


def nouns_in(action: str, nouns: frozenset[str]) -> Iterator[str]:
    """Yield what an action phrase speaks of, in the singular: the nouns of its noun phrases, and known nouns.

    Args:
        action: An action phrase.
        nouns: Words known to be nouns, in the singular.
    """
    found = [phrase.noun for phrase in noun_phrases(action)]
    found += [singular(word.text) for word in words_of(action)[1:] if singular(word.text) in nouns]
    yield from dict.fromkeys(found)


def _pauses(text: str) -> bool:
    """Whether a text ends in punctuation or the like; vowel signs and accents are a word's own, pictures no stop."""
    kind = unicodedata.category(text[-1])
    return kind[0] not in "LMNZ" and kind != "So" and text[-1] != "_"


def stumbles(prompt: str, action: str) -> Iterator[tuple[str, str]]:
    """Yield why an action does not read on from a prompt: what is wrong, and the place.

    Checked is: the prompt does not end in white space or in punctuation; the action has no white space around it and no
    line break in it, does not begin with a capital letter (abbreviations such as "TV" may) and does not end in
    punctuation.
    """
    if not prompt.strip() or prompt != prompt.rstrip():
        yield "the prompt is empty or ends in white space; the space before the action is the action's", prompt[-40:]
    elif re.search(_END, prompt):
        yield "the prompt ends a sentence; let it end where the action carries on (you should now ...)", prompt[-40:]
    elif _pauses(prompt):
        yield "the prompt ends in punctuation; let it end in a word that the action follows", prompt[-40:]
    if not action or action != action.strip() or "\n" in action:
        yield "an action is empty, or has white space around it or a line break in it", action
        return
    first = action.split()[0]
    if first[0].isupper() and not (len(first) > 1 and first.isupper()):
        yield "an action begins with a capital letter, as if a sentence began; write it in lower case", action
    if _pauses(action) and not action.endswith(tuple(_CLOSERS)):
        yield "an action ends in punctuation, so that some actions end a sentence; leave it out", action
