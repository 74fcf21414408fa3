"""`python -m provider_runtime`: see `daemon`."""

from __future__ import annotations

import logging
import os
import sys

from provider_runtime.daemon import main

if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stderr.flush()
    # Worker threads that still wait for AWS must not hold up the exit: everything else has ended by now.
    os._exit(code)
