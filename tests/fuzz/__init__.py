"""The fuzzer: ``python -m tests.fuzz --help``."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # made-up names of models must not be looked for
