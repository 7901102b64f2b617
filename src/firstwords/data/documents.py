"""Extract the text of HTML pages, EPUB books and PDF files.

A run reads its data several times: to plan, to train the tokenizer, to encode. So the text is
extracted once, into a file in $FIRSTWORDS_HOME that has the checksum of the document in its name.
A process computes the checksum once, until the document changes.
"""

import functools
import logging
import os
import posixpath
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from firstwords.common import console, files, paths
from firstwords.common.errors import UserError
from firstwords.data import file_types, streams
from firstwords.data.html_text import decode_page, page_text

VERSION = 1  # of the extraction; another one extracts again
MAX_PAGE_BYTES = 1 << 26  # of an HTML page
MAX_UNPACKED_BYTES = 1 << 28  # of the chapters of a book: some archives unpack to a million times
MAX_PDF_CHARS = 1 << 28
END_OF_DOCUMENT = "\n<|endoftext|>\n"  # between the chapters of a book
# A line of a PDF is continued by the next one if it is about full and ends no sentence.
MIN_FULL_LINE_CHARS = 40
SENTENCE_ENDS = (".", "!", "?", ":", ";", '"', "”", "»")
CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"


def extract_text(path: Path) -> Path:
    """Return a file of plain text with the text of a document. Raises UserError."""
    kind = file_types.file_format(path)
    status = path.stat()
    state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    name = f"{_checksum(path, state)}-{kind}-{VERSION}.txt"
    extracted = paths.home() / "extracted" / name
    if not extracted.exists():
        if kind == "pdf":
            console.say(f"extracting the text of {path.name} (once)")
        text = {"html": _html_text, "epub": _epub_text, "pdf": _pdf_text}[str(kind)](path)
        if not text.strip():
            console.warn_once(f"{path.name} is left out: no text was found in it")
        files.make_directory(extracted.parent)
        temporary = extracted.with_name(f"{files.TEMPORARY}{os.getpid()}-{name}")
        temporary.write_text(text.encode("utf-8", "replace").decode(), encoding="utf-8")
        files.commit(temporary, extracted)
    return extracted


@functools.cache
def _checksum(path: Path, state: tuple[int, ...]) -> str:
    """Return the SHA-256 of a document in a state: its inode, size, and times of change."""
    return files.sha256_file(path)


def _html_text(path: Path) -> str:
    raw = b""
    for chunk in streams.byte_chunks(path):
        raw += chunk.raw
        if len(raw) > MAX_PAGE_BYTES:
            raise UserError(
                f"{path} is longer than {MAX_PAGE_BYTES / 1e6:,.0f} MB",
                "split the page, or convert it to text",
            )
    return page_text(decode_page(raw))


# --- EPUB: a zip archive of HTML pages ------------------------------------------------------------


def _epub_text(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as book:
            names = _chapters(path, book)
            return END_OF_DOCUMENT.join(page_text(decode_page(book.read(n))) for n in names)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise UserError(f"{path} is not a complete EPUB file ({error})", "copy it again") from None
    except (KeyError, ElementTree.ParseError) as error:
        raise UserError(
            f"{path} is not a valid EPUB book ({error})", "convert it to text with another program"
        ) from None
    except RuntimeError:  # zipfile's error for an entry with a password
        raise _protected(path) from None


def _chapters(path: Path, book: zipfile.ZipFile) -> list[str]:
    """Return the names of a book's pages in the order of reading."""
    package_name = _root(book, CONTAINER).find(".//{*}rootfile")
    if package_name is None:
        raise KeyError("no rootfile")
    opf = package_name.attrib["full-path"]
    package = _root(book, opf)
    pages = {
        item.attrib["id"]: posixpath.normpath(
            posixpath.join(posixpath.dirname(opf), unquote(item.attrib["href"]))
        )
        for item in package.iterfind(".//{*}manifest/{*}item")
        if "html" in item.get("media-type", "") and "nav" not in item.get("properties", "").split()
    }
    references = (item.attrib["idref"] for item in package.iterfind(".//{*}spine/{*}itemref"))
    names = [pages[reference] for reference in references if reference in pages]
    if set(names) & _encrypted(book):
        raise _protected(path)
    if sum(book.getinfo(name).file_size for name in names) > MAX_UNPACKED_BYTES:
        raise UserError(
            f"{path} unpacks to more than {MAX_UNPACKED_BYTES / 1e6:,.0f} MB of text",
            "check where the file is from; no book is so long",
        )
    return names


def _root(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if book.getinfo(name).file_size > MAX_PAGE_BYTES:
        raise KeyError(f"{name} is too large")
    return ElementTree.fromstring(book.read(name))


def _encrypted(book: zipfile.ZipFile) -> set[str]:
    if ENCRYPTION not in book.namelist():
        return set()
    references = _root(book, ENCRYPTION).iterfind(".//{*}CipherReference")
    return {unquote(reference.get("URI", "")) for reference in references}


def _protected(path: Path) -> UserError:
    return UserError(f"{path} is encrypted", "use a copy without a password or copy protection")


# --- PDF ------------------------------------------------------------------------------------------


def _pdf_text(path: Path) -> str:
    import pypdf
    from pypdf import errors

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it notes each oddity of a file
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise _protected(path)
        pages: list[str] = []
        n_chars = 0
        for page in reader.pages:
            pages.append(page.extract_text().strip())
            n_chars += len(pages[-1])
            if n_chars > MAX_PDF_CHARS:
                raise ValueError(f"it has more than {MAX_PDF_CHARS / 1e6:,.0f} million characters")
    except errors.DependencyError:  # its encryption needs another package
        raise _protected(path) from None
    except UserError:
        raise
    except Exception as error:  # a damaged file can make pypdf raise almost anything
        detail = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(f"{path} is not a readable PDF file ({detail})", "copy it again") from None
    return join_lines("\n".join(pages))


def join_lines(text: str) -> str:
    """Join the lines of printed pages into paragraphs: a PDF has the lines, not the sentences."""
    lines = [""]
    is_full = False  # whether the line before goes to the margin, so that the next continues it
    for line in map(str.strip, text.split("\n")):
        if line.isdecimal():  # the number of a page
            continue
        if lines[-1][-1:] == "-" and lines[-1][-2:-1].isalpha() and line[:1].islower():
            lines[-1] = lines[-1][:-1] + line
        elif line and is_full and not lines[-1].endswith(SENTENCE_ENDS):
            lines[-1] += " " + line
        else:
            lines.append(line)
        is_full = len(line) >= MIN_FULL_LINE_CHARS
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
