"""Measures a server under load: throughput, latency, memory, errors, and whether the bits stay the same.

    python -m tests.load --seconds 60
    python -m tests.load --model MODEL --seconds 60 --work fresh

Starts `twosome serve` as a process, and clients as threads of this one, each asking again as soon as it is answered.
`task`: the decisions that uniform play of a task meets, each client an episode of its own: many come again.
`fresh`: the same, with a sentence in front of the question that never came before: nothing can be remembered but how
prompts begin. Each number of clients is measured in the server's own way, and one request at a time (`--together 1`).
Exit status 1 if a request failed, an answer had other bits than in process, or memory grew by more than a tenth after
the first fifth.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
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


def measured(words: list[str], clients: int, seconds: float, arguments: argparse.Namespace) -> Measurement:
    """Start a server, ask it, end it."""
    command = [sys.executable, "-W", "ignore", "-m", "twosome", "serve", "--port", "0", "--quiet", *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        assert server.stdout is not None
        port = next(int(line.rpartition(":")[2]) for line in server.stdout if line.startswith("System One"))
        process, found, lock = psutil.Process(server.pid), Measurement(), threading.Lock()
        works = [decisions(arguments.task, arguments.seed + n, arguments.work == "fresh") for n in range(clients)]
        for work in works:
            next(work)
        for duration, into in ((arguments.warm, Measurement()), (seconds, found)):
            before, began = process.cpu_times(), time.monotonic()
            threads = [Client(port, work, began + duration, into, lock) for work in works]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.5)
                into.memory.append(process.memory_info().rss / 2**20)
            after = process.cpu_times()
            into.seconds = time.monotonic() - began
            into.cpu = after.user + after.system - before.user - before.system
        server.send_signal(signal.SIGTERM)
        if server.wait(60):
            found.failures.append(f"the server ended with {server.returncode}")
        return found
    finally:
        server.kill()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a base model instead of the embedded one")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 50])
    parser.add_argument("--seconds", type=float, default=60, help="for each measurement (default 60)")
    parser.add_argument("--warm", type=float, default=3, help="seconds before it (default 3)")
    parser.add_argument("--task", default="tomato-lettuce-salad")
    parser.add_argument("--work", choices=("fresh", "task"), default="fresh")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--memory-megabytes", type=int, default=256, help="as twosome serve takes it (default 256)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    words = ["--model", arguments.model] if arguments.model else []
    agent = Agent.load(model=arguments.model)
    wrong = 0
    print("clients       way   answers/s  CPU ms each   p50 ms   p95 ms   p99 ms   MiB  growth  failed  other bits")
    for clients in arguments.clients:
        for way in arguments.ways:
            memory_words = ["--memory-megabytes", str(arguments.memory_megabytes)]
            found = measured([*words, *memory_words, *WAYS[way]], clients, arguments.seconds, arguments)
            rng = random.Random(0)
            checked = rng.sample(found.answers, min(CHECKED, len(found.answers)))
            other = sum(agent.decide(each.prompt, each.actions) != answer for each, answer in checked)
            each = 1000 * found.cpu / max(1, len(found.latencies))
            times = "  ".join(f"{found.percentile(share):7.1f}" for share in (0.5, 0.95, 0.99))
            memory = f"{statistics.fmean(found.memory[-3:]):5.0f}  {found.growth:6.3f}"
            row = f"{clients:>7}  {way:>8}  {found.throughput:>10.1f}  {each:>11.2f}  {times} {memory}"
            print(f"{row}  {len(found.failures):>6}  {other} of {len(checked)}", flush=True)
            print(*found.failures[:3], sep="\n", end="", file=sys.stderr)
            wrong += bool(found.failures) + bool(other) + (found.growth > ALLOWED_GROWTH)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
