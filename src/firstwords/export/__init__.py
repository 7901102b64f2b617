"""Take a model elsewhere: to Hugging Face's tools, llama.cpp, Ollama."""
