"""Environments in several processes answer as they do in one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tests.distributed.threads import ThreadRanks, together
from tests.table_policy import TablePolicy
from twosome.distributed.ranks import Ranks
from twosome.distributed.worlds import SharedVectorEnv
from twosome.errors import EnvironmentFault
from twosome.rollout import Collector
from twosome.text.tasks import make_vector_task, vector_traits
from twosome.types import Rollout


def collected(envs: Any) -> tuple[Rollout, list[Any], Any]:
    collector = Collector(envs, 3, torch.Generator().manual_seed(4))
    rollout, episodes = collector.collect(TablePolicy(), 12)
    return rollout, [vars(episode) for episode in episodes], collector.state_dict()


def shared(count: int, ranks: Ranks) -> SharedVectorEnv:
    make = partial(make_vector_task, "tomato-salad", count, arguments={"time_limit": 20})
    return SharedVectorEnv(count, make, ranks)


@pytest.mark.parametrize(("environments", "ranks"), [(3, 2), (1, 2), (4, 3)])
def test_the_rollout_does_not_depend_on_who_has_which_environment(environments: int, ranks: int) -> None:
    alone = collected(make_vector_task("tomato-salad", environments, arguments={"time_limit": 20}))
    assert alone[1], "an episode ended, so environments were reset one by one"
    for found in together(ranks, lambda each: collected(shared(environments, each))):
        assert found[1:2] == alone[1:2]
        assert found[2]["open"] == alone[2]["open"]
        assert found[0].decisions == alone[0].decisions
        for name in ("actions", "rewards", "durations", "terminated", "truncated", "episodes"):
            ours, theirs = getattr(found[0], name), getattr(alone[0], name)
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours, theirs), name


def test_what_environments_say_of_themselves_is_known_everywhere() -> None:
    alone = vector_traits(make_vector_task("tomato-salad", 1, arguments={"time_limit": 20}))
    assert alone.time_limit == 20
    assert together(2, lambda each: vector_traits(shared(1, each))) == [alone, alone]


def test_an_environment_is_called_by_its_index_in_the_run() -> None:
    """A sentence about environment 2 is about the third of all, whichever process has it."""

    def fail(ranks: ThreadRanks) -> None:
        envs = shared(4, ranks)
        envs.reset(seed=0)
        envs.step(np.array([0, 0, 99, 0]))

    with pytest.raises(EnvironmentFault, match="environment 2 of tomato-salad"):
        together(2, fail)
