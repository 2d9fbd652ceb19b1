"""`python -m resilience.cli`: the same as `resilience`."""

import sys

from resilience.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
