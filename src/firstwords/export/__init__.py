"""Export a model for other tools: transformers, llama.cpp, Ollama."""
