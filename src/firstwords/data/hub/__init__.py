"""Corpora from the Hugging Face Hub: fetch, list and verify them."""
