"""Which actions are offered in a household: the published tables, and the rule that repairs them.

The *published* tables decide by the observation alone. They offer actions that fail, leave out useful ones, and
strand the entertainment task in 37 situations from which nothing offered leads to success. The *repaired* rule offers
what would succeed and means something: no walk to where the agent already is, nothing but standing up while sitting.

Without either, every action is offered; what cannot be done changes nothing, as in the published environment.
"""

from __future__ import annotations

from twosome.virtualhome.household import Household, Rules
from twosome.virtualhome.tasks import ROOMS, Action, Goal


def admissible(rules: Rules, state: Household) -> tuple[int, ...]:
    """Ids of the offered actions, ascending; never empty."""
    if rules.all_actions:
        return tuple(range(len(rules.task.actions)))
    if rules.faithful:
        facts = frozenset(str(fact) for fact in rules.task.facts if rules.holds(state, fact))
        offered = {f"walk {room}" for room in ROOMS if room != state.room} | _published(rules, state, facts)
        return tuple(i for i, action in enumerate(rules.task.actions) if str(action) in offered)
    return tuple(i for i, action in enumerate(rules.task.actions) if _worth_offering(rules, state, action))


def _worth_offering(rules: Rules, state: Household, action: Action) -> bool:
    """The repaired rule: the action would succeed, and is not a walk to where the agent is or to what it has."""
    if state.sitting:
        return action.verb == "standup"
    if action.verb == "walk" and (action.target == state.room or action.target in state.near):
        return False
    return rules.act(state, action) is not None


def _published(rules: Rules, state: Household, facts: frozenset[str]) -> set[str]:
    """What the published tables offer besides the other rooms."""
    if not rules.task.published:
        return _placed(rules, state, facts)
    if rules.task.goal is Goal.STORED:
        return _storage(facts)
    return _kitchen(facts) if "in kitchen" in facts else _living_room(facts)


def _placed(rules: Rules, state: Household, facts: frozenset[str]) -> set[str]:
    """Our own storage task across rooms: the repaired rule plus failing options at the appliance, as published."""
    offered = {str(action) for action in rules.task.actions if _worth_offering(rules, state, action)}
    if "near appliance" in facts:
        offered |= {"open appliance", "close appliance"}
        if "holds item" in facts:
            offered.add("putin item appliance")
    return offered


def _storage(facts: frozenset[str]) -> set[str]:
    if "in kitchen" not in facts or "sees item" not in facts:
        return set()
    at_appliance = "near appliance" in facts
    if "holds item" in facts:
        if at_appliance:
            return {"walk item", "putin item appliance", "open appliance", "close appliance"}
        return {"walk item", "walk appliance"}
    if "near item" in facts:
        if not at_appliance:
            return {"walk appliance", "grab item"}
        # Near both, empty-handed: the item is inside. Taking it out again is not offered.
        return {"open appliance", "close appliance"} if "open appliance" in facts else {"close appliance"}
    return {"walk item", "open appliance", "close appliance"} if at_appliance else {"walk item", "walk appliance"}


def _kitchen(facts: frozenset[str]) -> set[str]:
    """Entertainment, in the kitchen."""
    snacks = ("chips", "milk")
    visible = [x for x in snacks if f"sees {x}" in facts]
    if len(visible) == 1:
        only = visible[0]
        if f"holds {only}" in facts:
            return set()
        if f"near {only}" in facts:
            return {f"grab {only}"}
        # The published defect that strands an episode: the way offered leads to the *other* snack, which is elsewhere.
        return {"walk milk" if only == "chips" else "walk chips"}
    missing = [x for x in visible if f"holds {x}" not in facts]
    return {f"grab {x}" if f"near {x}" in facts else f"walk {x}" for x in missing}


def _living_room(facts: frozenset[str]) -> set[str]:
    """Entertainment, anywhere but the kitchen."""
    if "in livingroom" not in facts:
        return set()
    held = [x for x in ("chips", "milk") if f"holds {x}" in facts]
    running = "on tv" in facts
    if "near table" in facts:
        if not held:
            return set()
        beside = len(held) == 1 and ("placed chips table" in facts or "placed milk table" in facts)
        return {"walk tv", "walk sofa"} | (set() if beside else {f"putback {x} table" for x in held})
    if "near tv" in facts:
        return {"walk table", "walk sofa"} | (set() if running else {"switchon tv", "switchoff tv"})
    if "near sofa" in facts:
        if "sits sofa" in facts:
            return set()
        return {"walk table", "walk tv"} | ({"sit sofa", "standup sofa"} if running else set())
    return {"walk table", "walk tv", "walk sofa"}
