"""Notes become conversations: short sentences in plain English, asked for in many wordings."""
