"""Experiments: variants of a recipe, each trained with several seeds, and a ledger of results."""
