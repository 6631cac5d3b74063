"""Run directories made up from nothing, the way training writes them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

HOSTILE = '</script><img src=x onerror="window.harmed=1"><b>\'&amp;\u2028{{ 7 * 7 }}'


def make_run(path: Path, *, task: str = "tomato-salad", seed: int = 0, **changes: Any) -> Path:
    """A finished run of 40 updates with one episode each: first it fails, then it succeeds with return 0.9."""
    learned_at = changes.pop("learned_at", 10)
    updates = changes.pop("updates", 40)
    config = {"task": task, "seed": seed, "decisions": 40 * 100, "model": "embedded", "normalization": "word"}
    config |= {"ppo": {"policy_learning_rate": 0.001, "gamma": 0.99}, **changes}
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    metrics, episodes = [], []
    for update in range(updates):
        success = update >= learned_at
        metrics.append({"update": update + 1, "decisions": 100 * (update + 1), "episodes": 1})
        episodes.append({"index": update, "success": success, "discounted_return": 0.9 if success else 0.0})
    write_lines(path / "metrics.jsonl", metrics)
    write_lines(path / "episodes.jsonl", episodes)
    return path


def add_replay(run: Path, *, text: str = "", decisions: int = 4, pictures: bool = True) -> Path:
    """Two episodes, of some decisions and of one less, with ``text`` wherever a text can be."""
    frames = [png(shade) for shade in range(decisions + 1)] if pictures else []
    steps = [
        {
            "frame": number if pictures else None,
            "prompt": f"Situation {number}. {text} You should",
            "actions": [f"wait {text}", f"act {text}"],
            "before": [0.75, 0.25],
            "after": [0.1, 0.9],
            "action": 1,
            "reward": float(number == decisions - 1),
            "duration": 1,
            "value": 0.5,
        }
        for number in range(decisions)
    ]
    common = {"success": True, "truncated": False, "discounted_return": 1.0}
    episodes = [
        {**common, "names": ["untrained"], "index": None, "decisions": decisions, "steps": steps, "last_frame": None},
        {**common, "names": ["last"], "index": 7, "decisions": decisions - 1, "steps": steps[1:], "last_frame": 0},
    ]
    content = {"format": 1, "optimum": 0.92, "frames": frames, "episodes": episodes}
    (run / "replay.json").write_text(json.dumps(content), encoding="utf-8")
    return run


def measurement(agent: str, task: str, score: float, **changes: Any) -> dict[str, Any]:
    """A line of measurements.jsonl whose return and success are the same number."""
    line = {"agent": agent, "trained_on": None, "task": task, "normalization": None, "control": None, "seed": None}
    line |= {"method": "exact", "episodes": None, "success": score, "success_interval": None, "return": score}
    return {**line, "return_interval": None, "optimum": 1.0, "greedy": False, **changes}


def write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def png(shade: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (10 * shade, 80, 120)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
