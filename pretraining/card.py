"""The release: a finished run's weights, with a model card that says what they are and where they come from.

The card is made from files alone: ``card.md`` is its frame; ``results/`` holds what was measured and, by hand, what is
read out of it (``reading.md``) and what commands of an earlier commit measured (``record.md``).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pretraining import results, tables
from pretraining.train import Trainer
from pretraining.words import ABSENT, OUT_OF_PROCEDURES

FRAME = Path(__file__).with_name("card.md")
LIMIT_BYTES = 12_000_000
NOT_MEASURED = "Not measured for these weights yet: `python -m pretraining controls`."


def release(run: Path, directory: Path, out: Path = results.DIRECTORY) -> None:
    """Write the newest checkpoint of a run as a model directory with its card, and publish how it was trained.

    Raises:
        ValueError: If the weights are larger than the package may carry.
    """
    trainer = Trainer(run)
    trainer.export(directory)
    size = (directory / "model.safetensors").stat().st_size
    if size > LIMIT_BYTES:
        raise ValueError(f"the weights have {size:,} bytes, more than the {LIMIT_BYTES:,} the package may carry")
    results.store("training", {"weights": results.weights_hash(directory), **_training(trainer)}, out)
    write_card(directory, out)


def _training(trainer: Trainer) -> dict[str, Any]:
    """What is published of a run: what it was made from, and the losses that another training is held against."""
    corpus, progress = json.loads((trainer.run / "corpus.json").read_text()), trainer.progress
    return {
        "corpus": {key: corpus[key] for key in ("seed", "documents", "characters", "sha256")},
        "config": vars(trainer.config),
        "tokens": progress.tokens,
        "fall": [progress.decay_start, progress.decay_end],
        "held_out_loss": round(trainer.validate(10**9), results.DIGITS),
        **curves(trainer.run / "metrics.jsonl"),
    }


def curves(metrics: Path) -> dict[str, list[dict[str, float]]]:
    """Return the losses that a run logged, by what they are losses on."""
    found: dict[str, dict[int, dict[str, float]]] = {"loss": {}, "validation_loss": {}}
    for line in map(json.loads, metrics.read_text().splitlines() if metrics.exists() else ()):
        for name, steps in found.items():
            if name in line:  # of attempts begun anew the last one counts
                steps[line["step"]] = {"step": line["step"], "tokens": line["tokens"], name: round(line[name], 4)}
    return {name: list(steps.values()) for name, steps in found.items()}


def write_card(directory: Path, found: Path = results.DIRECTORY) -> None:
    """Write the card of a released model anew, with the results that are there for its weights."""
    (directory / "README.md").write_text(card(directory, found), encoding="utf-8")


def card(directory: Path, found: Path = results.DIRECTORY) -> str:
    """Return the card of a released model.

    Raises:
        ValueError: If the published training is that of other weights.
    """
    training, weights = results.load("training", found), results.weights_hash(directory)
    if training.get("weights") != weights:
        raise ValueError(f"{found / 'training.json'} is not about the weights in {directory}: release their run first")
    corpus = {f"corpus_{key}": value for key, value in training["corpus"].items()}
    fall_began, fall_ended = training["fall"]
    return FRAME.read_text(encoding="utf-8").format(
        **{**training["config"], **corpus, "tokens": training["tokens"]},
        decay_percent=100 * (fall_ended - fall_began) / fall_ended,
        parameters=_parameters(directory),
        held_out=", ".join(OUT_OF_PROCEDURES),
        absent=", ".join(ABSENT),
        held_out_loss=training["held_out_loss"],
        **_measured(weights, found),
        record=_text("record"),
        files=_file_list(directory),
    )


def _measured(weights: str, found: Path) -> dict[str, str]:
    """The card's tables and what is read out of them, where they are about these weights."""
    measured = results.load("zero-shot", found)
    if measured.get("weights") != weights:
        return {"untuned": NOT_MEASURED, "evidence": NOT_MEASURED}
    rows = results.to_rows(measured["rows"])
    return {"untuned": tables.untuned(rows), "evidence": f"{_text('reading')}\n\n{tables.controls(rows)}"}


def _text(name: str) -> str:
    """A text written by hand; the results it reads are those of the package's own model."""
    return (results.DIRECTORY / f"{name}.md").read_text(encoding="utf-8").strip()


def _parameters(directory: Path) -> int:
    with safe_open(directory / "model.safetensors", "pt") as file:
        return sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118 - it is no dictionary


def _file_list(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.suffix in (".json", ".safetensors"))
    return "\n".join(
        f"- `{path.name}`: {path.stat().st_size:,} bytes, SHA-256 `{hashlib.sha256(path.read_bytes()).hexdigest()}`"
        for path in files
    )
