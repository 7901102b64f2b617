"""How good is it? Each protocol in a file of its own."""
