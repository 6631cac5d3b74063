"""What inputs are made of: values, texts, words of commands, and files that were damaged or made up."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from twosome.cli import COMMANDS
from twosome.settings.config import RunConfig
from twosome.text.tasks import TASKS

SURROGATES = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2)
CONTROLS = st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Mn"]), max_size=4)
TEXTS = st.one_of(st.text(max_size=20), CONTROLS, SURROGATES)
NUMBERS = st.one_of(
    st.integers(-3, 3), st.integers(), st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**400]), st.floats()
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.sampled_from(["1e-3", "tiny", "-1", "~", "null", ""]))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


def _names(kind: Any, prefix: str = "") -> list[str]:
    found = []
    for item in fields(kind):
        found.append(prefix + item.name)
        if is_dataclass(item.default_factory):  # type: ignore[arg-type]
            found += _names(item.default_factory, f"{prefix}{item.name}.")
    return found


SETTINGS = _names(RunConfig)
"""Every setting, nested ones with a dot."""


@st.composite
def settings_mappings(draw: st.DrawFn) -> Any:
    """A mapping of settings, mostly with real names."""
    mapping: dict[Any, Any] = {}
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(SETTINGS) | st.text(max_size=5))
        value = draw(VALUES)
        group, dot, rest = name.partition(".")
        if dot and isinstance(mapping.setdefault(group, {}), dict):
            mapping[group][rest] = value
        else:
            mapping[group] = value
    return draw(st.sampled_from([mapping, mapping, mapping, mapping, draw(VALUES)]))


FILES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")),
    settings_mappings().map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[", b"{a: ", b"- "]).flatmap(lambda piece: st.integers(1, 3000).map(lambda n: piece * n)),
    st.sampled_from([b"ppo: [", b"!!python/object/apply:os.system ['true']", b"&a [*a]", b"\xff\xfe", b"--- 1\n--- 2"]),
    st.sampled_from([b"2001-99-99", b"seed: 0o9", b"seed: 1_0", b"? [1]\n: 2", b"<<: 3", b"task: !!binary x", b"=: 1"]),
)
"""Contents of a configuration file."""

SMALL_NUMBERS = st.sampled_from(["0", "1", "2", "-1", "1.5", "1e3", "nan", "x", "", "٣", "²"])
OPTIONS = """--out --config --preset --resume --print_settings --help -h --version --json --prompt --action --adapter
--model --normalization --agent --player --greedy --gif --pictures --seed --environment --episodes --exact --uniform
--task --decisions --steps --repetitions"""
FLAGS = [*(f"--{name}" for name in SETTINGS), *OPTIONS.split()]
WORDS = st.one_of(
    st.sampled_from([*COMMANDS, *list(TASKS)[:4], "worlds", "you", "random", "best", "model", "sum", "word", "tiny"]),
    st.sampled_from(FLAGS),
    st.sampled_from(["MODEL", "RUN", "STOPPED", "NOWHERE", "FREE", "{}", "[]", "null", '{"layout": "C"}', "=", "--"]),
    st.sampled_from(["a:b-v0", ":-v0", "twosome/Overcooked-v99", "CartPole-v1", ":", ".a:b", "a.b:", "x:", "math:pi"]),
    SMALL_NUMBERS,
    TEXTS,
)

DAMAGES = st.sampled_from(["cut", "flipped", "emptied", "removed", "grown", "replaced", "directory", "changed"])


def damage(draw: st.DrawFn, file: Path) -> str:
    """Damage a file: cut, flip, empty, remove, grow, replace, or change a value in it; says what was done."""
    kind = draw(DAMAGES)
    content = file.read_bytes()
    if kind == "cut":
        file.write_bytes(content[: draw(st.integers(0, len(content)))])
    elif kind == "flipped" and content:
        place = draw(st.integers(0, len(content) - 1))
        flipped = content[place] ^ 1 << draw(st.integers(0, 7))
        file.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
    elif kind == "grown":
        file.write_bytes(content + draw(st.binary(min_size=1, max_size=20)))
    elif kind == "replaced":
        file.write_bytes(draw(FILES))
    elif kind == "changed" and file.suffix in (".json", ".jsonl"):
        with suppress(ValueError, IndexError):  # damaged before
            first = content.splitlines()[0] if file.suffix == ".jsonl" else content
            file.write_text(json.dumps(changed(draw, json.loads(first))))
    else:
        file.unlink()
        if kind == "directory":
            file.mkdir()
        elif kind == "emptied":
            file.touch()
    return f"{file.name} {kind}"


def changed(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one thing in it, at any depth, replaced, removed or added."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 5)) == 0:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        place = draw(st.integers(0, len(value) - 1))
        if draw(st.integers(0, 5)) == 0:
            return value[:place] + value[place + 1 :]
        return [*value[:place], changed(draw, value[place]), *value[place + 1 :]]
    return draw(VALUES)
