"""Chats between people, as WhatsApp and Telegram export them, become conversations."""

import itertools
import json
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common.errors import UserError
from firstwords.data import chat_exports, chat_zip
from firstwords.data.chat_exports import chat_conversations, find_app, read_chats
from firstwords.data.chat_message import ChatMessage
from firstwords.data.checks import check_conversations
from firstwords.data.convert import Request, convert, name_people
from firstwords.data.corpora import conversations, documents, open_corpus
from firstwords.data.samples import load_samples
from firstwords.data.whatsapp import is_whatsapp, read_whatsapp

ANDROID = """31.12.23, 21:41 - Messages to this group are now secured.
31.12.23, 21:41 - Ada: Are you coming?
It is late: the shop closes at ten.
31.12.23, 21:42 - Ada: <Media omitted>
31.12.23, 21:43 - Ben: IMG-1.jpg (file attached)
31.12.23, 21:43 - Ben: On my way <This message was edited>
31.12.23, 21:44 - Ben: This message was deleted
31.12.23, 21:44 - Ben: Two minutes.
01.01.24, 09:00 - Ben: Happy new year!
01.01.24, 09:05 - Ada: You too! Did you sleep?
01.01.24, 09:06 - Ben: A little.
01.01.24, 09:07 - Ada: Good.
"""
IOS = """[12/31/23, 9:41:05\u202fPM] Ada: \u200eMessages and calls are end-to-end encrypted.
[12/31/23, 9:41:10\u202fPM] Ada: Are you coming?
It is late: the shop closes at ten.
\u200e[12/31/23, 9:42:00\u202fPM] Ada: \u200eimage omitted
[12/31/23, 9:43:00\u202fPM] ~\u202fBen: On my way \u200e<This message was edited>
[12/31/23, 9:44:00\u202fPM] ~\u202fBen: Two minutes.
[1/1/24, 9:00:00\u202fAM] ~\u202fBen: Happy new year!
[1/1/24, 9:05:00\u202fAM] Ada: You too! Did you sleep?
[1/1/24, 9:06:00\u202fAM] ~\u202fBen: A little.
[1/1/24, 9:07:00\u202fAM] Ada: Good.
"""


def telegram_message(time: str, name: str | None, text: Any, kind: str = "message") -> Any:
    return {"id": 1, "type": kind, "date": f"2023-{time}", "from": name, "text": text}


TELEGRAM = {
    "name": "Ada",
    "type": "personal_chat",
    "id": 5,
    "messages": [
        telegram_message("12-31T21:40:00", None, "", "service"),
        telegram_message("12-31T21:41:00", "Ada", "Are you coming?"),
        telegram_message(
            "12-31T21:41:30",
            "Ada",
            ["It is late: ", {"type": "bold", "text": "the shop"}, " closes at ten."],
        ),
        telegram_message("12-31T21:42:00", "Ada", ""),
        telegram_message("12-31T21:43:00", "Ben", "On my way"),
        telegram_message("12-31T21:44:00", "Ben", "Two minutes."),
    ],
}
EVENING = [
    {"role": "user", "content": "Are you coming?\nIt is late: the shop closes at ten."},
    {"role": "assistant", "content": "On my way\nTwo minutes."},
]
MORNING = [
    {"role": "user", "content": "You too! Did you sleep?"},
    {"role": "assistant", "content": "A little."},
]


def request(source: Path, assistant: str | None = "Ben", **changes: Any) -> Request:
    out = source.parent / "out.jsonl"
    made = Request(str(source), out, assistant, None, timedelta(hours=3), name_people)
    return made._replace(**changes)


def converted(source: Path, assistant: str | None = "Ben", **changes: Any) -> list[Any]:
    made = request(source, assistant, **changes)
    convert(made)
    return [json.loads(line)["messages"] for line in made.out.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("chat.txt", ANDROID, [EVENING, MORNING]),
        ("_chat.txt", IOS, [EVENING, MORNING]),
        ("result.json", json.dumps(TELEGRAM), [EVENING]),
        ("all.json", json.dumps({"about": "Telegram", "chats": {"list": [TELEGRAM]}}), [EVENING]),
    ],
)
def test_an_export_becomes_conversations(
    name: str, text: str, expected: Any, tmp_path: Path
) -> None:
    source = tmp_path / name
    source.write_text(text, encoding="utf-8")
    assert converted(source) == expected
    assert converted(source, "ben") == expected


def test_the_other_person_can_be_the_assistant(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text(ANDROID)
    assert converted(tmp_path / "chat.txt", "Ada") == [
        [
            {"role": "user", "content": "Happy new year!"},
            {"role": "assistant", "content": "You too! Did you sleep?"},
            {"role": "user", "content": "A little."},
            {"role": "assistant", "content": "Good."},
        ]
    ]


def test_training_reads_what_convert_wrote(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text(ANDROID)
    convert(request(tmp_path / "chat.txt"))
    corpus = open_corpus(str(tmp_path / "out.jsonl"), "--chat-data")
    check_conversations(corpus, "--chat-data")
    assert list(conversations(corpus, "train", 0)) == [EVENING]


def test_the_people_of_a_chat_are_named(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(ANDROID)
    with pytest.raises(UserError, match="does not say who the assistant is") as caught:
        convert(request(path, None))
    assert caught.value.hint == "add --assistant with one of: Ben, Ada"
    with pytest.raises(UserError, match=r"--assistant Eve is not in .*; use one of: Ben, Ada"):
        convert(request(path, "Eve"))
    corpus = open_corpus(str(path), "--chat-data")
    with pytest.raises(UserError, match="a chat that WhatsApp exported") as caught:
        check_conversations(corpus, "--chat-data")
    assert "firstwords data convert" in caught.value.hint
    assert converted(path, None, choose=lambda path, people: "Ben") == [EVENING, MORNING]


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("31.12.23, 21:41 - Ada: Hi", datetime(2023, 12, 31, 21, 41)),
        ("31/12/2023 21:41 - Ada: Hi", datetime(2023, 12, 31, 21, 41)),
        ("12/31/23, 9:41 PM - Ada: Hi", datetime(2023, 12, 31, 21, 41)),
        ("2023-12-31, 21:41 - Ada: Hi", datetime(2023, 12, 31, 21, 41)),
        ("[31.12.23, 21:41:05] Ada: Hi", datetime(2023, 12, 31, 21, 41)),
        ("[2023/12/31, 12:41:05 a. m.] Ada: Hi", datetime(2023, 12, 31, 0, 41)),
        ("31-12-23, 12.41 p.m. - Ada: Hi", datetime(2023, 12, 31, 12, 41)),
    ],
)
def test_dates_of_every_country(line: str, time: datetime, tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(line)
    assert read_whatsapp(path) == [ChatMessage(time, "Ada", "Hi")]


@pytest.mark.parametrize("later", ["2/1/24", "1/2/24"])
def test_the_order_of_day_and_month_is_that_in_which_time_runs_forward(
    later: str, tmp_path: Path
) -> None:
    """The second of January and the first of February are written alike."""
    path = tmp_path / "chat.txt"
    before, after = ("1/1/24", "3/1/24") if later == "2/1/24" else ("1/1/24", "1/3/24")
    path.write_text("".join(f"{d}, 10:00 - Ada: Hi\n" for d in (before, later, after)))
    days = [(m.time - datetime(2024, 1, 1)).days for m in read_whatsapp(path)]
    assert days == [0, 1, 2]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Ada", "Ben", "Cy"]), st.integers(0, 9), st.text("ab", min_size=1)
        ),
        max_size=30,
    )
)
def test_every_conversation_of_a_chat_is_valid(entries: list[tuple[str, int, str]]) -> None:
    time, chat = datetime(2024, 1, 1), []
    for name, hours, text in entries:
        time += timedelta(hours=hours)
        chat.append(ChatMessage(time, name, text))
    found = list(chat_conversations([chat], "Ben", timedelta(hours=3)))
    for messages in found:
        roles = [message["role"] for message in messages]
        assert roles == ["user", "assistant"] * (len(messages) // 2)
    assert bool(found) == any(
        a.name != "Ben" and b.name == "Ben" and b.time - a.time <= timedelta(hours=3)
        for a, b in itertools.pairwise(chat)
    )


@pytest.mark.parametrize("text", ["Dear Ada: hello\n", "31.12.23, 21:41 - no name\n", ""])
def test_other_text_is_no_chat(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    assert not is_whatsapp(path)
    assert find_app(path) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (json.dumps(TELEGRAM)[:-5], "is not valid JSON"),
        ('{"name": "A", "type": "personal_chat"}', "is not a chat as Telegram exports it"),
        (json.dumps({**TELEGRAM, "messages": [5]}), "is not a chat as Telegram exports it"),
    ],
)
def test_a_wrong_telegram_export_is_named(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError, match=problem):
        read_chats(tmp_path / "result.json")


# --- zip archives ---------------------------------------------------------------------------------


def archive(path: Path, contents: dict[str, str | bytes]) -> Path:
    """Write a zip archive of files by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return path


PHOTO = {"IMG-1.jpg": b"\xff\xd8" + bytes(1000)}


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({"_chat.txt": IOS, "notes.txt": "sent in the chat", **PHOTO}, [EVENING, MORNING]),
        ({**PHOTO, "WhatsApp-Chat mit Ben.txt": ANDROID}, [EVENING, MORNING]),
        ({"Ben.txt": ANDROID, "__MACOSX/._Ben.txt": "x", ".x.txt": "x"}, [EVENING, MORNING]),
        ({"ChatExport/result.json": json.dumps(TELEGRAM), **PHOTO}, [EVENING]),
        ({"_chat.txt": "\ufeff".encode("utf-16-le") + IOS.encode("utf-16-le")}, [EVENING, MORNING]),
    ],
)
def test_a_zipped_export_is_read_as_it_is(
    contents: dict[str, str | bytes], expected: Any, tmp_path: Path
) -> None:
    (tmp_path / "chats").mkdir()
    source = archive(tmp_path / "chats" / "WhatsApp Chat with Ben.zip", contents)
    assert converted(source) == expected
    archive(source.with_name("photos.zip"), PHOTO)
    (source.with_name("out.jsonl")).unlink()
    made = request(source.parent)
    convert(made)  # a folder: the archive without a chat is left out
    found = [json.loads(line)["messages"] for line in made.out.read_text().splitlines()]
    assert found == expected


def test_a_zipped_export_is_recognised(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.zip", {"_chat.txt": IOS, "film.mp4": bytes(10**6)})
    shown = load_samples(str(source), False, None, 3, 0).render()
    assert shown.startswith(f"a.zip: WhatsApp export in a zip archive; {len(IOS.encode())} bytes\n")
    assert "people: Ben (" in shown
    assert f"firstwords data convert {source} --assistant Ben --out a.jsonl" in shown
    corpus = open_corpus(str(source), "--chat-data")
    with pytest.raises(UserError, match="a chat that WhatsApp exported, and does not say who"):
        check_conversations(corpus, "--chat-data")
    with pytest.raises(UserError, match="and no text to learn from; convert it"):
        list(documents(corpus, "train", 0))


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_zip, "MAX_UNPACKED_BYTES", 10**6)
    films = {"film.txt.mp4": bytes(2 * 10**6)}
    assert find_app(archive(tmp_path / "a.zip", {"_chat.txt": IOS, **films})) == "WhatsApp"
    path = archive(tmp_path / "a.zip", {"_chat.txt": IOS + "x" * 10**6})
    with pytest.raises(UserError, match=r"_chat\.txt in .* is larger than 1 MB; check where"):
        find_app(path)


def test_an_archive_cannot_unpack_to_more_than_it_says(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"_chat.txt": IOS + "x" * 10**6})
    size = (len(IOS.encode()) + 10**6).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (2000).to_bytes(4, "little")))
    with pytest.raises(UserError, match=r"is not a complete zip archive .Bad CRC"):
        read_chats(path)


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (PHOTO, "holds no chat, which would be a .txt file of WhatsApp or the result.json"),
        ({"notes.txt": "Dear Ada"}, r"notes\.txt in .* is no chat of WhatsApp or Telegram"),
        ({"a/_chat.txt": IOS, "b/_chat.txt": IOS}, r"2 files that may be .* .a/_chat\.txt, b/_"),
        ({"result.json": json.dumps(TELEGRAM)[:-5]}, "is not valid JSON"),
    ],
)
def test_an_archive_without_one_chat_is_named(
    contents: dict[str, str | bytes], problem: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "a.zip", contents)
    with pytest.raises(UserError, match=problem):
        converted(path)


def encrypt(raw: bytes) -> bytes:
    """Set the flag of encryption in both headers of the only file."""
    central = raw.index(b"PK\x01\x02")
    return b"%b\x01%b\x01%b" % (raw[:6], raw[7 : central + 8], raw[central + 9 :])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda raw: raw[: len(raw) // 2], "is not a complete zip archive"),
        (lambda raw: b"", "is not a complete zip archive"),
        (lambda raw: raw[:60] + b"\0\1\2\3" + raw[64:], "is not a complete zip archive"),
        (lambda raw: b"XX" + raw[2:], "is not a complete zip archive"),
        (encrypt, "is encrypted; unpack it"),
        (lambda raw: raw.replace(b"\x08\0", b"\x63\0"), "in a way that is not supported"),
    ],
)
def test_a_damaged_archive_is_named(damage: Any, problem: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"_chat.txt": IOS})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=problem):
        converted(path)
    assert not chat_exports.is_chat_archive(path)


# --- tables and other files -----------------------------------------------------------------------

PAIR = [{"role": "user", "content": "Who; are, you?"}, {"role": "assistant", "content": "Pebble."}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'Question,Answer\n"Who; are, you?",Pebble.\n'),
        ("a.csv", 'id;Answer ;question\n1;Pebble.;"Who; are, you?"\n'),
        ("a.tsv", "prompt\tcompletion\nWho; are, you?\tPebble.\n"),
        ("a.jsonl", '{"q": "Who; are, you?", "a": "Pebble."}'),
        ("a.jsonl", json.dumps({"prompt": PAIR[:1], "completion": PAIR[1:]})),
    ],
)
def test_pairs_are_read_as_they_are(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    corpus = open_corpus(str(path), "--chat-data")
    assert [*conversations(corpus, "train", 0), *conversations(corpus, "val", 0)] == [PAIR]
    assert converted(path, None) == [PAIR]


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.csv", 'x,Frage,Antwort\n1,"Who; are, you?",Pebble.\n\n', ("frage", "Antwort")),
        ("a.tsv", "Pebble.\tWho; are, you?\n", ("2", "1")),
    ],
)
def test_columns_can_be_chosen(
    name: str, text: str, columns: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    assert converted(tmp_path / name, None, columns=columns) == [PAIR]


@pytest.mark.parametrize(
    ("name", "text", "changes", "problem"),
    [
        ("a.csv", "x,y\n1,2\n", {"columns": ("x", "z")}, "has no column z; choose of: x, y"),
        ("a.csv", "x,y\n1,2\n", {"columns": ("1", "3")}, "has no column 3"),
        ("a.csv", "x,y\n1,2\n3,\n", {"columns": ("x", "y")}, "line 3 has an invalid .* empty"),
        ("a.txt", "text", {"columns": ("x", "y")}, "--columns needs a .csv or .tsv file"),
        ("a.csv", "x,y\n1,2\n", {}, r'has no "text" column .*data convert --columns'),
        ("a.txt", "text", {"assistant": "Ben"}, "--assistant needs the export of a chat"),
        ("a.txt", " ", {}, "has no documents"),
        ("out.jsonl", '{"text": "a"}', {}, "is the source itself"),
    ],
)
def test_what_cannot_be_converted_is_named(
    name: str, text: str, changes: Any, problem: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=problem):
        convert(request(tmp_path / name, **{"assistant": None, **changes}))


# --- tool calls -----------------------------------------------------------------------------------


def call(name: str, arguments: str, call_id: str = "c1") -> Any:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


ASK = {"role": "user", "content": "What is 12 times 34?"}
RESPONSE = {"role": "tool", "tool_call_id": "c1", "content": "408"}
ANSWER = {"role": "assistant", "content": "It is 408."}
CALL = call("calculator", '{"expression": "12*34"}')


def chats_of(messages: list[Any], tmp_path: Path) -> list[Any]:
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": messages}))
    corpus = open_corpus(str(tmp_path / "a.jsonl"), "--chat-data")
    return list(conversations(corpus, "train", 0))


def test_a_call_of_the_calculator_is_written_into_the_message(tmp_path: Path) -> None:
    content = "<tool_call>12*34</tool_call><tool_response>408</tool_response>It is 408."
    expected = [ASK, {"role": "assistant", "content": content}]
    assert chats_of([ASK, CALL, RESPONSE, ANSWER], tmp_path) == [expected]


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([ASK, call("get_weather", '{"city": "Rome"}'), RESPONSE, ANSWER], "'get_weather'"),
        ([ASK, call("calculator", '{"a": 1, "b": 2}'), RESPONSE, ANSWER], "one expression"),
        ([ASK, call("calculator", "12*34"), RESPONSE, ANSWER], "call that is not valid"),
        ([ASK, CALL, ANSWER], "a tool call has no response"),
        ([ASK, RESPONSE, ANSWER], "message 2 is a response without a tool call"),
        ([ASK, CALL, {**RESPONSE, "content": None}, ANSWER], "message 3 has no text"),
        ([ASK, ANSWER, ANSWER], "message 3 is from the assistant"),
    ],
)
def test_other_tool_calls_are_reported(messages: list[Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=problem):
        chats_of(messages, tmp_path)
