"""What the controller and a node's agent write to each other, and what may go wrong in it."""

import base64
import gzip
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.winrm.frames import (
    LINE_BYTES_MAX,
    REPLY_BYTES_MAX,
    FrameReader,
    Ready,
    Reply,
    encode_agent,
    encode_call,
)
from controller.errors import ProtocolBroken

CALL = "0f-1"
BASE = {"schema": "ownernode.io/reply/v1", "id": CALL, "operation": "observe"}


FAILED = (
    b'{"schema": "ownernode.io/reply/v1", "id": "0f-1", "operation": null, "ok": false,'
    b' "data": null, "errors": %s}'
)


def lines(plain: bytes, *, call_id: str = CALL, piece: int = 60) -> list[bytes]:
    """A reply's frames, in small pieces."""
    packed = gzip.compress(plain)
    pieces = [packed[at : at + piece] for at in range(0, len(packed), piece)]
    kinds = ["part"] * (len(pieces) - 1) + ["done"]
    return [
        f"HV1 {call_id} {kind} {base64.b64encode(p).decode()}\n".encode()
        for kind, p in zip(kinds, pieces, strict=True)
    ]


def reply(data: Any = (), **changes: Any) -> bytes:
    """A reply that says `ok`, unless changed."""
    document = {**BASE, "ok": True, "data": data or {}, "errors": [], **changes}
    return json.dumps(document).encode()


def expecting(call_id: str = CALL) -> FrameReader:
    reader = FrameReader()
    reader.expect(call_id)
    return reader


def read(reader: FrameReader, data: bytes) -> Reply:
    found = reader.feed(data)
    assert isinstance(found, Reply)
    return found


@given(st.data())
def test_reply_is_read_however_the_bytes_are_cut(data: st.DataObject) -> None:
    """Receive gives any pieces of the stream; the reply is whole with its last byte, not before."""
    said = {"names": data.draw(st.lists(st.text(), max_size=30))}
    stream = b"noise\n" + b"".join(lines(reply(said))) + b"more noise\r\n"
    end = len(stream) - len(b"more noise\r\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = expecting()
    found = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        answer = reader.feed(stream[start:stop])
        if answer is not None:
            assert stop >= end
            found.append(answer)
    assert [answer.data for answer in found if isinstance(answer, Reply)] == [said]


@given(lost=st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_torn_first_telling_is_dropped_when_the_call_was_repeated(lost: list[int]) -> None:
    """Whatever pieces of a reply are lost, the second telling is read and nothing mixed into it."""
    said = {"numbers": list(range(400))}
    told = lines(reply(said))
    reader = expecting()
    first = [line for number, line in enumerate(told) if number not in lost]
    if len(first) == len(told):
        first.pop(0)
    half = len(first) // 2
    for line in first[:half]:
        assert reader.feed(line) is None
    reader.lost()
    answers = [reader.feed(line) for line in (*first[half:], *told)]
    found = [answer for answer in answers if answer is not None]
    assert [a.data for a in found if isinstance(a, Reply)] == [said]


def test_torn_reply_without_a_repeat_is_an_error() -> None:
    """Nothing was lost, so the node speaks nonsense; waiting would last for ever."""
    told = lines(reply({"numbers": list(range(400))}))
    reader = expecting()
    with pytest.raises(ProtocolBroken):
        reader.feed(b"".join(told[1:]))


def test_second_telling_of_an_earlier_call_is_no_answer_to_the_next() -> None:
    """A late answer can never be taken for the answer of another call."""
    reader = expecting()
    assert read(reader, b"".join(lines(reply({"turn": 1})))).data == {"turn": 1}
    reader.expect("0f-2")
    late = b"".join(lines(reply({"turn": 1})))
    now = b"".join(lines(reply({"turn": 2}, id="0f-2"), call_id="0f-2"))
    assert read(reader, late + now).data == {"turn": 2}


def test_frame_of_our_id_around_a_reply_to_another_is_refused() -> None:
    """The id inside the reply counts, too: it is the echo that makes an answer ours."""
    with pytest.raises(ProtocolBroken, match="was answered"):
        expecting().feed(b"".join(lines(reply(id="0f-9"))))


@pytest.mark.parametrize(
    "plain",
    [
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        reply(schema="ownernode.io/reply/v2"),
        reply(errors=[{"kind": "x"}]),
        reply(ok=False),
        FAILED % b"[]",
        reply(data=[1]),
    ],
)
def test_what_is_no_reply_is_refused(plain: bytes) -> None:
    """Each wrong shape ends the call, and nothing of it is believed."""
    with pytest.raises(ProtocolBroken):
        expecting().feed(b"".join(lines(plain, piece=30_000)))


@pytest.mark.parametrize(
    "plain",
    [b" " * (REPLY_BYTES_MAX + 1), b"[" + b"[]," * 2_000_000 + b"[]]"],
    ids=["size", "values"],
)
def test_reply_that_would_fill_the_memory_is_refused(plain: bytes) -> None:
    """A few kilobytes of gzip may hide gigabytes."""
    with pytest.raises(ProtocolBroken, match="more than"):
        expecting().feed(b"".join(lines(plain, piece=30_000)))


def test_endless_line_is_dropped_and_the_next_one_read() -> None:
    """A module that prints without end costs no memory and no reply."""
    reader = expecting()
    for _ in range(100):
        assert reader.feed(b"x" * LINE_BYTES_MAX) is None
    assert read(reader, b"\n" + b"".join(lines(reply({"a": 1})))).data == {"a": 1}
    assert reader.noise_lines > 0


def test_error_reply_carries_its_errors() -> None:
    """`BadCall` may come without an operation: the agent could not read which one."""
    errors = [{"kind": "BadCall", "message": "no"}]
    found = read(expecting(), b"".join(lines(FAILED % json.dumps(errors).encode())))
    assert not found.ok
    assert found.errors == ({"kind": "BadCall", "message": "no"},)


def test_ready_frame_tells_which_agent_runs() -> None:
    """By its hash a replaced or outdated agent is known before it is trusted."""
    said = {"protocol": 1, "agent": "ab" * 32, "node": "HV01", "powershell": "5.1"}
    reader = expecting("0")
    payload = base64.b64encode(gzip.compress(json.dumps(said).encode()))
    found = reader.feed(b"HV1 0 ready " + payload + b"\n")
    assert found == Ready(protocol=1, agent="ab" * 32, node="HV01", powershell="5.1")


def test_call_is_one_ascii_line_whatever_it_carries() -> None:
    """Quotes, line feeds and foreign scripts travel as data and never as text of a script."""
    arguments = {"name": "a'b\"\n$(exit)\u202eΩ"}
    line = encode_call(CALL, "createVm", arguments)
    head, call_id, kind, payload = line.decode("ascii").split(" ")
    assert (head, call_id, kind) == ("HV1", CALL, "call")
    assert line.count(b"\n") == 1
    assert json.loads(base64.b64decode(payload)) == {
        "operation": "createVm",
        "arguments": arguments,
    }


def test_agent_text_travels_as_one_line() -> None:
    """What is unpacked on the node has the hash that its ready frame must show."""
    text = "# agent Ω\nexit\n"
    line = encode_agent(text)
    assert line.endswith(b"\n")
    unpacked = gzip.decompress(base64.b64decode(line))
    assert hashlib.sha256(unpacked).hexdigest() == hashlib.sha256(text.encode()).hexdigest()
