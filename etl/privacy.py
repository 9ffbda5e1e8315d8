"""Personal data: keyed pseudonyms, and the patterns that no published text may match.

Screened for: e-mail addresses, IPv4 and IPv6 addresses, international telephone numbers, payment cards
(with their checksum), US social security numbers, AWS access key ids, JSON web tokens.
Pseudonyms are HMAC-SHA-256 (RFC 2104), computed inside DuckDB, so plain values never leave the engine.
"""

import hashlib
import re

import duckdb

HEX = "[0-9A-Fa-f]"
OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
CARD = (
    r"\b((?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6011|65\d{2})(?:[ -]?\d{4}){2}[ -]?\d{3,4}"
    r"|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}|3[47]\d{2}(?:[ -]?\d{4}){2}[ -]?\d{3})\b"
)
DOMAIN_PART = r"""[^\s@%/"'<>()\[\]{},;:.]"""
PATTERNS = (
    rf"[A-Za-z0-9._%+-]+(?:@|%40){DOMAIN_PART}+(?:\.{DOMAIN_PART}+)*\.{DOMAIN_PART}{{2,}}",
    rf"(?:^|[^0-9.])(?:{OCTET}\.){{3}}{OCTET}(?:$|[^0-9.]|\.(?:$|[^0-9]))",
    rf"(?:^|[^0-9A-Za-z:])(?:{HEX}{{1,4}}:){{7}}{HEX}{{1,4}}(?:$|[^0-9A-Za-z:])",
    rf"(?:^|[^0-9A-Za-z:]){HEX}{{3,4}}(?::{HEX}{{1,4}}){{0,5}}::{HEX}{{1,4}}",
    rf"(?:^|[^0-9A-Za-z:]){HEX}{{3,4}}(?::{HEX}{{1,4}}){{1,6}}::",
    r"(?:^|[^0-9A-Za-z])\+[1-9]\d{0,2}[ .-]?\(?\d{2,4}\)?(?:[ .-]?\d{2,4}){2,4}(?:$|[^0-9A-Za-z])",
    r"(?:^|[^0-9A-Za-z-])\d{3}-\d{2}-\d{4}(?:$|[^0-9A-Za-z-])",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ",
)
ANY = "|".join(PATTERNS)
LOOPBACK = "127.0.0.1"  # names no person, and an error must name the endpoint
BLOCK_BYTES = 64  # of SHA-256


def install(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Make pseudonym(text) known to an in-memory connection.

    The pads are the key: never do this on a database file, nor with query logging on.
    """
    padded = (hashlib.sha256(key).digest() if len(key) > BLOCK_BYTES else key).ljust(
        BLOCK_BYTES, b"\0"
    )
    inner = bytes(byte ^ 0x36 for byte in padded).hex()
    outer = bytes(byte ^ 0x5C for byte in padded).hex()
    connection.execute(f"""
        CREATE OR REPLACE TEMP MACRO pseudonym(text) AS
        sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || encode(text))))[1:32]
    """)


def install_screen(connection: duckdb.DuckDBPyConnection) -> None:
    """Make personal_data(text) known to all connections of a database: true where the text matches one of the
    patterns."""
    connection.execute("""
        CREATE OR REPLACE MACRO luhn(digits) AS
        list_sum(list_transform(
            range(1, length(digits) + 1),
            lambda i: CASE WHEN i % 2 = 1 THEN reverse(digits)[i]::INTEGER
                ELSE (2 * reverse(digits)[i]::INTEGER) % 10 + (2 * reverse(digits)[i]::INTEGER) // 10
            END)) % 10 = 0
    """)
    connection.execute(f"""
        CREATE OR REPLACE MACRO personal_data(text) AS
        CASE WHEN regexp_matches(text, {quote(f"{ANY}|{CARD}")}) IS DISTINCT FROM true THEN false
            WHEN regexp_matches(text, {quote(ANY)}) THEN true
            ELSE coalesce(list_bool_or(list_transform(
                regexp_extract_all(text, {quote(CARD)}, 1),
                lambda found: luhn(regexp_replace(found, '[^0-9]', '', 'g')))), false) END
    """)


def key_id(key: bytes) -> str:
    """Names the key in a release without telling it."""
    return hashlib.sha256(b"key id" + key).hexdigest()[:12]


def mask(text: str) -> str:
    """For messages that people read: what looks like personal data is replaced by ***."""
    return re.sub(f"{ANY}|{CARD}", lambda found: found[0] if LOOPBACK in found[0] else "***", text)


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
