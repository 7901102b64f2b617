"""One engine behind the terminal chat, the samples and the evaluations."""
