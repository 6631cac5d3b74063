"""The environments' prompts in other words: nouns put for nouns, and three rewordings of every sentence.

A rewording has a rule for each sentence a narrator can say, and none stays as it was.  They were written after the
model was trained, and no wording was chosen for what the model does with it; ``texts`` holds them against a corpus.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from twosome.decision import Decision

Rules = tuple[tuple[str, str], ...]


def with_nouns(decision: Decision, nouns: Mapping[str, str]) -> Decision:
    """Return a decision in which nouns stand for others, all at once, with the articles they need."""
    if not nouns:
        return decision
    pattern = re.compile(rf"\b(an? )?({'|'.join(map(re.escape, nouns))})\b")

    def put(match: re.Match[str]) -> str:
        noun = nouns[match[2]]
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}" if match[1] else noun

    return Decision(pattern.sub(put, decision.prompt), tuple(pattern.sub(put, action) for action in decision.actions))


@dataclass(frozen=True)
class Rewording:
    """Other words for the same facts.

    Attributes:
        name: What is different.
        sentences: A pattern for each sentence as it is, whole, and its replacement; the first that fits is taken. That
            of the last sentence gives the goal, "|", and the cue that the phrases follow.
        words: Replacements anywhere in prompt and phrases, all at once, made after the sentences'.
        goal_first: Whether the goal, which the narrators say last, comes first.
    """

    name: str
    sentences: Rules
    words: Rules = ()
    goal_first: bool = False

    def __call__(self, decision: Decision) -> Decision:
        """Return the decision in these words.

        Raises:
            ValueError: If there is no rule for a sentence; the narrators have learned a new one.
        """
        *facts, closing = [self._sentence(text) for text in re.split(r"(?<=\.) ", decision.prompt)]
        goal, lead = closing.split("|")
        order = [goal, *facts, lead] if self.goal_first else [*facts, goal, lead]
        return Decision(
            self._words(" ".join(filter(None, order))), tuple(self._words(action) for action in decision.actions)
        )

    def parts(self) -> tuple[Rewording, ...]:
        """Return rewordings of one part each: the goal and the cue that the phrases follow, the facts, the verbs."""
        cues = tuple(rule for rule in self.sentences if "|" in rule[1])
        facts = tuple(rule for rule in self.sentences if rule not in cues)
        found = [
            Rewording(f"{self.name}: goal and cue alone", (*cues, _SAME_FACT), goal_first=self.goal_first),
            Rewording(f"{self.name}: facts alone", (_SAME_CUE, *facts)),
        ]
        if self.words:
            found.append(Rewording(f"{self.name}: verbs alone", (_SAME_CUE, _SAME_FACT), self.words))
        return tuple(found)

    def _sentence(self, text: str) -> str:
        for pattern, replacement in self.sentences:
            match = re.fullmatch(pattern, text)
            if match:
                changed = match.expand(replacement)
                return changed[0].upper() + changed[1:] if changed and changed[0] != "|" else changed
        raise ValueError(f"the rewording {self.name!r} has no rule for {text!r}; add one for it")

    def _words(self, text: str) -> str:
        if not self.words:
            return text
        pattern = "|".join(rf"\b{re.escape(old)}\b" for old, _ in self.words)
        return re.sub(pattern, lambda match: dict(self.words)[match[0]], text)


_SAME_CUE, _SAME_FACT = (r"(To .*, you should now)", r"|\1"), (r"(.*)", r"\1")
"""Rules that change nothing.  The goal stays with the cue."""

REWORDINGS = (
    Rewording(
        "other words",
        (
            (r"The kitchen has (.*)\.", r"this kitchen is fitted out with the following: \1."),
            (r"You see (.*) on the tables?\.", r"put ready for you: \1."),
            (r"The (.*) (?:is|are) on (the (?:\w+ )?cutting board)\.", r"\2 carries the \1."),
            (r"You are at (.*) with empty hands\.", r"you have taken up your post before \1, hands free."),
            (r"You are at (.*), holding (.*)\.", r"you have taken up your post before \1 and carry \2."),
            (r"To serve the dish, (.*), you should now", r"the order is for \1.|As things stand, you might"),
            (r"There are four rooms: (.*)\.", r"the flat is made up of \1."),
            (r"You are in (.*)\.", r"it is \1 that you are standing in."),
            (r"You see nothing useful here\.", r"this room has little to offer."),
            (r"You see (.*)\.", r"in view: \1."),
            (r"You are close to (.*)\.", r"within your reach: \1."),
            (r"It is not close to you\.|They are not close to you\.", r"that is out of your reach."),
            (r"Neither is close to you\.|None of them is close to you\.", r"all of that is out of your reach."),
            (r"The (.*) is (open|closed)\.", r"you find the \1's door \2."),
            (r"The TV is (on|off)\.", r"somebody has turned the TV \1."),
            (r"The (.*) (?:is|are) (in|on) (.*)\.", r"the \1 can be found \2 \3."),
            (r"You sat on (.*) earlier\.", r"a while ago, your seat was \1."),
            (r"You are sitting on (.*), facing (.*)\.", r"your seat is \1 and you look at \2."),
            (r"Your hands are empty\.", r"both hands are free."),
            (r"You are holding (.*)\.", r"you carry \1."),
            (r"To (.*), you should now", r"your plan is to \1.|As things stand, you might"),
        ),
    ),
    Rewording(
        "the goal first, told by oneself",
        (
            (r"The kitchen has (.*)\.", r"here I have \1."),
            (r"You see (.*) on (the tables?)\.", r"\2 in front of me: \1."),
            (r"The (.*) (?:is|are) on (the (?:\w+ )?cutting board)\.", r"I have left the \1 on \2."),
            (r"You are at (.*) with empty hands\.", r"I am working at \1 and my two hands hold nothing."),
            (r"You are at (.*), holding (.*)\.", r"I am working at \1, and what I hold is \2."),
            (r"To serve the dish, (.*), you should now", r"my guests are waiting for \1.|So I think I will"),
            (r"There are four rooms: (.*)\.", r"at home we have \1."),
            (r"You are in (.*)\.", r"of all places I am in \1."),
            (r"You see nothing useful here\.", r"nothing of interest meets my eye."),
            (r"You see (.*)\.", r"what meets my eye is \1."),
            (r"You are close to (.*)\.", r"I could touch \1."),
            (r".* (?:is|are) not close to you\.|(?:Neither|None).*", r"I could touch none of it from here."),
            (r"The (.*) is (open|closed|on|off)\.", r"I notice that the \1 is \2."),
            (r"The (.*) (?:is|are) (in|on) (.*)\.", r"I have left the \1 \2 \3."),
            (r"You sat on (.*) earlier\.", r"earlier I was sitting on \1."),
            (r"You are sitting on (.*), facing (.*)\.", r"I have sat down on \1 before \2."),
            (r"Your hands are empty\.", r"my two hands hold nothing."),
            (r"You are holding (.*)\.", r"what I hold is \1."),
            (r"To (.*), you should now", r"what I want is to \1.|So I think I will"),
        ),
        goal_first=True,
    ),
    Rewording(
        "about another person, with other verbs in the phrases too",
        (
            (r"The kitchen has (.*)\.", r"Robin's kitchen boasts \1."),
            (r"You see (.*) on the tables?\.", r"at the side \1 can be seen."),
            (r"The (.*) (?:is|are) on (the (?:\w+ )?cutting board)\.", r"\2 has on it the \1."),
            (r"You are at (.*) with empty hands\.", r"Robin has come up to \1 with both hands empty."),
            (r"You are at (.*), holding (.*)\.", r"Robin has come up to \1, one hand holding \2."),
            (r"To serve the dish, (.*), you should now", r"the customer wants \1.|It would suit Robin to"),
            (r"There are four rooms: (.*)\.", r"Robin's flat: \1."),
            (r"You are in (.*)\.", r"Robin has gone to \1."),
            (r"You see nothing useful here\.", r"Robin finds nothing worth having there."),
            (r"You see (.*)\.", r"Robin finds \1 there."),
            (r"You are close to (.*)\.", r"Robin has come up to \1."),
            (r".* (?:is|are) not close to you\.|Neither is.*|None of them is.*", r"Robin stands some way off."),
            (r"The (.*) is (open|closed|on|off)\.", r"at present the \1 is \2."),
            (r"The (.*) (?:is|are) (in|on) (.*)\.", r"Robin left the \1 \2 \3."),
            (r"You sat on (.*) earlier\.", r"Robin has been sitting on \1."),
            (r"You are sitting on (.*), facing (.*)\.", r"Robin sits on \1 turned towards \2."),
            (r"Your hands are empty\.", r"Robin has both hands empty."),
            (r"You are holding (.*)\.", r"Robin has \1 in one hand."),
            (r"To (.*), you should now", r"Robin would like to \1.|It would suit Robin to"),
        ),
        (
            ("chopped", "diced"),
            ("chop", "dice"),
            ("whole", "undiced"),
            ("pick up", "fetch"),
            ("take", "get"),
            ("put", "deposit"),
            ("serve", "deliver"),
            ("walk to", "go to"),
            ("keep holding", "hold on to"),
            ("stay at", "remain at"),
            ("look at", "eye"),
            ("leave", "keep"),
            ("bring", "carry"),
            ("grab", "take"),
            ("closed", "shut"),
            ("close", "shut"),
            ("turn", "switch"),
            ("sit on", "sit down on"),
            ("stand up", "get up"),
        ),
    ),
)


def with_reversed_words(decision: Decision) -> Decision:
    """Return a kitchen decision in which chopping is called serving, and serving is called chopping.

    As in the corpus variant ``swapped``: cutting a food reads "serve the dish", serving the dish reads "chop the" and
    the dish's first food.
    """
    food = re.search(r"only chopped (\w+)", decision.prompt)
    assert food is not None, f"not a kitchen: {decision.prompt!r}"

    def reverse(action: str) -> str:
        if action in ("chop nothing", "serve nothing"):
            return {"chop nothing": "serve nothing", "serve nothing": "chop nothing"}[action]
        if action == "serve the dish":
            return f"chop the {food[1]}"
        if action.startswith("chop "):
            return "serve the dish"
        return re.sub(r"^serve ", "chop ", action)

    return Decision(decision.prompt, tuple(map(reverse, decision.actions)))
