"""Train one seed after another until a comparison is decided, its seeds end, or its budget does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tuneoff.analysis.looks import Look
from tuneoff.analysis.sequential import Rounds, replay_rounds
from tuneoff.budget.shrink import narrow_recipe
from tuneoff.recipe.recipe import Recipe
from tuneoff.records.record import Record
from tuneoff.records.trial import Trial
from tuneoff.runner.listener import Listener, Tallies
from tuneoff.runtime.progress import OnProgress


def run_until_decided(
    recipe: Recipe,
    read_records: Callable[[], tuple[Record, ...]],
    run_missing: Callable[[Recipe, Listener], None],
    listener: Listener,
) -> None:
    """Run the rounds that are missing. What they decide follows from the records, so any call continues another.

    Args:
        recipe: with `until_decided`, reduced to fit its budget.
        read_records: returns the records so far that the recipe asks for.
        run_missing: runs the trials of a part of the recipe, or as many of them as the budget allows.
    """
    rounds = replay_rounds(recipe, read_records())
    if rounds.next_seeds:
        listener.on_message(
            f"Until decided: one seed after another for every method that is not yet shown to be worse than the best "
            f"one, at most {len(recipe.seeds)}."
        )
    while rounds.next_seeds:
        further = RoundsListener(listener, *_count_trials(recipe, rounds))
        run_missing(narrow_recipe(recipe, rounds.remaining, rounds.next_seeds), further)
        known = len(rounds.looks)
        rounds = replay_rounds(recipe, read_records())
        for look in rounds.looks[known:]:
            listener.on_message(describe_look(look))
        if len(rounds.looks) == known:
            return  # the budget ended before the round did


def describe_look(look: Look) -> str:
    """Say what a look decided."""
    dropped = [
        f"{label} is worse than {better}" if better else f"no run of {label} has a score"
        for label, better in look.dropped.items()
    ]
    decided = "The comparison is decided." if look.is_decided else ""
    found = f"{'; '.join(dropped)}." if dropped else "" if look.is_decided else "Nothing is decided yet."
    return " ".join(filter(None, [f"After {look.seeds} seeds:", found, decided]))


def _count_trials(recipe: Recipe, rounds: Rounds) -> tuple[int, int]:
    """Return how many trainings of dropped methods are done, and how many may follow after the next round."""
    dropped = sum(len(rounds.get_judged_seeds(label)) for label in rounds.dropped if _trains(recipe, label))
    remaining = sum(_trains(recipe, label) for label in rounds.remaining)
    return dropped, remaining * (len(rounds.seeds) - len(rounds.next_seeds))


def _trains(recipe: Recipe, label: str) -> bool:
    return recipe.methods[label].depends_on_seed


@dataclass(frozen=True)
class RoundsListener:
    """Passes every event on. To the counts of a round it adds the trials before it, and those that may follow."""

    listener: Listener
    before: int
    further: int

    def on_probe(self, label: str) -> OnProgress:
        return self.listener.on_probe(label)

    def on_message(self, text: str) -> None:
        self.listener.on_message(text)

    def on_start(self, tallies: Tallies) -> None:
        self.listener.on_start(self._extend(tallies))

    def on_trial_start(self, trial: Trial) -> OnProgress:
        return self.listener.on_trial_start(trial)

    def on_trial_end(self, record: Record, tallies: Tallies) -> None:
        self.listener.on_trial_end(record, self._extend(tallies))

    def _extend(self, tallies: Tallies) -> Tallies:
        return {
            stage: tally
            if stage == "search"
            else replace(
                tally, done=tally.done + self.before, of=tally.of + self.before + self.further, is_most=self.further > 0
            )
            for stage, tally in tallies.items()
        }
