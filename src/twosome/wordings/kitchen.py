"""The words of the kitchens: their sentences, their goals and their phrases, as templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from twosome.wordings.choosing import EVERYDAY, FIRST


@dataclass(frozen=True)
class KitchenWording:
    """Templates of the kitchens; the slots are filled with things and places and their articles.

    Attributes:
        prompt: How facts and dish make a prompt, up to where a phrase carries on.
        end: The same once the dish is served.
        dish: What is to be served.
        kitchen: What the kitchen has.
        also: What else it has that phrases speak of, with its article; may be empty.
        sight: What is seen where it belongs.
        table: Where that is, of one thing.
        tables: Of several.
        lies: That something is somewhere.
        lie: That several things are.
        whole: A food before it is chopped.
        chopped: And after.
        empty_bowl: The bowl.
        full_bowl: The bowl with something in it.
        empty: That the cook holds nothing.
        empty_there: And stands at a board.
        holding: What it holds.
        holding_there: At a board.
        pick_up: Getting a food that is seen or remembered whole.
        walk_food: Walking to a food.
        keep_food: What remains of getting a food in hand.
        leave_food: Of getting a food in the bowl in hand.
        look_food: Of getting a food in the bowl elsewhere.
        take_bowl: Getting the bowl with empty hands.
        walk_bowl: Walking to the bowl with something in hand.
        keep_bowl: What remains of getting the bowl in hand.
        into_bowl: Putting a food into the bowl.
        walk_board: Walking to a board.
        stay_board: Staying at it.
        onto_board: Putting what is in hand onto it.
        into_bowl_there: Putting a food into the bowl on it.
        bring_bowl: Bringing the bowl to what lies on it.
        walk_counter: Walking to the middle counter.
        onto_counter: Putting what is in hand onto it.
        chop: Chopping.
        chop_nothing: Chopping where nothing can be chopped.
        serve_dish: Serving the bowl with something in it.
        serve_bowl: Serving the empty bowl.
        serve_food: Serving a food.
        serve_nothing: Serving with empty hands.
    """

    prompt: str = "{facts} To serve {dish}, you should now"
    end: str = "{facts} You have served {dish}, and could now"
    dish: str = "the dish, a bowl with only chopped {foods}"
    kitchen: str = "The kitchen has {things}."
    also: str = ""
    sight: str = "You see {things} {tables}."
    table: str = "on the table"
    tables: str = "on the tables"
    lies: str = "{Things} is on {place}."
    lie: str = "{Things} are on {place}."
    whole: str = "the whole {food}"
    chopped: str = "the chopped {food}"
    empty_bowl: str = "the empty bowl"
    full_bowl: str = "the bowl with chopped {foods}"
    empty: str = "Your hands are empty."
    empty_there: str = "You are at {place} with empty hands."
    holding: str = "You are holding {thing}."
    holding_there: str = "You are at {place}, holding {thing}."
    pick_up: str = "pick up {food}"
    walk_food: str = "walk to {food}"
    keep_food: str = "keep holding {food}"
    leave_food: str = "leave {food} in the bowl"
    look_food: str = "look at {food}"
    take_bowl: str = "take the bowl"
    walk_bowl: str = "walk to the bowl"
    keep_bowl: str = "keep holding the bowl"
    into_bowl: str = "put {food} in the bowl"
    walk_board: str = "walk to {place}"
    stay_board: str = "stay at {place}"
    onto_board: str = "put {thing} on {place}"
    into_bowl_there: str = "put {food} in the bowl on {place}"
    bring_bowl: str = "bring the bowl to {place}"
    walk_counter: str = "walk to the middle counter"
    onto_counter: str = "put {thing} on the middle counter"
    chop: str = "chop {food}"
    chop_nothing: str = "chop nothing"
    serve_dish: str = "serve the dish"
    serve_bowl: str = "serve the empty bowl"
    serve_food: str = "serve {food}"
    serve_nothing: str = "serve nothing"

    further_slots: ClassVar[dict[str, frozenset[str]]] = {
        "prompt": frozenset({"foods"}),
        "end": frozenset({"foods"}),
        "pick_up": frozenset({"described"}),
        "into_bowl": frozenset({"described"}),
        "into_bowl_there": frozenset({"described"}),
        "onto_board": frozenset({"described"}),
        "onto_counter": frozenset({"described"}),
        "serve_food": frozenset({"described"}),
        "bring_bowl": frozenset({"food", "described"}),
        "chop": frozenset({"place"}),
        "serve_dish": frozenset({"foods"}),
    }
    """Slots that are filled, besides those that stand in the first wording."""


KITCHEN = {
    FIRST: KitchenWording(),
    EVERYDAY: KitchenWording(
        prompt="{facts} To make and serve {dish} in the bowl, you first need to",
        end="{facts} You have made and served {dish} in the bowl, and could now",
        dish="a salad of only chopped {foods}",
        pick_up="pick up {described}",
        take_bowl="pick up the bowl",
        into_bowl="put {described} in the bowl",
        into_bowl_there="put {described} in the bowl on {place}",
        onto_board="put {described} on {place}",
        onto_counter="put {described} on the middle counter",
        serve_dish="serve the salad",
        serve_food="serve only {described}",
    ),
}
"""The wordings of the kitchens by name."""
