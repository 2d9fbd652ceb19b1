"""`python -m resilience`: the same as the command `resilience`."""

import sys

from resilience.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
