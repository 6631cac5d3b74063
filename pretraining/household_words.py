"""A home put into words: situations with a next step, stories, questions, advice."""

from __future__ import annotations

from random import Random

from pretraining.grammar import instructions, past, say, sentence, sentences, third_person
from pretraining.household import Home, random_home
from pretraining.kitchen_words import choose, join
from pretraining.words import NOUNS, a, are, listed

TEXT = sentences("household")


def goal_phrase(rng: Random, home: Home) -> str:
    """Return the goal as a verb phrase: "warm the roll in the oven"."""
    things = listed([f"the {thing}" for thing in home.things])
    match home.goal:
        case "heat":
            return say(rng, TEXT["heat"], t=things, c=home.container)
        case "store":
            return say(rng, TEXT["store"], t=things, c=home.container)
        case "bring":
            return say(rng, TEXT["bring"], t=things, u=home.surface)
        case "switch":
            text = TEXT["switch_on"] if home.want_on else TEXT["switch_off"]
            return say(rng, text, d=home.device)
        case _:
            text = TEXT["relax_loud"] if home.device in NOUNS.speakers else TEXT["relax"]
            return say(rng, text, t=things, d=home.device, e=home.seat)


def describe(rng: Random, home: Home, brief: bool = False) -> list[str]:
    """Return the sentences that describe what the person knows here."""
    slots = home.person.slots() | {"r": home.here}
    facts = [] if brief else _describe_place(rng, home, slots)
    noticed = [item for item in home.items() if home.seen(item) and home.place.get(item) != "hand"]
    noticed = [item for item in noticed if rng.random() < 0.9]
    rng.shuffle(noticed)
    facts += _describe_view(rng, home, slots, noticed, brief)
    state = [
        *_describe_hands(rng, home, slots),
        *_describe_nearness(rng, home, slots, noticed),
        *_describe_container(rng, home),
        *_describe_device(rng, home),
        *_describe_surface(rng, home),
    ]
    if home.seated:
        state.append(say(rng, TEXT["seated"], e=home.seat, **slots))
    if rng.random() < 0.5:
        rng.shuffle(state)
    return facts + state


def _the(items: list[str], last: str = "and") -> str:
    return listed([f"the {item}" for item in items], last)


def _are_all(items: list[str]) -> str:
    return are(items[0]) if len(items) == 1 else "are"


def _describe_place(rng: Random, home: Home, slots: dict[str, str]) -> list[str]:
    facts = []
    if rng.random() < 0.4:
        some = rng.sample(home.rooms, min(len(home.rooms), rng.choice((2, 3, 3))))
        text = TEXT["rooms"]
        facts.append(say(rng, text, some=listed([a(room) for room in some])))
    text = TEXT["here"]
    return [*facts, say(rng, text, **slots)]


def _describe_view(rng: Random, home: Home, slots: dict[str, str], noticed: list[str], brief: bool) -> list[str]:
    facts = []
    if noticed and (not brief or rng.random() < 0.3):
        spots = [
            f"the {item} on the {home.place[item]}"
            if item in home.place and home.place[item] != home.container and rng.random() < 0.3
            else f"the {item}"
            for item in noticed
        ]
        text = TEXT["seen"]
        plain = listed([a(item) for item in noticed])
        facts.append(say(rng, text, i=listed(spots), n=plain, v=are(noticed[0]), **slots))
    hidden = [item for item in home.items() if home.room_of(item) != home.here]
    if hidden and not brief and rng.random() < 0.4:
        item = rng.choice(hidden)
        text = TEXT["elsewhere"]
        facts.append(say(rng, text, i=item, v=are(item), o=home.room_of(item), **slots))
    if not noticed and not brief and rng.random() < 0.6:
        text = TEXT["nothing_seen"]
        facts.append(say(rng, text, **slots))
    return facts


def _describe_hands(rng: Random, home: Home, slots: dict[str, str]) -> list[str]:
    if held := home.held():
        things = listed([rng.choice((f"the {thing}", a(thing))) for thing in held])
        text = TEXT["holding"]
        return [say(rng, text, i=things, **slots)]
    text = TEXT["empty_hands"]
    said = say(rng, text, **slots)
    return [] if rng.random() < 0.12 else [said]


def _describe_nearness(rng: Random, home: Home, slots: dict[str, str], noticed: list[str]) -> list[str]:
    if home.near and not home.seated:
        near = [home.near]
        if rng.random() >= 0.7:
            held = home.held()
            near = [x for x in home.items() if home.seen(x) and home.close_to(x) and x not in held] or near
        text = TEXT["near"]
        return [say(rng, text, i=_the(near), v=_are_all(near), **slots)]
    if noticed and rng.random() < 0.45 and not home.seated:
        far = rng.sample(noticed, min(len(noticed), rng.choice((1, 1, 2))))
        text = TEXT["not_near"] if len(far) == 1 else TEXT["neither_near"]
        return [say(rng, text, i=_the(far), j=_the(far, "nor"), v=are(far[0]), **slots)]
    if not home.seated and rng.random() < 0.25:
        return [say(rng, TEXT["near_nothing"], **slots)]
    return []


def _describe_container(rng: Random, home: Home) -> list[str]:
    if not home.container or not home.seen(home.container):
        return []
    open_ = home.container in home.opened
    text = TEXT["open"] if open_ else TEXT["closed"]
    facts = [say(rng, text, c=home.container)]
    inside = [thing for thing in home.things if home.place[thing] == home.container]
    if inside and open_ and rng.random() < 0.7:
        facts.append(f"{_the(inside)} {_are_all(inside)} {say(rng, TEXT['in'])} the {home.container}")
    return facts


def _describe_device(rng: Random, home: Home) -> list[str]:
    if not home.device or not home.seen(home.device) or rng.random() >= 0.85:
        return []
    text = TEXT["device_on"] if home.device in home.on else TEXT["device_off"]
    return [say(rng, text, d=home.device)]


def _describe_surface(rng: Random, home: Home) -> list[str]:
    there = [thing for thing in home.things if home.place[thing] == home.surface]
    if not there or not home.seen(home.surface):
        return []
    return [f"{_the(there)} {_are_all(there)} {say(rng, TEXT['on'])} the {home.surface}"]


def cue_words(rng: Random, home: Home) -> str:
    """Return the words that a next step follows."""
    return say(rng, TEXT["cue"], **home.person.slots()).strip()


def next_step(rng: Random, invent: bool) -> str:
    """State, goal, cue and next step; often one or two further states and steps."""
    home = random_home(rng, invent)
    slots = home.person.slots()
    goal = goal_phrase(rng, home)
    parts = [join(rng, describe(rng, home))]
    action = choose(rng, home)
    assert action is not None
    cue = cue_words(rng, home)
    if rng.random() < 0.6:
        parts.append(sentence(f"{say(rng, TEXT['to'])} {goal}, {cue} {home.phrase(action)}"))
    else:
        wish = say(rng, TEXT["wish"], g=goal, **slots)
        if rng.random() < 0.3:
            parts.insert(0, sentence(wish))
        else:
            parts.append(sentence(wish))
        parts.append(sentence(f"{say(rng, TEXT['so'])}{cue} {home.phrase(action)}"))
    for _ in range(rng.choices((0, 1, 2, 3), (45, 25, 18, 12))[0]):
        home.apply(action)
        if home.sensible(rng) is None:
            parts.append(say(rng, TEXT["done"]))
            break
        if rng.random() < 0.6:
            parts.append(join(rng, describe(rng, home, brief=True)))
        action = choose(rng, home)
        if action is None:
            break
        cue = say(rng, TEXT["next_cue"], **slots)
        parts.append(sentence(f"{cue} {home.phrase(action)}"))
    return " ".join(part for part in parts if part)


def told(rng: Random, home: Home, length: int, wrong: float) -> list[str]:
    """Return steps in the past tense, and change the home accordingly."""
    parts = []
    for number in range(length):
        action = choose(rng, home, wrong)
        if action is None:
            break
        name = home.person.name if number == 0 or rng.random() < 0.25 else home.person.pronoun
        lead = say(rng, TEXT["then"]) if number else ""
        parts.append(sentence(f"{lead}{name} {past(home.phrase(action))}"))
        home.apply(action)
    return parts


def opening(rng: Random, home: Home) -> str:
    """Return a sentence that says where the person was and where things lay."""
    slots = home.person.slots()
    facts = [say(rng, TEXT["was_here"], r=home.here, day=say(rng, TEXT["day"]), **slots)]
    for thing in home.things:
        if home.place[thing] == "hand":
            facts.append(f"{slots['s']} held the {thing}")
        elif rng.random() < 0.8 and home.place[thing] != home.container:
            facts.append(
                f"the {thing} {'were' if thing in NOUNS.plural else 'was'} on the {home.place[thing]} in the "
                f"{home.room_of(thing)}"
            )
    return join(rng, facts)


def story(rng: Random, invent: bool) -> str:
    """Somebody does a chore, told in the past tense."""
    home = random_home(rng, invent, third_person(rng), None if rng.random() < 0.4 else 0, 0.1)
    slots = home.person.slots()
    wish = say(rng, TEXT["wanted"], g=goal_phrase(rng, home), **slots)
    parts = [sentence(wish), opening(rng, home)]
    if rng.random() < 0.4:
        parts.reverse()
    parts += told(rng, home, rng.randrange(3, 10), 0.06)
    if home.sensible(rng) is None:
        parts.append(say(rng, TEXT["ending"]))
    return " ".join(part for part in parts if part)


def questions(rng: Random, invent: bool) -> str:
    """A told or described situation, and questions about it with their answers."""
    if rng.random() < 0.45:
        home = random_home(rng, invent)
        text = join(rng, describe(rng, home))
    else:
        home = random_home(rng, invent, third_person(rng), None if rng.random() < 0.3 else 0)
        text = " ".join([opening(rng, home), *told(rng, home, rng.randrange(1, 6), 0.3)])
    answers = [question(rng, home, text) for _ in range(rng.choice((1, 2, 2, 3)))]
    return " ".join([text, *dict.fromkeys(answers)])


def question(rng: Random, home: Home, text: str) -> str:
    """One question about the state, asking only for what the text names, with its answer."""
    slots = home.person.slots()
    held = home.held()
    kind = rng.randrange(5)
    things = [thing for thing in home.things if thing in text]
    unsaid = (kind == 1 and not things) or (kind == 3 and (not home.container or home.container not in text))
    if kind == 0 or unsaid:
        ask = say(rng, TEXT["ask_held"], **slots)
        answer = listed([f"the {thing}" for thing in held]) if held else "nothing"
    elif kind == 1:
        thing = rng.choice(things)
        ask = f"Where {are(thing)} the {thing}?"
        place = home.place[thing]
        where = f"{'in' if place == home.container else 'on'} the {place}"
        answer = f"in {slots['your']} hand" if place == "hand" else where
    elif kind == 2:
        ask, answer = f"Where {slots['are']} {slots['S']}?", f"in the {home.here}"
    elif kind == 3:
        ask = say(rng, TEXT["ask_open"], c=home.container)
        answer = "yes, it is open" if home.container in home.opened else "no, it is closed"
    else:
        ask = f"How many hands {slots['are']} free?".replace("am", "are").replace(" is ", " are ")
        answer = ("two", "one", "none")[len(held)]
    return say(rng, TEXT["answered"], ask=ask, answer=sentence(answer))


def howto(rng: Random, invent: bool) -> str:
    """The steps of a chore as advice."""
    home = random_home(rng, invent, third_person(rng), 0)
    title = say(rng, TEXT["title"], g=goal_phrase(rng, home))
    steps = [f"start in the {home.here}"] if rng.random() < 0.6 else []
    while (action := home.sensible(rng)) is not None and len(steps) < 16:
        steps.append(home.phrase(action))
        home.apply(action)
    return f"{title} {instructions(rng, steps)}"
