-- The store's own tables, version 1. Run once per database, in one transaction.

create schema tillroll;

-- One row: the version of these tables, and the one log whose events this store holds.
create table tillroll.store (
    version integer not null default 1,
    identity uuid not null default gen_random_uuid(),
    log_identity text
);
insert into tillroll.store default values;

create table tillroll.projections (
    name text not null,
    version integer not null,
    fingerprint text not null, -- of the declaration that made the tables
    live boolean not null,     -- readers' views point to it
    created_at timestamptz not null default now(),
    primary key (name, version)
);

-- How far each projection has read. `epoch` goes up with every owner: who commits under an older one has
-- been replaced.
create table tillroll.positions (
    projection text not null,
    version integer not null,
    topic text not null,
    partition integer not null,
    next_offset bigint not null,
    epoch bigint not null,
    updated_at timestamptz not null default now(),
    primary key (projection, version, topic, partition)
) with (fillfactor = 50);

-- Events that could not be applied; version 0 of projection '' is admission's own.
create table tillroll.dead_letters (
    id bigint generated always as identity primary key,
    projection text not null,
    version integer not null,
    topic text not null,
    partition integer not null,
    log_offset bigint not null,
    record text,
    event_id text,
    error text not null,
    message text not null,
    traceback text not null,
    value bytea,
    created_at timestamptz not null default now(),
    unique (projection, version, topic, partition, log_offset)
);

-- Admission (logs that do not settle duplicates themselves): up to where, by whom, and what to pass over.
create table tillroll.admitted (
    topic text not null,
    partition integer not null,
    id integer generated always as identity unique,
    next_offset bigint not null,
    epoch bigint not null,
    primary key (topic, partition)
) with (fillfactor = 50);

create table tillroll.skipped (
    partition_id integer not null,
    first_offset bigint not null, -- of the admitted run these belong to
    next_offset bigint not null,
    offsets int8multirange not null,
    primary key (partition_id, first_offset)
);

create table tillroll.event_ids (
    event_id uuid primary key,
    partition_id integer not null,
    log_offset bigint not null
);
