-- What came after version 1 of the store: makes version 5 of it, from 2 to 4 as well.

-- Events that voids took back, per projection version: each is taken back once, however many voids name it.
create table if not exists tillroll.taken_back (
    projection text not null,
    version integer not null,
    event_id uuid not null,
    primary key (projection, version, event_id)
);

-- Versions of projections: their state (see versions.py), the code that projects each, what a rebuild left out, and
-- the places [topic, partition, offset] where it began.
alter table tillroll.projections
    add column if not exists state text not null default 'live',
    add column if not exists code jsonb,
    add column if not exists limits jsonb,
    add column if not exists start jsonb not null default '[]';
update tillroll.projections set state = 'warm' where state = 'live' and not live;

-- How rebuilds go, written by the one at work: rates in events a second, the slowest and quickest of its last parts.
create table if not exists tillroll.replays (
    projection text not null,
    version integer not null,
    started_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    goal bigint not null,
    events bigint not null default 0,
    rate double precision,
    slowest double precision,
    quickest double precision,
    primary key (projection, version)
);

-- What a comparison found: the candidate against the live version at the same positions.
create table if not exists tillroll.compared (
    projection text not null,
    live integer not null,
    candidate integer not null,
    at timestamptz not null default now(),
    result jsonb not null,
    primary key (projection, live, candidate)
);

-- Who changed what readers see, and why.
create table if not exists tillroll.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    who text not null,
    action text not null,
    projection text not null,
    from_version integer,
    to_version integer,
    reason text,
    details jsonb not null default '{}'
);

-- How far a reactor has read, and from where on events are live to it.
create table if not exists tillroll.reactors (
    reactor text not null,
    topic text not null,
    partition integer not null,
    live_from bigint not null,
    next_offset bigint not null,
    primary key (reactor, topic, partition)
) with (fillfactor = 50);

-- Every event that was acted on, and those whose act has begun (done_at is null).
create table if not exists tillroll.reactions (
    reactor text not null,
    event_id uuid not null,
    begun_at timestamptz not null default now(),
    done_at timestamptz,
    primary key (reactor, event_id)
);

-- Events that a version took in, per partition; null = unknown, where it began before they were counted.
alter table tillroll.positions add column if not exists applied bigint;

-- Dead letters that nobody wants to see any more; their events are still known not to be applied.
alter table tillroll.dead_letters add column if not exists discarded boolean not null default false;

update tillroll.store set version = 5;
