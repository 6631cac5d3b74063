"""An episode as an animated picture: a frame per primitive step where the world can draw them, else per decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from twosome.errors import ConfigError, RunError
from twosome.runs.files import replacing
from twosome.text.environment import TextEnv

MODE = "rgb_array"
DECISION_MILLISECONDS = 1200
"""How long a frame stays that shows a whole decision."""
STEP_MILLISECONDS = 250
"""How long a frame stays that shows one primitive step of a decision."""
LAST_MILLISECONDS = 4000
COLOURS = 255
CAPTION_HEIGHT = 34
INK, PAPER = (235, 238, 242), (24, 28, 36)

Frame = NDArray[np.uint8]


class Film:
    """The frames of an episode, captioned with the action phrases.

    Args:
        env: A text environment made with ``render_mode="rgb_array"``, after its reset.
        title: The caption of the first frame.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], title: str) -> None:
        self._env = env
        self._frames: list[Image.Image] = []
        self._milliseconds: list[int] = []
        self._add(env.render(), title, DECISION_MILLISECONDS)

    def shoot(self, phrase: str) -> None:
        """Take what the last decision looked like; ``phrase`` is its caption."""
        steps = _steps(self._env)
        for frame in steps:
            self._add(frame, phrase, STEP_MILLISECONDS if len(steps) > 1 else DECISION_MILLISECONDS)

    def save(self, path: Path) -> None:
        """Write the film; the last frame stays longer, then it begins again.

        Raises:
            RunError: If it cannot be written.
        """
        palette = _palette(self._frames)
        first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self._frames)
        milliseconds = [*self._milliseconds[:-1], LAST_MILLISECONDS]
        try:
            with replacing(path) as partial:
                first.save(
                    partial,
                    format="GIF",
                    save_all=True,
                    append_images=others,
                    duration=milliseconds,
                    loop=0,
                    disposal=1,
                )
        except OSError as error:
            raise RunError(f"cannot write the film to {str(path)!r}: {error.strerror or error}") from None

    def _add(self, frame: Any, caption: str, milliseconds: int) -> None:
        if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3:
            raise ConfigError(
                f"an environment made with render_mode={MODE!r} must render a uint8 [height, width, 3] picture, "
                f"got {type(frame).__name__}; without pictures, leave out --gif"
            )
        self._frames.append(_captioned(frame.astype(np.uint8), caption))
        self._milliseconds.append(milliseconds)


def check_can_film(task: str, env: gymnasium.Env[Any, Any], path: Path) -> None:
    """Check, before anybody plays, that there will be pictures and a place for them.

    Raises:
        ConfigError: If the environment draws no pictures.
        RunError: If there is no such directory.
    """
    modes = env.metadata.get("render_modes") or []
    if MODE not in modes:
        raise ConfigError(
            f"{task!r} draws no pictures: its render modes are {modes}, a film needs {MODE!r}; leave out --gif"
        )
    if not path.parent.is_dir() or path.is_dir():
        raise RunError(f"cannot write the film to {str(path)!r}: give a file in a directory that exists")


def _steps(env: gymnasium.Env[Any, Any]) -> list[Any]:
    """One picture per primitive step of the last decision, where the world has them."""
    text = env.unwrapped
    inside = text.env.unwrapped if isinstance(text, TextEnv) else text
    render_ticks = getattr(inside, "render_ticks", None)
    return [env.render()] if render_ticks is None else list(render_ticks())


def _captioned(frame: Frame, caption: str) -> Image.Image:
    height, width, _ = frame.shape
    picture = Image.new("RGB", (width, height + CAPTION_HEIGHT), PAPER)
    picture.paste(Image.fromarray(frame), (0, 0))
    middle = (width / 2, height + CAPTION_HEIGHT / 2)
    ImageDraw.Draw(picture).text(middle, caption, fill=INK, font=ImageFont.load_default(size=19), anchor="mm")
    return picture


def _palette(frames: list[Image.Image]) -> Image.Image:
    """One palette for all frames, so that what does not change between them takes no space and does not flicker.

    Half of it are the commonest colours, exactly, which keeps large areas true; half are spread over the others, which
    keeps small things such as a tomato.
    """
    few = [*frames[:: max(1, len(frames) // 8)], frames[-1]]
    some = np.concatenate([np.asarray(frame).reshape(-1, 3) for frame in few])
    # One number per colour sorts far faster than rows of three.
    packed, counts = np.unique(some.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32), return_counts=True)
    by_count = (packed[np.argsort(-counts, kind="stable")][:, None] >> np.array([16, 8, 0], np.uint32)).astype(np.uint8)
    palette, others = by_count[: COLOURS // 2], by_count[COLOURS // 2 :]
    if len(others):
        spread = Image.fromarray(others[None]).quantize(COLOURS - len(palette), method=Image.Quantize.MAXCOVERAGE)
        palette = np.concatenate([palette, np.array(spread.getpalette(), dtype=np.uint8).reshape(-1, 3)])[:COLOURS]
    image = Image.new("P", (1, 1))
    image.putpalette(palette.tobytes())
    return image
