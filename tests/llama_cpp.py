"""Compares an agent with llama.cpp reading GGUF files of it: action probabilities, and how far they lie apart.

    twosome export RUN out --to gguf
    python -m tests.llama_cpp RUN out/model.gguf [out-f16/model.gguf ...]

Needs `llama-cpp-python`. The decisions are those that uniform play of a task meets. llama.cpp is given our token ids,
one phrase at a time, and its logits are put through our softmax, normalisation and temperature in float64. Beside it
is told how many prompts with a phrase its own tokenizer cuts as ours does. One thread; `--cache f16` is llama.cpp's
default for keys and values.
"""

from __future__ import annotations

import argparse
import math
import sys
from itertools import islice
from typing import Any

import numpy as np
import torch

from tests.load import decisions
from twosome import Agent, Decision
from twosome.deciding.judgement import softmax
from twosome.functional.normalization import resolve_normalization
from twosome.types import ActionScores

CACHES = {"f32": 0, "f16": 1}  # numbers of ggml's types


class Engine:
    """A GGUF file, read by llama.cpp."""

    def __init__(self, file: str, cache: str) -> None:
        from llama_cpp import Llama

        types = {"type_k": CACHES[cache], "type_v": CACHES[cache]}
        self.llama = Llama(file, n_ctx=1024, logits_all=True, n_threads=1, n_threads_batch=1, verbose=False, **types)

    def log_probs(self, prompt: tuple[int, ...], phrase: tuple[int, ...]) -> list[float]:
        """Of each token of a phrase after a prompt."""
        self.llama.reset()
        self.llama.eval([*prompt, *phrase])
        rows = np.asarray(self.llama.scores[len(prompt) - 1 : len(prompt) - 1 + len(phrase)], dtype=np.float64)
        largest = rows.max(axis=1)
        totals = largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
        return [float(row[token] - total) for row, token, total in zip(rows, phrase, totals, strict=True)]

    def cuts_alike(self, text: str, ids: tuple[int, ...]) -> bool:
        """Whether its own tokenizer gives the same."""
        return tuple(self.llama.tokenize(text.encode(), add_bos=True, special=False)) == ids


def compared(agent: Agent, engine: Engine, met: list[Decision]) -> dict[str, Any]:
    """Largest differences over some decisions."""
    normalize = resolve_normalization(agent.policy.normalization)
    found: dict[str, Any] = {"nats": [], "probability": [], "same": 0, "alike": 0, "texts": 0}
    for decision in met:
        encoded = agent.policy.scorer.encode(decision)
        with torch.no_grad():
            own = agent.policy.scorer.scores([decision])
        theirs = torch.zeros_like(own.token_log_probs)
        for row, ids in enumerate(encoded.action_ids):
            theirs[0, row, : len(ids)] = torch.tensor(engine.log_probs(encoded.prompt_ids, ids))
            text = f"{decision.prompt} {decision.actions[row]}"
            found["alike"] += engine.cuts_alike(text, (*encoded.prompt_ids, *ids))
            found["texts"] += 1
        found["nats"] += (theirs - own.token_log_probs)[own.token_mask].abs().tolist()
        logits = normalize(ActionScores((decision,), theirs, own.token_mask))[0].tolist()
        ours, others = agent.judge([decision])[0].probabilities, softmax(logits, agent.temperature)
        found["probability"].append(max(abs(a - b) for a, b in zip(ours, others, strict=True)))
        found["same"] += ours.index(max(ours)) == others.index(max(others))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.llama_cpp", description=__doc__.splitlines()[0])
    parser.add_argument("agent", help="the run or adapter that was exported")
    parser.add_argument("files", nargs="+", help="GGUF files")
    parser.add_argument("--task", default="food-preparation")
    parser.add_argument("--decisions", type=int, default=20)
    parser.add_argument("--cache", choices=CACHES, default="f32", help="of keys and values (default f32)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    agent = Agent.load(arguments.agent)
    met = list(dict.fromkeys(islice(decisions(arguments.task, arguments.seed, False), 50 * arguments.decisions)))
    met = met[: arguments.decisions]
    print(f"{len(met)} decisions of {arguments.task}, cache {arguments.cache}")
    print("nats a token: most, mean   probability: most, mean   same best   cut alike   file")
    for file in arguments.files:
        found = compared(agent, Engine(file, arguments.cache), met)
        nats, apart = found["nats"], found["probability"]
        means = math.fsum(nats) / len(nats), math.fsum(apart) / len(apart)
        row = f"{max(nats):12.2e} {means[0]:10.2e} {max(apart):18.2e} {means[1]:8.2e}"
        print(f"{row} {found['same']:>6} of {len(met)} {found['alike']:>5} of {found['texts']}   {file}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
