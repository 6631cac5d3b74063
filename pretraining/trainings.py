"""Control trainings: the same recipe on other text, in other sizes and with another seed, each to its end.

All have the same number of tokens and steps and a finished fall of the learning rate, so they compare with each other;
they are far shorter than the shipped training, and compare with it only in kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from pretraining import results
from pretraining.controls import AS_IT_IS, PAPER_TASKS, load, worths
from pretraining.corpus import write_corpus
from pretraining.results import samples
from pretraining.rewording import with_reversed_words
from pretraining.train import Progress, TrainConfig, Trainer, prepare, read_config
from pretraining.zero_shot import Situations, read, situations
from twosome.decision import Decision

CORPUS_SEED, DOCUMENTS, TOKENS = 1, 80_000, 2_500_000
REVERSED = "reversed words"


@dataclass(frozen=True)
class Training:
    """One control: its corpus variant, what differs from the shipped configuration, and why it is there."""

    name: str
    variant: str = "standard"
    changes: Mapping[str, Any] = field(default_factory=dict)


TRAININGS = (
    Training("standard"),
    Training("swapped", "swapped"),
    Training("distant", "distant"),
    Training("small", changes={"hidden": 128, "feed_forward": 344}),
    Training("large", changes={"hidden": 256, "layers": 5, "feed_forward": 688}),
    Training("second seed", changes={"seed": 1}),
)


def train_all(
    directory: Path, names: Sequence[str], tokens: int, banned: frozenset[int], compile_model: bool = False
) -> None:
    """Train what is not finished yet, one after the other; a killed command goes on where it was."""
    for training in TRAININGS:
        run = run_directory(directory, training.name)
        if (names and training.name not in names) or (run / "exports" / "final" / "model.safetensors").exists():
            continue
        corpus = directory / f"corpus-{training.variant}.txt"
        if not corpus.exists():
            write_corpus(corpus, CORPUS_SEED, DOCUMENTS, training.variant, banned)
        if not (run / "config.json").exists():
            prepare(corpus, run, TrainConfig(tokens=tokens, **training.changes))
        print(f"{training.name}: {run}", flush=True)
        never = 10**9
        Trainer(run, compile_model=compile_model).fit(check_every=500, save_every=200, export_every=never)


def run_directory(directory: Path, name: str) -> Path:
    """Return the run directory of a control training."""
    return directory / name.replace(" ", "-")


@dataclass(frozen=True)
class Candidate:
    """A model to compare, and where it stands in its training.

    Attributes:
        name: What it is called in the results.
        directory: Its model directory.
        run: The run it is from.
        tokens: Trained on.
        reverse: Whether kitchens are tried with reversed words, too.
    """

    name: str
    directory: Path
    run: Path
    tokens: int
    reverse: bool = False

    def facts(self) -> dict[str, Any]:
        """Return what the results say of it; ``fallen`` is the share done of the fall of the learning rate."""
        newest = sorted((self.run / "checkpoints").glob("step-*"))[-1]
        progress = Progress(**json.loads((newest / "progress.json").read_text()))
        config, corpus = read_config(self.run), json.loads((self.run / "corpus.json").read_text())
        fall = (self.tokens - progress.decay_start) / (progress.decay_end - progress.decay_start)
        return {
            "model": self.name,
            "corpus": corpus["variant"],
            "corpus_sha256": corpus["sha256"],
            "seed": config.seed,
            "hidden": config.hidden,
            "layers": config.layers,
            "tokens": self.tokens,
            "fallen": round(min(max(fall, 0.0), 1.0), 3),
            "validation_loss": round(self._validation_loss(), 4),
            "weights": results.weights_hash(self.directory),
        }

    def _validation_loss(self) -> float:
        lines = map(json.loads, (self.run / "metrics.jsonl").read_text().splitlines())
        checks = [line for line in lines if "validation_loss" in line]
        # An export is named after its tokens in tenths of a million; of lines as near, the last one is what counts.
        nearest = min(abs(line["tokens"] - self.tokens) for line in checks)
        return float([line for line in checks if abs(line["tokens"] - self.tokens) == nearest][-1]["validation_loss"])


def controls_of(directory: Path) -> Iterator[Candidate]:
    """Yield the control trainings that are finished."""
    for training in TRAININGS:
        run = run_directory(directory, training.name)
        if (model := run / "exports" / "final").exists():
            reverse = training.name in ("standard", "swapped")  # a pair but for the text
            yield Candidate(training.name, model, run, read_config(run).tokens, reverse)


def exports_of(run: Path) -> Iterator[Candidate]:
    """Yield the models that a run left on its way."""
    for directory in sorted((run / "exports").glob("*M")):
        tokens = round(float(directory.name[:-1]) * 1e6)
        yield Candidate(f"shipped at {tokens / 1e6:.1f}M", directory, run, tokens)


def compare(candidates: Sequence[Candidate], out: Path = results.DIRECTORY, tasks: Sequence[str] = PAPER_TASKS) -> None:
    """Measure models and write them to ``trainings.json``; what is there for the same weights is not done again."""
    known = results.load("trainings", out)
    models = {facts["model"]: facts for facts in known.get("models", [])}
    rows, contrasts = results.to_rows(known.get("rows", [])), list(known.get("contrasts", []))
    for candidate in candidates:
        facts, name = candidate.facts(), candidate.name
        if models.get(name, {}).get("weights") == facts["weights"]:
            continue
        model, tokenizer = load(candidate.directory)
        facts["parameters"] = sum(weight.numel() for weight in model.parameters())
        rows = [row for row in rows if not row.condition.startswith(f"{name}, ")]
        contrasts = [row for row in contrasts if row["model"] != name]
        for task in tasks:
            where = situations(task)
            if candidate.reverse and "chop nothing" in where.decisions[0].actions:
                reading = read(model, tokenizer, where.distinct, with_reversed_words)
                rows += samples(task, f"{name}, {REVERSED}", [("", worths(where, reading))])
            reading = read(model, tokenizer, where.distinct)
            rows += samples(task, f"{name}, {AS_IT_IS}", [("", worths(where, reading))])
            contrasts += [{"model": name, **row} for row in cutting_against_serving(model, tokenizer, where)]
            shown = {row.normalization: row.mean_return[0] for row in rows[-3:]}
            print(f"{name:20s} {task:22s} {shown}", flush=True)
        models[name] = facts
        values = {"models": list(models.values()), "contrasts": contrasts, "rows": results.from_rows(rows)}
        results.store("trainings", values, out)


def cutting_against_serving(model: Any, tokenizer: Any, where: Situations) -> list[dict[str, Any]]:
    """Return how much likelier cutting is than serving the dish where either is the best to do.

    Both phrases are tried after the prompt, whether they are on offer or not, so that neither is helped by its wording.
    Empty for tasks without cutting.
    """
    found = []
    for due, verb in (("cutting", "chop the "), ("serving", "serve the dish")):
        decisions = [_contrast(decision) for decision in where.distinct_best(verb)]
        if decisions:
            reading = read(model, tokenizer, decisions)
            nats = [float(reading[decision].joint[0] - reading[decision].joint[1]) for decision in decisions]
            found.append(
                {
                    "task": where.task,
                    "due": due,
                    "prompts": len(decisions),
                    "cutting_over_serving_nats": round(fmean(nats), 3),
                    "cutting_likelier": round(fmean(value > 0 for value in nats), 3),
                }
            )
    return found


def _contrast(decision: Decision) -> Decision:
    """Cutting what can be cut, or else the dish's first food, against serving the dish."""
    dish = decision.prompt.split("only chopped ")[1].split()[0].rstrip(",")
    cutting = next((action for action in decision.actions if action.startswith("chop the ")), f"chop the {dish}")
    return Decision(decision.prompt, (cutting, "serve the dish"))


def publish_curve(run: Path, out: Path = results.DIRECTORY) -> None:
    """Write the losses a run logged to ``loss.json``: what a training on another machine is held against."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    by_step: dict[str, dict[int, dict[str, float]]] = {"loss": {}, "validation_loss": {}}
    for line in lines:
        for name, steps in by_step.items():
            if name in line:  # of attempts begun anew the last one counts
                steps[line["step"]] = {"step": line["step"], "tokens": line["tokens"], name: round(line[name], 4)}
    corpus = json.loads((run / "corpus.json").read_text())["sha256"]
    results.store("loss", {"corpus": corpus, **{name: list(steps.values()) for name, steps in by_step.items()}}, out)
