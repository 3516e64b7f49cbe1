"""A rebuild may be killed, interrupted, paused or cancelled at any moment, and log and store may go away under it."""

import os
import random
import signal
import subprocess
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.replay.conftest import NAME, Scene, in_time, moved

from tillroll.store.postgres import PostgresStore


def children(process: "subprocess.Popen[str]") -> set[int]:
    """Processes that fill for it."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = next(line for line in entry.read_text().splitlines() if line.startswith("PPid:"))
            told = (entry.parent / "cmdline").read_bytes()
        except (OSError, StopIteration):
            continue
        if int(parent.split()[1]) == process.pid and b"spawn_main" in told:
            found.add(int(entry.parent.name))
    return found


def alive(pid: int) -> bool:
    """Running, not merely waiting to be reaped by whoever takes orphans in."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_twenty_times_ends_with_the_rows_of_an_undisturbed_run(scene: Scene) -> None:
    scene.publish(1, 4_000, batch=20)
    scene.project()
    chance, cut_short = random.Random("rebuild"), 0
    for _ in range(20):
        before = scene.filled()
        with scene.rebuilding("--rate", "400", "--processes", "2") as process:
            assert in_time(partial(moved, scene, before, process))
            time.sleep(chance.uniform(0, 0.3))
            cut_short += process.poll() is None
        scene.bury()
    assert cut_short >= 10, "the load was too small to be disturbed"
    assert scene.state() == [(1, "live"), (2, "filling")] or cut_short < 20
    done = scene.run("replay", "rebuild", NAME)
    assert done.returncode == 0, done.stderr
    assert scene.state() == [(1, "live"), (2, "candidate")]
    assert scene.differing() == 0


def test_those_who_fill_end_with_the_one_who_started_them(postgres_scene: Scene) -> None:
    scene = postgres_scene
    scene.publish(1, 2_000, batch=100)
    scene.project()
    with scene.rebuilding("--rate", "50", "--processes", "2") as process:
        assert in_time(lambda: scene.filled() > 0)
        filling = children(process)
        assert len(filling) == 2
        process.kill()
        process.wait()
        assert in_time(lambda: not any(map(alive, filling)), 5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_at_once_and_goes_on_later(postgres_scene: Scene, number: int) -> None:
    scene = postgres_scene
    scene.publish(1, 2_000, batch=100)
    scene.project()
    with scene.rebuilding("--rate", "50") as process:
        assert in_time(lambda: scene.filled() > 0)
        filling = children(process)
        os.kill(process.pid, number)
        _, told = process.communicate(timeout=5)
        assert "Traceback" not in told
        assert process.returncode != 0
        assert in_time(lambda: not any(map(alive, filling)), 5)
    assert scene.state() == [(1, "live"), (2, "filling")]
    assert scene.run("replay", "rebuild", NAME).returncode == 0
    assert scene.differing() == 0


def test_a_rate_bounds_every_commit(postgres_scene: Scene) -> None:
    scene = postgres_scene
    scene.publish(1, 2_000, batch=1_000)
    scene.project()
    seen = [0]
    with scene.rebuilding("--rate", "100") as process:
        while seen[-1] < 400 and process.poll() is None:
            if (now := scene.filled()) != seen[-1]:
                seen.append(now)
            time.sleep(0.01)
    steps = [after - before for before, after in pairwise(seen)]
    assert len(steps) >= 4
    assert max(steps) <= 200  # a look may miss one commit


def test_pause_and_cancel_do_not_wait_for_a_slow_rate(postgres_scene: Scene) -> None:
    scene = postgres_scene
    scene.publish(1, 2_000, batch=1_000)
    scene.project()
    before = everything(scene)
    with scene.rebuilding("--rate", "1") as process:
        assert in_time(lambda: scene.filled() > 0)
        assert scene.run("replay", "pause", NAME).returncode == 0
        assert "was paused from elsewhere" in process.communicate(timeout=10)[0]
    assert scene.state() == [(1, "live"), (2, "paused")]
    with scene.rebuilding("--rate", "1") as process:
        at = scene.filled()
        assert in_time(lambda: scene.filled() > at)
        done = scene.run("replay", "cancel", NAME)
        assert done.returncode == 0, done.stderr
        process.communicate(timeout=10)
    after = everything(scene)
    assert [entry for entry in after.pop("audit") if "cancel" in str(entry)]
    before.pop("audit")
    assert after == before


def everything(scene: Scene) -> dict[str, list[str]]:
    """All rows of the store's own tables, and the schemas there are."""
    with scene.opened() as (_, store), store.connection() as connection:
        names = connection.execute(
            "select tablename from pg_tables where schemaname = 'tillroll' order by 1"
        ).fetchall()
        found = {
            name: [
                str(row[0])
                for row in connection.execute(
                    f"select to_jsonb(t) - 'updated_at' from tillroll.{name} t order by 1".encode()
                )
            ]
            for (name,) in names
        }
        found["schemas"] = [
            row[0]
            for row in connection.execute(
                "select nspname from pg_namespace where nspname !~ '^pg_' order by 1"
            )
        ]
    return found


def test_connections_that_are_cut_are_made_anew(postgres_scene: Scene) -> None:
    scene = postgres_scene
    scene.publish(1, 2_000, batch=20)
    scene.project()
    with scene.rebuilding("--rate", "400", "--processes", "2") as process:
        for _ in range(5):
            at = scene.filled()
            assert in_time(partial(moved, scene, at, process))
            cut(PostgresStore(scene.store_address))
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
    assert scene.state() == [(1, "live"), (2, "candidate")]
    assert scene.differing() == 0


def cut(store: PostgresStore) -> None:
    """Every connection to the database but ours, as a server that restarts does."""
    with store.connection() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    store.close()


def test_the_live_version_goes_on_meanwhile(postgres_scene: Scene) -> None:
    scene = postgres_scene
    scene.publish(1, 1_000, batch=20)
    scene.project()
    with scene.rebuilding("--rate", "100") as process:
        assert in_time(lambda: scene.filled() > 0)
        behind = scene.filled()
        scene.publish(2, 200, batch=20)
        scene.project()
        assert scene.filled(1) == 1_200
        assert process.poll() is None
        assert behind < 1_000
    assert scene.run("replay", "rebuild", NAME).returncode == 0
    assert scene.differing() == 0
