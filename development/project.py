"""Where the project lies, and the versions it is held to.

Also read by a Python that is too old for the project, so free of newer syntax.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
PROJECT = ROOT / "pyproject.toml"

OLDEST_PYTHON = (3, 11)
TORCH_PIN = "2.13.0"
