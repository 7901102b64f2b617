"""`python -m firstwords` is the same as the `firstwords` command."""

from firstwords.cli import main

main()
