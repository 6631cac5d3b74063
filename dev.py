#!/usr/bin/env python3
"""Sets twosome up and runs it: ``python3 dev.py demo`` and ``python3 dev.py test`` are all a fresh machine needs.

Standard library only, and free of syntax that an older Python cannot read, so that it can say what is wrong there.

The environment is `.venv` beside this file. torch comes first and through pip, because pip's configuration decides
where torch is found (a mirror, a directory of wheels, the index in TORCH_INDEX_URL); uv then adds the rest, faster,
and keeps the torch it finds. Both obey `constraints.txt`, so that two machines get the same versions; no constraint
installs anything by itself, so the torch build for a GPU is still the user's choice.

`.venv/.stamp` says what the environment was made from. While packages are being installed `.venv/.incomplete` lies
there instead: whoever finds it starts over, because nothing tells a half-installed package from a whole one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # Windows has no flock: two set-ups at the same time are not kept apart there
    fcntl = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
PROJECT = ROOT / "pyproject.toml"

OLDEST_PYTHON = (3, 11)
TORCH_PIN = "2.13.0"
BUILD_TOOLS = ("uv", "hatchling", "editables")  # pinned beside the dependencies; no user of the package needs them
DISK_NEEDED = 2.5e9  # bytes: 1.4 GB installed, the rest for downloads; a CUDA build of torch takes several times that
GPU_PACKAGE = re.compile(r"(nvidia|cuda|triton|pytorch[-_]triton)([-_]|$)", re.IGNORECASE)

# Loads what a training run loads, once: it shows that the packages fit this machine, and leaves byte code behind. pip
# would compile all 2,300 files of torch instead, which takes twice as long as compiling the ones that are used.
FIRST_IMPORT = """
import gymnasium, jsonargparse, matplotlib.pyplot, peft, rich.progress, torch, yaml
from transformers import LlamaForCausalLM
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).step()
"""

HELP = """\
usage: python3 dev.py COMMAND [arguments]

  demo    set up what is missing, then train the small agent and print its table  (arguments go to `twosome demo`)
  test    set up what is missing, then lint, types and tests                      (arguments go to pytest)
  check   lint and types only
  format  let ruff repair and format the code
  setup   only make or refresh .venv                                              (--extra NAME adds an extra)
  lock    resolve the newest versions and rewrite constraints.txt

environment variables
  TORCH_INDEX_URL   package index to take torch from, such as https://download.pytorch.org/whl/cpu (no GPU) or
                    https://download.pytorch.org/whl/cu126; without it pip decides, which on Linux means a CUDA build.
                    .venv remembers it; another value, or a removed .venv, makes a new one
  CI                when set, a set-up that brought GPU packages along fails
"""


class Failure(Exception):
    """Why a command cannot go on.

    Attributes:
        advice: What to do about it.
        harmless: Whether it came before any file of a package was written, so that `.venv` is still whole.
    """

    def __init__(self, reason: str, advice: str, *, harmless: bool = False) -> None:
        """Keep ``reason`` as the message."""
        super().__init__(reason)
        self.advice = advice
        self.harmless = harmless


# What an environment was made from, and whether it is still good ------------------------------------------------------


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from.

    Attributes:
        environment: Digest of the place and the Python; only a new environment can follow a change of them.
        packages: Digest of pyproject.toml and constraints.txt; an installation on top can follow a change of them.
        extras: The project's extras that are installed, sorted.
        torch_index: TORCH_INDEX_URL, or empty; a change of it needs a new environment, too.
    """

    environment: str
    packages: str
    extras: tuple[str, ...] = ()
    torch_index: str = ""

    def write(self, path: Path) -> None:
        """Write the stamp as JSON."""
        path.write_text(json.dumps(self.__dict__, indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Stamp | None:
        """The stamp in ``path``, or None where there is none that can be read."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Stamp(**{**content, "extras": tuple(content["extras"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None


def digest(*parts: str) -> str:
    """A short hash over ``parts``, which may hold anything, line ends of Windows included."""
    texts = [part.replace("\r\n", "\n") for part in parts]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def wanted_stamp(extras: tuple[str, ...], root: Path = ROOT, torch_index: str = "") -> Stamp:
    """The stamp an up-to-date environment for this tree, this Python and these extras carries."""
    python = "{} {}.{} {}".format(sys.implementation.name, *sys.version_info[:2], platform.machine())
    files = [(root / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
    # The place belongs to it: scripts and the editable install inside an environment hold absolute paths.
    return Stamp(digest(str(root), python), digest(*files), tuple(sorted(set(extras))), torch_index)


def plan(wanted: Stamp, found: Stamp | None, *, exists: bool, incomplete: bool, usable: bool) -> str:
    """What to do about the environment: "nothing", "install" into it, or "make" it anew.

    An environment without a stamp that works was made by hand; it is kept and completed.
    """
    if not exists or incomplete or not usable:
        return "make"
    if found is None:
        return "install"
    if (found.environment, found.torch_index) != (wanted.environment, wanted.torch_index):
        return "make"
    missing = set(wanted.extras) - set(found.extras)
    return "install" if missing or found.packages != wanted.packages else "nothing"


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


# Errors that say what to do ------------------------------------------------------------------------------------------


class Diagnosis(NamedTuple):
    """What a pattern in the output of pip, uv or venv means."""

    pattern: str
    reason: str
    advice: str
    harmless: bool = False


MACHINE = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"

# Searched from the top: pip also ends in "No matching distribution" when it merely cannot reach its index.
DIAGNOSES = (
    Diagnosis(
        r"No space left on device|Errno 28|not enough space on the disk|os error 28|os error 112",
        "the disk is full",
        "free about 3 GB (10 GB for a CUDA build of torch) where this project lies and in the temporary directory, "
        "then run the same command again; `python3 -m pip cache purge` frees downloads",
    ),
    Diagnosis(
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|SSLError|UnknownIssuer",
        "the package index's certificate is not trusted here",
        "behind a company proxy name its certificate file in PIP_CERT and SSL_CERT_FILE, then run the command again",
        harmless=True,
    ),
    Diagnosis(
        r"name resolution|NameResolutionError|getaddrinfo|nodename nor servname|Name or service not known"
        r"|Failed to establish a new connection|Network is unreachable|Connection refused|ConnectTimeout|ReadTimeout"
        r"|Read timed out|ProxyError|dns error|error sending request|Connection reset|Connection aborted",
        "the package index cannot be reached",
        "check the network (and HTTPS_PROXY, PIP_INDEX_URL, TORCH_INDEX_URL where you use them), then run the same "
        "command again; only the first set-up needs a network",
        harmless=True,
    ),
    Diagnosis(
        r"No matching distribution found for torch\b|\(constraint\) torch==",
        f"torch {TORCH_PIN} has no build for this machine ({MACHINE})",
        "use a 64-bit Python 3.11 to 3.14 on Linux, Windows or macOS 14 with Apple silicon; if TORCH_INDEX_URL is set, "
        "check that this index has that version",
        harmless=True,
    ),
    Diagnosis(
        r"ensurepip is not available|No module named '?(venv|ensurepip)|ensurepip.*returned non-zero",
        "this Python comes without the venv module",
        "on Debian and Ubuntu: apt-get install python3-venv (or python{}.{}-venv); then run the same command "
        "again".format(*sys.version_info[:2]),
    ),
    Diagnosis(
        r"Permission denied|Errno 13|Access is denied|Read-only file system|Errno 30|WinError 5\b|WinError 32\b",
        "a file cannot be written",
        "make sure that this directory belongs to you and that no program from .venv is still running, then run the "
        "same command again",
    ),
    Diagnosis(
        r"MemoryError|Cannot allocate memory|\bKilled\b|Errno 12\b",
        "the machine ran out of memory",
        "close other programs, or give the machine at least 4 GB, then run the same command again",
    ),
    Diagnosis(
        r"(Readme|License) file does not exist|metadata-generation-failed|Failed to build `?twosome",
        "the project itself cannot be built",
        "the lines above say which file is missing or wrong; `git status` shows what differs from the repository",
        harmless=True,
    ),
)


def diagnose(output: str, step: str, returncode: int = 1) -> Failure:
    """The failure that explains why ``step`` ended with ``output`` and ``returncode``."""
    if returncode in (-9, 137):  # a killed process says nothing itself
        output += "\nKilled"
    for pattern, reason, advice, harmless in DIAGNOSES:
        if re.search(pattern, output, re.IGNORECASE):
            return Failure(f"{step} failed: {reason}", advice, harmless=harmless)
    return Failure(
        f"{step} failed (exit status {returncode})",
        f"the lines above are its own words; report them together with: {MACHINE}",
    )


def check_python(version: tuple[int, ...], arguments: list[str]) -> None:
    """Raises Failure for a Python that is too old, naming a newer one that is at hand."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return
    newer = next((name for minor in (13, 12, 11) for name in [f"python3.{minor}"] if runs(name)), None)
    again = " ".join([newer or "python3.11", "dev.py", *arguments])
    advice = f"run: {again}" if newer else f"install Python 3.11 or newer (https://python.org), then run: {again}"
    found = ".".join(map(str, version[:3]))
    raise Failure("twosome needs Python 3.11 or newer, and this is Python " + found, advice)


def runs(program: str) -> bool:
    """Whether ``program`` is on the PATH and starts (a version manager's stand-in may do only the first)."""
    path = shutil.which(program)
    return path is not None and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0


def check_disk(free: float) -> None:
    """Raises Failure when ``free`` bytes are not enough for an environment."""
    if free < DISK_NEEDED:
        advice = "free some, or move this directory to a larger disk, then run the same command again"
        raise Failure(f"{free / 1e9:.1f} GB are free here, and set-up needs {DISK_NEEDED / 1e9:.1f} GB", advice)


def gpu_packages(names: list[str]) -> list[str]:
    """Those of the distribution ``names`` that only a GPU build of torch brings along, sorted."""
    return sorted(name for name in names if GPU_PACKAGE.match(name))


# Set-up --------------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


@contextlib.contextmanager
def timed(label: str) -> Iterator[None]:
    """Say what begins, and how long it took once it ends well."""
    say(f"  {label} ...")
    start = time.perf_counter()
    yield
    say(f"    done in {time.perf_counter() - start:.1f} s")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one set-up at a time change the environment: a second would take a half-made one for a broken one."""
    if fcntl is None:
        yield
        return
    with open(__file__, "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work on this .venv; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # some network disks know no locks; then as on Windows
        yield


def tool_environment() -> dict[str, str]:
    """The environment variables for pip and uv, without what would lead them past `.venv`."""
    ours = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0", "VIRTUAL_ENV": str(VENV)}
    strays = {"PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__"}
    return {**{name: value for name, value in os.environ.items() if name not in strays}, **ours}


def install(command: list[str], step: str) -> None:
    """Run one installing ``command``; show its progress on a terminal, its last words on failure, else nothing.

    Raises:
        Failure: If it fails, with a reason read from its output.
    """
    shown = sys.stdout.isatty()
    process = subprocess.run(
        command,
        cwd=ROOT,
        env=tool_environment(),
        stdin=subprocess.DEVNULL,
        stdout=None if shown else subprocess.PIPE,
        stderr=subprocess.PIPE if shown else subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if process.returncode:
        output = (process.stdout or "") + (process.stderr or "")
        for line in output.strip().splitlines()[-12:]:
            say(f"    | {line}")
        raise diagnose(output, step, process.returncode)


def torch_commands(python: str, index_url: str) -> list[list[str]]:
    """The pip commands that bring torch: from ``index_url`` if given, else from wherever pip is configured to look.

    torch itself must come from the index the user named (so no other is asked for it); what torch needs may come from
    there or from the usual place, because such an index holds few and sometimes old versions of it.
    """
    pip = [python, "-m", "pip", "install", "--no-compile", "--constraint", CONSTRAINTS.name]
    if not index_url:
        return [[*pip, "torch"]]
    return [[*pip, "--no-deps", "--index-url", index_url, "torch"], [*pip, "--extra-index-url", index_url, "torch"]]


def project_command(python: str, extras: tuple[str, ...], *, uv: bool) -> list[str]:
    """The command that installs this project, editable, with ``extras``; by uv, or by pip where uv cannot."""
    requirement = f".[{','.join(extras)}]" if extras else "."  # commands run in ROOT, whose own path may hold anything
    constraints = ["--constraint", CONSTRAINTS.name]
    if not uv:
        return [python, "-m", "pip", "install", *constraints, "--editable", requirement]
    build = ["--build-constraints", CONSTRAINTS.name]
    return [python, "-m", "uv", "pip", "install", "--python", python, *constraints, *build, "--editable", requirement]


def distributions(venv: Path) -> dict[str, str]:
    """Name and version of every distribution in ``venv``, read from the names of its metadata directories."""
    places = [*venv.glob("lib/python3*/site-packages"), *venv.glob("Lib/site-packages")]
    stems = [info.name[: -len(".dist-info")] for place in places[:1] for info in place.glob("*.dist-info")]
    return dict(stem.split("-", 1) for stem in stems if "-" in stem)


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


def install_torch(python: str, index_url: str) -> None:
    """Install torch by pip into the environment of ``python``."""
    source = " from TORCH_INDEX_URL" if index_url else ""
    with timed(f"torch {TORCH_PIN}{source} (200 MB to download, or several GB for a CUDA build)"):
        for command in torch_commands(python, index_url):
            install(command, "installing torch")


def install_project(python: str, extras: tuple[str, ...]) -> None:
    """Install the project and what it needs by uv; by pip where uv cannot, as it does not read pip's configuration."""
    uv = [python, "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS.name, "uv"]
    with timed(f"twosome[{','.join(extras)}] and what it needs" if extras else "twosome and what it needs"):
        try:
            install(uv, "installing uv")
            install(project_command(python, extras, uv=True), "installing the packages with uv")
        except Failure as failure:
            if "disk is full" in str(failure) or "cannot be built" in str(failure):
                raise
            say(f"    {failure}; trying again with pip, which is slower")
            install(project_command(python, extras, uv=False), "installing the packages with pip")


def install_packages(python: str, extras: tuple[str, ...], index_url: str) -> None:
    """Install torch, then the project with ``extras``, and see that both load.

    Raises:
        Failure: If a step fails, or if the second replaced the torch of the first.
    """
    before = distributions(VENV)
    install_torch(python, index_url)
    torch = distributions(VENV).get("torch")
    install_project(python, extras)
    after = distributions(VENV)
    if after.get("torch") != torch:
        advice = "look for another torch version in pyproject.toml and constraints.txt; they must agree"
        raise Failure(f"torch {torch} was replaced by {after.get('torch')} while installing", advice)
    if after != before:
        with timed("first import"):
            install([python, "-c", FIRST_IMPORT], "importing what was installed")


def check_ci() -> None:
    """Raises Failure when CI is set and GPU packages were installed: gigabytes that no test there uses."""
    found = gpu_packages(list(distributions(VENV)))
    if found and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        advice = "set TORCH_INDEX_URL to an index of CPU builds, such as https://download.pytorch.org/whl/cpu"
        raise Failure(f"CI is set, and torch brought GPU packages along: {', '.join(found)}", advice)


def known_extras() -> list[str]:
    """The names of the extras in pyproject.toml."""
    import tomllib  # here, because a Python that is too old for it must get as far as being told so

    return sorted(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"])


def set_up(extras: tuple[str, ...] = ()) -> str:
    """Make `.venv` fit this tree, this Python and at least ``extras``; does nothing where it does already.

    Returns:
        The path of the environment's Python.

    Raises:
        Failure: If that is impossible, with the reason and what to do.
    """
    python = str(interpreter(VENV))
    with alone():
        found = Stamp.read(VENV / ".stamp")
        # Who chose a build of torch once must not get another because a new terminal lacks the variable.
        index = os.environ.get("TORCH_INDEX_URL", "").strip() or (found.torch_index if found else "")
        wanted = wanted_stamp(extras, ROOT, index)
        todo = plan(
            wanted,
            found,
            exists=VENV.exists(),
            incomplete=(VENV / ".incomplete").exists(),
            usable=is_usable(Path(python)),
        )
        if todo == "nothing":
            return python
        start = time.perf_counter()
        say(f"setting up .venv with Python {platform.python_version()} (once; later calls take a second)")
        if found and todo == "install":
            wanted = wanted_stamp((*extras, *found.extras), ROOT, index)
        if todo == "make":
            make_environment()
        (VENV / ".incomplete").touch()
        try:
            install_packages(python, wanted.extras, index)
        except Failure as failure:
            if failure.harmless:
                (VENV / ".incomplete").unlink()
            raise
        check_ci()
        wanted.write(VENV / ".stamp")
        (VENV / ".incomplete").unlink()
        say(f"set up in {time.perf_counter() - start:.0f} s: torch {distributions(VENV)['torch']}")
    return python


def base_python() -> str:
    """The Python to make environments with; not the one inside `.venv`, which is about to be cleared."""
    return getattr(sys, "_base_executable", None) or sys.executable


def make_environment() -> None:
    """Make an empty `.venv`, instead of one that may lie there."""
    check_disk(shutil.disk_usage(ROOT).free)
    if VENV.exists():
        say("  the .venv that lies here is half-made or for another Python, place or torch index; making it anew")
    with timed("environment"):
        clear(VENV)
        install([base_python(), "-m", "venv", str(VENV)], "making the environment")
    if not shutil.which("nvidia-smi") and platform.system() == "Linux" and not os.environ.get("TORCH_INDEX_URL"):
        say("  no NVIDIA driver found: TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu saves a long download")


# Commands ------------------------------------------------------------------------------------------------------------


def run(command: list[str], cwd: Path | None = None, **variables: str) -> int:
    """Run ``command`` in the foreground and return its exit status.

    Ctrl-C reaches the command by itself and is its affair (a training run saves what it has), so this only waits.
    """
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **variables})
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                status = process.wait()
                return status if status >= 0 else 128 - status
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)


def lint(python: str) -> list[tuple[str, int, float]]:
    """Run the checks that do not run the code: name, exit status and seconds of each."""
    checks = [
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format --check", ["ruff", "format", "--check", "."]),
        ("mypy", ["mypy"]),
    ]
    return [check(name, [python, "-m", *command]) for name, command in checks]


def check(name: str, command: list[str], **variables: str) -> tuple[str, int, float]:
    """Run one check under a heading: its name, exit status and seconds."""
    say(f"== {name}")
    start = time.perf_counter()
    status = run(command, ROOT, **variables)
    return name, status, time.perf_counter() - start


def core_count() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_arguments(arguments: list[str], cores: int) -> list[str]:
    """The arguments for pytest: the user's, and as many workers as pay (each imports torch first)."""
    serial = {"-n", "--numprocesses", "--pdb", "--trace", "--co", "--collect-only", "-s"}
    if any(argument.split("=")[0] in serial or re.fullmatch(r"-n\w+", argument) for argument in arguments):
        return arguments
    return ["-n", str(max(1, min(cores, 4))), "--dist", "worksteal", *arguments]


def summarise(results: list[tuple[str, int, float]]) -> int:
    """Print one line per check; the exit status is 0 when all of them passed."""
    say("\nsummary")
    for name, status, seconds in results:
        say(f"  {name:<20} {'ok' if status == 0 else f'FAILED ({status})':<12} {seconds:6.1f} s")
    failed = [name for name, status, _ in results if status]
    if any(name.startswith("ruff") for name in failed):
        say("  `python3 dev.py format` repairs most of what ruff finds")
    say(f"failed: {', '.join(failed)}" if failed else "everything passed")
    return 1 if failed else 0


def demo(arguments: list[str]) -> int:
    """Set up what is missing and run the main job."""
    return run([set_up(), "-m", "twosome", "demo", *arguments])


def test(arguments: list[str]) -> int:
    """Set up what is missing, then lint, types and tests."""
    python = set_up(("test",))
    # One thread per worker: torch's own threads would fight over the cores the workers already fill.
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    command = [python, "-m", "pytest", *pytest_arguments(arguments, core_count())]
    return summarise([*lint(python), check("pytest", command, **threads)])


def check_only(arguments: list[str]) -> int:
    """Lint and types."""
    refuse(arguments, "check")
    return summarise(lint(set_up(("test",))))


def reformat(arguments: list[str]) -> int:
    """Let ruff repair and format the code."""
    refuse(arguments, "format")
    python = set_up(("test",))
    repaired = run([python, "-m", "ruff", "check", "--fix", "."], ROOT)
    return run([python, "-m", "ruff", "format", "."], ROOT) or repaired


def setup(arguments: list[str]) -> int:
    """Make or refresh `.venv` with the test extra and those asked for."""
    parser = argparse.ArgumentParser(prog="dev.py setup", description="Make or refresh .venv.")
    parser.add_argument("--extra", action="append", default=[], choices=known_extras(), help="install this extra too")
    python = set_up(("test", *parser.parse_args(arguments).extra))
    say(f"ready: {python}")
    return 0


def lock(arguments: list[str]) -> int:
    """Resolve the newest versions of everything and rewrite constraints.txt."""
    refuse(arguments, "lock")
    python = str(interpreter(VENV))
    if "uv" not in distributions(VENV):  # an old environment will do: the present pins may be what makes a new one fail
        python = set_up(("test",))
    command = [python, "-m", "uv", "pip", "compile", "pyproject.toml", "-", "--all-extras", "--quiet", "--no-header"]
    # One version for every Python and system (where one exists), so that one file serves all of them.
    command += ["--universal", "--fork-strategy", "fewest", "--python-version", "{}.{}".format(*OLDEST_PYTHON)]
    wishes = "\n".join([f"torch=={TORCH_PIN}", *BUILD_TOOLS])
    process = subprocess.run(
        [*command, "--annotation-style", "line"], cwd=ROOT, input=wishes, capture_output=True, encoding="utf-8"
    )
    if process.returncode:
        say(process.stderr)
        raise diagnose(process.stderr, "resolving the versions", process.returncode)
    lines = constraint_lines(process.stdout)
    CONSTRAINTS.write_text("\n".join([*LOCK_HEADER, *lines]) + "\n", encoding="utf-8", newline="\n")
    say(f"constraints.txt: {len(lines)} versions, torch {TORCH_PIN}; run the tests before you commit it")
    return 0


LOCK_HEADER = (
    "# The versions this project is tested with. Made by `python3 dev.py lock`; do not edit by hand.",
    "# uv resolved pyproject.toml with all extras and the build tools for every Python from 3.11 and every system;",
    "# torch is pinned in dev.py. The CUDA packages of torch are left out: they follow from the build of torch that",
    "# is installed, and a constraints file serves all of its builds.",
)


def constraint_lines(resolution: str) -> list[str]:
    """The lines of uv's ``resolution`` without comments of their own and without packages of GPU builds."""
    lines = [line.rstrip() for line in resolution.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [line for line in lines if not gpu_packages([line.split("==")[0].strip()])]


def refuse(arguments: list[str], command: str) -> None:
    """Raises Failure when a command that takes none gets ``arguments``."""
    if arguments:
        raise Failure(f"`{command}` takes no arguments, got: {' '.join(arguments)}", "leave them out")


COMMANDS = {"demo": demo, "test": test, "check": check_only, "format": reformat, "setup": setup, "lock": lock}


def main(arguments: list[str]) -> int:
    """Run the command in ``arguments``; the exit status."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if arguments else 2
    try:
        check_python(sys.version_info[:3], arguments)
        if arguments[0] not in COMMANDS:
            raise Failure(f"there is no command {arguments[0]!r}", f"use one of: {', '.join(COMMANDS)}")
        return COMMANDS[arguments[0]](arguments[1:])
    except Failure as error:
        print(f"dev.py: {error}\n  what to do: {error.advice}", file=sys.stderr)
    except (OSError, ValueError) as error:
        explained = diagnose(str(error), "set-up")
        print(f"dev.py: {explained}\n  {error}\n  what to do: {explained.advice}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndev.py: stopped; the next call repairs what was left half-made", file=sys.stderr)
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
