"""Readers' views, pointed to another version of a projection in one transaction.

Readers of a view never see a gap or a mixture: what they began they finish on the old rows, and what they
begin later reads the new ones. The switch waits for running readers for a moment only, because whoever comes
after a waiting lock waits too; then it lets them pass and tries again (design.md 6).
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from tillroll.database import Connection
from tillroll.errors import TillrollError
from tillroll.projection.declare import Projection
from tillroll.projection.registry import view_names
from tillroll.store.postgres import PostgresStore
from tillroll.store.sql import drop_views, quoted, views

__all__ = ["LOCK_MILLISECONDS", "replace_views", "switch"]

LOCK_MILLISECONDS = 50
PATIENCE = 60.0  # seconds of trying in all
PAUSES = (0.05, 0.3)  # seconds between tries, drawn at random: two who switch do not meet again


def switch(
    store: PostgresStore,
    old: type[Projection] | None,
    new: type[Projection],
    also: Callable[[Connection], None],
    patience: float = PATIENCE,
) -> int:
    """Point readers' views from `old` to `new`; `also` runs in the same transaction. How many tries it took.

    Grants, owner, options and comments of a view, and of its columns, go over to the view of the same name; an owner
    who is not us may read the new tables, as the view needs. Raises TillrollError, nothing
    being changed, where somebody else's view depends on one of ours, or readers never make room.
    """
    end, tries = time.monotonic() + patience, 0
    connection = store.database.connect(autocommit=True)
    try:
        while True:
            tries += 1
            try:
                with store.database.translated(), connection.transaction():
                    connection.execute(f"set local lock_timeout = {LOCK_MILLISECONDS}".encode())
                    replace_views(connection, old, new)
                    also(connection)
                return tries
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                if time.monotonic() > end:
                    raise TillrollError(_in_the_way(connection, old or new, patience)) from None
                time.sleep(random.uniform(*PAUSES))
    finally:
        connection.close()


def replace_views(connection: Connection, old: type[Projection] | None, new: type[Projection]) -> None:
    """The statements of a switch; the caller's transaction makes them one."""
    kept = _properties(connection, view_names(old or new))
    try:
        connection.execute((drop_views(old or new) + drop_views(new)).encode())
    except psycopg.errors.DependentObjectsStillExist as error:
        raise TillrollError(
            f"{new.name}: a view of somebody else reads one of ours and would be lost: {error.diag.message_detail}; "
            "drop it, do this again, and make it anew"
        ) from error
    connection.execute(views(new).encode())
    names = set(view_names(new))
    for view in kept:
        if view.name in names:
            _restore(connection, view, new.schema())


@dataclass(frozen=True, slots=True)
class _View:
    """What belongs to a view beside its text. grants: (privilege, column or '', grantee or '' = public, grantable).

    options: as ``security_barrier=true``. comments: by column, '' = the view's own.
    """

    name: str
    owner: str
    ours: bool
    options: tuple[str, ...]
    comments: tuple[tuple[str, str], ...]
    grants: tuple[tuple[str, str, str, bool], ...]


_VIEW = """
    select c.oid, pg_get_userbyid(c.relowner), pg_get_userbyid(c.relowner) = current_user, coalesce(c.reloptions, '{}')
      from pg_class c
     where c.oid = to_regclass(quote_ident(%s)) and c.relkind = 'v'"""

_COMMENTS = """
    select coalesce(a.attname, ''), d.description
      from pg_description d left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and a.attnum > 0
     where d.objoid = %s and d.classoid = 'pg_class'::regclass"""

_GRANTS = """
    select g.privilege_type, '', case when g.grantee = 0 then '' else pg_get_userbyid(g.grantee) end, g.is_grantable
      from pg_class c, aclexplode(c.relacl) g where c.oid = %(oid)s and g.grantee <> c.relowner
    union all
    select g.privilege_type, a.attname, case when g.grantee = 0 then '' else pg_get_userbyid(g.grantee) end,
           g.is_grantable
      from pg_attribute a, aclexplode(a.attacl) g where a.attrelid = %(oid)s and not a.attisdropped"""


def _properties(connection: Connection, names: Sequence[str]) -> list[_View]:
    found = []
    for name in names:
        row = connection.execute(_VIEW, [name]).fetchone()
        if row is not None:
            oid, owner, ours, options = row
            grants = connection.execute(_GRANTS, {"oid": oid}).fetchall()
            comments = connection.execute(_COMMENTS, [oid]).fetchall()
            given = tuple((str(p), c, g, o) for p, c, g, o in grants)
            found.append(_View(name, owner, ours, tuple(options), tuple((c, t) for c, t in comments), given))
    return found


def _restore(connection: Connection, view: _View, schema: str) -> None:
    name = quoted(view.name)
    for privilege, column, grantee, grantable in view.grants:
        if column and not _has_column(connection, view.name, column):
            continue
        of = f" ({quoted(column)})" if column else ""
        to = quoted(grantee) if grantee else "public"
        option = " with grant option" if grantable else ""
        connection.execute(f"grant {privilege}{of} on {name} to {to}{option}".encode())
    for column, comment in view.comments:
        if column and not _has_column(connection, view.name, column):
            continue
        of = f"column {name}.{quoted(column)}" if column else f"view {name}"
        text = psycopg.sql.Literal(comment).as_string(connection)
        connection.execute(f"comment on {of} is {text}".encode())
    if view.options:
        connection.execute(f"alter view {name} set ({', '.join(view.options)})".encode())
    if any(option.startswith("security_invoker") for option in view.options):
        for role in {grantee for _, _, grantee, _ in view.grants}:
            _let_read(connection, quoted(role) if role else "public", schema)
    if not view.ours:
        _let_read(connection, quoted(view.owner), schema)
        connection.execute(f"alter view {name} owner to {quoted(view.owner)}".encode())


def _let_read(connection: Connection, role: str, schema: str) -> None:
    """By the rights of its owner, or of whoever asks, a view reads its tables."""
    connection.execute(
        f"grant usage on schema {quoted(schema)} to {role}; grant select on all tables in schema {quoted(schema)} to {role}".encode()
    )


def _has_column(connection: Connection, view: str, column: str) -> bool:
    return (
        connection.execute(
            "select 1 from pg_attribute where attrelid = to_regclass(quote_ident(%s)) and attname = %s",
            [view, column],
        ).fetchone()
        is not None
    )


def _in_the_way(connection: Connection, projection: type[Projection], patience: float) -> str:
    """Who holds the views, in one line."""
    rows = connection.execute(
        "select distinct a.pid, coalesce(a.usename, ''), left(a.query, 60) from pg_locks l join pg_stat_activity a "
        "using (pid) where l.relation = any(select to_regclass(quote_ident(n)) from unnest(%s::text[]) n) "
        "and l.granted and a.pid <> pg_backend_pid() limit 3",
        [list(view_names(projection))],
    ).fetchall()
    who = "; ".join(f"process {pid} of {user}: {' '.join(text.split())}" for pid, user, text in rows)
    return (
        f"readers of {projection.name} made no room for {patience:.0f} s, so nothing was switched"
        f"{f' ({who})' if who else ''}; end the long transactions that read it, then do this again"
    )
