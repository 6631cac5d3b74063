"""What is typed and configured: settings, files, words of commands, names."""

from __future__ import annotations

from contextlib import chdir, suppress

import yaml
from hypothesis import strategies as st

from tests.fuzz.bench import Bench
from tests.fuzz.inputs import FILES, SCALARS, TEXTS, VALUES, WORDS, settings_mappings
from tests.fuzz.stored import contents
from twosome.cli.train import parse
from twosome.errors import TwosomeError
from twosome.functional.normalization import resolve_normalization
from twosome.settings.config import RunConfig, from_mapping, to_yaml
from twosome.text.tasks import TASKS, make_task


def _one_sentence(said: str) -> None:
    assert said.startswith("twosome: error: "), said
    assert said.count("\n") == 1, said


def check_settings(bench: Bench, draw: st.DrawFn) -> None:
    """A configuration as a run's config.yaml would hold it: what is taken is of the right types and reads back."""
    mapping = draw(settings_mappings())
    try:
        config = from_mapping(mapping)
    except TwosomeError:
        return
    assert from_mapping(yaml.safe_load(to_yaml(config))) == config or mapping != mapping  # nan is not itself
    for name in ("decisions", "num_envs", "rollout_steps", "seed", "threads", "save_every", "record_every"):
        assert type(getattr(config, name)) is int, name
    assert isinstance(config.model, str)
    assert isinstance(config.ppo.gamma, (int, float))
    assert config.updates > 0


def check_files(bench: Bench, draw: st.DrawFn) -> None:
    """A file given to --config, of which most bytes are no configuration."""
    file = bench.place()
    file.write_bytes(draw(FILES))
    _taken_or_refused(["tomato-salad", "--config", str(file)])


def check_flags(bench: Bench, draw: st.DrawFn) -> None:
    """Words after `train`."""
    words = draw(st.lists(WORDS, max_size=5))
    if not {"-h", "--help", "--print_settings"} & set(words):
        _taken_or_refused(words)


def _taken_or_refused(words: list[str]) -> None:
    try:
        config, _ = parse(words)
    except TwosomeError:
        return
    except SystemExit as leave:  # a help in disguise
        assert not leave.code  # noqa: PT017
        return
    assert isinstance(config, RunConfig)
    assert yaml.safe_load(to_yaml(config))


def check_words(bench: Bench, draw: st.DrawFn) -> None:
    """A command line: status 0, or status 2 and one sentence."""
    given_words = draw(st.lists(WORDS, min_size=1, max_size=7))
    place = bench.place()
    place.mkdir()
    names = {"MODEL": bench.model, "RUN": str(bench.finished), "STOPPED": str(bench.stopped), "FREE": "free"}
    words = [names.get(word, word) for word in given_words]
    if words[0] == "train" and "--resume" in words:  # would really train
        words = [word for word in words if word != str(bench.stopped)]
    before = contents(bench.finished) | contents(bench.stopped)
    with chdir(place):
        status, said = bench.command(words, draw(st.lists(TEXTS | st.sampled_from(["1", "²", "0", "q"]), max_size=3)))
    assert status in (0, 1, 2), status
    assert "Traceback" not in said
    if status == 2:
        _one_sentence(said)
    assert before == contents(bench.finished) | contents(bench.stopped)


def check_tasks(bench: Bench, draw: st.DrawFn) -> None:
    """Names of tasks, and arguments of their environments."""
    name = draw(st.sampled_from(list(TASKS)) | TEXTS | WORDS)
    keys = st.sampled_from(["layout", "view_radius", "time_limit", "task", "faithful", "repaired", "render_mode"])
    arguments = draw(st.dictionaries(keys | st.text(max_size=4), SCALARS | VALUES, max_size=2))
    if not isinstance(name, str) or any(word in arguments for word in ("name", "id")):
        return
    with suppress(TwosomeError):
        env = make_task(name, **arguments)
        env.reset(seed=0)
        env.close()


def check_normalizations(bench: Bench, draw: st.DrawFn) -> None:
    """Names of normalizations."""
    with suppress(TwosomeError):
        assert callable(resolve_normalization(draw(TEXTS | WORDS)))
