"""What is installed into `.venv`, and by which commands.

torch comes first and through pip, because pip's configuration decides where torch is found (a mirror, a directory of
wheels, the index in TORCH_INDEX_URL); uv then adds the rest, faster, and keeps the torch it finds. Both obey
`constraints.txt`, so that two machines get the same versions; no constraint installs anything by itself, so the torch
build for a GPU is still the user's choice.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from development import processes, project
from development.messages import Failure, say, timed

GPU_PACKAGE = re.compile(r"(nvidia|cuda|triton|pytorch[-_]triton)([-_]|$)", re.IGNORECASE)

# Loads what a training run loads, once: it shows that the packages fit this machine, and leaves byte code behind. pip
# would compile all 2,300 files of torch instead, which takes twice as long as compiling the ones that are used.
FIRST_IMPORT = """
import gymnasium, jsonargparse, matplotlib.pyplot, peft, rich.progress, torch, yaml
from transformers import LlamaForCausalLM
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).step()
"""


def torch_commands(python: str, index_url: str) -> list[list[str]]:
    """The pip commands that bring torch: from ``index_url`` if given, else from wherever pip is configured to look.

    torch itself must come from the index the user named (so no other is asked for it); what torch needs may come from
    there or from the usual place, because such an index holds few and sometimes old versions of it.
    """
    pip = [python, "-m", "pip", "install", "--no-compile", "--constraint", project.CONSTRAINTS.name]
    if not index_url:
        return [[*pip, "torch"]]
    return [[*pip, "--no-deps", "--index-url", index_url, "torch"], [*pip, "--extra-index-url", index_url, "torch"]]


def project_command(python: str, extras: tuple[str, ...], *, uv: bool) -> list[str]:
    """The command that installs this project, editable, with ``extras``; by uv, or by pip where uv cannot."""
    requirement = f".[{','.join(extras)}]" if extras else "."  # commands run in the root, whose path may hold anything
    constraints = ["--constraint", project.CONSTRAINTS.name]
    if not uv:
        return [python, "-m", "pip", "install", *constraints, "--editable", requirement]
    build = ["--build-constraints", project.CONSTRAINTS.name]
    return [python, "-m", "uv", "pip", "install", "--python", python, *constraints, *build, "--editable", requirement]


def extras() -> list[str]:
    """The names of the extras in pyproject.toml."""
    return sorted(tomllib.loads(project.PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"])


def distributions(venv: Path) -> dict[str, str]:
    """Name and version of every distribution in ``venv``, read from the names of its metadata directories."""
    places = [*venv.glob("lib/python3*/site-packages"), *venv.glob("Lib/site-packages")]
    stems = [info.name[: -len(".dist-info")] for place in places[:1] for info in place.glob("*.dist-info")]
    return dict(stem.split("-", 1) for stem in stems if "-" in stem)


def gpu_packages(names: list[str]) -> list[str]:
    """Those of the distribution ``names`` that only a GPU build of torch brings along, sorted."""
    return sorted(name for name in names if GPU_PACKAGE.match(name))


def install_torch(python: str, index_url: str) -> None:
    """Install torch by pip into the environment of ``python``."""
    source = " from TORCH_INDEX_URL" if index_url else ""
    with timed(f"torch {project.TORCH_PIN}{source} (200 MB to download, or several GB for a CUDA build)"):
        for command in torch_commands(python, index_url):
            processes.install(command, "installing torch")


def install_project(python: str, extras: tuple[str, ...]) -> None:
    """Install the project and what it needs by uv; by pip where uv cannot, as it does not read pip's configuration."""
    uv = [python, "-m", "pip", "install", "--quiet", "--constraint", project.CONSTRAINTS.name, "uv"]
    with timed(f"twosome[{','.join(extras)}] and what it needs" if extras else "twosome and what it needs"):
        try:
            processes.install(uv, "installing uv")
            processes.install(project_command(python, extras, uv=True), "installing the packages with uv")
        except Failure as failure:
            if "disk is full" in str(failure) or "cannot be built" in str(failure):
                raise
            say(f"    {failure}; trying again with pip, which is slower")
            processes.install(project_command(python, extras, uv=False), "installing the packages with pip")


def install_packages(python: str, extras: tuple[str, ...], index_url: str) -> None:
    """Install torch, then the project with ``extras``, and see that both load.

    Raises:
        Failure: If a step fails, or if the second replaced the torch of the first.
    """
    before = distributions(project.VENV)
    install_torch(python, index_url)
    torch = distributions(project.VENV).get("torch")
    install_project(python, extras)
    after = distributions(project.VENV)
    if after.get("torch") != torch:
        advice = "look for another torch version in pyproject.toml and constraints.txt; they must agree"
        raise Failure(f"torch {torch} was replaced by {after.get('torch')} while installing", advice)
    if after != before:
        with timed("first import"):
            processes.install([python, "-c", FIRST_IMPORT], "importing what was installed")


def check_ci() -> None:
    """Raises Failure when CI is set and GPU packages were installed: gigabytes that no test there uses."""
    found = gpu_packages(list(distributions(project.VENV)))
    if found and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        advice = "set TORCH_INDEX_URL to an index of CPU builds, such as https://download.pytorch.org/whl/cpu"
        raise Failure(f"CI is set, and torch brought GPU packages along: {', '.join(found)}", advice)
