"""Answers kept on the disk, a file each: what was paid for once is not asked again, by this command or another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twosome.caching import cache_directory, key_of, write_whole
from twosome.decision import Decision
from twosome.errors import RemoteError
from twosome.remote.answers import Answer
from twosome.remote.formats import read_answer, request_body
from twosome.remote.settings import ServerSettings


class AnswerStore:
    """The answers of one server to questions put in one way.

    A file holds the request as it was sent and the reply as it came, so an answer can be audited, and is checked again
    whenever it is read.

    Attributes:
        folder: Where they are; deleting it has everything asked anew.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        host = urlsplit(settings.endpoint).netloc.replace(":", "-")
        self.folder: Path = cache_directory("answers") / f"{host}-{key_of(settings.framing)[:12]}"

    def recall(self, decision: Decision) -> Answer | None:
        """The answer that was kept, or None if there is none that can be used."""
        body = request_body(self._settings, decision)
        try:
            record = json.loads(self._file(body).read_text(encoding="utf-8"))
            if record["request"] != body:
                return None
            return read_answer(self._settings.spoken, decision, record["reply"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def keep(self, decision: Decision, reply: str) -> None:
        """Keep a reply, whole or not at all.

        Raises:
            RemoteError: If it cannot be written: an answer may have cost money, so none is lost in silence.
        """
        body = request_body(self._settings, decision)
        file = self._file(body)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps({"request": body, "reply": reply}))
        except OSError as error:
            raise RemoteError(
                f"the answers of the decision server cannot be kept in {str(self.folder)!r} "
                f"({error.strerror or error}); make room there, or name another folder with TWOSOME_CACHE"
            ) from None

    def _file(self, body: dict[str, Any]) -> Path:
        return self.folder / f"{key_of(body)}.json"
