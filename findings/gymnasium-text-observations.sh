#!/usr/bin/env bash
# Gymnasium's AsyncVectorEnv returns made-up text for environments that observe text.
#
# Versions: gymnasium 1.4.0, numpy 2.4.6.
# Expected: an environment with a Text observation space, which passes Gymnasium's own `check_env`, has the same
#           observations in an AsyncVectorEnv as in a SyncVectorEnv.
# Seen:     as long as `shared_memory` is left at its default, every observation is the first letter of the alphabet
#           of the space, repeated up to the space's longest length, after every reset and step. Nothing is raised or
#           warned about. With shared_memory=False the text is right.
# Matters:  an agent that reads its state would learn from "aaaa...". It was one reason to look closely at how
#           environments run in processes of their own (docs/decisions/environment-processes.md).
# Related:  https://github.com/Farama-Foundation/Gymnasium/issues/1164 (Dict spaces: shared memory is read once, at the
#           beginning)
set -eu
. "$(dirname "$0")/lib.sh"
install gymnasium==1.4.0 numpy==2.4.6

show <<'PYTHON'
import string
import sys
import warnings

import gymnasium
import numpy
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv


class Kitchen(gymnasium.Env):
    observation_space = gymnasium.spaces.Text(20, charset=string.ascii_lowercase + " ")
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return "you see a tomato", {}

    def step(self, action):
        return ("you hold a tomato", "you chop a tomato")[action], 0.0, False, False, {}


def seen(environments):
    first, _ = environments.reset(seed=0)
    second = environments.step(numpy.array([0, 1]))[0]
    environments.close()
    return [*first, *second]


if __name__ == "__main__":
    print("gymnasium", gymnasium.__version__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has no render modes to be tested, says the check
        check_env(Kitchen())
    right = seen(SyncVectorEnv([Kitchen, Kitchen]))
    unshared = seen(AsyncVectorEnv([Kitchen, Kitchen], shared_memory=False))
    default = seen(AsyncVectorEnv([Kitchen, Kitchen]))
    print("SyncVectorEnv                       ", right)
    print("AsyncVectorEnv, shared_memory=False ", unshared)
    print("AsyncVectorEnv                      ", default)
    sys.exit(None if unshared == right and set(default) == {"a" * 20} else "no longer as described")
PYTHON
