-- Tables that came after version 1 of the store. Run whenever a store is opened; nothing is lost by it.

-- Events that voids took back, per projection version: each is taken back once, however many voids name it.
create table if not exists tillroll.taken_back (
    projection text not null,
    version integer not null,
    event_id uuid not null,
    primary key (projection, version, event_id)
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
