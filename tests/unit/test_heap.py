"""What a batch has freed is kept for the next one."""

import gc
import os
import platform
import subprocess
import sys
from contextlib import suppress

import pytest

from tillroll.heap import keep_freed, uncollected, variables_to_keep_freed

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


def test_who_is_started_keeps_what_it_frees_unless_its_user_says_how_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "4711")
    before = dict(os.environ)
    assert variables_to_keep_freed(1 << 20) == before | {"MALLOC_TRIM_THRESHOLD_": "1048576"}
    assert dict(os.environ) == before
