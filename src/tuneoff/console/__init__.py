"""What the terminal shows: progress while a comparison runs, and tables of its results.

Text from data, models and errors is printed with `markup=False` and without control characters, so that no prediction
can move the cursor or color the screen.
"""
