"""A message that somebody wrote to somebody in a chat app."""

from datetime import datetime
from typing import NamedTuple


class ChatMessage(NamedTuple):
    """A message of a chat between people."""

    time: datetime
    name: str
    text: str
