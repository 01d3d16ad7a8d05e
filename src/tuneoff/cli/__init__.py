"""The command line of tuneoff."""

# importing these adds their commands to the app
from tuneoff.cli import data_commands as data_commands
from tuneoff.cli import export_command as export_command
from tuneoff.cli import measure_command as measure_command
from tuneoff.cli import serve_command as serve_command
from tuneoff.cli import track_command as track_command
from tuneoff.cli import try_command as try_command
from tuneoff.cli import watch_command as watch_command
from tuneoff.cli import work_command as work_command
from tuneoff.cli.commands import app, main

__all__ = ["app", "main"]
