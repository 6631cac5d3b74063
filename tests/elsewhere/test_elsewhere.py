"""Environments on servers are those of this process, to the last bit; what goes wrong is told in one sentence."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.elsewhere.servers import Served, serving
from tests.faults.environments import TASK
from twosome.elsewhere.lines import LONGEST_ANSWER, Channel
from twosome.elsewhere.protocol import PROTOCOL
from twosome.errors import ConfigError, EnvironmentFault
from twosome.text.tasks import make_task, make_vector_task, vector_traits

TIMEOUT = 30.0
SALAD = "tomato-salad"


def played(envs: Any, steps: int = 12) -> list[Any]:
    """What uniform play with a seed meets."""
    rng = np.random.default_rng(0)
    observations, _ = envs.reset(seed=[5 + index for index in range(envs.num_envs)])
    seen: list[Any] = [observations]
    for step in range(steps):
        actions = [int(rng.integers(len(offered))) for offered in observations["actions"]]
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        seen.append([observations, rewards.tobytes(), terminated.tolist(), truncated.tolist(), _plain(infos)])
        ended = terminated | truncated
        if ended.any():
            seeds = [100 + step] * envs.num_envs
            observations, _ = envs.reset(seed=seeds, options={"reset_mask": ended})
    return seen


def _plain(infos: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: infos[name].tolist() for name in ("duration", "success", "_success") if name in infos}


def test_what_is_seen_is_the_same_to_the_last_bit_and_environment_i_is_on_server_i_modulo_their_number() -> None:
    arguments: dict[str, Any] = {"time_limit": 20, "history": 1, "permute_phrases": 0}
    with closing(make_vector_task(SALAD, 3, arguments=arguments)) as envs:
        here, says = played(envs), vector_traits(envs)
    with ExitStack() as held:
        servers = [held.enter_context(serving(SALAD, most=most)) for most in (2, 1)]  # with more there, it would wait
        given = {**arguments, "servers": servers}
        envs = held.enter_context(closing(make_vector_task(SALAD, 3, timeout=TIMEOUT, arguments=given)))
        assert vector_traits(envs) == says
        assert says.time_limit == 20
        assert played(envs) == here


def test_a_fault_there_is_told_with_its_environment_server_and_moment(tmp_path: Path) -> None:
    (tmp_path / "now").touch()
    fault = {"misdeed": "killed", "at": 2, "while_exists": str(tmp_path / "now")}
    with serving(TASK) as server:
        envs = make_vector_task(TASK, 1, timeout=TIMEOUT, arguments={**fault, "servers": [server]})
        with closing(envs):
            envs.reset(seed=[5])
            envs.step([0])
            with pytest.raises(EnvironmentFault) as caught:
                envs.step([0])
    assert str(caught.value) == (
        f"environment 0 of {TASK}, at step 2 of the episode with seed 5: on the environment server {server}: "
        "the process of the environment was killed by SIGKILL while taking a step"
    )


def test_an_environment_that_hangs_stops_within_env_timeout_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "now").touch()
    fault = {"misdeed": "hung", "at": 1, "while_exists": str(tmp_path / "now")}
    before = set(psutil.Process().children(recursive=True))
    with serving(TASK) as server:
        envs = make_vector_task(TASK, 1, timeout=15.0, arguments={**fault, "servers": [server]})
        with closing(envs):
            envs.reset(seed=[5])
            began = time.monotonic()
            with pytest.raises(EnvironmentFault, match="did not answer within env_timeout=15 seconds while"):
                envs.step([0])
            assert 14 < time.monotonic() - began < 19
    left = [process for process in psutil.Process().children(recursive=True) if process not in before]
    assert not [process for process in left if "resource_tracker" not in " ".join(process.cmdline())]


@pytest.mark.parametrize("seed", [5, None])
def test_an_episode_that_was_lost_with_its_server_is_taken_again_where_it_can_be(seed: int | None) -> None:
    with closing(make_task(SALAD)) as env:
        env.reset(seed=5)
        expected = [env.step(action) for action in (0, 1, 0, 2)]
    first = Served(SALAD, "--quiet")
    try:
        with closing(make_task(SALAD, servers=[first.address], server_timeout=TIMEOUT)) as env:
            env.reset(seed=seed)
            env.step(0), env.step(1)
            first.kill()
            second = threading.Thread(target=_again, args=(first.address, stop := threading.Event()))
            second.start()
            try:
                if seed is None:
                    with pytest.raises(EnvironmentFault, match="the episode with it: it was begun without a seed"):
                        env.step(0)
                    return
                with pytest.warns(RuntimeWarning, match="the episode with seed 5 was taken again there to step 2"):
                    third = env.step(0)
                assert [third[:4], env.step(2)[:4]] == [answer[:4] for answer in expected[2:]]
            finally:
                stop.set()
                second.join()
    finally:
        first.kill()


def _again(address: str, stop: threading.Event) -> None:
    time.sleep(0.5)
    with serving(SALAD, int(address.rpartition(":")[2])):
        stop.wait(TIMEOUT)


def test_an_episode_that_is_another_one_when_it_is_taken_again_stops_the_run() -> None:
    def answer(prompt: str, reward: float) -> list[dict[str, Any]]:
        shown = {"prompt": prompt, "actions": ["wait"]}
        paid = {"reward": reward, "terminated": False, "truncated": False, "duration": 1, "success": None}
        return [shown, {**shown, **paid}]

    with scripted([answer("It is dark. You should", 0.5), answer("It is dark. You should", 0.25)]) as server:
        env = make_task("a-service", servers=[server], server_timeout=5.0)
        with closing(env):
            env.reset(seed=1)
            assert env.step(0)[1] == 0.5
            with pytest.raises(EnvironmentFault, match="step 1 of the episode with seed 1 was not what it had been"):
                env.step(0)


def test_a_server_that_does_not_come_back_stops_the_run_within_env_timeout() -> None:
    with scripted([[{"prompt": "It is dark. You should", "actions": ["wait"]}]]) as server:
        env = make_task("a-service", servers=[server], server_timeout=1.0)
        env.reset(seed=1)
    began = time.monotonic()
    with closing(env), pytest.raises(EnvironmentFault, match=r"did not come back within env_timeout=1 seconds"):
        env.step(0)
    assert time.monotonic() - began < 3


def scripted(connections: list[list[dict[str, Any]]]) -> Any:
    """A server of another maker: on each connection it gives so many answers, whatever it is asked, and hangs up."""
    from contextlib import contextmanager

    @contextmanager
    def serve() -> Any:
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def attend() -> None:
                for answers in connections:
                    channel = Channel(listening.accept()[0], 2**20)
                    channel.send({"protocol": PROTOCOL, "task": "a-service", "challenge": None})
                    traits = {"joiner": None, "replays": True, "quotes": None, "time_limit": None}
                    for answer in [traits, *answers]:
                        channel.receive(time.monotonic() + TIMEOUT)
                        channel.send(answer)
                    channel.close()

            thread = threading.Thread(target=attend)
            thread.start()
            yield f"127.0.0.1:{listening.getsockname()[1]}"
            thread.join(TIMEOUT)

    return serve()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"servers": "127.0.0.1:1"}, "must be a list of HOST:PORT"),
        ({"servers": ["127.0.0.1"]}, "expected HOST:PORT"),
        ({"layout": "A"}, "the argument 'layout' is 'B' here, not 'A'"),
        ({"colour": 1}, "cannot make the task"),
        ({"thing": {1}}, "cannot be sent to a server as JSON"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(arguments: dict[str, Any], said: str) -> None:
    with (
        serving(SALAD, arguments={"layout": "B"}) as server,
        pytest.raises(ConfigError, match=said),
        closing(make_task(SALAD, **{"servers": [server], "server_timeout": TIMEOUT, **arguments})),
    ):
        pass


def test_only_who_knows_the_key_has_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(SALAD, key="sesame") as server:
        for key, said in ((None, "asks for a key; set TWOSOME_ENV_KEY"), ("sesam", "the key is wrong")):
            monkeypatch.setenv("TWOSOME_ENV_KEY", key or "")
            with pytest.raises(ConfigError, match=said):
                make_task(SALAD, servers=[server], server_timeout=TIMEOUT)
        monkeypatch.setenv("TWOSOME_ENV_KEY", "sesame")
        with closing(make_task(SALAD, servers=[server], server_timeout=TIMEOUT)) as env:
            env.reset(seed=1)


def test_there_are_no_more_environments_than_was_said_and_one_that_was_left_is_free_again() -> None:
    with serving(SALAD, most=1) as server:
        first = make_task(SALAD, servers=[server], server_timeout=TIMEOUT)
        with pytest.raises(EnvironmentFault, match="all its 1 environments are taken; give it more with --envs"):
            make_task(SALAD, servers=[server], server_timeout=0.5)
        first.close()
        make_task(SALAD, servers=[server], server_timeout=TIMEOUT).close()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"request": "step", "action": 0}, "a reset the first"),
        ({"request": "reset", "seed": -1}, "'seed' must be from 0"),
        ({"request": "reset", "seed": 1.0}, "'seed' is of type float"),
        ({"request": "reset"}, "'seed' is missing"),
        ({"request": "reset", "seed": 1, "options": {}}, "'options' is not known here"),
    ],
)
def test_a_request_that_is_none_is_refused_and_the_connection_closed(request_: dict[str, Any], said: str) -> None:
    with serving(SALAD) as server:
        host, port = server.split(":")
        with closing(Channel(socket.create_connection((host, int(port))), LONGEST_ANSWER)) as channel:
            assert channel.receive() == {"protocol": PROTOCOL, "task": SALAD, "challenge": None}
            opening = {"request": "open", "task": SALAD, "arguments": {}, "timeout": TIMEOUT, "proof": None}
            channel.send(opening)
            assert channel.receive() == {"joiner": None, "replays": True, "quotes": None, "time_limit": 200}
            channel.send(request_)
            answer = channel.receive()
    assert answer["error"] == "refused"
    assert said in answer["message"]


def test_a_web_page_cannot_speak_to_it() -> None:
    with serving(SALAD) as server:
        host, port = server.split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
            connection.sendall(b'POST / HTTP/1.1\r\nHost: x\r\n\r\n{"request": "open"}\n')
            connection.shutdown(socket.SHUT_WR)
            lines = connection.makefile().read().splitlines()
    assert [json.loads(line).get("error") for line in lines] == [None, "refused"]
