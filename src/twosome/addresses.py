"""What is named as a model and is the address of a decision server."""

from __future__ import annotations

from twosome.errors import ModelError


def is_server(name: str) -> bool:
    """Whether what is named as a model is the address of a decision server."""
    return name.lower().startswith(("http://", "https://"))


def check_is_no_server(name: str) -> None:
    """Refuse the address of a decision server where weights are needed.

    Raises:
        ModelError: If ``name`` is one.
    """
    if is_server(name):
        raise ModelError(
            f"{name!r} is the address of a decision server: it shows probabilities but no weights, so it can be "
            "measured (twosome evaluate, play, reproduce --server) but not trained or scored with; name a model's hub "
            "id, directory or GGUF file"
        )
