"""Tickets that are routed by a served agent, and rewards that arrive when other tickets have come since.

An imagined shop has seven queues. A ticket is a sentence of a customer; which queue it belongs to is hidden, and told
as a reward some tickets later: 1 for the right queue, 0.3 for one that passes it on, less for a wrong one, and least
where a stolen account waits in it. A twentieth of the tickets is never heard of again.

    python examples/tickets.py                     # one seed: a server, its journal, learning, a server again
    python examples/tickets.py --seeds 5 --picture docs/pictures/tickets.png

Everything goes through what others would use: HTTP to ``twosome serve --record --sample`` in this process, outcomes to
``/v1/outcomes``, and ``twosome train --from``.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

QUEUES = ("billing", "delivery", "returns", "password", "security", "repairs", "orders")
"""The phrases that the agent chooses among."""

PASSES_ON = {("returns", "delivery"), ("returns", "repairs"), ("password", "security"), ("orders", "delivery")}
"""Wrong queues that know where a ticket belongs: (it belongs to, they)."""

TICKETS: dict[str, list[str]] = {
    "billing": [
        "I paid twice for the {thing}.",
        "The bill for my {thing} is wrong.",
        "You took {sum} euros too much.",
        "Send me a bill for the {thing}.",
        "The sum on my bill is {sum} euros, not what I paid.",
    ],
    "delivery": [
        "My {thing} has not come after {days} days.",
        "The {thing} went to my old street.",
        "When will you bring the {thing}?",
        "The box with the {thing} is lost.",
        "Nobody came to the door to bring the {thing}.",
    ],
    "returns": [
        "I do not like the {thing}, take it back.",
        "How do I give back the {thing}?",
        "The {thing} is too small, take it back.",
        "May I change the {thing} for another one?",
        "I want to give the {thing} back, it is too large.",
    ],
    "password": [
        "I forgot my password.",
        "The link for a new password is dead.",
        "I cannot log in since {days} days.",
        "My account is closed after {days} wrong tries.",
        "I have lost the password, how do I log in?",
    ],
    "security": [
        "Somebody else bought a {thing} with my account.",
        "A strange letter asks for my password.",
        "Somebody logged in as me {days} days ago.",
        "A stranger paid {sum} euros with my card.",
        "A stranger uses my account and bought a {thing}.",
    ],
    "repairs": [
        "The {thing} broke after {days} days.",
        "The {thing} is loud and stops.",
        "I cannot turn on the {thing} any more.",
        "My new {thing} has a hole.",
        "The {thing} is broken, can you mend it?",
    ],
    "orders": [
        "I want {days} more of the {thing}.",
        "Do not send the {thing}, I need it no more.",
        "Do you have a {thing} for {sum} euros?",
        "Add a {thing} to what I buy.",
        "I want to buy the {thing} for {sum} euros.",
    ],
}
"""What customers write, by the queue that it belongs to. The last wording of each is not met before the end."""
THINGS = ("lamp", "cup", "chair", "clock", "bed", "pan", "coat", "knife")


@dataclass(frozen=True)
class Ticket:
    """What a customer wrote, and the queue that it belongs to."""

    text: str
    queue: str

    def reward(self, queue: str) -> float:
        """What it is worth to send it to a queue."""
        if queue == self.queue:
            return 1.0
        if (self.queue, queue) in PASSES_ON:
            return 0.3
        return -1.0 if self.queue == "security" else -0.3


def tickets(count: int, seed: int, wordings: slice = slice(0, -1)) -> list[Ticket]:
    """Tickets as they come in."""
    lot, found = random.Random(seed), []
    for _ in range(count):
        queue = lot.choice(list(TICKETS))
        wording = lot.choice(TICKETS[queue][wordings])
        words = {"thing": lot.choice(THINGS), "days": lot.randint(2, 20), "sum": lot.randint(5, 99)}
        found.append(Ticket(wording.format(**words), queue))
    return found


@dataclass
class Desk:
    """A client of the agent's server, to which rewards come late.

    Attributes:
        port: Of the server on this machine.
        lot: Decides how late.
        rewards: What every ticket was worth, whether it was told or not.
    """

    port: int
    lot: random.Random
    rewards: list[float] = field(default_factory=list)
    _waiting: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def route(self, ticket: Ticket, *, best: bool = False) -> None:
        """Have a ticket routed as the server drew, or to the most probable queue; and tell what has become known."""
        question = {"type": "choice", "criteria": dict.fromkeys(QUEUES)}
        state = f'"{ticket.text}" The word for this is'
        answer = self._post("/v1/systemone", {"state": state, "questions": {"queue": question}})["answers"]["queue"]
        phrase = answer["choice"] if best else answer["x_action"]
        reward = ticket.reward(phrase)
        self.rewards.append(reward)
        if "x_decision" in answer and self.lot.random() > 0.05:
            due = len(self.rewards) + self.lot.randint(5, 40)
            self._waiting.append((due, {"decision": answer["x_decision"], "reward": reward}))
        self._tell(len(self.rewards))

    def close(self) -> None:
        """Tell what was still to come."""
        self._tell(len(self.rewards) + 40)
        self._connection.close()

    def _tell(self, now: int) -> None:
        due = [outcome for when, outcome in self._waiting if when <= now]
        self._waiting = [(when, outcome) for when, outcome in self._waiting if when > now]
        for start in range(0, len(due), 100):
            self._post("/v1/outcomes", {"outcomes": due[start : start + 100]})

    def _post(self, path: str, body: Any) -> Any:
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        content = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}: {content['error']['message']}")
        return content


@contextlib.contextmanager
def served(agent: str | None, options: Sequence[str], journal: Path | None, seed: int) -> Iterator[int]:
    """The port of a server of the agent, as ``twosome serve AGENT --record JOURNAL --sample`` makes it."""
    from twosome.journal.writing import JournalWriter
    from twosome.serving.app import Service
    from twosome.serving.engine import Engine
    from twosome.serving.loading import identities, load_agents
    from twosome.serving.recording import Recording, Sampling
    from twosome.serving.server import Server, listen

    given = dict(zip(options[::2], options[1::2], strict=True))
    arguments = {"model": given.get("--model"), "normalization": given.get("--normalization")}
    if agent is not None:  # a run knows both
        arguments = {}
    # The untrained agent is asked by every seed, and remembers its answers.
    agents = _loaded.get(agent) or load_agents({"desk": agent}, arguments)
    if agent is None:
        _loaded[agent] = agents
    with contextlib.ExitStack() as held:
        writer = held.enter_context(JournalWriter(journal)) if journal is not None else None
        recording = Recording(writer, identities(agents, {"desk": agent})) if writer is not None else None
        service = Service(Engine(agents), recording=recording, sampling=Sampling(seed))
        listening = held.enter_context(listen("127.0.0.1", 0))
        server = Server(service)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.end()
            thread.join()


_loaded: dict[str | None, Any] = {}


def work(port: int, stream: Sequence[Ticket], seed: int, *, best: bool = False) -> list[float]:
    """What each ticket of a stream was worth."""
    desk = Desk(port, random.Random(seed))
    for ticket in stream:
        desk.route(ticket, best=best)
    desk.close()
    return desk.rewards


def tested(port: int, checks: dict[str, list[Ticket]], agent: str, seed: int) -> dict[str, float]:
    """The mean reward of each kind of tickets, if each is sent to the most probable queue."""
    return {
        f"{kind} wordings, {agent}": statistics.mean(work(port, those, seed, best=True))
        for kind, those in checks.items()
    }


@dataclass(frozen=True)
class Shop:
    """How much is done.

    Attributes:
        rounds: How often the agent learns.
        tickets: That come in between.
        tests: Tickets at the end, of each kind.
        serving: Options of ``twosome serve`` and of ``twosome train --from``: the model and its normalisation.
        adapter: Options of the first ``twosome train --from``: the shape of the adapter.
        learning: Options of ``twosome train --from``.
    """

    rounds: int = 2
    tickets: int = 400
    tests: int = 100
    # One word each, of one to five tokens: by token no long one loses for its length, and all are tried.
    serving: tuple[str, ...] = ("--normalization", "token")
    adapter: tuple[str, ...] = ("--top-layers", "2")
    learning: tuple[str, ...] = ("--passes", "4", "--trust-radius", "0.6", "--entropy", "0.01")

    @property
    def begins(self) -> tuple[str, ...]:
        """What is said of a model that has learned nothing yet."""
        return (*self.serving, *self.adapter)


@dataclass(frozen=True)
class Day:
    """How it went with one seed.

    Attributes:
        learning: What each ticket was worth, with an agent that learned in between.
        staying: The same tickets with the untrained agent.
        tests: Mean reward at the end by the kind of tickets and the agent, each ticket sent to the most probable queue.
        said: What ``twosome train --from`` said, for each time.
    """

    learning: list[float]
    staying: list[float]
    tests: dict[str, float]
    said: list[str]


def day(shop: Shop, seed: int, place: Path) -> Day:
    """One seed: serve, record, hear of rewards, learn, serve what learned."""
    from twosome.cli import main

    stream = tickets(shop.tickets * (shop.rounds + 1), seed)
    checks = {"known": tickets(shop.tests, seed + 10_000), "new": tickets(shop.tests, seed + 20_000, slice(-1, None))}
    learning: list[float] = []
    tests: dict[str, float] = {}
    said: list[str] = []
    agent: str | None = None
    for number in range(shop.rounds + 1):
        part = stream[number * shop.tickets : (number + 1) * shop.tickets]
        last = number == shop.rounds
        journal = None if last else place / f"journal-{number}.jsonl"
        with served(agent, shop.serving, journal, seed) as port:
            learning += work(port, part, seed)
            if last:
                tests |= tested(port, checks, "learned", seed)
        if journal is not None:
            out = str(place / f"run-{number}")
            words = ["train", "--from", str(journal), *([agent] if agent else shop.begins), *shop.learning]
            told = io.StringIO()
            with contextlib.redirect_stdout(told):
                status = main([*words, "--out", out, "--seed", str(seed)])
            if status:
                raise RuntimeError(f"twosome {' '.join(words)} ended with status {status}")
            said.append(told.getvalue())
            agent = out
    with served(None, shop.serving, None, seed) as port:
        staying = work(port, stream, seed)
        tests |= tested(port, checks, "untrained", seed)
    return Day(learning, staying, tests, said)


def interval(numbers: Sequence[float]) -> tuple[float, float, float]:
    """The mean of some seeds and its 95 % interval by Student's t; a single one has none."""
    mean = statistics.mean(numbers)
    if len(numbers) < 2:
        return mean, mean, mean
    quantile = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}[len(numbers)]
    half = quantile * statistics.stdev(numbers) / len(numbers) ** 0.5
    return mean, mean - half, mean + half


def table(days: Sequence[Day], shop: Shop) -> str:
    """The rewards as Markdown: mean over seeds, and its interval."""
    rows = ["| tickets | learned in between | untrained | difference |", "|---|---|---|---|"]

    def row(name: str, learned: Sequence[float], stayed: Sequence[float]) -> str:
        gains = [one - other for one, other in zip(learned, stayed, strict=True)]
        cells = [
            f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" for mean, low, high in map(interval, (learned, stayed, gains))
        ]
        return f"| {name} | {' | '.join(cells)} |"

    for number in range(shop.rounds + 1):
        part = slice(number * shop.tickets, (number + 1) * shop.tickets)
        learned, stayed = (
            [statistics.mean(rewards[part]) for rewards in both]
            for both in ([one.learning for one in days], [one.staying for one in days])
        )
        rows.append(row(f"{part.start + 1} to {part.stop}, drawn", learned, stayed))
    for kind in ("known", "new"):
        both = ([one.tests[f"{kind} wordings, {agent}"] for one in days] for agent in ("learned", "untrained"))
        rows.append(row(f"{shop.tests} others at the end, {kind} wordings, most probable queue", *both))
    return "\n".join(rows)


def draw(days: Sequence[Day], shop: Shop, path: Path) -> None:
    """Draw reward over tickets: the mean of seeds of the mean of the last hundred, and its 95 % interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    window = max(1, shop.tickets // 10)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, colour, streams in (
        ("learns in between", "tab:blue", [one.learning for one in days]),
        ("untrained", "tab:orange", [one.staying for one in days]),
    ):
        ends = list(range(window, len(streams[0]) + 1, max(1, window // 4)))
        spans = [interval([statistics.mean(rewards[end - window : end]) for rewards in streams]) for end in ends]
        axes.plot(ends, [mean for mean, _, _ in spans], color=colour, label=name)
        axes.fill_between(ends, [low for _, low, _ in spans], [high for _, _, high in spans], color=colour, alpha=0.2)
    for number in range(1, shop.rounds + 1):
        axes.axvline(number * shop.tickets, color="0.6", linestyle=":", linewidth=1)
    axes.axhline(1.0, color="0.8", linewidth=0.8)
    axes.set(
        xlabel="tickets (dotted: the agent learned from the journal, and was served again)",
        ylabel=f"mean reward of the last {window}",
        title=f"Routing tickets, {len(days)} seeds, 95 % intervals; 1 is every ticket in its queue",
    )
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the example and print its table."""
    parser = argparse.ArgumentParser(description="Tickets routed by an agent that learns from its own journal.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=Shop.rounds, help="how often it learns")
    parser.add_argument("--tickets", type=int, default=Shop.tickets, help="between")
    parser.add_argument("--tests", type=int, default=Shop.tests, help="tickets at the end, of each kind")
    for option in ("--model", "--normalization", "--passes", "--learning-rate", "--trust-radius", "--top-layers"):
        parser.add_argument(option, default=None, help="of twosome train --from")
    parser.add_argument("--results", type=Path, help="file to keep each seed in, and to take those that are there from")
    parser.add_argument("--picture", type=Path, default=None)
    arguments = parser.parse_args()

    def options(*names: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        given = dict(zip(default[::2], default[1::2], strict=True))
        values = ((f"--{name}", getattr(arguments, name.replace("-", "_"))) for name in names)
        given |= {name: value for name, value in values if value is not None}
        return tuple(word for pair in given.items() for word in pair)

    shop = Shop(
        arguments.rounds,
        arguments.tickets,
        arguments.tests,
        options("model", "normalization", default=Shop.serving),
        options("top-layers", default=Shop.adapter),
        options("passes", "learning-rate", "trust-radius", default=Shop.learning),
    )
    kept: dict[str, Any] = {}
    if arguments.results is not None and arguments.results.exists():
        kept = json.loads(arguments.results.read_text(encoding="utf-8"))
    days = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        if str(seed) not in kept:
            began = time.process_time()
            with tempfile.TemporaryDirectory() as place:
                kept[str(seed)] = asdict(day(shop, seed, Path(place)))
            print(f"seed {seed} took {time.process_time() - began:.0f} CPU seconds")
            if arguments.results is not None:
                arguments.results.write_text(json.dumps(kept), encoding="utf-8")
        days.append(Day(**kept[str(seed)]))
        for number, said in enumerate(days[-1].said, 1):
            print(f"--- seed {seed}, learning {number}\n{said}", end="")
        print(table(days, shop), flush=True)
    if arguments.picture is not None:
        draw(days, shop, arguments.picture)


if __name__ == "__main__":
    main()
