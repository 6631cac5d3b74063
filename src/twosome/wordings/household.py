"""The words of the household: its sentences, its goals and its phrases, as templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from twosome.wordings.choosing import EVERYDAY, FIRST


@dataclass(frozen=True)
class HouseholdWording:
    """Templates of the household; the slots are filled with nouns and their articles.

    Attributes:
        prompt: How facts and goal make a prompt, up to where a phrase carries on.
        rooms: Which rooms there are.
        place: Which one the agent is in.
        sight: What it sees that does not lie in or on something.
        nothing: That it sees nothing of use.
        near: What of it is close.
        none_of_one: That the only thing seen is not close.
        none_of_two: That neither of two is.
        none_of_many: That none of several is.
        inside: What lies in something.
        on_top: What lies on something.
        state: Whether something is open or closed, on or off.
        sitting: That the agent sits.
        sat: That it sat, under the faithful rules.
        holding: What it holds.
        empty: That it holds nothing.
        heat: The goal of heating up an item, after "to".
        wash: Of washing one.
        relax: Of the evening before the TV.
        walk_room: Walking to another room, with empty hands.
        carry_room: The same with something in hand.
        walk_item: Walking to what can be grabbed.
        carry_item: The same with something in hand.
        walk_furniture: Walking to what cannot be grabbed.
        carry_furniture: The same with something in hand that could be put there.
        grab: Taking something in hand.
        take_out: The same where it lies in something.
        take_off: The same where it lies on something.
        put_in: Putting it into something.
        put_on: Putting it onto something.
        open: Opening.
        close: Closing.
        switch_on: Switching on.
        switch_off: Switching off.
        sit: Sitting down.
        stand_up: Standing up.
    """

    prompt: str = "{facts} To {goal}, you should now"
    rooms: str = "There are four rooms: {rooms}."
    place: str = "You are in {room}."
    sight: str = "You see {things}."
    nothing: str = "You see nothing useful here."
    near: str = "You are close to {things}."
    none_of_one: str = "{It} {is} not close to you."
    none_of_two: str = "Neither is close to you."
    none_of_many: str = "None of them is close to you."
    inside: str = "{Things} {are} in {place}."
    on_top: str = "{Things} {are} on {place}."
    state: str = "{Thing} {is} {state}."
    sitting: str = "You are sitting on {seat}, facing {screen}."
    sat: str = "You sat on {seat} earlier."
    holding: str = "You are holding {things}."
    empty: str = "Your hands are empty."
    heat: str = "heat up {item} in {appliance}"
    wash: str = "wash {item} in {appliance}"
    relax: str = "enjoy {chips} and {milk} while watching TV"
    walk_room: str = "walk to {target}"
    carry_room: str = "walk to {target}"
    walk_item: str = "walk to {target}"
    carry_item: str = "walk to {target}"
    walk_furniture: str = "walk to {target}"
    carry_furniture: str = "walk to {target}"
    grab: str = "grab {target}"
    take_out: str = "grab {target}"
    take_off: str = "grab {target}"
    put_in: str = "put {target} in {place}"
    put_on: str = "put {target} on {place}"
    open: str = "open {target}"
    close: str = "close {target}"
    switch_on: str = "turn on {target}"
    switch_off: str = "turn off {target}"
    sit: str = "sit on {target}"
    stand_up: str = "stand up from {target}"

    further_slots: ClassVar[dict[str, frozenset[str]]] = {
        **{name: frozenset({"held"}) for name in ("carry_room", "carry_item", "carry_furniture")},
        **{name: frozenset({"place"}) for name in ("take_out", "take_off")},
        "relax": frozenset({"table", "tv", "sofa"}),
        "none_of_one": frozenset({"thing", "Thing"}),
        "none_of_two": frozenset({"things", "Things"}),
        "none_of_many": frozenset({"things", "Things"}),
        "inside": frozenset({"things", "place", "Place"}),
        "on_top": frozenset({"things", "place", "Place"}),
    }
    """Slots that are filled, besides those that stand in the first wording."""


HOUSEHOLD = {
    FIRST: HouseholdWording(),
    EVERYDAY: HouseholdWording(
        prompt="{facts} To {goal}, you first need to",
        near="You are next to {things}.",
        none_of_one="{It} {is} not within reach.",
        none_of_two="Neither is within reach.",
        none_of_many="None of them is within reach.",
        carry_room="carry {held} to {target}",
        walk_item="find {target}",
        carry_item="find {target}",
        walk_furniture="go over to {target}",
        carry_furniture="bring {held} to {target}",
        grab="pick up {target}",
        take_out="take {target} out of {place}",
        take_off="take {target} off {place}",
        sit="sit down on {target}",
    ),
}
"""The wordings of the household by name."""
