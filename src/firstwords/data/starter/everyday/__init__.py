"""Everyday conversation: what people type to a chat model, as they type it.

`intents/` holds what users say with the answers, `typed.py` renders messages as people type them,
and `dialogue.py`, `recall.py`, `tasks.py` and `about.py` assemble conversations.
"""
