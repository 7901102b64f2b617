"""Files, console, errors, memory, paths: what every package may use."""
