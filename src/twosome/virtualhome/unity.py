"""Episodes in VirtualHome's Unity simulator, through the ``virtualhome`` package where somebody has it.

The household tasks need neither the package nor Unity. This thin client is for watching: it prepares a scene, sends an
episode's actions as script lines and takes photographs. It has been tried against a stand-in server that speaks the
simulator's protocol, not against Unity itself.

The package is imported late. It does not install with its dependencies on a current Python; what works is

    pip install --no-deps virtualhome==2.3.0
    pip install requests opencv-python-headless

The simulator is downloaded from virtual-home.org. Cheese, hamburger and pizza exist in its tables only, not in Unity.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import io
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twosome.errors import ConfigError
from twosome.virtualhome.graph import Graph, place_things, script_lines
from twosome.virtualhome.tasks import find_task

CHARACTER = "Chars/Female2"


class Communication(Protocol):
    """The part of the package's ``UnityCommunication`` used here."""

    def reset(self, environment: int | None = None) -> bool:
        """Load an apartment, 0 to 49."""
        ...

    def environment_graph(self) -> tuple[bool, Graph]:
        """Return the scene as a graph."""
        ...

    def expand_scene(self, new_graph: Graph) -> tuple[bool, Any]:
        """Make the scene look like a graph."""
        ...

    def add_character(self, character_resource: str, *, initial_room: str) -> bool:
        """Put a character into a room."""
        ...

    def render_script(self, script: list[str], **options: Any) -> tuple[bool, Any]:
        """Perform script lines."""
        ...

    def post_command(self, request_dict: dict[str, Any]) -> dict[str, Any]:
        """Send any command."""
        ...


class Performance(NamedTuple):
    """What became of one action.

    Attributes:
        line: The script line sent.
        success: Whether the simulator performed it.
        message: What the simulator said.
    """

    line: str
    success: bool
    message: Any


def connect(port: int = 8080, url: str = "127.0.0.1", file_name: str | None = None) -> Communication:
    """A connection to the simulator, by the ``virtualhome`` package.

    Args:
        port: Where the simulator listens.
        url: The machine it runs on.
        file_name: The simulator's executable, to have it started; None if it runs already.

    Raises:
        ConfigError: If the package is not there, or the simulator does not start.
    """
    communication = package_module("unity_simulator.comm_unity").UnityCommunication
    try:
        return cast(Communication, communication(url=url, port=str(port), file_name=file_name))
    except SystemExit as end:  # how the package reports that it got no connection
        raise ConfigError(
            f"the Unity simulator {file_name!r} gave no answer at {url}:{port}; "
            "start it by hand and leave file_name out"
        ) from end


class UnityStage:
    """A scene of the simulator in which a household task is performed.

    Args:
        communication: From :func:`connect`.
        task: The name of a household task.
        scene: An apartment, 0 to 49.
        character: One of the simulator's characters.

    Raises:
        ConfigError: If the simulator refuses the scene, or the scene lacks a thing of the task.
    """

    def __init__(self, communication: Communication, task: str, scene: int = 0, character: str = CHARACTER) -> None:
        self.task = find_task(task)
        self._unity = communication
        _insist(communication.reset(scene), f"load apartment {scene}")
        placed = place_things(self.task, _with_character(self._graph()))
        done, message = communication.expand_scene(_without_character(placed))
        _insist(done, f"place the things of {task!r}", message)
        _insist(communication.add_character(character, initial_room="kitchen"), f"add {character!r}")
        self.scripts = script_lines(self.task, self._graph())

    def perform(self, actions: Iterable[int], **options: Any) -> list[Performance]:
        """Perform actions one by one, up to the first that the simulator cannot do.

        Args:
            actions: Action ids of the task, such as an episode's.
            options: For the package's ``render_script``, for example ``recording=True``.
        """
        performances: list[Performance] = []
        for action in actions:
            line = f"<char0> {self.scripts[action]}"
            success, message = self._unity.render_script([line], **({"find_solution": False} | options))
            performances.append(Performance(line, bool(success), message))
            if not success:
                break
        return performances

    def photograph(self, camera: int, width: int = 640, height: int = 480) -> NDArray[np.uint8]:
        """What a camera of the scene sees: uint8 [height, width, 3].

        The package's own ``camera_image`` does not work on a current Python and numpy, so the command is sent directly.

        Raises:
            ConfigError: If there is no such camera.
        """
        parameters = {"mode": "normal", "image_width": width, "image_height": height}
        reply = self._unity.post_command(
            {
                "id": str(time.time()),
                "action": "camera_image",
                "intParams": [camera],
                "stringParams": [json.dumps(parameters)],
            }
        )
        _insist(reply["success"], f"use camera {camera}", reply.get("message", ""))
        image = Image.open(io.BytesIO(base64.b64decode(reply["message_list"][0])))
        return np.asarray(image.convert("RGB")).copy()

    def _graph(self) -> Graph:
        done, graph = self._unity.environment_graph()
        _insist(done, "describe its scene")
        return graph


def package_module(name: str) -> Any:
    """A module of the package, by its inner name: the package itself cannot be imported in a plain environment."""
    found = importlib.util.find_spec("virtualhome")
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "the virtualhome package is not installed; pip install --no-deps virtualhome==2.3.0, and also "
            "requests and opencv-python-headless, which it needs"
        )
    folder = str(Path(next(iter(found.submodule_search_locations))) / "simulation")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        raise ConfigError(
            f"the virtualhome package needs {missing.name!r}; pip install requests opencv-python-headless"
        ) from missing
    finally:
        sys.path.remove(folder)


def _insist(success: bool, what: str, message: Any = "") -> None:
    if not success:
        raise ConfigError(f"the Unity simulator could not {what}{f': {message}' if message else ''}")


def _with_character(graph: Graph) -> Graph:
    """The graph with a stand-in for the character, which enters only once the scene is set."""
    kitchen = next((node["id"] for node in graph["nodes"] if node["class_name"] == "kitchen"), 0)
    me = max((node["id"] for node in graph["nodes"]), default=0) + 1
    character: dict[str, Any] = {
        "id": me,
        "class_name": "character",
        "category": "Characters",
        "properties": [],
        "states": [],
    }
    inside = {"from_id": me, "relation_type": "INSIDE", "to_id": kitchen}
    return {"nodes": [*graph["nodes"], character], "edges": [*graph["edges"], inside]}


def _without_character(graph: Graph) -> Graph:
    gone = {node["id"] for node in graph["nodes"] if node["class_name"] == "character"}
    return {
        "nodes": [node for node in graph["nodes"] if node["id"] not in gone],
        "edges": [edge for edge in graph["edges"] if not gone & {edge["from_id"], edge["to_id"]}],
    }
