"""A run directory: complete by itself, readable without the process that wrote it.

config.yaml           every setting of the run; ``twosome train --config`` reads it back
versions.json         package, Python and library versions, platform, scoring path, the model's GGUF file, status
metrics.jsonl         one line per update    (see twosome.runs.recorder)
episodes.jsonl        one line per episode
adapter/              the trained actor in PEFT's format; model/ where all weights were trained, actor.safetensors where
                      the policy reads the observation vector
critic.safetensors    the trained critic
best/                 the policy whose episodes went best (see twosome.runs.best)
learning_curve.png    return and success over decisions
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from twosome.errors import RunError, RunInUse
from twosome.models.gguf.naming import as_note
from twosome.models.gguf.sameness import noted_base, same_file
from twosome.models.saving import ADAPTER_DIRECTORY, CRITIC_FILE, MODEL_DIRECTORY
from twosome.runs.curve import draw_learning_curve
from twosome.runs.files import move_files, new_run_directory, staging, sweep, write_json, write_text
from twosome.runs.journal import read_lines
from twosome.runs.recorder import METRICS_FILE, Recorder
from twosome.settings.config import RunConfig, from_mapping, to_yaml
from twosome.types import TrainablePolicy

CONFIG_FILE = "config.yaml"
VERSIONS_FILE = "versions.json"
CURVE_FILE = "learning_curve.png"
LOCK_FILE = ".lock"
LIBRARIES = ("twosome", "torch", "transformers", "peft", "gymnasium", "numpy")


class RunDirectory:
    """The files of one run."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self.config = config

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> RunDirectory:
        """Start a new run directory.

        Raises:
            RunError: If it is occupied or cannot be written.
        """
        run = cls(new_run_directory(path), config)
        write_text(path / CONFIG_FILE, to_yaml(config))
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Read the run in ``path``.

        Raises:
            RunError: If there is none, or its configuration cannot be read.
        """
        file = path / CONFIG_FILE
        if not file.is_file():
            raise RunError(f"no run in {str(path)!r}: expected a directory with {CONFIG_FILE}")
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            return cls(path, from_mapping(values))
        except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError, RecursionError) as error:
            raise RunError(f"cannot read {str(file)!r}: {error}") from None

    def check_trust(self, trust_remote_code: bool) -> None:
        """Refuse to run code that comes with the model because a file asks for it, not the user.

        Raises:
            RunError: If the run's configuration asks for it and ``trust_remote_code`` does not.
        """
        if self.config.loading.trust_remote_code and not trust_remote_code:
            raise RunError(
                f"the run in {str(self.path)!r} asks for code that comes with its model, {self.config.model!r}; if you "
                "trust its author, add --trust-remote-code"
            )

    @property
    def adapter(self) -> Path:
        """Where the adapter is."""
        return self.path / ADAPTER_DIRECTORY

    @property
    def model(self) -> Path:
        """Where the model is, if all of it was trained."""
        return self.path / MODEL_DIRECTORY

    @property
    def critic(self) -> Path:
        """Where the critic is."""
        return self.path / CRITIC_FILE

    def recorder(self) -> Recorder:
        """What writes this run's metrics and episodes."""
        return Recorder(
            self.path,
            gamma=self.config.ppo.gamma,
            record_every=self.config.record_every,
            tensorboard=self.config.tensorboard,
        )

    @property
    def finished(self) -> bool:
        """Whether the run took all its decisions."""
        return self._versions().get("status") == "finished"

    def base(self, model: str | None = None) -> str:
        """What to load as the run's base: the model it names, or where the same GGUF file lies.

        Args:
            model: Another model that the user named for the run: a difference is told then, not refused.

        Raises:
            ModelError: If it is another file, or not there.
        """
        return same_file(
            as_note(self._versions().get("model_file")) or noted_base(self.adapter) or noted_base(self.model),
            model or self.config.model,
            f"the run in {str(self.path)!r}",
            revision=self.config.loading.revision,
            chosen=model is not None,
        )

    def _versions(self) -> dict[str, Any]:
        try:
            versions = json.loads((self.path / VERSIONS_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return versions if isinstance(versions, dict) else {}

    def lengthened(self, decisions: int) -> RunDirectory:
        """The same run, to take ``decisions`` in all; its file says so after :meth:`rewrite_config`.

        Raises:
            RunError: If that is no more than it takes already.
        """
        longer = replace(self.config, decisions=decisions)
        if decisions < self.config.decisions or (self.finished and longer.updates == self.config.updates):
            state = "took" if self.finished else "is to take"
            taken = self.config.updates * self.config.decisions_per_update
            raise RunError(
                f"the run in {str(self.path)!r} {state} {taken} decisions (updates of "
                f"{self.config.decisions_per_update}); --decisions must name more, got {decisions}"
            )
        return RunDirectory(self.path, longer)

    def rewrite_config(self) -> None:
        """Have the configuration's file say what the run now takes; a finished run is no longer one."""
        # The status first: killed in between, the run is one that was interrupted at its end.
        file = self.path / VERSIONS_FILE
        if self.finished:
            write_json(file, {**json.loads(file.read_text(encoding="utf-8")), "status": "interrupted"})
        write_text(self.path / CONFIG_FILE, to_yaml(self.config))

    @contextmanager
    def in_use(self) -> Iterator[RunDirectory]:
        """Keep other processes from writing here while the context lasts.

        Raises:
            RunInUse: If another process does already.
            RunError: If a link in it leads elsewhere.
        """
        self._check_inside()
        lock = FileLock(self.path / LOCK_FILE, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunInUse(
                f"another process is writing the run in {str(self.path)!r}; wait for it, or stop it"
            ) from None
        try:
            sweep(self.path)
            yield self
        finally:
            lock.release()

    def _check_inside(self) -> None:
        """Refuse links that lead out of the run: an archive may hold some, and they would be written through."""
        root = os.path.realpath(self.path)
        for path in self.path.rglob("*"):
            if path.is_symlink() and os.path.commonpath([root, os.path.realpath(path)]) != root:
                raise RunError(
                    f"the link {str(path)!r} leads out of the run, which is only written below its own directory; put "
                    "what it leads to in its place"
                )

    def save(self, policy: TrainablePolicy) -> None:
        """Write actor and critic, each file whole or not at all.

        Raises:
            RunError: If they cannot be written; those that are there stay.
        """
        try:
            with staging(self.path) as ready:
                policy.save(ready)
                move_files(ready, self.path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"cannot write the weights to {str(self.path)!r}: {error}") from None

    @contextmanager
    def saving(self, policy: TrainablePolicy) -> Iterator[None]:
        """Save what was learned and draw the curve when the context ends, however it ends."""
        self._write_versions(policy, "running")
        status = "interrupted"
        try:
            yield
            status = "finished"
        finally:
            self.save(policy)
            self._write_versions(policy, status)
            draw_learning_curve(read_lines(self.path / METRICS_FILE), self.config.task, self.path / CURVE_FILE)

    def _write_versions(self, policy: TrainablePolicy, status: str) -> None:
        versions: dict[str, Any] = {name: _version(name) for name in LIBRARIES}
        versions |= {
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            **policy.facts(),
            "status": status,
        }
        write_json(self.path / VERSIONS_FILE, versions)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
