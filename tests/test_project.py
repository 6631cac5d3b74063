"""The shape of the project: who may import whom, what is public, what ships, how fast `--help` answers."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

import twosome

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "twosome"
MODULES = sorted(PACKAGE.rglob("*.py"))
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

FOUNDATION = ("decision", "errors")
WORLD = ("gymnasium", "numpy", "PIL", "envs", "errors")
LEARNING = ("torch", "numpy", "gymnasium", "types", "arrival", "functional", "success", *FOUNDATION)
READING = ("torch", "numpy", "transformers", "peft", "tokens", "types", "arrival", "caching", "functional", *FOUNDATION)
WORDS = ("wordings", "text")
READ_WITH = ("scoring", "judging", "scorer")  # of a model
ACTING = (*WORDS, "tokenizing", "models", *READ_WITH, "algorithms", "distributed", "baselines", "episodes", "rollout")
RUNS = ("caching", *ACTING, "settings", "safetensors", "yaml", *LEARNING)
KNOWS_ALL = ("*",)

# What a layer may import beside the standard library and itself. A layer is a module or a subpackage of twosome, and
# each row names only rows above it.
LAYERS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "caching": ("platformdirs",),
    "collector": (),
    "sharing": ("caching", "errors"),
    "addresses": ("errors",),
    "decision": ("errors",),
    "success": (),
    "types": ("torch", *FOUNDATION),
    "arrival": ("torch", "errors"),
    "functional": ("torch", "types", *FOUNDATION),
    "envs": ("gymnasium", "numpy", "success", "errors"),
    "overcooked": WORLD,
    "virtualhome": WORLD,
    "wordings": ("errors",),
    "families": (),
    "text": ("gymnasium", "numpy", "envs", "overcooked", "virtualhome", "wordings", "families", "success", *FOUNDATION),
    "principles": ("gymnasium", "envs", "text", "success", *FOUNDATION),
    "worlds": ("gymnasium", "caching", "text", *FOUNDATION),
    "tokens": ("torch", "numpy", *FOUNDATION),
    "tokenizing": ("safetensors", "caching", "collector", "tokens", "tokenizers", "transformers", *FOUNDATION),
    "scoring": READING,
    "judging": ("scoring", *READING),
    "scorer": ("scoring", "judging", *READING),
    "models": (
        "addresses",
        "collector",
        "tokenizing",
        *READ_WITH,
        "safetensors",
        "filelock",
        "tokenizers",
        "gguf",
        *READING,
    ),
    "episodes": LEARNING,
    "rollout": ("episodes", *LEARNING),
    "algorithms": LEARNING,
    "distributed": ("gymnasium", "models", "scoring", "scorer", "tokens", "text", "episodes", *LEARNING),
    "baselines": ("safetensors", "rollout", *LEARNING),
    "temperature": ("caching", "errors"),
    "calibration": ("numpy",),
    "remote": ("torch", "baselines", "caching", "decision", "errors"),
    "settings": ("addresses", "algorithms", *WORDS, "tokens", "yaml", *FOUNDATION),
    "runs": ("addresses", "remote", "temperature", "filelock", "matplotlib", "tokens", *RUNS),
    "deciding": ("tokens", "temperature", *RUNS, "runs"),
    "journal": ("filelock", *FOUNDATION),
    "formats": ("deciding", *FOUNDATION),
    "serving": (
        *("deciding", "formats", "journal", "temperature", "starlette", "uvicorn", "langchain_core", "pydantic"),
        *FOUNDATION,
    ),
    "elsewhere": ("gymnasium", "text", "formats", *FOUNDATION),
    "hindsight": ("journal", "temperature", "runs", "tokens", *RUNS),
    "evaluation": ("sharing", "transformers", "principles", "calibration", "runs", "envs", "tokens", *RUNS),
    "language": ("principles", "evaluation", "runs", "tokens", "transformers", "filelock", "lm_eval", *RUNS),
    "bench": ("tokens", "transformers", *RUNS),
    "planning": ("tokens", "transformers", "peft", "bench", "runs", *RUNS),
    "calibrating": ("numpy", "calibration", "temperature", "evaluation", "runs", "envs", *RUNS),
    "exporting": ("transformers", "temperature", "evaluation", "runs", *RUNS),
    "watching": ("evaluation", "runs", "envs", "PIL", *RUNS),
    "reproduction": ("sharing", "remote", "evaluation", "language", "runs", "tokens", *RUNS),
    "report": ("numpy", "yaml", "jinja2", "markupsafe", "success", "errors"),
    "laboratory": ("report", "reproduction", "evaluation", "runs", "yaml", "matplotlib", *RUNS),
    "terminal": (
        *("addresses", "remote", "sharing", "rich", "jsonargparse", "bench", "reproduction", "evaluation", "runs"),
        *("envs", "tokens", *RUNS),
    ),
    "cli": KNOWS_ALL,
    "__main__": KNOWS_ALL,
    "__init__": KNOWS_ALL,
}
LARGEST_ROOM, LARGEST_MODULE = 2500, 350  # lines
# Modules that `import twosome` and `--help` pass through: what they import as they load, not inside a function.
# `envs` is among them because importing twosome registers its worlds with Gymnasium.
LIGHT = {"__init__.py": ("envs", *FOUNDATION), "__main__.py": ("cli",), "cli/__init__.py": ("errors",)}
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml", "lm_eval": "lm-eval", "langchain_core": "langchain-core"}
PUBLIC = {"Agent", "Decision", "score"}
COMMANDS = {"demo", "train", "evaluate", "evaluate-language", "reproduce", "compare", "report", "tasks"}
COMMANDS |= {"play", "score", "serve", "calibrate", "export", "check-env", "words", "bench", "plan", "serve-env"}


@dataclass(frozen=True)
class Import:
    """One imported module; ``on_load`` is False inside a function or a TYPE_CHECKING block."""

    module: str
    line: int
    on_load: bool

    @property
    def target(self) -> str:
        """The layer of twosome, or the top-level name of any other package."""
        parts = self.module.split(".")
        return parts[0] if parts[0] != "twosome" else parts[1] if len(parts) > 1 else "__init__"


def layer_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(source: str) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, on_load: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, on_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; write it absolute"
            modules = [f"twosome.{alias.name}" for alias in node.names] if node.module == "twosome" else [node.module]
            found.extend(Import(str(module), node.lineno, on_load) for module in modules)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, on_load and not deferred and not checking)

    visit(ast.parse(source), True)
    return found


def foreign(path: Path) -> list[Import]:
    """The imports of a module that leave its layer and the standard library."""
    here = layer_of(path)
    everything = imports_of(path.read_text(encoding="utf-8"))
    return [i for i in everything if i.target != here and i.target not in sys.stdlib_module_names]


def tracked_files() -> list[Path]:
    """What belongs to the project: all that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        return [*(path for place in ("src", "tests", "docs") for path in (ROOT / place).rglob("*") if path.is_file())]
    return [path for name in names if name and (path := ROOT / name).is_file()]


def test_imports_are_read_with_their_place() -> None:
    source = (
        "import a.b\nfrom twosome import errors\nif TYPE_CHECKING:\n    import c\ndef f():\n    from d.e import g\n"
    )
    found = [(i.target, i.on_load) for i in imports_of(source)]
    assert found == [("a", True), ("errors", True), ("c", False), ("d", False)]


def test_every_layer_imports_only_what_it_may() -> None:
    wrong = []
    for path in MODULES:
        layer = layer_of(path)
        assert layer in LAYERS, f"{path.name}: no such layer; add {layer!r} to LAYERS with what it may import"
        for item in foreign(path):
            if LAYERS[layer] != KNOWS_ALL and item.target not in LAYERS[layer]:
                wrong.append(f"{path.relative_to(ROOT)}:{item.line}: {layer} must not import {item.module}")
    assert not wrong, "\n".join(wrong)


def test_no_layer_knows_one_below_it() -> None:
    order = list(LAYERS)
    wrong = [
        f"{layer} may import {known}, which is below it"
        for position, (layer, known_layers) in enumerate(LAYERS.items())
        for known in known_layers
        if known in order[position:]
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_are_small_enough_to_know() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    rooms: dict[str, int] = {}
    for path, lines in sizes.items():
        rooms[layer_of(path)] = rooms.get(layer_of(path), 0) + lines
    assert not {room: lines for room, lines in rooms.items() if lines > LARGEST_ROOM}
    assert not {str(path.relative_to(PACKAGE)): lines for path, lines in sizes.items() if lines > LARGEST_MODULE}


def test_every_room_says_in_a_sentence_what_belongs_there() -> None:
    for init in PACKAGE.rglob("__init__.py"):
        first = (ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or "").splitlines()[:1]
        assert first, f"{init.relative_to(PACKAGE)} has no docstring"
        assert first[0].endswith("."), f"{init.relative_to(PACKAGE)}: {first[0]!r} is no sentence"
        assert len(first[0].split()) >= 4, f"{init.relative_to(PACKAGE)}: {first[0]!r} says too little"


def test_the_map_in_contributing_is_the_tree_in_the_order_of_the_layers() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.search(r"## Layout\n.*?\n\|---\|---\|\n(.*?)\n\n", page, re.DOTALL)
    assert rows, "CONTRIBUTING.md has no table under Layout"
    places = [place for row in rows.group(1).splitlines() for place in re.findall(r"`([^`]+)`", row.split("|")[1])]
    for place in places:
        assert (PACKAGE / place).exists() or (ROOT / place).exists(), f"CONTRIBUTING.md maps {place}: not there"
    mapped = [place.rstrip("/").removesuffix(".py") for place in places if (PACKAGE / place).exists()]
    layers = [layer for layer in LAYERS if not layer.startswith("__")]
    assert set(mapped) == set(layers)
    foundation = [layer for layer in layers if layer in ("decision", "errors", "success", "types")]
    assert mapped[len(foundation) :] == [layer for layer in layers if layer not in foundation]


def test_every_test_on_the_page_about_wrong_numbers_exists() -> None:
    page = (ROOT / "docs" / "wrong-numbers.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if row.startswith("|") and not re.match(r"\|[-: |]+\||.*\| test \|$", row)]
    kinds = {int(number) for row in rows if (number := row.split("|")[1].strip()).isdigit()}
    assert kinds == set(range(1, 27))
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row.split("|")[-2])
        assert named, f"no test: {row}"
        for file, test in named:
            source = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"\ndef {test}(" in source, f"tests/{file} has no {test}"


def test_what_help_passes_through_imports_inside_functions() -> None:
    wrong = []
    for name, allowed in LIGHT.items():
        for item in foreign(PACKAGE / name):
            if item.on_load and item.target not in allowed:
                wrong.append(f"{name}:{item.line}: import {item.module} inside the function that uses it")
    assert not wrong, "\n".join(wrong)


def test_every_import_is_a_declared_dependency() -> None:
    project = CONFIGURATION["project"]
    extras = project["optional-dependencies"]
    wishes = [*project["dependencies"], *extras["tensorboard"], *extras["language"], *extras["gguf"], *extras["serve"]]
    wishes += extras["langchain"]
    declared = {re.match(r"[\w-]+", wish).group().lower() for wish in wishes}  # type: ignore[union-attr]
    used = {item.target for path in MODULES for item in foreign(path)} - set(LAYERS)
    undeclared = {name for name in used if DISTRIBUTIONS.get(name, name).lower() not in declared}
    assert not undeclared


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path.relative_to(ROOT)} has no docstring"


def test_nothing_is_unpickled() -> None:
    wrong = []
    for path in MODULES:
        source = path.read_text(encoding="utf-8")
        imported = {item.target for item in imports_of(source)}
        unsafe = imported & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
        unsafe |= set(re.findall(r"\btorch\.(?:load|save)\b|allow_pickle\s*=\s*True", source))
        wrong += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(unsafe)]
    assert not wrong, "weights are safetensors, everything else is JSON: " + "; ".join(wrong)


def test_public_names_are_listed_importable_and_documented() -> None:
    assert set(twosome.__all__) >= PUBLIC
    assert len(set(twosome.__all__)) == len(twosome.__all__)
    for name in twosome.__all__:
        value = getattr(twosome, name)
        assert isinstance(value, str) or value.__doc__, f"twosome.{name} has no docstring"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = twosome.nonsense  # type: ignore[attr-defined]


def test_no_path_of_one_machine_is_in_the_project() -> None:
    # Only absolute paths count, so the path of a web address does not.
    home = re.compile(rb"(?<![\w.}~*-])/(?:home|Users|root|work|mnt|opt/(?:wheels|pypi))/[\w.]|[A-Z]:\\+Users\\+\w")
    wrong = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" in content[:8000]:  # weights, pictures
            continue
        wrong += [f"{path.relative_to(ROOT)}: {found.group()!r}" for found in home.finditer(content)]
    assert not wrong, "\n".join(wrong[:20])


def test_git_ignores_no_source_file() -> None:
    """An unanchored `runs/` in .gitignore once left `src/twosome/runs` out of a commit, and of the wheel."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "src", "tests"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    ignored = [name for name in process.stdout.splitlines() if "__pycache__" not in name]
    assert not [name for name in ignored if not name.endswith((".pyc", ".egg-info"))]


def test_the_package_holds_code_and_data_only() -> None:
    kinds = {".py", ".typed", ".safetensors", ".json", ".yaml"}
    kinds |= {".md", ".txt"}  # the model's card; held-out text
    kinds |= {".html", ".css", ".js"}  # the report's template
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert not [str(path.relative_to(ROOT)) for path in files if path.suffix not in kinds and path.name != "py.typed"]
    assert (PACKAGE / "py.typed").exists()
    assert sum(path.stat().st_size for path in files) < 16e6


HELP = """
import json, runpy, sys, time
sys.argv = ["twosome", "--help"]
status = None
try:
    runpy.run_module("twosome", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    status = stop.code
heavy = sorted({"torch", "transformers", "peft", "matplotlib", "PIL"} & set(sys.modules))
print(json.dumps([status, time.process_time(), heavy]), file=sys.stderr)
"""


def test_help_is_instant_and_imports_no_torch() -> None:
    seconds = []
    for _ in range(3):  # the best of three, because a busy machine makes CPU seconds longer, too
        process = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, timeout=60)
        assert process.returncode == 0, process.stderr
        status, spent, heavy = json.loads(process.stderr.splitlines()[-1])
        assert not status
        assert not heavy, f"--help imported {heavy}"
        assert not {command for command in COMMANDS if not re.search(rf"\b{command}\b", process.stdout)}
        seconds.append(spent)
        if spent < 1.0:
            return
    pytest.fail(f"--help took {min(seconds):.2f} CPU seconds")
