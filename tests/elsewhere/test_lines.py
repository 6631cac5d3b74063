"""Lines: exact numbers, bounded length, no waiting past the deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from twosome.elsewhere.lines import Channel, Garbled, Lost, fields
from twosome.elsewhere.protocol import address, proof, proved
from twosome.errors import ConfigError


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel that reads lines of up to 100 bytes, and the plain socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    channel = Channel(near, longest=100)
    yield channel, far
    channel.close()
    far.close()


@pytest.mark.parametrize("number", [0.1, -0.0, 1e-308, 5e-324, 1 / 3, 3.4028234e38, 2**53 + 1])
def test_numbers_arrive_to_the_last_bit(ends: tuple[Channel, socket.socket], number: float) -> None:
    channel, far = ends
    other = Channel(far, longest=100)
    other.send({"reward": number})
    assert repr(channel.receive()["reward"]) == repr(number)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[1]\n", "an object was expected"),
        (b"POST / HTTP/1.1\n", "no JSON"),
        (b'{"a": 1, "a": 2}\n', "twice"),
        (b'{"a": NaN}\n', "NaN is not a number"),
        (b'{"a": "\\ud800"}\n', "surrogate"),
        (b'{"a": "\xff"}\n', "not UTF-8"),
        (b"x" * 101, "more than 100 bytes"),
    ],
)
def test_what_is_no_object_in_a_line_is_refused(ends: tuple[Channel, socket.socket], line: bytes, said: str) -> None:
    channel, far = ends
    far.sendall(line)
    with pytest.raises(Garbled, match=said):
        channel.receive(time.monotonic() + 5)


def test_single_bytes_that_keep_coming_do_not_move_the_deadline(ends: tuple[Channel, socket.socket]) -> None:
    channel, far = ends
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            far.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            channel.receive(began + 0.3)
    finally:
        stop.set()
        thread.join()
    assert time.monotonic() - began < 2


def test_an_end_is_a_loss_and_closing_wakes_who_waits(ends: tuple[Channel, socket.socket]) -> None:
    channel, far = ends
    threading.Timer(0.1, channel.close).start()
    with pytest.raises(Lost):
        channel.receive()
    other = Channel(far, longest=100)
    with pytest.raises(Lost):
        other.receive()


def test_fields_are_all_there_and_no_others_and_true_is_no_number() -> None:
    assert fields({"a": 1, "b": None}, a=(int,), b=(str, type(None))) == [1, None]
    for wrong in ({}, {"a": True}, {"a": 1, "b": 2}, {"a": 1.0}):
        with pytest.raises(Garbled):
            fields(wrong, a=(int,))


def test_a_key_is_proved_without_being_sent() -> None:
    right = proof("key", "challenge")
    assert proved(right, "key", "challenge")
    assert not proved(right, "key", "another")
    assert not proved(proof("kez", "challenge"), "key", "challenge")
    assert not proved(None, "key", "challenge")
    assert not proved("é", "key", "challenge")
    # RFC 4231 has none for texts this short; reckoned with `printf challenge | openssl dgst -sha256 -hmac key`.
    assert right == "fe94963fbac6b086cf871d423af4bb5f7a3dc0e61d37e4c78d122a6cc751b3e8"


def test_addresses_are_host_and_port() -> None:
    assert address("127.0.0.1:9117") == ("127.0.0.1", 9117)
    assert address("[::1]:9117") == ("::1", 9117)
    for wrong in ("9117", ":9117", "host", "host:", "host:0", "host:65536", "http://host:1", "::1:9117", 9117, "a:1_0"):
        with pytest.raises(ConfigError, match=r"environment.servers names .* expected HOST:PORT"):
            address(wrong)
