"""Reading phrases after prompts without gradient, ours beside llama.cpp's on the same weights: tokens per CPU second.

    python -m tests.llama_cpp_speed theirs MODEL-f32.gguf --tokens MODEL
    python -m tests.llama_cpp_speed ours MODEL

Needs `llama-cpp-python`. One process each, one after the other, one thread. Both are given decisions of all tasks, the
first action of each, and give the log-probability of the action's tokens; the vocabulary meets only the rows that
predict them. llama.cpp is given several sequences in one batch, ours as many as it likes in one pack.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from twosome.bench.precision import decisions_of
from twosome.decision import Decision
from twosome.models.loading import load_model, load_tokenizer
from twosome.scorer import Scorer
from twosome.text.tasks import TASKS
from twosome.tokens.encoding import EncodedDecision, Encoder

_MOST = 1024
"""Tokens in a batch of llama.cpp's, and cells of its memory of keys and values."""
_TYPES = {"f32": 0, "f16": 1}  # numbers of ggml's types


def sequences(model: str, count: int) -> list[EncodedDecision]:
    """Prompts of decisions of every task, each with its first action."""
    encoder = Encoder(load_tokenizer(model))
    met = [decision for its in decisions_of(list(TASKS), count, 0).values() for decision in its]
    return [encoder.encode(Decision(decision.prompt, decision.actions[:1])) for decision in met]


def ours(items: Sequence[EncodedDecision], model: str, dtype: Any) -> Callable[[], Any]:
    """Reads all in packs."""
    reader = Scorer(*load_model(model, dtype=dtype)).reader

    def read() -> Any:
        with torch.no_grad():
            return reader.log_probs(items).double().numpy()

    return read


class Theirs:
    """A GGUF file, read by llama.cpp.

    Its class `Llama` makes a context for one sequence, whatever it is told, so the functions below it are used.
    """

    def __init__(self, file: str, together: int, cache: str) -> None:
        import llama_cpp as llama

        self.llama, self.together = llama, together
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(file.encode(), llama.llama_model_default_params())
        settings = llama.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = _MOST
        settings.n_seq_max, settings.kv_unified = together, True
        settings.n_threads = settings.n_threads_batch = 1
        settings.type_k = settings.type_v = _TYPES[cache]
        self.context = llama.llama_init_from_model(self.model, settings)
        if not self.context:
            raise SystemExit(f"llama.cpp made no context for {file}")
        self.words = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(_MOST, 0, 1)

    def read(self, items: Sequence[EncodedDecision]) -> Any:
        """Log-probabilities of all action tokens, a batch of sequences at a time."""
        return np.array(
            [
                number
                for start in range(0, len(items), self.together)
                for number in self._batch(items[start : start + self.together])
            ]
        )

    def _batch(self, items: Sequence[EncodedDecision]) -> list[float]:
        llama, batch = self.llama, self.batch
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        wanted, place = [], 0
        for number, item in enumerate(items):
            sequence = (*item.prompt_ids, *item.action_ids[0])
            for position, token in enumerate(sequence[:-1]):
                predicts = position >= len(item.prompt_ids) - 1
                batch.token[place], batch.pos[place] = token, position
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, number
                batch.logits[place] = predicts
                wanted += [(place, sequence[position + 1])] if predicts else []
                place += 1
        batch.n_tokens = place
        if llama.llama_decode(self.context, batch):
            raise SystemExit("llama.cpp did not read the batch")
        return [self._log_prob(row, token) for row, token in wanted]

    def _log_prob(self, row: int, token: int) -> float:
        logits = np.ctypeslib.as_array(self.llama.llama_get_logits_ith(self.context, row), (self.words,))
        top = logits.max()
        return float(logits[token] - top - np.log(np.exp(logits - top).sum()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.llama_cpp_speed", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("ours", "theirs"))
    parser.add_argument("model", help="a model, or a GGUF file for llama.cpp")
    parser.add_argument("--tokens", help="model whose tokenizer makes the tokens (default: the model)")
    parser.add_argument("--dtype", default="float32", help="of ours (default: float32)")
    parser.add_argument("--cache", choices=_TYPES, default="f32", help="of llama.cpp's keys and values (default: f32)")
    parser.add_argument("--decisions", type=int, default=32, help="over all tasks (default: 32)")
    parser.add_argument("--together", type=int, default=8, help="sequences in a batch of llama.cpp (default: 8)")
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    items = sequences(arguments.tokens or arguments.model, arguments.decisions)
    if arguments.what == "ours":
        read = ours(items, arguments.model, arguments.dtype)
    else:
        engine = Theirs(arguments.model, arguments.together, arguments.cache)
        read = lambda: engine.read(items)  # noqa: E731
    found, seconds = read(), []  # the first run of anything is slower
    for _ in range(arguments.repetitions):
        began = time.process_time()
        read()
        seconds.append(round(time.process_time() - began, 3))
    tokens = sum(len(item.prompt_ids) + len(item.action_ids[0]) - 1 for item in items)
    rate = round(tokens / statistics.median(seconds), 1)
    told = {"what": arguments.what, "dtype": arguments.dtype, "tokens": tokens, "cpu_seconds": seconds}
    print(json.dumps({**told, "tokens_per_second": rate, "mean_log_prob": float(found.mean()), "first": [*found[:3]]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
