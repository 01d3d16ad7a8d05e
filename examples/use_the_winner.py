"""Answer a text with the adapter that a comparison trained.

python examples/use_the_winner.py runs/demo "The text to summarize."
"""

import argparse
from pathlib import Path

import tuneoff


def main() -> None:
    """Print the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("text")
    parser.add_argument("--label", help="the best method unless given")
    parser.add_argument("--max-new-tokens", type=int, help="the run's own limit unless given")
    chosen = parser.parse_args()
    model = tuneoff.load(chosen.run, label=chosen.label)
    print(*model.generate([chosen.text], max_new_tokens=chosen.max_new_tokens))


if __name__ == "__main__":
    main()
