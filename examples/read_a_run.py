"""Read a run's records: the scores of every seed, and the test examples on which two methods differ most.

python examples/read_a_run.py runs/demo lora soft-prompt
"""

import argparse
from pathlib import Path

import tuneoff


def main() -> None:
    """Print the scores of two methods by seed, and their first predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("first")
    parser.add_argument("second")
    chosen = parser.parse_args()
    comparison = tuneoff.load_comparison(chosen.run)
    for row in comparison.rows:
        for record in row.records:
            scores = ", ".join(
                f"{name} {value:.3f}" for name, value in record.scores.items() if name.startswith("test/")
            )
            print(f"{row.label}, seed {record.trial.seed}, {record.status}: {scores or record.reason}")
    rows = {row.label: row for row in comparison.rows}
    pairs = zip(rows[chosen.first].records[0].predictions, rows[chosen.second].records[0].predictions, strict=True)
    name = comparison.metric.name
    by_difference = sorted(pairs, key=lambda pair: abs(pair[0].scores[name] - pair[1].scores[name]), reverse=True)
    for first, second in by_difference[:3]:
        print(f"\nreference:      {first.reference}")
        print(f"{chosen.first:15} {first.prediction}")
        print(f"{chosen.second:15} {second.prediction}")


if __name__ == "__main__":
    main()
