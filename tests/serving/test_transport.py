"""What surrounds a body: media types, encodings, sizes, keys, paths, methods, slow and leaving clients."""

from __future__ import annotations

import gzip
import json
import socket
import time
from importlib import import_module
from typing import Any

import pytest

from tests.serving.running import PROMPT, Running, eventually, serving
from twosome import Agent
from twosome.formats.refusals import Refusal
from twosome.serving import server as server_module
from twosome.serving.bodies import unpacked

BODY = {"state": PROMPT, "questions": {"next": {"type": "choice", "criteria": {"go": None, "stay": None}}}}
JSON = {"Content-Type": "application/json"}


def zstd() -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    pytest.skip("there is no zstd")


def packed(content: bytes, encoding: str) -> bytes:
    return gzip.compress(content) if encoding == "gzip" else zstd().compress(content)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_packed_bodies_are_read(encoding: str, server: Running) -> None:
    content = json.dumps(BODY).encode()
    reply = server.post("/v1/systemone", packed(content, encoding), Content_Encoding=encoding)
    assert reply.body["answers"] == server.post("/v1/systemone", BODY).body["answers"]
    # In two pieces, one behind the other, as both formats allow.
    half = len(content) // 2
    pieces = packed(content[:half], encoding) + packed(content[half:], encoding)
    assert server.post("/v1/systemone", pieces, Content_Encoding=encoding).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("content", [b"nonsense", b"", None])
def test_a_body_that_is_not_packed_as_it_says_is_refused(encoding: str, content: bytes | None, server: Running) -> None:
    short = packed(json.dumps(BODY).encode(), encoding)[:-5] if content is None else content
    reply = server.post("/v1/systemone", short, Content_Encoding=encoding)
    assert reply.status == (422 if content == b"" else 400)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_grows_past_the_limit_is_not_unpacked(encoding: str) -> None:
    bomb = packed(b" " * 50_000_000, encoding)
    assert len(bomb) < 60_000
    with pytest.raises(Refusal) as refused:
        unpacked(bomb, encoding, 100_000)
    assert refused.value.status == 413


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_a_413(encoding: str, agent: Agent) -> None:
    with serving({"a": agent}, most_bytes=10_000) as running:
        bomb = packed(b'{"state": "' + b" " * 200_000 + b'"}', encoding)
        assert running.post("/v1/systemone", bomb, Content_Encoding=encoding).status == 413


def test_a_zstd_frame_may_not_ask_for_a_large_window() -> None:
    module = zstd()
    options = {module.CompressionParameter.window_log: 27, module.CompressionParameter.content_size_flag: 0}
    compressor = module.ZstdCompressor(options=options)
    frame = compressor.compress(b"x" * 20_000_000) + compressor.flush()
    with pytest.raises(Refusal, match="no zstd"):
        unpacked(frame, "zstd", 100_000_000)


@pytest.mark.parametrize("more", [0, 1])
def test_the_size_of_a_body(more: int, agent: Agent) -> None:
    content = json.dumps(BODY).encode()
    with serving({"a": agent}, most_bytes=len(content) + 10) as running:
        reply = running.post("/v1/systemone", content + b" " * (10 + more))
        assert reply.status == (413 if more else 200)
        if more:
            assert "larger than" in reply.message
            # The client is heard out, so that it hears the answer rather than a broken connection.
            assert running.post("/v1/systemone", content + b" " * 10 * len(content)).status == 413


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Type": "text/plain"}, "application/json"),
        ({}, "application/json"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "text only"),
        ({**JSON, "Content-Encoding": "br"}, "compression=False"),
        ({**JSON, "Content-Encoding": "gzip, zstd"}, "compression=False"),
    ],
)
def test_other_kinds_of_bodies_are_415(headers: dict[str, str], words: str, server: Running) -> None:
    reply = server.send("POST", "/v1/systemone", json.dumps(BODY).encode(), headers)
    assert reply.status == 415
    assert words in reply.message


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_media_type_may_have_parameters(media: str, server: Running) -> None:
    assert server.send("POST", "/systemone", json.dumps(BODY).encode(), {"Content-Type": media}).status == 200


@pytest.mark.parametrize("path", ["/v1/systemone", "/systemone", "/v1/decisions", "/decisions"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(path: str, method: str, server: Running) -> None:
    reply = server.send(method, path)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert reply.body["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/", "/v1/systemone/", "/v1/decisions/", "/v1/systemone/api/show", "/v2/x", "/%00"])
def test_unknown_paths_are_404_and_never_redirected(path: str, server: Running) -> None:
    reply = server.post(path, BODY)
    assert reply.status == 404
    assert reply.body["detail"]["message"] == reply.message


@pytest.mark.parametrize("path", ["/v1/v1/systemone", "/v1/v1/decisions"])
def test_a_doubled_version_is_explained(path: str, server: Running) -> None:
    reply = server.post(path, BODY)
    assert reply.status == 404
    assert "without /v1" in reply.message


def test_every_answer_has_an_identity_and_a_line_of_log_without_its_text(server: Running) -> None:
    secret = "Nobody should ever read this sentence"
    for reply in (
        server.choose(secret, ["go"]),
        server.post("/v1/systemone", {"state": secret}),
        server.send("GET", "/x"),
    ):
        identity = reply.headers["x-request-id"]
        assert reply.headers["x-typesafe-request-id"] == identity
        assert eventually(lambda identity=identity: any(line["id"] == identity for line in server.lines))
        line = next(line for line in server.lines if line["id"] == identity)
        assert line["status"] == reply.status
        assert secret not in json.dumps(line)


def test_models_are_listed_for_both_formats(server: Running) -> None:
    body = server.send("GET", "/v1/models").body
    assert body["object"] == "list"
    assert body["data"][0].keys() == {"id", "object", "created", "owned_by"}
    assert body["models"][0].keys() == {"name", "description", "release_date"}


def test_health_readiness_and_the_page(server: Running) -> None:
    assert server.send("GET", "/health").body == {"status": "ok"}
    assert server.send("GET", "/ready").body["status"] == "ready"
    page = server.send("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert b"SystemOneRequest" in page.content
    assert b"//" not in page.content.replace(b"http://127.0.0.1", b"")  # nothing is fetched from elsewhere


def test_the_openapi_document_names_every_path_and_holds_together(server: Running) -> None:
    document = server.send("GET", "/openapi.json").body
    assert {"/v1/systemone", "/v1/decisions", "/systemone", "/decisions", "/v1/models"} <= set(document["paths"])
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    identities = [
        told["operationId"] for path in document["paths"].values() for told in path.values() if "operationId" in told
    ]
    assert len(set(identities)) == len(identities)


def test_keys(agent: Agent) -> None:
    with serving({"a": agent}, key="secret") as running:
        assert running.post("/v1/systemone", BODY, Authorization="Bearer secret").status == 200
        assert running.post("/v1/systemone", BODY, Authorization="bearer  secret").status == 200
        for headers, words in (
            ({}, "missing"),
            ({"Authorization": "Bearer wrong"}, "wrong"),
            ({"Authorization": "Bearer s\u00e9cret"}, "wrong"),
            ({"Authorization": "Basic secret"}, "missing"),
        ):
            for path in ("/v1/systemone", "/v1/decisions"):
                reply = running.post(path, BODY, **headers)
                assert reply.status == 401
                assert words in reply.message
                assert reply.body["error"]["code"] == "invalid_api_key"
                assert reply.body["detail"]["error_type"] == "authentication_error"
        assert running.send("GET", "/v1/models").status == 401
        assert running.send("GET", "/health").status == 200
    with serving({"a": agent}) as running:
        assert running.post("/v1/systemone", BODY, Authorization="Bearer whatever").status == 200


def test_a_body_that_does_not_arrive_is_given_up(agent: Agent) -> None:
    with serving({"a": agent}, body_seconds=0.3) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
            client.sendall(b"POST /v1/systemone HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            client.sendall(b"Content-Length: 100\r\n\r\n{")
            answer = b"".join(iter(lambda: client.recv(10_000), b""))
            assert answer.startswith(b"HTTP/1.1 400")
            assert b"did not arrive within 0.3 seconds" in answer
        assert running.post("/v1/systemone", BODY).status == 200


def test_a_head_that_does_not_arrive_is_given_up(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HEAD_SECONDS", 0.3)
    with serving({"a": agent}) as running:
        for start in (b"", b"POST /v1/sys"):
            with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
                client.sendall(start)
                began = time.monotonic()
                assert client.recv(100) == b""
                assert time.monotonic() - began < 10
        assert running.post("/v1/systemone", BODY).status == 200


def test_nonsense_in_place_of_http_is_survived(server: Running) -> None:
    for start in (b"\x16\x03\x01\x00", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(start + b"\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 4")
    assert server.post("/v1/systemone", BODY).status == 200


def test_a_fault_of_ours_is_a_json_500_whose_line_of_log_says_where(agent: Agent) -> None:
    def broken(_: object) -> None:
        raise ValueError("Nobody should ever read this sentence")

    with serving({"a": agent}, observers=[broken]) as running:
        reply = running.post("/v1/systemone", BODY)
        assert (reply.status, reply.body["error"]["code"]) == (500, "server_error")
        assert reply.headers["x-request-id"]
        assert eventually(lambda: running.lines)
        assert running.lines[-1]["fault"].startswith("ValueError at broken")
        assert "sentence" not in json.dumps(running.lines)


def test_observers_see_every_answer(agent: Agent) -> None:
    seen: list[Any] = []
    with serving({"a": agent}, observers=[seen.append]) as running:
        reply = running.post("/v1/systemone", BODY)
        running.post("/v1/systemone", {})
    (answered,) = seen
    assert answered.id == reply.headers["x-request-id"] == reply.body["x_id"]
    assert answered.questions[0].name == "next"
    assert answered.judgements[0].by_action == reply.body["answers"]["next"]["probabilities"]
