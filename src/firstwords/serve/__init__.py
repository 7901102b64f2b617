"""The server: an OpenAI-compatible API and the web chat, on one engine for each model."""
