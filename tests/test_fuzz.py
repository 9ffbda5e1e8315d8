"""make fuzz, for seconds: nothing is found in this library, and what breaks a law is found."""

import re
import subprocess
import sys

import pytest

import fuzz
from etl import readers
from etl.settings import ROOT

pytest.importorskip("atheris", reason="the fuzzer has no wheel for this platform")


def test_seconds_of_fuzzing_find_nothing_and_reach_code_of_every_target(tmp_path):
    command = [sys.executable, "-m", "fuzz", "--seconds", "4", "--findings", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
    reached = re.findall(r"^(\w+): [\d,]+ inputs in 1 s reached ([\d,]+) points", done.stdout, re.M)
    assert [name for name, _ in reached] == list(fuzz.TARGETS)
    assert all(int(points.replace(",", "")) > 10 for _, points in reached)


def test_a_record_that_a_reader_loses_is_a_finding(monkeypatch):
    from fuzz import targets

    whole, block_bytes = readers._line_table, readers.BLOCK_BYTES
    monkeypatch.setattr(readers, "_line_table", lambda *given: whole(*given)[1:])

    targets.read(b'\x00{"a":1}\n{"a":2}')  # another way reads it
    with pytest.raises((AssertionError, ValueError)):
        targets.read(b'\x00\n{"a":1}\n{"a":2}')
    assert block_bytes == readers.BLOCK_BYTES, "what it sets for itself is not left to others"


def test_a_mutation_stays_within_its_size_and_is_the_same_for_the_same_seed(monkeypatch):
    from fuzz import one

    monkeypatch.setattr(one.atheris, "Mutate", lambda data, size: data)
    for seed in range(200):
        made = one.mutated(b'{"a": [1, "b"]}\n', 40, seed)
        assert len(made) <= 40 and made == one.mutated(b'{"a": [1, "b"]}\n', 40, seed)
