"""`python -m provider_runtime`: see `daemon`; `await-files`: see `file_guard`."""

from __future__ import annotations

import logging
import os
import sys

from provider_runtime import file_guard

if __name__ == "__main__":
    if sys.argv[1:2] == [file_guard.COMMAND]:
        # Here, so that a container in every pod does not load AWS's SDK for a look at some names.
        sys.exit(file_guard.main(sys.argv[2:]))
    from provider_runtime.daemon import main

    code = main()
    logging.shutdown()
    sys.stderr.flush()
    # Worker threads that still wait for AWS must not hold up the exit: everything else has ended by now.
    os._exit(code)
