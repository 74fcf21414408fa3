"""Serves the components as a Pulumi package: `python <this folder> <engine address>`, as Pulumi starts it."""

import sys
from pathlib import Path

# Python puts this folder first on the path; the imports are those of the repository's root. Nothing of this folder may
# be found under its bare name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from components.package_host import serve  # noqa: E402

if __name__ == "__main__":
    serve()
