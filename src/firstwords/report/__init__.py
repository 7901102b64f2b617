"""The report of a run, as report.md and report.html; all numbers come from the run's own files."""
