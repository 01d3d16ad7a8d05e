"""`python -m tuneoff.cli` runs the command line. The supervisor of a comparison starts its worker this way."""

import sys

from tuneoff.cli import main
from tuneoff.system.supervisor import is_worker, stop_with_supervisor

if is_worker():
    stop_with_supervisor()
sys.exit(main(sys.argv[1:]))
