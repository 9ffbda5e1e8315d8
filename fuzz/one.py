"""One target in a process of its own, as libFuzzer wants it: python -m fuzz.one TARGET [option …] CORPUS"""

import random
import re
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["etl"]):
    from fuzz import seeds, targets

TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|\s+|.', re.DOTALL)
HOSTILE = [
    *(b"null", b"true", b"{}", b"[]", b'""', b"NaN", b"-0", b"1e400", b"1e-400", b"-1", b"9" * 40),
    *(
        b"0." + b"1" * 30,
        b'"1e3"',
        b'"\\ud800"',
        b'"\\u0000"',
        b'"a\\u001fb"',
        b'"=1+1"',
        b'"\xff"',
    ),
    *(
        b'"1970-01-01T00:00:00Z"',
        b'"2199-01-01T00:00:00Z"',
        b'"2016-12-31T23:59:60Z"',
        b"\xef\xbb\xbf",
    ),
    *(
        b'"2026-11-18T10:00:00"',
        b"[" * 300,
        b'{"a":' * 300,
        b"\r\n",
        b"\n",
        b"\\",
        b'"',
        b"%2525FF",
        b"-",
    ),
    *(
        b"&a",
        b"*a",
        b"!!binary",
        b"? ",
        b"<<",
        b"0123",
        b".inf",
        b"2026-02-30",
        b"(",
        b"[^",
        b"{yyyy}",
    ),
]


def mutated(data: bytes, size: int, seed: int) -> bytes:
    """By bytes, as libFuzzer does it, or by tokens, so that most of a document stays what it was."""
    chance = random.Random(seed)
    tokens = TOKEN.findall(data)
    if not tokens or chance.random() < 0.4:
        return atheris.Mutate(data, size)
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(tokens)), chance.randrange(len(tokens))
        low, high = min(at, other), min(max(at, other), min(at, other) + 12) + 1
        match chance.randrange(5):
            case 0:
                tokens[at] = chance.choice(HOSTILE)
            case 1:
                tokens[at] = tokens[other]
            case 2:
                tokens[high:high] = tokens[low:high]
            case 3:
                del tokens[low:high]
            case 4:
                tokens.insert(at, chance.choice(HOSTILE))
        tokens = tokens or [b"\n"]
    return b"".join(tokens)[:size]


def main() -> None:
    """The last argument is the corpus, where the seeds are laid, or a finding to be shown again."""
    name, corpus = sys.argv.pop(1), Path(sys.argv[-1])
    if corpus.is_dir():
        for number, data in enumerate(seeds.seeds(name)):
            (corpus / f"seed-{number:03d}").write_bytes(data)
    atheris.Setup(sys.argv, targets.CHECKS[name], custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
