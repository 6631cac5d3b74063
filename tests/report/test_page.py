"""The page as text: complete by itself, and nothing of what it shows can become part of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.report.made import HOSTILE, add_replay, make_run, measurement, write_lines
from twosome.errors import RunError
from twosome.report import write_report


class Reader(HTMLParser):
    """Collects elements with their attributes, and the text of those that hold code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"style": [], "script": []}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.code:
            self.code[self._inside].append(data)


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """A report in which every text that comes from a file is hostile."""
    root = tmp_path / "all"
    for seed in range(2):
        changes = {"model": HOSTILE, "normalization": HOSTILE, "ppo": {HOSTILE: HOSTILE}}
        add_replay(make_run(root / f"<b>{seed}", task=HOSTILE, seed=seed, **changes), text=HOSTILE)
    make_run(root / "unfinished<i>", task=HOSTILE, seed=5, updates=3)
    lines = [
        measurement("zero-shot", HOSTILE, 0.3, normalization=HOSTILE),
        measurement("zero-shot", HOSTILE, 0.3, normalization=HOSTILE, control=HOSTILE),
        measurement(HOSTILE, HOSTILE, 0.4, method=HOSTILE),
    ]
    for task in (HOSTILE, "other" + HOSTILE):
        trained = {"trained_on": HOSTILE, "normalization": HOSTILE, "seed": 0, "method": HOSTILE}
        lines.append(measurement("twosome", task, 0.5, **trained))
    write_lines(root / "measurements.jsonl", lines)
    language = {"model": HOSTILE, "measures": [{"name": HOSTILE, "off": 1.0, "on": 2.0}]}
    (root / "language.json").write_text(json.dumps(language))
    return write_report([root], tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_it_shows_stays_text(hostile: str) -> None:
    reader = Reader(hostile)
    assert {tag for tag, _ in reader.elements} & {"i", "iframe", "object", "link", "base", "form"} == set()
    assert [attributes for tag, attributes in reader.elements if tag == "img"] == [{"class": "frame", "alt": ""}] * 2
    handlers = {name for _, attributes in reader.elements for name in attributes if name.startswith("on")}
    assert handlers == set()
    assert "<img src=x" not in hostile
    assert hostile.count("</script>") == hostile.count("<script") == 2
    assert "49" not in re.findall(r"\{\{ (.*?) \}\}", hostile)  # no template in a text is run
    assert "{{ 7 * 7 }}" in hostile
    for section in ("comparison", "generalisation", "language", "behaviour", "learning"):
        assert f'id="{section}"' in hostile, f"nothing hostile was tried in {section}"


def test_the_tables_stay_tables_whatever_they_hold(hostile: str, tmp_path: Path) -> None:
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    assert not any(re.search(r"(?<!\\)<", line) for line in lines)
    tables = "\n".join(lines).split("\n\n")
    tables = [table.splitlines() for table in tables if table.startswith("|")]
    assert len(tables) >= 5
    for rows in tables:
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert len(widths) == 1, rows
        assert set(rows[1]) <= set("|-:"), rows


def test_the_texts_of_episodes_arrive_unchanged(hostile: str) -> None:
    data = json.loads(Reader(hostile).code["script"][0])
    assert data["runs"][0]["episodes"][0]["steps"][0]["actions"] == [f"wait {HOSTILE}", f"act {HOSTILE}"]


def test_only_its_own_code_and_style_may_run_and_nothing_may_be_loaded(hostile: str) -> None:
    reader = Reader(hostile)
    [policy] = [a["content"] for tag, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    for kind, code in (("style", reader.code["style"][0]), ("script", reader.code["script"][1])):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    addresses = [
        a for _, attributes in reader.elements for n, a in attributes.items() if n in ("src", "href", "action")
    ]
    assert all(address is not None and address.startswith("#") for address in addresses)
    assert not [attributes for _, attributes in reader.elements if "style" in attributes]  # the policy forbids them
    assert "@import" not in hostile
    assert "url(" not in hostile


def test_tables_have_headers_and_inputs_have_labels(hostile: str) -> None:
    reader = Reader(hostile)
    assert all("scope" in attributes for tag, attributes in reader.elements if tag == "th")
    tags = [tag for tag, _ in reader.elements]
    assert tags.count("h1") == 1
    assert ("html", {"lang": "en"}) in reader.elements
    named = {attributes.get("for") for tag, attributes in reader.elements if tag == "label"}
    assert {attributes["id"] for tag, attributes in reader.elements if tag == "input"} <= named
    charts = [attributes for tag, attributes in reader.elements if attributes.get("class") == "chart"]
    assert charts
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in charts)


def test_the_same_files_give_the_same_page(tmp_path: Path) -> None:
    add_replay(make_run(tmp_path / "run"))
    first = write_report([tmp_path / "run"], tmp_path / "a.html").read_bytes()
    assert write_report([tmp_path / "run"], tmp_path / "b.html").read_bytes() == first
    assert str(tmp_path).encode() not in first  # no path of a machine


def test_every_number_of_a_run_says_that_it_is_one_run(tmp_path: Path) -> None:
    page = write_report([make_run(tmp_path / "run")], tmp_path / "a.html").read_text(encoding="utf-8")
    assert "TWOSOME (word), 1 run" in page
    assert 'class="band' not in page
    assert 'id="replay"' not in page
    assert "<script" not in page


def test_a_report_of_measurements_alone(tmp_path: Path) -> None:
    write_lines(tmp_path / "measurements.jsonl", [measurement("uniform", "cheese", 0.25)])
    page = write_report([tmp_path], tmp_path / "a.html").read_text(encoding="utf-8")
    assert "No language model was trained" in page
    assert "uniform play" in page


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write the report"):
        write_report([make_run(tmp_path / "run")], tmp_path / "none" / "a.html")


def test_calibration_errors_have_a_column_where_there_are_any(tmp_path: Path) -> None:
    lines = [measurement("uniform", "a", 0.25, calibration_error=0.0806), measurement("zero-shot", "a", 0.5)]
    write_lines(tmp_path / "measurements.jsonl", lines)
    page = write_report([tmp_path], tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count(">calibration error</th>") == 1
    tables = (tmp_path / "a.md").read_text(encoding="utf-8")
    header, rule, *rows = [line for line in tables.splitlines() if line.startswith("|")][:4]
    assert header.split(" | ")[5] == "calibration error"
    found = {row.split(" | ")[1]: row.split(" | ")[5] for row in rows}
    assert found == {"uniform play": "0.081", "untrained model": "\u2013"}
    assert len({line.count("|") for line in (header, rule, *rows)}) == 1
    write_lines(tmp_path / "measurements.jsonl", [measurement("uniform", "a", 0.25)])
    assert "calibration error" not in write_report([tmp_path], tmp_path / "a.html").read_text(encoding="utf-8")
