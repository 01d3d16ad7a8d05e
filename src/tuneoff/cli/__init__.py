"""The command line of tuneoff."""

from tuneoff.cli import data_commands as data_commands  # adds its commands to the app
from tuneoff.cli.commands import app, main

__all__ = ["app", "main"]
