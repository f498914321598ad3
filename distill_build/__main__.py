"""`python -m distill_build`: the same as the command `distill-build`."""

import sys

from distill_build.cli.dispatch import main

if __name__ == "__main__":
    sys.exit(main())
