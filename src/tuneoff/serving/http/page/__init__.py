"""The page at `/`: all arms answer a prompt side by side, and people vote on answers whose arms are hidden."""
