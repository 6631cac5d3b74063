"""A kitchen put into words: situations with a next step, stories, questions, recipes."""

from __future__ import annotations

from random import Random
from typing import Any

from pretraining.grammar import instructions, past, say, sentence, sentences, third_person
from pretraining.kitchen import CUTS, HAND, HOME, INSIDE, Kitchen, make_style, random_kitchen
from pretraining.words import NOUNS, a, listed

TEXT = sentences("kitchen")
WRONG = 0.11
"""Share of next steps that are any possible step instead of a sensible one."""


def food_words(rng: Random, kitchen: Kitchen, food: str, article: str = "the") -> str:
    """Return "the chopped carrot", "an uncut carrot" and the like."""
    adjective = kitchen.style.done if food in kitchen.cut else rng.choice(CUTS[kitchen.style.cut][1])
    both = f"{adjective} {food}"
    if article == "the":
        return f"the {both}"
    return f"some {both}" if food in NOUNS.mass else a(both)


def contents(kitchen: Kitchen) -> str:
    """Return the foods in the container, "chopped carrot and leek"."""
    return f"{kitchen.style.done} " + listed(kitchen.inside())


def bowl_words(rng: Random, kitchen: Kitchen, article: str = "the") -> str:
    """Return the container with its contents."""
    noun = kitchen.style.container
    inside = kitchen.inside()
    lead = a(noun) if article == "a" else f"the {noun}"
    if not inside:
        if rng.random() < 0.35:
            return a(f"empty {noun}") if article == "a" else f"the empty {noun}"
        return lead
    return f"{lead} " + say(rng, TEXT["contents"], c=contents(kitchen))


def thing_words(rng: Random, kitchen: Kitchen, item: str, article: str = "the") -> str:
    """Return any item with its state."""
    if item == kitchen.style.container:
        return bowl_words(rng, kitchen, article)
    return food_words(rng, kitchen, item, article)


def fact_boards(rng: Random, kitchen: Kitchen) -> str:
    """Say which boards there are."""
    boards = kitchen.style.boards
    if rng.random() < 0.25:
        # An inventory: what belongs to the kitchen, wherever it now is.
        items = rng.sample([*kitchen.style.foods, kitchen.style.container, *boards[:1]], len(kitchen.where) + 1)
        return say(rng, TEXT["inventory"], i=listed([a(item) for item in items]))
    if len(boards) == 1:
        return say(rng, TEXT["one_board"], b=boards[0], ab=a(boards[0]))
    base = boards[0].split(" ", 1)[1]
    return say(rng, TEXT["two_boards"], b=base, one=boards[0].split(" ")[0], two=boards[1].split(" ")[0])


def fact_home(rng: Random, kitchen: Kitchen) -> str:
    """Say what lies about, or nothing."""
    items = [item for item, place in kitchen.where.items() if place == HOME and rng.random() < 0.8]
    if not items:
        return ""
    plain = rng.random() < 0.4
    words = [
        (a(item) if plain and not (item in kitchen.cut or kitchen.inside()) else thing_words(rng, kitchen, item, "a"))
        for item in items
    ]
    slots = kitchen.style.person.slots() | {"i": listed(words), "p": kitchen.style.place}
    is_or_are = "is" if len(words) == 1 else "are"
    return say(rng, TEXT["lying_about"], v=is_or_are, y="s" if len(words) == 1 else "", **slots)


def facts_on_boards(rng: Random, kitchen: Kitchen) -> list[str]:
    """Say what lies on each board."""
    facts = []
    for index, board in enumerate(kitchen.style.boards):
        item = kitchen.on_board(index)
        if item is None:
            if rng.random() < 0.2:
                facts.append(say(rng, TEXT["empty_board"], b=board))
            continue
        if item in kitchen.style.foods and rng.random() < 0.35:
            text = TEXT["cut_on_board" if item in kitchen.cut else "whole_on_board"]
            facts.append(
                say(rng, text, f=item, b=board, d=kitchen.style.done, r=rng.choice(CUTS[kitchen.style.cut][1]))
            )
            continue
        facts.append(say(rng, TEXT["on_board"], b=board, i=thing_words(rng, kitchen, item, rng.choice(("a", "the")))))
    return facts


def facts_body(rng: Random, kitchen: Kitchen) -> list[str]:
    """Say what the hands hold and where the person stands, in one or two sentences."""
    slots = kitchen.style.person.slots()
    held = kitchen.held()
    if held is None:
        hands = say(rng, TEXT["empty_hands"], **slots)
    else:
        item = thing_words(rng, kitchen, held, rng.choice(("a", "the", "a")))
        hands = say(rng, TEXT["holding"], i=item, **slots)
    if kitchen.at is None:
        if rng.random() < 0.12:
            away = say(rng, TEXT["away_from_board"], b=rng.choice(kitchen.style.boards), **slots)
            return [hands, away]
        return [hands]
    board = kitchen.style.boards[kitchen.at]
    stand = say(rng, TEXT["at_board"], b=board, **slots)
    if rng.random() < 0.3:
        item = "nothing" if held is None else thing_words(rng, kitchen, held, rng.choice(("a", "the")))
        both = TEXT["holding_at_board"]
        return [say(rng, both, b=board, i=item, **slots)]
    if rng.random() < 0.5:
        first = [hands, f"{slots['S']} {stand}"]
        return first if rng.random() < 0.5 else first[::-1]
    if rng.random() < 0.5:
        return [f"{hands} and {slots['s']} {stand}"]
    return [f"{slots['S']} {stand} and {hands}"]


def goal_words(rng: Random, kitchen: Kitchen) -> str:
    """Return the goal as a noun phrase."""
    style = kitchen.style
    foods = rng.sample(kitchen.goal, len(kitchen.goal))
    return say(rng, TEXT["goal"], c=style.container, d=style.done, f=listed(foods))


def goal_clause(rng: Random, kitchen: Kitchen) -> tuple[str, str]:
    """Return the goal and the cue for the next step: (a sentence before, or nothing; the words the action follows)."""
    slots = kitchen.style.person.slots()
    goal = goal_words(rng, kitchen)
    cue = say(rng, TEXT["cue"], **slots).strip()
    if rng.random() < 0.15:
        lead = say(rng, TEXT["order"], **slots)
        return "", f"{lead}, {goal}, {cue}"
    if rng.random() < 0.6:
        lead = say(rng, TEXT["lead"], **slots)
        return "", f"{lead} {goal}, {cue}"
    before = say(rng, TEXT["wish"], g=goal, **slots)
    return before, f"{say(rng, TEXT['so'])} {cue}".strip()


def describe(rng: Random, kitchen: Kitchen) -> list[str]:
    """Return the sentences that describe the state, in some order."""
    boards = [fact_boards(rng, kitchen)] if rng.random() < 0.55 else []
    home = [text] if (text := fact_home(rng, kitchen)) else []
    on_boards, body = facts_on_boards(rng, kitchen), facts_body(rng, kitchen)
    order = rng.random()
    parts = [body, boards, on_boards, home] if 0.5 <= order < 0.65 else [boards, home, on_boards, body]
    if order >= 0.65:
        rng.shuffle(parts)
    facts = [fact for part in parts for fact in part]
    container = kitchen.style.container
    untold = kitchen.where[container] == HOME and not any(container in fact for fact in facts)
    if kitchen.inside() and untold:
        facts.append(f"the {container} holds {contents(kitchen)}")
    return facts


def join(rng: Random, facts: list[str]) -> str:
    """Return facts as sentences, now and then two in one."""
    texts, index = [], 0
    while index < len(facts):
        if index + 1 < len(facts) and rng.random() < 0.15 and " and " not in facts[index]:
            texts.append(f"{facts[index]}[,|] and {facts[index + 1]}".replace("[,|]", rng.choice((",", ""))))
            index += 2
        else:
            texts.append(facts[index])
            index += 1
    return " ".join(sentence(text) for text in texts)


def choose(rng: Random, world: Any, wrong: float = WRONG) -> Any:
    """Return the sensible next step in a kitchen or a home, or at times another one; None if there is none."""
    if rng.random() < wrong and (actions := world.possible()):
        return rng.choice(actions)
    return world.sensible(rng)


def next_step(rng: Random, invent: bool) -> str:
    """State, goal, cue and next step; often one or two further states and steps."""
    style = make_style(rng, invent)
    kitchen = random_kitchen(rng, style)
    slots = style.person.slots()
    parts = []
    goal_first = rng.random() < 0.15
    before, cue = goal_clause(rng, kitchen)
    facts = describe(rng, kitchen)
    if before and goal_first:
        parts.append(sentence(before))
        before = ""
    parts.append(join(rng, facts))
    if before:
        parts.append(sentence(before))
    action = choose(rng, kitchen)
    parts.append(sentence(f"{cue.strip()} {kitchen.phrase(action)}"))
    for _ in range(rng.choices((0, 1, 2, 3), (45, 25, 18, 12))[0]):
        if action[0] == "serve":
            break
        kitchen.apply(action)
        if not set(kitchen.inside()) <= set(kitchen.goal):
            break
        if rng.random() < 0.6:
            # After the step the state is told again, shorter, and in the same words for the goal.
            news = facts_body(rng, kitchen) + facts_on_boards(rng, kitchen)
            rng.shuffle(news)
            parts.append(join(rng, news))
        action = choose(rng, kitchen)
        cue = say(rng, TEXT["next_cue"], **slots)
        parts.append(sentence(f"{cue} {kitchen.phrase(action)}"))
    return " ".join(parts)


def story(rng: Random, invent: bool) -> str:
    """Somebody makes a dish, told in the past tense."""
    person = third_person(rng)
    style = make_style(rng, invent, person)
    kitchen = random_kitchen(rng, style, 0.1)
    if rng.random() < 0.7:
        kitchen = Kitchen(style, kitchen.goal, dict.fromkeys((*style.foods, style.container), HOME))
    slots = person.slots()
    parts = [
        sentence(
            say(
                rng,
                TEXT["wanted"],
                g=goal_words(rng, kitchen),
                day=say(rng, TEXT["day"]),
                **slots,
            )
        )
    ]
    if rng.random() < 0.4:
        parts.append(join(rng, describe_past(rng, kitchen)))
    for number in range(rng.randrange(3, 9)):
        action = choose(rng, kitchen, 0.07)
        told = past(kitchen.phrase(action))
        lead = say(rng, TEXT["then" if number else "first"])
        parts.append(sentence(f"{lead}{slots['s']} {told}"))
        if action[0] == "serve":
            parts.append(say(rng, TEXT["ending"]))
            break
        kitchen.apply(action)
        if not set(kitchen.inside()) <= set(kitchen.goal):
            break
        if rng.random() < 0.2:
            parts.append(join(rng, describe_past(rng, kitchen)[:2]))
    return " ".join(part for part in parts if part)


def describe_past(rng: Random, kitchen: Kitchen) -> list[str]:
    """Return a few facts about the state in the past tense."""
    style = kitchen.style
    slots = style.person.slots()
    facts = []
    held = kitchen.held()
    if held is None:
        facts.append(say(rng, TEXT["hands_were_empty"], **slots))
    else:
        facts.append(say(rng, TEXT["held"], i=thing_words(rng, kitchen, held), **slots))
    for item, place in kitchen.where.items():
        if isinstance(place, int):
            facts.append(f"{thing_words(rng, kitchen, item)} lay on the {style.boards[place]}")
        elif place == HOME and rng.random() < 0.6:
            facts.append(f"{thing_words(rng, kitchen, item)} was on the {style.place}")
    rng.shuffle(facts)
    return facts


def questions(rng: Random, invent: bool) -> str:
    """A told or described situation, and questions about it with their answers."""
    style = make_style(rng, invent)
    kitchen = random_kitchen(rng, style)
    if rng.random() < 0.5:
        text = join(rng, describe(rng, kitchen))
    else:
        style.person = third_person(rng)
        slots = style.person.slots()
        parts = [join(rng, describe_past(rng, kitchen))]
        for _ in range(rng.randrange(1, 5)):
            action = kitchen.sensible(rng) if rng.random() < 0.6 else rng.choice(kitchen.possible())
            if action[0] == "serve":
                break
            name = slots["S"] if rng.random() < 0.4 else slots["s"]
            parts.append(sentence(f"{say(rng, TEXT['and_then'])}{name} {past(kitchen.phrase(action))}"))
            kitchen.apply(action)
        text = " ".join(parts)
    answers = [question(rng, kitchen, text) for _ in range(rng.choices((1, 2, 3), (30, 40, 30))[0])]
    return " ".join([text, *dict.fromkeys(answers)])


def question(rng: Random, kitchen: Kitchen, text: str) -> str:
    """One question about the state, asking only for what the text names, with its answer."""
    style, slots, held = kitchen.style, kitchen.style.person.slots(), kitchen.held()
    foods = [food for food in style.foods if food in text]
    kind = rng.randrange(5) if foods and style.container in text else 0
    if kind == 0:
        ask = say(rng, TEXT["ask_held"], **slots)
        answer = "nothing" if held is None else thing_words(rng, kitchen, held)
    elif kind == 1:
        item = rng.choice((*foods, style.container))
        ask = f"Where is the {item}?"
        place = kitchen.where[item]
        answer = (
            f"on the {style.boards[place]}" if isinstance(place, int)
            else f"in {slots['your']} hand" if place == HAND
            else f"in the {style.container}" if place == INSIDE
            else f"on the {style.place}"
        )  # fmt: skip
    elif kind == 2:
        food = rng.choice(foods)
        ask = say(rng, TEXT["ask_cut"], f=food, d=style.done)
        if food in kitchen.cut:
            answer = say(rng, TEXT["is_cut"], d=style.done)
        else:
            answer = say(rng, TEXT["is_whole"], r=rng.choice(CUTS[style.cut][1]))
    elif kind == 3:
        board = rng.randrange(len(style.boards))
        ask = f"What is on the {style.boards[board]}?"
        item = kitchen.on_board(board)
        answer = "nothing" if item is None else thing_words(rng, kitchen, item)
    else:
        ask = f"What is in the {style.container}?"
        answer = contents(kitchen) if kitchen.inside() else "nothing"
    return say(rng, TEXT["answered"], ask=ask, answer=sentence(answer))


def recipe(rng: Random, invent: bool) -> str:
    """A how-to with numbered or plain steps, along one of several routes."""
    style = make_style(rng, invent, third_person(rng))
    kitchen = Kitchen(style, [], dict.fromkeys((*style.foods, style.container), HOME))
    kitchen.goal = rng.sample(style.foods, min(len(style.foods), rng.choice((1, 1, 2))))
    title = say(rng, TEXT["title"], g=goal_words(rng, kitchen))
    steps = []
    for _ in range(14):
        action = kitchen.sensible(rng)
        if rng.random() < 0.05 and action[0] in ("get", "take"):
            steps.append(say(rng, TEXT["aside"], your="your", f=rng.choice(kitchen.goal)))
        steps.append(kitchen.phrase(action))
        if action[0] == "serve":
            break
        kitchen.apply(action)
    return f"{sentence(title)} {instructions(rng, steps)}"
