-- The log in PostgreSQL, version 1. Run once per database, in one transaction.

create schema tillroll_log;

-- One row: which log this is, for good, and the version of its tables.
create table tillroll_log.identity (
    identity uuid not null default gen_random_uuid(),
    version integer not null default 1
);
insert into tillroll_log.identity default values;

-- The end of every partition. Updating a row locks it to the commit, so offsets have no gaps and
-- become visible in order.
create table tillroll_log.partitions (
    id integer generated always as identity primary key,
    topic text not null,
    partition integer not null,
    start_offset bigint not null default 0,
    next_offset bigint not null default 0,
    last_time bigint not null default 0, -- milliseconds since the epoch of the newest record
    unique (topic, partition)
) with (fillfactor = 50);

-- Bodies in Kafka's record layout, compressed by us (zstd) unless they are small, so PostgreSQL need not try.
create table tillroll_log.batches (
    partition_id integer not null references tillroll_log.partitions,
    base_offset bigint not null,
    count integer not null,
    first_timestamp bigint not null, -- milliseconds; the records' deltas are added to it
    last_timestamp bigint not null,  -- milliseconds, of the newest record
    raw_bytes integer not null,      -- of the body when decompressed
    body bytea not null,
    primary key (partition_id, base_offset)
);
alter table tillroll_log.batches alter column body set storage external;

-- Every event_id ever appended, and where: what makes a second append of it a duplicate.
create table tillroll_log.event_ids (
    event_id uuid primary key,
    partition_id integer not null,
    log_offset bigint not null
);

create sequence tillroll_log.member_locks as integer cycle;

-- Members of consumer groups; alive while the advisory lock `lock_key` is held.
create table tillroll_log.members (
    group_name text not null,
    member uuid primary key,
    lock_key integer not null
);

-- Appends one batch of new events: durable and visible when the caller commits.
-- Locks the partition first; an event_id always goes to one partition, so writers that meet on an id
-- have met on the lock before and never wait for each other in a circle.
-- Returns the offset of the first event. Raises TR404 when there is no such partition, and unique_violation when an
-- event_id is in the log already (nothing is written then).
create function tillroll_log.append(
    p_topic text, p_partition integer, p_ids uuid[], p_raw_bytes integer, p_body bytea
) returns bigint language plpgsql as $$
declare
    n constant integer := cardinality(p_ids);
    part tillroll_log.partitions;
    base bigint;
begin
    update tillroll_log.partitions
       set next_offset = next_offset + n,
           last_time = greatest(last_time, floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
     where topic = p_topic and partition = p_partition
    returning * into part;
    if not found then
        raise exception using errcode = 'TR404', message = 'no such partition';
    end if;
    base := part.next_offset - n;
    insert into tillroll_log.event_ids (event_id, partition_id, log_offset)
    select new.id, part.id, base + place - 1
      from unnest(p_ids) with ordinality as new (id, place)
     order by new.id;
    insert into tillroll_log.batches values (part.id, base, n, part.last_time, part.last_time, p_raw_bytes, p_body);
    perform pg_notify('tillroll_log', p_topic);
    return base;
end $$;
