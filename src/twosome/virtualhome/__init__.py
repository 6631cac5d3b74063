"""VirtualHome: a household with four rooms, as a Gymnasium world (``twosome/VirtualHome-v0``)."""

from __future__ import annotations

from twosome.virtualhome.environment import VirtualHomeEnv
from twosome.virtualhome.graph import from_graph, load_scene, place_things, to_graph
from twosome.virtualhome.household import Household, Rules
from twosome.virtualhome.tasks import TASKS, Action, Task, find_task
from twosome.virtualhome.world import Situation, World, shared_world

__all__ = [
    "TASKS",
    "Action",
    "Household",
    "Rules",
    "Situation",
    "Task",
    "VirtualHomeEnv",
    "World",
    "find_task",
    "from_graph",
    "load_scene",
    "place_things",
    "shared_world",
    "to_graph",
]
