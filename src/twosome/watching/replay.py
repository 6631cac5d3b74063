"""A few episodes of a run with pictures, and what the model would do at each decision before and after training.

``replay.json`` is what the report shows them from; docs/report.md has its schema. Recorded episodes are replayed from
their seed and actions, so a world without pictures, or anybody's environment, will do.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from PIL import Image

from twosome.decision import Decision
from twosome.errors import EnvironmentFault, RunError
from twosome.evaluation.optimum import optimal_play
from twosome.functional.categorical import sample
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.agents import load_agent
from twosome.runs.directory import RunDirectory
from twosome.runs.files import write_json
from twosome.runs.journal import read_lines
from twosome.runs.recorder import EPISODES_FILE
from twosome.settings.config import RunConfig
from twosome.success import judge
from twosome.text.guard import GuardedEnv, close_or_tell
from twosome.text.tasks import find_task, make_task
from twosome.watching.film import MODE

REPLAY_FILE = "replay.json"
FORMAT = 1
COLOURS = 96
"""Colours of a picture: the worlds are drawn with few, and a report holds many pictures."""
WIDTH = 560
"""Pixels that a picture is at most wide."""
LONGEST = 60
"""Decisions of an episode that are kept; an agent in a loop shows nothing new after that."""
MOST = 1000
"""Decisions after which a played episode is left; nothing says that every environment has a time limit."""

Choose = Callable[[Decision, int], int | None]
"""The action for a decision and its number in the episode; None to leave."""


def record_replay(directory: Path, *, trust_remote_code: bool = False) -> Path:
    """Write ``replay.json`` into a run directory, unless the one there is of the same weights.

    Episodes: one by the untrained model and one by the trained, with the same seed, and of those recorded in training
    the first, the one of highest return, the last that failed and the last.

    Args:
        directory: A run of a language model with an adapter.
        trust_remote_code: Run code that comes with the model.

    Returns:
        The file.

    Raises:
        RunError: If it is no such run, or cannot be written.
        ModelError: If the model cannot be loaded.
        EnvironmentFault: If a recorded episode does not replay.
    """
    run = RunDirectory.open(directory)
    path, weights = directory / REPLAY_FILE, _weights(run)
    if _is_current(path, weights):
        return path
    policy = load_agent(directory, trust_remote_code=trust_remote_code, temperature=1.0).language
    config = run.config
    with closing(_make_env(config)) as env:
        recording = Recording(env, policy, config.ppo.gamma)
        recording.play("untrained", trained=False, seed=config.seed)
        recording.play("trained", trained=True, seed=config.seed)
        for names, record in chosen_episodes(read_lines(directory / EPISODES_FILE)):
            recording.replay(names, record)
    best = optimal_play(config.task, config.ppo.gamma, config.environment)
    known = find_task(config.task)
    content = {
        "format": FORMAT,
        "weights": weights,
        "task": config.task,
        "summary": known.summary if known is not None else config.task,
        "model": config.model,
        "normalization": config.normalization,
        "seed": config.seed,
        "gamma": config.ppo.gamma,
        "optimum": None if best is None else best.value,
        "frames": list(recording.frames.values()),
        "episodes": recording.episodes,
    }
    try:
        write_json(path, content)
    except OSError as error:
        raise RunError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    return path


def chosen_episodes(records: Sequence[Mapping[str, Any]]) -> list[tuple[list[str], Mapping[str, Any]]]:
    """The recorded episodes worth showing, in the order they were played, each with why: first, best, failed, last."""
    whole = [record for record in records if _is_whole(record)]
    if not whole:
        return []
    failed = [record for record in whole if record["success"] is False]
    reasons = {
        "first": whole[0],
        "best": max(whole, key=lambda record: record["discounted_return"]),
        "last failure": failed[-1] if failed else None,
        "last": whole[-1],
    }
    chosen: dict[int, tuple[list[str], Mapping[str, Any]]] = {}
    for reason, record in reasons.items():
        if record is not None:
            chosen.setdefault(record["index"], ([], record))[0].append(reason)
    return [chosen[index] for index in sorted(chosen)]


@dataclass
class Recording:
    """Episodes and their pictures.

    Attributes:
        env: The environment they are played in, one after the other.
        policy: Asked at every decision, with its adapter and without.
        gamma: Discount per primitive step of returns.
        frames: Pictures by their digest, so that none is kept twice: PNG, base64.
        episodes: As they are written.
    """

    env: gymnasium.Env[Any, int]
    policy: LanguageModelPolicy
    gamma: float
    frames: dict[str, str] = field(default_factory=dict)
    episodes: list[dict[str, Any]] = field(default_factory=list)

    def play(self, name: str, *, trained: bool, seed: int) -> None:
        """Let the model play, by the probabilities it has after training or had before."""
        generator = torch.Generator().manual_seed(seed)
        ask = self.policy.action_log_probs if trained else self.policy.reference_action_log_probs

        def choose(decision: Decision, number: int) -> int | None:
            if number == MOST:
                return None
            with torch.no_grad():
                return int(sample(ask([decision])[:1].cpu(), generator)[0])

        self._record({"names": [name], "index": None, "seed": seed}, choose)

    def replay(self, names: list[str], record: Mapping[str, Any]) -> None:
        """Take a recorded episode again.

        Raises:
            EnvironmentFault: If the environment does not show or pay what it did.
        """
        steps = record["steps"]

        def choose(decision: Decision, number: int) -> int | None:
            if number == len(steps):
                return None
            then = steps[number]
            if (decision.prompt, list(decision.actions)) != (then["prompt"], then["actions"]):
                raise _not_the_same(record, number, "shows another decision")
            return int(then["action"])

        episode = self._record({"names": names, "index": record["index"], "seed": record["seed"]}, choose)
        for number, (now, then) in enumerate(zip(episode["steps"], steps, strict=False)):
            if now["reward"] != then["reward"]:
                raise _not_the_same(record, number, f"pays {now['reward']} instead of {then['reward']}")

    def _record(self, head: Mapping[str, Any], choose: Choose) -> dict[str, Any]:
        """Play from the reset to the end, or to where ``choose`` leaves."""
        observation, _ = self.env.reset(seed=head["seed"])
        steps: list[dict[str, Any]] = []
        rewards: list[float] = []
        success: bool | None = False
        total, elapsed, truncated, ended = 0.0, 0, False, False
        while not ended:
            decision = Decision(observation["prompt"], tuple(observation["actions"]))
            action = choose(decision, len(steps))
            if action is None:
                truncated = True
                break
            kept = self._asked(decision) if len(steps) < LONGEST else {}
            observation, reward, terminated, truncated, info = self.env.step(action)
            ended = terminated or truncated
            rewards.append(float(reward))
            if ended:
                success = judge(info.get("success"), terminated=bool(terminated), rewards=rewards).success
            total += self.gamma**elapsed * float(reward)
            elapsed += int(info.get("duration", 1))
            outcome = {"action": action, "reward": float(reward), "duration": int(info.get("duration", 1))}
            steps.append({**kept, **outcome})
        episode = {
            **head,
            "success": success,
            "truncated": bool(truncated) and not success,
            "discounted_return": total,
            "decisions": len(steps),
            "steps": steps[:LONGEST],
            "last_frame": self._frame() if len(steps) <= LONGEST else None,
        }
        self.episodes.append(episode)
        return episode

    def _asked(self, decision: Decision) -> dict[str, Any]:
        """A decision with its picture, probabilities before and after training, and the value, if there is a critic."""
        with torch.no_grad():
            before = self.policy.reference_action_log_probs([decision])[0]
            after = self.policy.action_log_probs([decision])[0]
            value = None if self.policy.critic is None else round(float(self.policy.values([decision])[0]), 6)
        return {
            "frame": self._frame(),
            "prompt": decision.prompt,
            "actions": list(decision.actions),
            "before": _probabilities(before),
            "after": _probabilities(after),
            "value": value,
        }

    def _frame(self) -> int | None:
        """The number of the picture of this moment, or None where the environment draws none."""
        if self.env.render_mode != MODE:
            return None
        rendered = self.env.render()
        if not isinstance(rendered, np.ndarray) or rendered.ndim != 3 or rendered.shape[2] != 3:
            return None
        picture = np.ascontiguousarray(rendered, dtype=np.uint8)
        digest = hashlib.sha256(picture.tobytes()).hexdigest()
        if digest not in self.frames:
            self.frames[digest] = _png(picture)
        return list(self.frames).index(digest)


def _is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a line of episodes.jsonl has all that replaying needs; most have no steps."""
    steps = record.get("steps")
    return (
        isinstance(steps, list)
        and bool(steps)
        and record.keys() >= {"index", "seed", "success", "discounted_return"}
        and all(isinstance(step, dict) and step.keys() >= {"prompt", "actions", "action", "reward"} for step in steps)
    )


def _make_env(config: RunConfig) -> gymnasium.Env[Any, int]:
    """The run's environment, with pictures if it draws any."""
    env = make_task(config.task, **config.environment)
    if MODE in (env.metadata.get("render_modes") or []):
        close_or_tell(env, f"the environment of {config.task}")
        env = make_task(config.task, **{**config.environment, "render_mode": MODE})
    return GuardedEnv(env, f"the environment of {config.task}")


def _png(picture: Any) -> str:
    image = Image.fromarray(picture)
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _probabilities(log_probs: torch.Tensor) -> list[float]:
    return [round(probability, 6) for probability in log_probs.exp().tolist()]


def _weights(run: RunDirectory) -> str:
    """SHA-256 of adapter and critic, if there is one, which tells whether a replay is still true.

    Raises:
        RunError: If there is no adapter.
    """
    digest = hashlib.sha256()
    for file in (run.adapter / "adapter_model.safetensors", *([run.critic] if run.config.has_critic else [])):
        try:
            digest.update(file.read_bytes())
        except OSError:
            raise RunError(
                f"no replay of {str(run.path)!r}: it has no {file.name}; only runs of a language model with an "
                "adapter and a critic can be replayed"
            ) from None
    return digest.hexdigest()


def _is_current(path: Path, weights: str) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT and content.get("weights") == weights


def _not_the_same(record: Mapping[str, Any], number: int, what: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"replaying the episode with seed {record['seed']}, decision {number + 1} {what}: the environment is not "
        "determined by its seed and its actions, so its episodes cannot be shown again"
    )
