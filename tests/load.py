"""Measures a server under load: throughput, latency, memory, errors, and whether the bits stay the same.

    python -m tests.load --seconds 60
    python -m tests.load runs/salad --ways own --seconds 600 --work task
    python -m tests.load --model MODEL --seconds 60

Starts `twosome serve` as a process, and clients as threads of this one, each with one connection, asking again as soon
as it is answered. `task`: the decisions that uniform play of a task meets, each client an episode of its own: many come
again. `fresh`: the same, with a sentence in front of the question that never came before: nothing can be remembered
but how prompts begin. Each number of clients is measured in the server's `own` way, and one request at a time (`alone`:
`--together 1`; `plain`: with nothing remembered, either). Each has a server of its own, and they are asked in turns of
a few seconds, so that whatever else the machine does meets all alike. Exit status 1 if a request failed, an answer had
other bits than in process, or memory grew by more than a tenth after the first fifth.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import psutil

from twosome import Agent, Decision
from twosome.text.tasks import open_task

ALLOWED_GROWTH = 1.1
CHECKED = 40
"""Answers of each measurement that are computed again in process."""


WAYS = {"plain": ("--together", "1", "--memory-megabytes", "0"), "alone": ("--together", "1"), "own": ()}


@dataclass
class Measurement:
    """What some clients met."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answers: list[tuple[Decision, dict[str, float]]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0

    @property
    def throughput(self) -> float:
        """Answers in a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Latency in milliseconds."""
        ordered = sorted(self.latencies) or [math.nan]
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def growth(self) -> float:
        """Memory at the end, relative to that after a fifth of the time."""
        return self.memory[-1] / self.memory[len(self.memory) // 5] if len(self.memory) >= 5 else 1.0


def decisions(task: str, seed: int, fresh: bool) -> Iterator[Decision]:
    """What uniform play meets, without end."""
    rng, number = random.Random(seed), 0
    with open_task(task) as env:
        while True:
            observation, _ = env.reset(seed=rng.randrange(2**31))
            over = False
            while not over:
                prompt, actions = observation["prompt"], observation["actions"]
                if len(actions) > 1:
                    number += 1
                    before, _, last = prompt.rpartition(". ")
                    note = f"It is minute {seed * 100_000 + number}" if fresh else ""
                    yield Decision(". ".join(part for part in (before, note, last) if part), tuple(actions))
                observation, _, terminated, truncated, _ = env.step(rng.randrange(len(actions)))
                over = terminated or truncated


class Client(threading.Thread):
    """Asks, is answered, asks again."""

    def __init__(self, port: int, met: Iterator[Decision], until: float, into: Measurement, lock: Any) -> None:
        super().__init__(daemon=True)
        self.port, self.met, self.until, self.into, self.lock = port, met, until, into, lock

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        while time.monotonic() < self.until:
            decision = next(self.met)
            question = {"type": "choice", "criteria": dict.fromkeys(decision.actions)}
            body = json.dumps({"state": decision.prompt, "questions": {"next": question}})
            began = time.monotonic()
            try:
                connection.request("POST", "/v1/systemone", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                content = response.read()
                taken = time.monotonic() - began
                fault = "" if response.status == 200 else f"{response.status}: {content[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                fault, content, taken = f"{type(error).__name__}: {error}", b"", 0.0
            with self.lock:
                if fault:
                    self.into.failures.append(fault)
                    return
                self.into.latencies.append(taken)
                found = json.loads(content)["answers"]["next"]["probabilities"]
                self.into.answers.append((decision, found))
                if len(self.into.answers) > 50 * CHECKED:
                    del self.into.answers[: 25 * CHECKED]


class Asked:
    """A server that was started, and what its clients met."""

    def __init__(self, words: list[str], clients: int, arguments: argparse.Namespace) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "twosome", "serve", "--port", "0", "--quiet", *words]
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)
        assert self.server.stdout is not None
        self.port = next(int(line.rpartition(":")[2]) for line in self.server.stdout if line.startswith("System One"))
        self.process, self.lock, self.met = psutil.Process(self.server.pid), threading.Lock(), Measurement()
        fresh = arguments.work == "fresh"
        self.works = [decisions(arguments.task, arguments.seed + number, fresh) for number in range(clients)]
        for work in self.works:
            next(work)

    def ask(self, seconds: float, into: Measurement) -> None:
        """Let all clients ask for a while."""
        before, began = self.process.cpu_times(), time.monotonic()
        threads = [Client(self.port, work, began + seconds, into, self.lock) for work in self.works]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            into.memory.append(self.process.memory_info().rss / 2**20)
            into.at.append(into.seconds + time.monotonic() - began)
            time.sleep(0.5)
        after = self.process.cpu_times()
        into.seconds += time.monotonic() - began
        into.cpu += after.user + after.system - before.user - before.system

    def end(self) -> None:
        """End it, as it should end."""
        self.server.send_signal(signal.SIGTERM)
        if self.server.wait(60):
            self.met.failures.append(f"the server ended with {self.server.returncode}")


def measured(words: list[str], arguments: argparse.Namespace) -> dict[tuple[int, str], Measurement]:
    """Start a server for each number of clients and way, ask them in turns, end them."""
    asked: dict[tuple[int, str], Asked] = {}
    try:
        for clients, way in product(arguments.clients, arguments.ways):
            asked[clients, way] = one = Asked([*words, *WAYS[way]], clients, arguments)
            one.ask(arguments.warm, Measurement())
        turn = arguments.seconds if len(asked) == 1 else min(arguments.turn, arguments.seconds)
        for _ in range(max(1, round(arguments.seconds / turn))):
            for each in asked.values():
                each.ask(turn, each.met)
        for each in asked.values():
            each.end()
    finally:
        for each in asked.values():
            each.server.kill()
    return {key: each.met for key, each in asked.items()}


def every(seconds: float, found: Measurement) -> list[int]:
    """Memory in MiB at the start, every so many seconds, and at the end."""
    due = [
        next((i for i, at in enumerate(found.at) if at >= seconds * n), -1)
        for n in range(int(found.seconds / seconds) + 1)
    ]
    return [round(found.memory[i]) for i in dict.fromkeys((*due, -1))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__.splitlines()[0])
    parser.add_argument("agent", nargs="?", help="a run, an adapter or a model; the embedded model without")
    parser.add_argument("--model", help="a base model instead of the embedded one")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 50])
    parser.add_argument("--seconds", type=float, default=60, help="for each measurement (default 60)")
    parser.add_argument("--warm", type=float, default=3, help="seconds before it (default 3)")
    parser.add_argument("--turn", type=float, default=5, help="seconds of a turn, where there are ways (default 5)")
    parser.add_argument("--task", default="tomato-lettuce-salad")
    parser.add_argument("--work", choices=("fresh", "task"), default="fresh")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--memory-megabytes", type=int, default=256, help="as twosome serve takes it (default 256)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    words = [
        *([arguments.agent] if arguments.agent else []),
        *(["--model", arguments.model] if arguments.model else []),
    ]
    words += ["--memory-megabytes", str(arguments.memory_megabytes)]
    agent = Agent.load(arguments.agent, model=arguments.model)
    wrong = 0
    print("clients       way   answers/s  CPU ms each   p50 ms   p95 ms   p99 ms  failed  other bits  MiB every 30 s")
    for (clients, way), found in measured(words, arguments).items():
        rng = random.Random(0)
        checked = rng.sample(found.answers, min(CHECKED, len(found.answers)))
        other = sum(agent.decide(each.prompt, each.actions) != answer for each, answer in checked)
        each = 1000 * found.cpu / max(1, len(found.latencies))
        times = "  ".join(f"{found.percentile(share):7.1f}" for share in (0.5, 0.95, 0.99))
        row = f"{clients:>7}  {way:>8}  {found.throughput:>10.1f}  {each:>11.2f}  {times}"
        memory = " ".join(map(str, every(30, found)))
        print(f"{row}  {len(found.failures):>6}  {f'{other} of {len(checked)}':>10}  {memory}", flush=True)
        print(*found.failures[:3], sep="\n", end="", file=sys.stderr)
        wrong += bool(found.failures) + bool(other) + (found.growth > ALLOWED_GROWTH)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
