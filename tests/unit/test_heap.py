"""What a batch has freed is kept for the next one."""

import ast
import gc
import platform
import subprocess
import sys
from contextlib import suppress

import pytest

from tillroll.heap import keep_freed, started_keep_freed, uncollected

TAKE_AND_FREE = """
import resource, sys
from tillroll.heap import keep_freed
if {kept}:
    assert keep_freed()
taken = lambda: [b"x" * (8 << 20) for _ in range(4)]
taken()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    taken()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: bool) -> int:
    """Page faults while 32 MiB are taken and freed twenty times."""
    code = TAKE_AND_FREE.format(kept=kept)
    return int(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    )


def test_pages_are_not_asked_for_again_where_the_c_library_is_glibc() -> None:
    assert keep_freed() is (platform.libc_ver()[0] == "glibc")
    if keep_freed():
        assert faults(kept=True) < faults(kept=False) / 10


@pytest.mark.parametrize("on", [True, False])
def test_no_cycles_are_looked_for_meanwhile_and_afterwards_it_is_as_it_was(on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with suppress(LookupError), uncollected():
            assert not gc.isenabled()
            raise LookupError
        assert gc.isenabled() == on
    finally:
        (gc.enable if before else gc.disable)()


TOLD = "import os; print({name: os.environ.get(name) for name in ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_')})"


def told() -> object:
    done = subprocess.run([sys.executable, "-c", TOLD], check=True, capture_output=True, text=True)
    return ast.literal_eval(done.stdout)


def test_who_is_started_meanwhile_keeps_what_it_frees_unless_its_user_says_how_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "4711")
    before = told()
    with suppress(LookupError), started_keep_freed(1 << 20):
        assert told() == {"MALLOC_TRIM_THRESHOLD_": "1048576", "MALLOC_MMAP_THRESHOLD_": "4711"}
        raise LookupError
    assert told() == before == {"MALLOC_TRIM_THRESHOLD_": None, "MALLOC_MMAP_THRESHOLD_": "4711"}
