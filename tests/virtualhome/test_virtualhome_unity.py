"""The Unity client against a stand-in server that speaks the simulator's protocol and lives by our own rules."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from twosome.errors import ConfigError
from twosome.virtualhome import Rules, find_task, from_graph, load_scene, to_graph
from twosome.virtualhome.graph import script_lines
from twosome.virtualhome.unity import UnityStage, connect


class Simulator:
    """Answers the simulator's commands for one task, with node ids of its own."""

    def __init__(self, task: str) -> None:
        self.rules = Rules(find_task(task))
        self.commands: list[str] = []
        self.graph = self._apartment()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.commands.append(request["action"])
        success, message = getattr(self, request["action"], lambda request: (True, ""))(request)
        return {"id": request["id"], "success": success, "message": message, "value": 0, "message_list": [message]}

    def environment(self, request: dict[str, Any]) -> tuple[bool, str]:
        self.graph = self._apartment()
        return request["intParams"][0] < 50, ""

    def environment_graph(self, request: dict[str, Any]) -> tuple[bool, str]:
        return True, json.dumps(self.graph)

    def expand_scene(self, request: dict[str, Any]) -> tuple[bool, str]:
        self.graph = json.loads(request["stringParams"][1])
        return True, "{}"

    def add_character(self, request: dict[str, Any]) -> tuple[bool, str]:
        room = json.loads(request["stringParams"][0])["initial_room"]
        rooms = {node["class_name"]: node["id"] for node in self.graph["nodes"]}
        self.graph["nodes"].append({"id": 7, "class_name": "character", "properties": [], "states": []})
        self.graph["edges"].append({"from_id": 7, "relation_type": "INSIDE", "to_id": rooms[room]})
        return True, ""

    def render_script(self, request: dict[str, Any]) -> tuple[bool, str]:
        line = request["stringParams"][1].removeprefix("<char0> ")
        action = self.rules.task.actions[script_lines(self.rules.task, self.graph).index(line)]
        after = self.rules.act(from_graph(self.rules.task, self.graph), action)
        if after is None:
            return False, json.dumps({"0": {"message": "cannot"}})
        self.graph = to_graph(self.rules.task, after, self.graph)
        return True, json.dumps({"0": {"message": "Success"}})

    def camera_image(self, request: dict[str, Any]) -> tuple[bool, str]:
        size = json.loads(request["stringParams"][0])
        file = io.BytesIO()
        Image.new("RGB", (size["image_width"], size["image_height"]), (10, 20, 30)).save(file, "PNG")
        return request["intParams"] == [3], base64.b64encode(file.getvalue()).decode()

    @staticmethod
    def _apartment() -> Any:
        text = json.dumps(load_scene())
        scene = json.loads(text, object_hook=_renumber)
        scene["nodes"] = [node for node in scene["nodes"] if node["class_name"] != "character"]
        scene["edges"] = [edge for edge in scene["edges"] if edge["from_id"] != 1001]
        return scene


def _renumber(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value + 1000 if key in ("id", "from_id", "to_id") else value for key, value in entry.items()}


class Wire:
    """What the package does over HTTP, in a few lines, for where it is not installed."""

    def __init__(self, url: str, port: str, file_name: str | None) -> None:
        self.address = f"http://{url}:{port}"

    def post_command(self, request_dict: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(request_dict).encode()
        request = urllib.request.Request(self.address, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def _post(self, action: str, **more: Any) -> dict[str, Any]:
        return self.post_command({"id": "0", "action": action, **more})

    def reset(self, environment: int | None = None) -> bool:
        return self._post("environment", intParams=[environment])["success"]

    def environment_graph(self) -> tuple[bool, Any]:
        reply = self._post("environment_graph")
        return reply["success"], json.loads(reply["message"])

    def expand_scene(self, new_graph: Any) -> tuple[bool, Any]:
        reply = self._post("expand_scene", stringParams=["{}", json.dumps(new_graph)])
        return reply["success"], reply["message"]

    def add_character(self, character_resource: str, *, initial_room: str) -> bool:
        return self._post("add_character", stringParams=[json.dumps({"initial_room": initial_room})])["success"]

    def render_script(self, script: list[str], **options: Any) -> tuple[bool, Any]:
        reply = self._post("render_script", stringParams=[json.dumps(options), *script])
        return reply["success"], json.loads(reply["message"])


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    yield from _serve(Simulator("entertainment"))


@pytest.fixture
def laundry() -> Iterator[Simulator]:
    yield from _serve(Simulator("laundry"))


def _serve(simulator: Simulator) -> Iterator[Simulator]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = json.dumps(simulator.answer(request)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    simulator.port = server.server_port  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield simulator
    server.shutdown()
    thread.join()
    server.server_close()


PACKAGES = [
    "stand-in",
    pytest.param(
        "installed",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("virtualhome") is None, reason="needs the virtualhome package"
        ),
    ),
]


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The virtualhome package: the installed one, or a stand-in laid out the same way."""
    if request.param == "installed":
        return
    folder = tmp_path / "virtualhome" / "simulation" / "unity_simulator"
    folder.mkdir(parents=True)
    (tmp_path / "virtualhome" / "__init__.py").write_text("raise IndexError('as the real one does')\n")
    (folder / "__init__.py").write_text("")
    (folder / "comm_unity.py").write_text("from virtualhome_wire import Wire as UnityCommunication\n")
    wire = ModuleType("virtualhome_wire")
    wire.Wire = Wire  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "virtualhome_wire", wire)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("unity_simulator", "unity_simulator.comm_unity"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("package")
class TestStage:
    def test_an_episode_is_performed(self, simulator: Any) -> None:
        stage = UnityStage(connect(simulator.port), "entertainment")
        performed = stage.perform((4, 9, 5, 10, 0, 6, 11, 7, 13, 8, 15))
        assert [step.success for step in performed] == [True] * 11
        assert performed[0].line == "<char0> [walk] <chips> (1042)"
        assert performed[6].line == "<char0> [putback] <chips> (1042) <coffeetable> (1080)"
        assert simulator.rules.succeeded(from_graph(simulator.rules.task, simulator.graph))

    def test_it_stops_where_the_simulator_does(self, simulator: Any) -> None:
        performed = UnityStage(connect(simulator.port), "entertainment").perform((4, 13, 9))
        assert [step.success for step in performed] == [True, False]
        assert performed[-1].message == {"0": {"message": "cannot"}}

    def test_things_are_placed_as_the_task_wants(self, laundry: Any) -> None:
        stage = UnityStage(connect(laundry.port), "laundry")
        state = from_graph(laundry.rules.task, laundry.graph)
        assert state == laundry.rules.start()
        assert all(step.success for step in stage.perform((4, 6, 5, 8, 7, 9)))
        assert laundry.rules.succeeded(from_graph(laundry.rules.task, laundry.graph))

    def test_photographs(self, simulator: Any) -> None:
        stage = UnityStage(connect(simulator.port), "entertainment")
        assert stage.photograph(3, width=64, height=48).shape == (48, 64, 3)
        assert stage.photograph(3)[0, 0].tolist() == [10, 20, 30]
        with pytest.raises(ConfigError, match="could not use camera 9"):
            stage.photograph(9)

    def test_a_refused_scene_is_reported(self, simulator: Any) -> None:
        with pytest.raises(ConfigError, match="could not load apartment 50"):
            UnityStage(connect(simulator.port), "entertainment", scene=50)


def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install --no-deps virtualhome=="):
        connect()
