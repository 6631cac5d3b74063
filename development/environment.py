"""Makes `.venv` and keeps it up to date.

`.venv/.stamp` says what the environment was made from. While packages are being installed `.venv/.incomplete` lies
there instead: whoever finds it starts over, because nothing tells a half-installed package from a whole one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path, PurePath

from development import packages, processes, project
from development.messages import Failure, say, timed
from development.stamp import Stamp, plan, wanted_stamp

try:
    import fcntl
except ImportError:  # Windows has no flock: two set-ups at the same time are not kept apart there
    fcntl = None  # type: ignore[assignment]

DISK_NEEDED = 2.5e9  # bytes: 1.4 GB installed, the rest for downloads; a CUDA build of torch takes several times that


def interpreter(venv: PurePath, os_name: str = os.name) -> PurePath:
    """The Python program inside the environment ``venv``."""
    return venv / "Scripts" / "python.exe" if os_name == "nt" else venv / "bin" / "python"


def is_usable(python: Path) -> bool:
    """Whether the environment's Python starts, is the version that runs this file, and has pip."""
    question = "import sys, importlib.util as u; print(*sys.version_info[:2], u.find_spec('pip') is not None)"
    try:
        answer = subprocess.run([str(python), "-c", question], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.split() == [*map(str, sys.version_info[:2]), "True"]


def check_disk(free: float) -> None:
    """Raises Failure when ``free`` bytes are not enough for an environment."""
    if free < DISK_NEEDED:
        advice = "free some, or move this directory to a larger disk, then run the same command again"
        raise Failure(f"{free / 1e9:.1f} GB are free here, and set-up needs {DISK_NEEDED / 1e9:.1f} GB", advice)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one set-up at a time change the environment: a second would take a half-made one for a broken one."""
    if fcntl is None:
        yield
        return
    with open(project.ROOT / "dev.py", "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work on this .venv; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # some network disks know no locks; then as on Windows
        yield


def clear(venv: Path) -> None:
    """Leave of ``venv`` only the note that it is incomplete; it is written first, in case this is interrupted."""
    venv.mkdir(exist_ok=True)
    note = venv / ".incomplete"
    note.touch()
    for entry in venv.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != note:
            entry.unlink()


def base_python() -> str:
    """The Python to make environments with; not the one inside `.venv`, which is about to be cleared."""
    return getattr(sys, "_base_executable", None) or sys.executable


def make_environment() -> None:
    """Make an empty `.venv`, instead of one that may lie there."""
    check_disk(shutil.disk_usage(project.ROOT).free)
    if project.VENV.exists():
        say("  the .venv that lies here is half-made or for another Python, place or torch index; making it anew")
    with timed("environment"):
        clear(project.VENV)
        processes.install([base_python(), "-m", "venv", str(project.VENV)], "making the environment")
    if not shutil.which("nvidia-smi") and platform.system() == "Linux" and not os.environ.get("TORCH_INDEX_URL"):
        say("  no NVIDIA driver found: TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu saves a long download")


def set_up(extras: tuple[str, ...] = ()) -> str:
    """Make `.venv` fit this tree, this Python and at least ``extras``; does nothing where it does already.

    Returns:
        The path of the environment's Python.

    Raises:
        Failure: If that is impossible, with the reason and what to do.
    """
    python = str(interpreter(project.VENV))
    with alone():
        found = Stamp.read(project.VENV / ".stamp")
        # Who chose a build of torch once must not get another because a new terminal lacks the variable.
        index = os.environ.get("TORCH_INDEX_URL", "").strip() or (found.torch_index if found else "")
        wanted = wanted_stamp(extras, project.ROOT, index)
        todo = plan(
            wanted,
            found,
            exists=project.VENV.exists(),
            incomplete=(project.VENV / ".incomplete").exists(),
            usable=is_usable(Path(python)),
        )
        if todo == "nothing":
            return python
        start = time.perf_counter()
        say(f"setting up .venv with Python {platform.python_version()} (once; later calls take a second)")
        if found and todo == "install":
            wanted = wanted_stamp((*extras, *found.extras), project.ROOT, index)
        if todo == "make":
            make_environment()
        (project.VENV / ".incomplete").touch()
        try:
            packages.install_packages(python, wanted.extras, index)
        except Failure as failure:
            if failure.harmless:
                (project.VENV / ".incomplete").unlink()
            raise
        packages.check_ci()
        wanted.write(project.VENV / ".stamp")
        (project.VENV / ".incomplete").unlink()
        say(f"set up in {time.perf_counter() - start:.0f} s: torch {packages.distributions(project.VENV)['torch']}")
    return python
