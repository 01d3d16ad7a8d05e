"""What makes parts of the documents from the program: `make reference`, and the README's leaderboard."""
