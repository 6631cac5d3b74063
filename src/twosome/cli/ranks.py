"""``torchrun ... -m twosome train ...``: one run over several processes."""

from __future__ import annotations

import yaml

from twosome.cli.train import TRUST, begin_run, resume_run
from twosome.distributed.joining import joined
from twosome.errors import ConfigError
from twosome.settings.config import from_mapping


def run_together(words: list[str]) -> int:
    """Run the command as one of the processes: rank 0 reads the arguments, shows and writes, the others follow it."""
    named = {word.split("=", 1)[0] for word in words}
    with joined() as joint:
        if "--from" in named:
            raise ConfigError("`twosome train --from` learns in one process: start it without torchrun")
        if joint.rank == 0:
            return (resume_run if "--resume" in named else begin_run)(words, joint)
        from twosome.runs.trainer import follow

        config = from_mapping(yaml.safe_load(joint.told()))
        if config.loading.trust_remote_code and not named & {TRUST, "--trust-remote-code"}:
            raise ConfigError(
                f"rank 0 asks for code that comes with the model {config.model!r}; if you trust its author, say so on "
                f"every process's command line: {TRUST} true"
            )
        follow(config, joint.group(config.threads, config.rank_timeout))
    return 0
