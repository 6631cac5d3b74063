"""``python -m twosome`` is the ``twosome`` command."""

import sys

from twosome.cli import main

if __name__ == "__main__":
    sys.exit(main())
