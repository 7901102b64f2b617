"""`python -m firstwords` is the same as the `firstwords` command."""

from firstwords.cli.main import main

main()
