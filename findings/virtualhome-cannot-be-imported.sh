#!/usr/bin/env bash
# The newest virtualhome package on PyPI cannot be imported, and holds none of the files that its code opens.
#
# Versions: virtualhome 2.3.0, installed without its dependencies: it asks for opencv-python 4.5.1.48, which has no
#           wheel for Python 3.11 or newer.
# Expected: `import virtualhome` works, or names a package that is missing; its graph simulator finds its tables.
# Seen:     before any dependency is asked for, `import virtualhome` raises an IndexError: its first lines take the
#           sixth entry of sys.path for the folder of the packages, and a virtual environment has five. What is
#           installed is Python files only, while the simulator reads resources/*.json from a folder beside them.
# Matters:  twosome has a household of its own that speaks VirtualHome's language
#           (docs/decisions/virtualhome-household.md).
set -eu
. "$(dirname "$0")/lib.sh"
install --no-deps virtualhome==2.3.0

show <<'PYTHON'
import importlib.metadata
import sys
import traceback
from pathlib import Path

package = importlib.metadata.distribution("virtualhome")
print("virtualhome", package.version, "Python", sys.version.split()[0])
print("asks for", ", ".join(line for line in package.requires if "==" in line))

error = None
try:
    import virtualhome  # noqa: F401
except Exception as raised:
    error = raised
    where = traceback.extract_tb(raised.__traceback__)[-1]
    print(f"import virtualhome: {type(raised).__name__}: {raised}; {Path(where.filename).name}: {where.line}")

code = [file for file in package.files if file.suffix == ".py"]
opened = sorted({line.split("resources/")[1].split("'")[0] for file in code
                 for line in file.locate().read_text(encoding="utf-8").splitlines() if "/resources/" in line})
tables = [file for file in package.files if file.suffix == ".json"]
print(f"tables that the code opens: {', '.join(opened)}; JSON files installed: {len(tables)}")
sys.exit(None if isinstance(error, IndexError) and opened and not tables else "no longer as described")
PYTHON
