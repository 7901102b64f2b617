"""Find the chat in a zip archive, as phones export it: its text, beside photos and other media."""

import re
import zipfile
from pathlib import Path
from typing import IO, BinaryIO

from firstwords.common.errors import UserError

# WhatsApp: `_chat.txt` (iOS), `WhatsApp Chat with Ada.txt` (Android, in every language with this
# word). Telegram: `result.json`. Other text in the archive was sent in the chat.
CHAT_NAME = re.compile(r"_chat\.txt|.*whatsapp.*\.txt|result\.json", re.IGNORECASE)
MAX_UNPACKED_BYTES = 1 << 28  # some archives unpack to a million times; the chat is read whole
MAX_LISTED = 4


def chat_name(path: Path) -> str:
    """Return the name of the chat's file in an archive. Raises UserError if there is not one."""
    with path.open("rb") as raw, _open(path, raw) as archive:
        return _find(path, archive).filename


def chat_bytes(path: Path) -> int:
    """Return the size of the chat's text in an archive. Raises UserError as `chat_name`."""
    with path.open("rb") as raw, _open(path, raw) as archive:
        return _find(path, archive).file_size


def open_chat(path: Path, raw: BinaryIO) -> IO[bytes]:
    """Open the chat's text in an archive. Raises UserError if there is none that can be read."""
    archive = _open(path, raw)
    found = _find(path, archive)
    try:
        return archive.open(found)
    except (zipfile.BadZipFile, EOFError) as error:
        raise _incomplete(path, error) from None
    except NotImplementedError as error:
        raise UserError(
            f"{path} is compressed in a way that is not supported ({error})",
            "unpack it, and use the chat's file",
        ) from None


def _open(path: Path, raw: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(raw)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise _incomplete(path, error) from None


def _incomplete(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is not a complete zip archive ({error})", "export or copy it again")


def _find(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the entry of the chat. zipfile never unpacks more of it than its `file_size`."""
    texts = [entry for entry in archive.infolist() if _is_visible_text(entry.filename)]
    named = [e for e in texts if CHAT_NAME.fullmatch(e.filename.rpartition("/")[2])]
    found = named or texts
    if not found:
        raise UserError(
            f"{path} holds no chat, which would be a .txt file of WhatsApp or the result.json of "
            "Telegram",
            "export the chat again, or unpack the archive and use the files in it",
        )
    if len(found) > 1:
        names = ", ".join(entry.filename for entry in found[:MAX_LISTED])
        raise UserError(
            f"{path} holds {len(found)} files that may be its chat ({names})",
            "unpack it, and use one of them",
        )
    (chat,) = found
    if chat.flag_bits & 1:
        raise UserError(f"{path} is encrypted", "unpack it, and use the chat's file")
    if chat.file_size > MAX_UNPACKED_BYTES:
        raise UserError(
            f"{chat.filename} in {path} is larger than {MAX_UNPACKED_BYTES / 1e6:,.0f} MB",
            "check where the archive is from; no chat is so long",
        )
    return chat


def _is_visible_text(name: str) -> bool:
    """Return whether an entry is text, and not what a Mac adds to archives."""
    parts = name.lower().split("/")
    hidden = any(part.startswith(".") or part == "__macosx" for part in parts)
    return not hidden and parts[-1].endswith((".txt", ".json"))
