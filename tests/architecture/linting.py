"""`python -m tests.architecture.linting` lints several folders, one contract in each.

Reads [[folder, contract], …] as JSON and answers [[exit status, what was said], …]. One process for
many, because starting the linter takes longer than linting.
"""

import contextlib
import io
import json
import os
import sys

from importlinter.cli import lint_imports


def lint(folder: str, contract: str) -> tuple[int, str]:
    said = io.StringIO()
    os.chdir(folder)
    # The linter looks for packages in the first place first.
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(said):
            status = lint_imports(limit_to_contracts=(contract,), no_cache=True, no_logo=True)
    finally:
        sys.path.remove(folder)
    return int(status), said.getvalue()


if __name__ == "__main__":
    json.dump([lint(folder, contract) for folder, contract in json.load(sys.stdin)], sys.stdout)
