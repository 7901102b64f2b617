"""The firstwords command, one file per group of subcommands."""
