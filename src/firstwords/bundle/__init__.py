"""Data and runs as one file, for machines without internet."""
