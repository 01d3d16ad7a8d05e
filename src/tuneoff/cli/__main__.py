"""`python -m tuneoff.cli` runs the command line. The supervisor of a comparison starts its worker this way."""

import sys

from tuneoff.cli import main
from tuneoff.system.supervisor import end_with_parent, is_worker

if is_worker():
    end_with_parent()
sys.exit(main(sys.argv[1:]))
