"""Evaluation: bits per byte, benchmarks, the exam, samples; each protocol in a file of its own."""
