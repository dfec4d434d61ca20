"""What strangers send: paths, bombs, injections, broken frames. All of it is refused or made harmless, nothing fails.

The corpora follow OWASP's lists (path traversal, CSV and HTML injection, CRLF), RFC 8259 section 9 (limits of a JSON
parser) and the Unicode bidi controls of CVE-2021-42574.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from io import BytesIO
from urllib.parse import quote

import httpx
import pytest

from bench.web.problems import CODES, MEDIA_TYPE
from bench.web.roles import Role
from tests.page.paper_desk import HASH, PLAIN
from tests.page.served import PASSWORD
from tests.web.conftest import House
from tests.web.frames import raw, viewer
from tests.web.strict_desk import RUN

pytestmark = pytest.mark.scenario

JSON = {"content-type": "application/json"}
SIGNED = {"password": PASSWORD}
PATHS = [
    "../users.sqlite",
    "../../etc/passwd",
    "..%2fusers.sqlite",
    "%2e%2e/users.sqlite",
    "%2e%2e%2fusers.sqlite",
    "..%5cusers.sqlite",
    "..%252fusers.sqlite",
    "%c0%ae%c0%ae/users.sqlite",
    "....//users.sqlite",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "file:%2f%2f%2fetc/passwd",
    "report.html%00.txt",
    "%00",
    "..",
    ".",
    "~root",
    "C:%5cwindows",
    "CON",
    "a" * 5000,
    "%ff%fe",
    "%ed%a0%80",
    "report.html/",
    "./report.html",
    "link.html",
    "linked/passwd",
]
INJECTIONS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><svg onload=alert(1)>",
    '=HYPERLINK("http://evil.example","x")',
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "{{7*7}} ${7*7} %s %n {0.__class__}",
    "' OR 1=1; DROP TABLE users; --",
    "line one\nline two\r\nSet-Cookie: a=b",
    "\tTAB first",
    "𝕬 é ñ 电池 🔋",
]
UNSEEN = ["\x1b[2J\x1b[1;31mred", "a\x00b", "\x07", "\x9b31m", "abc\u202egnp.exe", "\u2066hidden\u2069", "\x7f", "\x08"]


def problem(answer: httpx.Response, *statuses: int) -> str:
    """The code of a refusal, which is a whole problem document. A 5xx is never one of these."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    if statuses:
        assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == MEDIA_TYPE
    code = str(answer.json()["code"])
    assert CODES[code][0] == answer.status_code
    return code


@pytest.fixture
def traps(one_house: House) -> House:
    """A bundle with links that lead out of it."""
    folder = one_house.data / RUN
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text("<!doctype html>")
    if not (folder / "link.html").is_symlink():
        (folder / "link.html").symlink_to("/etc/passwd")
        (folder / "linked").symlink_to("/etc")
    return one_house


# S10, paths that lead out


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
@pytest.mark.parametrize("place", [f"bundles/{RUN}/files/", "bundles/", "runs/", "channels/", "../../static/"])
def test_no_path_leads_out_of_what_is_shown(traps: House, place: str, path: str) -> None:
    """Sent as it stands: a client would tidy it up first."""
    status, headers, body = raw(traps, f"GET /api/v1/{place}{path} HTTP/1.1", f"authorization: Bearer {viewer(traps)}")
    assert 400 <= status < 500, (status, body[:200])
    assert headers["content-type"] == MEDIA_TYPE
    assert b"root:" not in body
    assert b"SQLite" not in body


def test_what_is_listed_is_what_is_given(traps: House) -> None:
    client = traps.as_(Role.VIEWER)
    assert [each["name"] for each in client.get(f"bundles/{RUN}").json()] == ["report.html"]
    with zipfile.ZipFile(BytesIO(client.get(f"bundles/{RUN}/archive").content)) as archive:
        assert archive.namelist() == [f"{RUN}/report.html"]
    given = client.get(f"bundles/{RUN}/files/report.html")
    assert given.headers["content-type"] == "application/octet-stream"  # shown by no browser
    assert given.headers["content-disposition"].startswith("attachment;")
    assert given.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x=1", 'quo"te.txt', "semi;colon", "电池.json", "a\\b", "x\ty", b"bad\xff.bin"]
)
def test_a_file_s_name_splits_no_header(house: House, name: str | bytes) -> None:
    folder = house.data / RUN
    folder.mkdir()
    raw_name = name if isinstance(name, bytes) else name.encode()
    with open(bytes(folder) + b"/" + raw_name, "wb") as file:  # noqa: PTH123 # a Path takes no bytes
        file.write(b"x")
    client = house.as_(Role.VIEWER)
    listed = [each["name"] for each in client.get(f"bundles/{RUN}").json() if each["name"] != "report.html"]
    assert client.get(f"bundles/{RUN}/archive").status_code == 200
    if isinstance(name, bytes) or not name.isprintable():
        assert listed == []
        return
    assert listed == [name]
    given = client.get(f"bundles/{RUN}/files/{quote(name, safe='')}")
    assert (given.status_code, given.content) == (200, b"x")
    assert "set-cookie" not in given.headers
    assert not any(character in given.headers["content-disposition"] for character in "\r\n\0")


@pytest.mark.parametrize(
    "sequence", ["../../etc/passwd", "/etc/passwd", "a/../../b", "__import__('os')", "x" * 121, ""]
)
def test_a_sequence_is_a_name(one_house: House, sequence: str) -> None:
    """The desk of a real bench knows names alone (bench/daemon/request.py); too long or none is refused before it."""
    asked = {"sequence": sequence, "channel": "ch1", "cell": "nmc-21700"}
    answer = one_house.as_(Role.OPERATOR).post("check", json=asked)
    if 0 < len(sequence) <= 120:
        assert answer.json()["request"]["sequence"] == sequence
    else:
        assert problem(answer, 422) == "invalid"


# S9, bombs

DEEP = 100_000
BOMBS = {
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep within a text": b'{"text":' + b"[" * 40 + b"]" * 40 + b"}",
    "NaN": b'{"for_s":NaN,"why":"known"}',
    "Infinity": b'{"for_s":-Infinity,"why":"known"}',
    "overflow": b'{"for_s":1e999,"why":"known"}',
    "long integer": b'{"for_s":' + b"9" * 5000 + b',"why":"known"}',
    "long float": b'{"for_s":0.' + b"3" * 5000 + b',"why":"known"}',
    "a key twice": b'{"for_s":1,"why":"known","for_s":99}',
    "a key twice, once escaped": b'{"for_s":1,"why":"known","f\\u006fr_s":99}',
    "lone surrogate": b'{"for_s":1,"why":"\\ud800 known"}',
    "NUL": b'{"for_s":1,"why":"known\\u0000"}',
    "raw NUL": b'{"for_s":1,"why":"known\x00"}',
    "not UTF-8": b'{"for_s":1,"why":"\xff\xfe\xfd"}',
    "UTF-16": '{"for_s":1,"why":"known"}'.encode("utf-16"),
    "UTF-7": b"+AHsAIg-for_s+ACI-:1}",
    "BOM": b'\xef\xbb\xbf{"for_s":1,"why":"known"}',
    "comments": b'{"for_s":1/**/,"why":"known"}',
    "single quotes": b"{'for_s':1,'why':'known'}",
    "two documents": b'{"for_s":1,"why":"known"}{}',
    "cut off": b'{"for_s":1,"why":"kno',
    "nothing but blanks": b"  \n ",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_json_that_is_not_plain_is_refused(one_house: House, bomb: str) -> None:
    answer = one_house.as_(Role.ENGINEER).post("alarms/a1/shelve", content=BOMBS[bomb], headers=JSON)
    assert problem(answer, 400) == "bad-json"
    assert one_house.desk.asked == []


def test_what_is_like_it_and_plain_is_taken(house: House) -> None:
    plain = b'{"for_s":1,"why":"a \\\\u0000 that is only written so, and \\ud83d\\udd0b"}'
    answer = house.as_(Role.ENGINEER).post("alarms/a1/shelve", content=plain, headers=JSON)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"1", b"null", b'{"for_s":"1","why":["known"]}', b'{"for_s":1,"why":"known","x":1}']
)
def test_json_of_another_shape_is_refused(one_house: House, body: bytes) -> None:
    answer = one_house.as_(Role.ENGINEER).post("alarms/a1/shelve", content=body, headers=JSON)
    # pydantic reads "1" as a number; that a text is a list it does not
    assert problem(answer, 422) == "invalid"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "a" * 500]
)
def test_only_json_is_taken(one_house: House, kind: str) -> None:
    client = one_house.as_(Role.ENGINEER)
    answer = client.post("alarms/a1/shelve", content=b'{"for_s":1,"why":"known"}', headers={"content-type": kind})
    assert problem(answer, 415) == "not-json"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "x"])
def test_nothing_is_unpacked(one_house: House, coding: str) -> None:
    """A thousandfold bomb of zeros stays the few bytes that it is."""
    packed = gzip.compress(b" " * (64 << 20), 9)
    assert len(packed) < 1 << 17
    headers = {**JSON, "content-encoding": coding}
    answer = one_house.as_(Role.ENGINEER).post("alarms/a1/shelve", content=packed, headers=headers)
    assert problem(answer, 415) == "not-json"


def test_a_body_has_its_bounds(one_house: House) -> None:
    client = one_house.as_(Role.ENGINEER)
    big = b'{"for_s":1,"why":"' + b"x" * (1 << 20) + b'"}'
    assert problem(client.post("alarms/a1/shelve", content=big, headers=JSON), 413) == "too-large"
    pieces = (big[at : at + 65536] for at in range(0, len(big), 65536))  # its length is not told
    assert problem(client.post("alarms/a1/shelve", content=pieces, headers=JSON), 413) == "too-large"


# What is kept and shown again


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_was_written_comes_back_as_text(house: House, text: str) -> None:
    answer = house.as_(Role.OPERATOR).post("notes", json={"text": text})
    assert answer.status_code == 201, answer.text
    listed = house.as_(Role.VIEWER).get("notes")
    assert listed.headers["content-type"] == "application/json"
    assert listed.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in listed.headers["content-security-policy"]
    assert [note["text"] for note in listed.json()] == [text]
    assert b"\n" not in listed.content
    assert b"\r" not in listed.content
    lines = (house.data / "audit.jsonl").read_bytes().split(b"\n")
    assert [json.loads(line)["new"] for line in lines if line] == [{"text": text}]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("text", INJECTIONS)
def test_every_free_text_is_in_the_trail_on_a_line_of_its_own(house: House, text: str) -> None:
    one_line = " ".join(text.split())
    for who, place, body in (
        (Role.ENGINEER, "alarms/a1/shelve", {"for_s": 1, "why": text}),
        (Role.SAFETY, "ack", {"note": text, **SIGNED}),
        (Role.ENGINEER, f"runs/{RUN}/judgements", {"question": one_line, "answer": False, "note": text, **SIGNED}),
        (Role.ADMIN, "users", {"name": text, "role": "viewer", "password": "another right horse"}),
        (Role.VIEWER, "tokens", {"label": one_line[:60], **SIGNED}),
    ):  # fmt: skip
        answer = house.as_(who).post(place, json=body)
        assert answer.status_code in (200, 201, 422), answer.text
    trail = (house.data / "audit.jsonl").read_bytes().decode().splitlines()
    assert len(trail) == (house.data / "audit.jsonl").read_bytes().count(b"\n") >= 4
    assert all(json.loads(line)["act"] for line in trail)
    view = house.as_(Role.ENGINEER).get("audit").json()
    assert (view["broken"], view["count"]) == (None, len(trail))
    assert text in [record["why"] for record in view["records"]]


@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
def test_what_a_terminal_obeys_or_nobody_sees_is_refused(one_house: House, text: str) -> None:
    for who, place, body in (
        (Role.OPERATOR, "notes", {"text": text}),
        (Role.ENGINEER, "alarms/a1/shelve", {"for_s": 1, "why": f"known {text}"}),
        (Role.ADMIN, "users", {"name": text, "role": "viewer", "password": "another right horse"}),
        (Role.OPERATOR, "check", {"sequence": PLAIN, "channel": "ch1", "cell": "c", "sample": f"L-1{text}"}),
        (Role.OPERATOR, "check", {"sequence": PLAIN, "channel": "ch1", "cell": "c", "overrides": {text: "1"}}),
    ):
        for content in (json.dumps(body), json.dumps(body, ensure_ascii=False)):
            answer = one_house.as_(who).post(place, content=content.encode(), headers=JSON)
            assert problem(answer, 400) == "bad-json"
    assert one_house.desk.asked == []


def test_a_wrong_name_is_no_command_for_a_terminal(one_house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The log of a daemon in a terminal shows the name that was tried."""
    one_house.client().post("login", json={"name": "lin\n[error] forged", "password": "x"})
    said = capsys.readouterr()
    assert r"\n[error] forged" in said.out + said.err


@pytest.mark.parametrize("text", [*INJECTIONS, *UNSEEN, "%00", "\u2028"], ids=ascii)
def test_questions_are_never_more_than_questions(one_house: House, text: str) -> None:
    client = one_house.as_(Role.ENGINEER)
    for place in ("runs", "samples", "audit"):
        answer = client.get(place, params={"search": text})
        assert answer.status_code == 200, answer.text
        assert text not in answer.text
    for name in ("quantities", "channel", "run_id"):
        answer = client.get("readings", params={"channel": "ch1", name: text})
        assert answer.status_code in (200, 404, 422)
        assert answer.headers["content-type"] in (MEDIA_TYPE, "application/json")
    assert problem(client.get(f"channels/{quote(text, safe='')}"), 404) == "unknown"
    assert problem(client.get(f"runs/{quote(text, safe='')}"), 422, 404) in ("invalid", "unknown")


def test_a_page_is_never_made_of_what_was_sent(one_house: House) -> None:
    """The one page is a file; whatever else is HTML is the report, which may run nothing."""
    page = one_house.client().get(one_house.link, params={"x": "<script>"})
    assert b"<script>" not in page.content.replace(b"<script src", b"").replace(b"<script type", b"")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    missing = one_house.client().get(f"{one_house.link}static/<script>alert(1)</script>")
    assert "<script>" not in missing.text
    assert missing.headers["content-type"] == MEDIA_TYPE


def test_a_start_carries_nothing_but_names(one_house: House) -> None:
    request = {"sequence": PLAIN, "channel": "ch1", "cell": "nmc-21700"}
    client = one_house.as_(Role.OPERATOR)
    for wrong in (
        {"overrides": {f"p{number}": "1" for number in range(65)}},
        {"overrides": {"p": 1}},
        {"seed": -1},
        {"seed": 2**31},
        {"seed": 1.5},
        {"path": "/etc/passwd"},
    ):
        asked = {"request": {**request, **wrong}, "plan_hash": HASH}
        answer = client.post("runs", json=asked, headers={"idempotency-key": "12345678"})
        assert problem(answer, 422) == "invalid"
    for key in ("short", "x" * 101, "has a blank", "é" * 8):
        headers = [(b"idempotency-key", key.encode("latin-1"))]
        answer = client.post("runs", json={"request": request, "plan_hash": HASH}, headers=headers)
        assert problem(answer, 422) == "invalid"
    assert one_house.desk.asked == []
