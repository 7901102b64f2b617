"""Chat, training and X-ray pages, and an OpenAI-compatible API."""
