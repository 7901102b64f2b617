"""Corpora, the starter curriculum, stored tokens and batches."""
