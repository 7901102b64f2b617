"""Documents as people have them: Markdown with settings, HTML pages, EPUB books, PDF files."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common.errors import UserError
from firstwords.common.files import sha256_file
from firstwords.data import documents as extraction
from firstwords.data.corpora import documents, open_corpus
from firstwords.data.documents import join_lines
from firstwords.data.formats import uncompressed_bytes
from firstwords.data.html_text import page_text

pytestmark = pytest.mark.usefixtures("home")

PAGE = """<!DOCTYPE html><html><head><title>A title</title><style>p { color: red }</style></head>
<body><nav><a href="/">Home</a> <a href="/b">More</a></nav>
<h1>The fox &amp; the hen</h1>
<p>A fox met
   a <b>hen</b>.<script>alert("x < y")</script><p>She said:<br>Go home!
<ul><li>one<li>two</ul><table><tr><td>a</td><td>b</td></tr></table>
<pre>x = 1
y = 2</pre><footer>Printed by nobody</footer></body></html>"""
TEXT = """The fox & the hen

A fox met a hen.

She said:
Go home!

- one
- two

a b

x = 1
y = 2"""


def all_texts(path: Path) -> list[str]:
    corpus = open_corpus(str(path), "--data")
    return [d.text for split in ("train", "val") for d in documents(corpus, split, 0)]


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


# --- Markdown -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ntitle: A day\ntags: [a, b]\n---\n# A day\n\nText.\n", "# A day\n\nText."),
        ("+++\ntitle = 'A day'\n+++\nText.\n", "Text."),
        ("---\r\ntitle: A day\r\n---\r\nText.\r\n", "Text."),
        ("---\nA rule is above.\n---\nText.\n", "---\nA rule is above.\n---\nText."),
        ("---\ntitle: never closed\nText.\n", "---\ntitle: never closed\nText."),
        ("Text.\n\n---\nkey: value\n---\n", "Text.\n\n---\nkey: value\n---"),
    ],
)
def test_front_matter_is_left_out(text: str, expected: str, tmp_path: Path) -> None:
    assert all_texts(write(tmp_path / "a.md", text.encode())) == [expected]


def test_front_matter_of_plain_text_is_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"---\ntitle: A day\n---\nText.\n")
    assert all_texts(path) == ["---\ntitle: A day\n---\nText."]


# --- HTML -----------------------------------------------------------------------------------------


def test_the_readable_text_of_a_page(tmp_path: Path) -> None:
    path = write(tmp_path / "a.html", PAGE.encode())
    assert all_texts(path) == [TEXT]
    assert uncompressed_bytes(path, "text") == len(TEXT)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<body>around<main>inside</main>around", "inside"),
        ("<body><aside>never closed <p>The text.", "never closed\n\nThe text."),
        ("<p>a</p></main></main></nav><p>b", "a\n\nb"),
        ("1 < 2 and <unknown>3</unknown> & 4", "1 < 2 and\n\n3\n\n& 4"),
        ("a<!-- b -->c", "ac"),
        ("", ""),
        ("<div>" * 50_000 + "deep", "deep"),
    ],
)
def test_pages_that_are_not_as_they_should_be(html: str, text: str) -> None:
    assert page_text(html) == text


@given(st.lists(st.text("abc <>&\"'äß漢\n", min_size=1), max_size=5))
def test_what_is_escaped_is_read_as_it_was(paragraphs: list[str]) -> None:
    import html

    page = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    words = [" ".join(paragraph.split()) for paragraph in paragraphs]
    assert page_text(page) == "\n\n".join(word for word in words if word)


@pytest.mark.parametrize(
    ("encoding", "head"),
    [
        ("utf-8", ""),
        ("utf-16", ""),
        ("cp1252", ""),
        ("iso-8859-2", '<meta charset="iso-8859-2">'),
        ("cp1251", '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">'),
        ("cp1252", '<meta charset="no-such-charset">'),
    ],
)
def test_the_encoding_of_a_page(encoding: str, head: str, tmp_path: Path) -> None:
    word = {"cp1251": "лиса", "iso-8859-2": "łasica"}.get(encoding, "Füchse – “so”")
    page = f"<html><head>{head}</head><body>{word}".encode(encoding)
    assert all_texts(write(tmp_path / "a.htm", page)) == [word]


def test_a_page_that_is_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MAX_PAGE_BYTES", 100)
    with pytest.raises(UserError, match=r"a\.html is longer than"):
        all_texts(write(tmp_path / "a.html", b"<p>" + b"word " * 100))


# --- EPUB -----------------------------------------------------------------------------------------

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="two" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="css" href="a.css" media-type="text/css"/>
</manifest><spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="two"/></spine>
</package>"""
BOOK = {
    "META-INF/container.xml": CONTAINER,
    "OEBPS/book.opf": PACKAGE,
    "OEBPS/nav.xhtml": "<p>Contents</p>",
    "OEBPS/text/one.xhtml": "<h1>One</h1><p>It began.</p>",
    "OEBPS/text/two b.xhtml": "<h1>Two</h1><p>It ended.</p>",
}
ENCRYPTION = (
    '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
    '<enc:CipherReference URI="OEBPS/text/one.xhtml"/></encryption>'
)


def book(**changes: str) -> bytes:
    """Return an EPUB; a change with an empty text removes a file of it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**BOOK, **changes}.items():
            if text:
                archive.writestr(name, text)
    return file.getvalue()


def test_the_chapters_of_a_book_are_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "a.epub", book())
    assert all_texts(path) == ["One\n\nIt began.", "Two\n\nIt ended."]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "not a complete EPUB"),
        (book()[:-30], "not a complete EPUB"),
        (b"plain text", "not a complete EPUB"),
        (book(**{"META-INF/container.xml": ""}), "not a valid EPUB"),
        (book(**{"OEBPS/book.opf": "<package>"}), "not a valid EPUB"),
        (book(**{"OEBPS/text/one.xhtml": ""}), "not a valid EPUB"),
        (book(**{"META-INF/encryption.xml": ENCRYPTION}), "is encrypted"),
    ],
)
def test_a_book_that_cannot_be_read_is_named(raw: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=problem) as caught:
        all_texts(write(tmp_path / "a.epub", raw))
    assert str(tmp_path / "a.epub") in caught.value.problem


def test_a_book_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "MAX_UNPACKED_BYTES", 1_000_000)
    path = write(tmp_path / "a.epub", book(**{"OEBPS/text/one.xhtml": "a" * 1_000_000}))
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match="unpacks to more than"):
        all_texts(path)


# --- PDF ------------------------------------------------------------------------------------------


def pdf(*pages: list[str]) -> bytes:
    """Return a PDF with these lines of text."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"",
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier>>",
    ]
    kids = []
    for lines in pages:
        shown = "".join(f"({line}) Tj T* " for line in lines)
        content = f"BT /F1 9 Tf 50 800 Td 12 TL {shown}ET".encode()
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 850]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    raw, starts = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        starts.append(len(raw))
        raw += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    size = len(objects) + 1
    return raw + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (size, table, size, len(raw))
    )


FABLE = [
    "The fox and the hen",
    "A fox who lived in the wood behind the mill met an el-",
    "derly hen on the bridge, and neither of them wanted to",
    "be the first to speak.",
    "1",
]


def test_the_text_of_a_pdf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.pdf", pdf(FABLE, ["The end."]))
    expected = (
        "The fox and the hen\n"
        "A fox who lived in the wood behind the mill met an elderly hen on the bridge, and neither "
        "of them wanted to be the first to speak.\n"
        "The end."
    )
    assert all_texts(path) == [expected]
    assert all_texts(path) == [expected]
    assert capsys.readouterr().err.count("extracting the text of a.pdf") == 1


def test_a_changed_pdf_is_extracted_again(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    assert all_texts(write(path, pdf(["One."]))) == ["One."]
    assert all_texts(write(path, pdf(["Two."]))) == ["Two."]


def test_a_document_is_hashed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []

    def count(path: Path) -> str:
        hashed.append(path)
        return sha256_file(path)

    monkeypatch.setattr(extraction.files, "sha256_file", count)
    path = write(tmp_path / "a.html", b"<p>One")
    assert all_texts(path) == all_texts(path) == ["One"]
    assert hashed == [path]
    times = path.stat()
    write(tmp_path / "b.html", b"<p>Two").replace(path)  # of the same size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as some tools that copy files do
    assert all_texts(path) == ["Two"]
    write(path, b"<p>Three")
    assert all_texts(path) == ["Three"]
    assert hashed == [path] * 3


def test_an_encrypted_pdf_is_named(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    path = write(tmp_path / "a.pdf", pdf(["Secret."]))
    for password, is_open in (("owner", False), ("", True)):
        writer: Any = pypdf.PdfWriter(clone_from=path)
        writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
        writer.write(tmp_path / "locked.pdf")
        if is_open:  # it only forbids to print or to change
            assert all_texts(tmp_path / "locked.pdf") == ["Secret."]
        else:
            with pytest.raises(UserError, match=r"locked\.pdf is encrypted"):
                all_texts(tmp_path / "locked.pdf")


@pytest.mark.parametrize("raw", [b"", b"plain text", pdf(FABLE)[:200], b"%PDF-1.4\n" + bytes(999)])
def test_a_pdf_that_cannot_be_read_is_named(raw: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.pdf is not a readable PDF"):
        all_texts(write(tmp_path / "a.pdf", raw))


def test_a_pdf_of_images_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "scan.pdf", pdf([]))
    write(tmp_path / "a.txt", b"text")
    assert all_texts(tmp_path) == ["text"]
    assert "scan.pdf is left out: no text was found in it" in capsys.readouterr().err


@given(st.lists(st.text("ab -.\n", max_size=80)))
def test_joining_lines_keeps_all_words(lines: list[str]) -> None:
    text = "\n".join(lines)
    joined = join_lines(text)
    assert "".join(joined.split()).replace("-", "") == "".join(text.split()).replace("-", "")


# --- wrong endings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(pdf(FABLE), "a PDF file"), (book(), "a zip archive .*"), (b"\x1f\x8b\x08", "a gzip file")],
)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.html", "a.csv"])
def test_a_wrong_ending_is_named(raw: bytes, kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{name} is {kind}, not text"):
        all_texts(write(tmp_path / name, raw))
