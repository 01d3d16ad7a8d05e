"""Compare LoRA with a soft prompt on your own file, from Python.

python examples/compare_two_methods.py news.csv --source article --target headline
"""

import argparse
from pathlib import Path

import tuneoff


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="CSV, TSV, JSON, JSON lines or Parquet")
    parser.add_argument("--source", default="source", help="the column to read")
    parser.add_argument("--target", default="target", help="the column to write")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--max-tokens", type=int, default=256, help="of prompt and target together")
    parser.add_argument("--run", type=Path, default=Path("runs/two-methods"))
    chosen = parser.parse_args()
    recipe = {
        "name": "two-methods",
        "model": {"name": chosen.model},
        "data": {
            "source": chosen.file.suffix.lstrip("."),
            "files": str(chosen.file),
            "fields": {"source": chosen.source, "target": chosen.target},
            "max_tokens": chosen.max_tokens,
        },
        "methods": ["base", "lora", "soft-prompt"],
        "training": {"epochs": 1},
    }
    comparison = tuneoff.compare(recipe, run=chosen.run)
    print(tuneoff.format_markdown_table(comparison))
    if comparison.best is not None:
        print(f"Best by test ROUGE-L: {comparison.best.label}")


if __name__ == "__main__":
    main()
