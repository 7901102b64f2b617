"""Several runs side by side: scores with paired intervals, curves, answers, and a verdict."""
