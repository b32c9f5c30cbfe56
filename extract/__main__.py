"""`python -m extract MODEL --rows ROWS --out STORE` is `w2s extract`, for launchers that start modules."""

import sys

from w2s_probes.cli import main

main(["extract", *sys.argv[1:]])
