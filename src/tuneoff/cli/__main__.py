"""`python -m tuneoff.cli` runs the command line. Supervisors start their workers this way."""

import sys

from tuneoff.cli import main
from tuneoff.system.supervisor import has_parent, note_end, stop_with_parent

if has_parent():
    note_end()
    stop_with_parent()
sys.exit(main(sys.argv[1:]))
