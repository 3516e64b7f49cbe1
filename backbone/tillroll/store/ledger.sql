-- What reactors read and did. Run when first used; nothing is lost when it is run again.

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
