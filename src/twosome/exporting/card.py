"""The card that goes with an exported agent: what it was made from, how it is asked, what it is worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twosome.caching import sha256_of
from twosome.decision import Decision
from twosome.evaluation.exact import ExactEvaluation
from twosome.models.loading import locate
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.agents import Setting
from twosome.scoring.condition import base_of

CARD_FILE = "README.md"
FACTS_FILE = "twosome.json"


@dataclass(frozen=True)
class Facts:
    """What a card says.

    Attributes:
        kind: merged, adapter or gguf.
        base: What the base model was called.
        base_sha256: Of its weights, by file; empty where they are not on this machine by that name.
        task: What it was trained on, or measured on.
        gamma: Discount per primitive step.
        environment: Further arguments of the environment.
        normalization: How phrases are scored.
        template: Of the conversation, or none.
        joiner: What stands between prompt and phrase, by its name.
        temperature: What logits are divided by.
        words_sha256: Of the decisions below, so that other words can be told from these.
        words: Some decisions, with the agent's probabilities.
        results: Exact ones, by kind of play; empty where the world does not show its states.
        sameness: What was compared after writing, in words; None where nothing was changed.
    """

    kind: str
    base: str
    base_sha256: dict[str, str]
    task: str
    gamma: float
    environment: dict[str, Any]
    normalization: str
    template: str
    joiner: str
    temperature: float
    words_sha256: str
    words: list[dict[str, Any]]
    results: dict[str, dict[str, float | None]]
    sameness: str | None


def facts_of(
    kind: str,
    policy: LanguageModelPolicy,
    setting: Setting,
    decisions: Sequence[Decision],
    probabilities: Any,
    results: Sequence[ExactEvaluation],
    sameness: str | None,
) -> Facts:
    """What there is to say of an agent."""
    prompting = policy.scorer.encoder.prompting
    base = base_of(policy.model)
    texts = json.dumps([[decision.prompt, decision.actions] for decision in decisions], ensure_ascii=False)
    return Facts(
        kind=kind,
        base=str(base.name_or_path),
        base_sha256=weights_sha256(str(base.name_or_path)),
        task=setting.task,
        gamma=setting.gamma,
        environment=dict(setting.environment),
        normalization=policy.normalization,
        template=prompting.template,
        joiner=prompting.joiner,
        temperature=policy.temperature,
        words_sha256=hashlib.sha256(texts.encode()).hexdigest(),
        words=[
            {"prompt": decision.prompt, "actions": dict(zip(decision.actions, row.tolist(), strict=False))}
            for decision, row in zip(decisions[:3], probabilities, strict=False)
        ],
        results={
            "greedy" if result.greedy else "sampled": {
                "success": result.success,
                "return": result.discounted_return,
                "optimum": result.optimal_return,
                "calibration_error": result.calibration_error,
            }
            for result in results
        },
        sameness=sameness,
    )


def weights_sha256(name: str) -> dict[str, str]:
    """SHA-256 of the weights of a model that lies on this machine, by file; nothing for one of a hub."""
    source, file = locate(name)
    files = [file.path] if file is not None else sorted(Path(source).glob("*.safetensors"))
    return {path.name: sha256_of(path) for path in files}


def card(facts: Facts) -> str:
    """The card in Markdown, with the header that model hubs read."""
    library = "peft" if facts.kind == "adapter" else "transformers"
    lines = ["---", f"library_name: {library}"]
    if not Path(facts.base).exists() and facts.base != "embedded":
        lines.append(f"base_model: {facts.base}")
    lines += ["tags:", "- twosome", "- decision-making", "---", "", f"# An agent for {facts.task}", ""]
    lines += [
        "A language model that was aligned with its environment by practice (twosome). It writes nothing: the joint",
        "probability of each admissible phrase after a prompt, normalised as below, is its policy.",
        "",
        "| | |",
        "|---|---|",
        f"| base | {facts.base} |",
        *(f"| SHA-256 of {name} | {digest} |" for name, digest in facts.base_sha256.items()),
        f"| task | {facts.task}, discount {facts.gamma} per step of the world |",
        f"| environment | `{json.dumps(facts.environment)}` |",
        f"| normalisation | {facts.normalization} |",
        f"| temperature | {facts.temperature:g} |",
        f"| prompt and phrase | template {facts.template}, joiner {facts.joiner} |",
        f"| SHA-256 of the words it was checked with | {facts.words_sha256} |",
    ]
    if facts.sameness is not None:
        lines.append(f"| compared with the agent | {facts.sameness} |")
    lines += [
        "",
        "## Results",
        "",
        *_results(facts),
        "",
        "## Words",
        "",
        *_words(facts),
        "## Use",
        "",
        *_use(facts),
        "",
    ]
    return "\n".join(lines)


def _results(facts: Facts) -> list[str]:
    if not facts.results:
        return ["Not measured exactly: the world does not show its states, or measuring was left out."]
    rows = ["| play | success | mean discounted return | optimum | calibration error |", "|---|---:|---:|---:|---:|"]
    for play, found in facts.results.items():
        success = "-" if found["success"] is None else f"{found['success']:.4f}"
        numbers = (f"{found[name]:.4f}" for name in ("return", "optimum", "calibration_error"))
        rows.append(f"| {play} | {success} | {' | '.join(numbers)} |")
    return ["Exact, over all states of the task.", "", *rows]


def _words(facts: Facts) -> list[str]:
    lines = []
    for decision in facts.words:
        lines += [f"> {decision['prompt']}", ">"]
        lines += [f"> * {probability:.4f} {action}" for action, probability in decision["actions"].items()]
        lines.append("")
    return lines


def _use(facts: Facts) -> list[str]:
    flags = f"--normalization {facts.normalization} --template {facts.template} --joiner {facts.joiner}"
    what = "twosome evaluate . --model BASE" if facts.kind == "adapter" else "twosome evaluate --model ."
    if facts.kind != "adapter" and facts.temperature != 1:
        flags += f" --temperature {facts.temperature!r}"
    lines = ["```", f"{what} --task {facts.task} {flags}", "```"]
    if facts.kind == "adapter":
        lines += ["", "`peft.PeftModel.from_pretrained(base, DIRECTORY)` puts it on its base without twosome."]
    return lines
