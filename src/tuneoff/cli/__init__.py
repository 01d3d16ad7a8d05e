"""The command line of tuneoff."""

from tuneoff.cli.application import app, main

# Importing these adds their commands to the app, in the order in which `tuneoff --help` lists them.
# isort: off
from tuneoff.cli import compare_commands as compare_commands
from tuneoff.cli import run_commands as run_commands
from tuneoff.cli import listing_commands as listing_commands
from tuneoff.cli import data_commands as data_commands
from tuneoff.cli import export_command as export_command
from tuneoff.cli import measure_command as measure_command
from tuneoff.cli import serve_command as serve_command
from tuneoff.cli import track_command as track_command
from tuneoff.cli import try_command as try_command
from tuneoff.cli import watch_command as watch_command
from tuneoff.cli import work_command as work_command

__all__ = ["app", "main"]
