"""report.md and report.html: a run, for its owner to read. Every number is from its own files."""
