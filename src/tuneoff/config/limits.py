"""The largest sizes that a recipe may ask for.

Each is far above what any comparison needs. They exist because some values are made into lists before a run starts,
so that a slip of the keyboard would fill the memory instead of being refused.
"""

MOST_EPOCHS = 100_000  # a validation follows each
MOST_DEVICES = 64  # of one machine
MOST_TRIALS = 20_000  # of one comparison, which are planned before each trial
MOST_SEEDS = 10_000
MOST_METHODS = 500
MOST_CONFIGURATIONS = 10_000  # of a search, drawn before it starts
MOST_RUNGS = 20  # the first of them is a millionth of a training
MOST_PASSAGES = 10_000  # of unrelated text, which overlap far below that
LARGEST_RANK = 1_000_000  # wider than any model
MOST_POSITIONS = 10_000_000  # longer than any context window
