//! The SQL statements.
//!
//! Each is a transaction of its own, so a host that stops anywhere holds no lock. The exception is an append with rows of
//! the host, which `PATIENCE` bounds.

/// Entries are durable when a commit returns, regardless of the server's default; and no statement timeout of the
/// server applies. The server gives up clients that are gone silently.
pub(crate) const SESSION: &str = "set synchronous_commit = on; set statement_timeout = 0;
    set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;";

/// Bounds in milliseconds: after the first the server ends a transaction whose host has stopped within it, after the
/// second a statement that waits for a lock.
pub(crate) const PATIENCE: &str = "
    select set_config('idle_in_transaction_session_timeout', $1, false), set_config('lock_timeout', $2, false)";

/// Creates the tables, in the implicit transaction of one message. The lock is held to its end: of two that begin at
/// once, one creates them.
pub(crate) const CREATE: &str = "
    select pg_advisory_xact_lock(hashtext('counterpoint'));
    create table if not exists counterpoint_head (
        stream text primary key,
        epoch bigint not null,
        last_seq bigint not null,
        snapshot_at bigint not null,
        hash bytea not null
    );
    create table if not exists counterpoint_journal (
        stream text not null,
        seq bigint not null,
        epoch bigint not null,
        event text not null,
        hash bytea not null,
        primary key (stream, seq)
    );
    create table if not exists counterpoint_snapshot (
        stream text not null,
        at bigint not null,
        state bytea not null,
        sum bytea not null,
        hash bytea not null,
        primary key (stream, at)
    );
    create table if not exists counterpoint_takeover (
        stream text primary key,
        epoch bigint not null,
        last_seq bigint not null,
        hash bytea not null
    );";

/// A head for a stream of which nothing is left but its head is not created again.
pub(crate) const BEGIN_STREAM: &str = "
    insert into counterpoint_head
    select $1, 0, 0, 0, $2
    where not exists (select from counterpoint_takeover where stream = $1)
        and not exists (select from counterpoint_journal where stream = $1)
        and not exists (select from counterpoint_snapshot where stream = $1)
    on conflict (stream) do nothing";

pub(crate) const TAKE_OVER: &str = "
    update counterpoint_head set epoch = epoch + 1 where stream = $1 returning epoch, last_seq, snapshot_at, hash";

/// As [`TAKE_OVER`], by the writer of this epoch alone.
pub(crate) const RECLAIM: &str = "
    update counterpoint_head set epoch = epoch + 1 where stream = $1 and epoch = $2
    returning epoch, last_seq, snapshot_at, hash";

pub(crate) const LAST_TAKEOVER: &str = "select epoch, last_seq, hash from counterpoint_takeover where stream = $1";

/// Records what a take-over has verified, unless a later one has done so.
pub(crate) const RECORD_TAKEOVER: &str = "
    insert into counterpoint_takeover values ($1, $2, $3, $4)
    on conflict (stream) do update set epoch = excluded.epoch, last_seq = excluded.last_seq, hash = excluded.hash
    where counterpoint_takeover.epoch < excluded.epoch";

pub(crate) const SNAPSHOT: &str = "select state, sum, hash from counterpoint_snapshot where stream = $1 and at = $2";

pub(crate) const TAIL: &str = "
    select seq, epoch, event, hash from counterpoint_journal where stream = $1 and seq > $2 order by seq";

/// Entries before a snapshot, which no state needs.
pub(crate) const HISTORY: &str = "
    select event from counterpoint_journal where stream = $1 and seq > $2 and seq <= $3 order by seq";

/// Advances the head if it has the expected epoch, last entry and hash, and inserts the entries if it was advanced. Without the hash,
/// a writer from before a restored backup could append after entries that it does not know, once the others have as many.
pub(crate) const APPEND: &str = "
    with head as (
        update counterpoint_head
        set last_seq = last_seq + cardinality($4::text[]), hash = ($5::bytea[])[cardinality($5::bytea[])]
        where stream = $1 and epoch = $2 and last_seq = $3 and hash = $6
        returning stream
    )
    insert into counterpoint_journal
    select head.stream, $3::bigint + new.place, $2, new.event, new.hash
    from head, unnest($4::text[], $5::bytea[]) with ordinality as new (event, hash, place)";

/// The same for several streams: locks their heads in the order of their names, advances those that have the expected epoch,
/// last entry and hash, and inserts their entries. Returns what each head was, which says whether its entries were stored.
pub(crate) const APPEND_ALL: &str = "
    with asked as (
        select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $10::bytea[])
            as asked (stream, epoch, after, last, hash, before)
    ), locked as materialized (
        select stream, epoch, last_seq, hash from counterpoint_head
        where stream = any ($1::text[]) order by stream for update
    ), advanced as (
        update counterpoint_head head set last_seq = asked.last, hash = asked.hash
        from asked, locked
        where head.stream = asked.stream and locked.stream = asked.stream
            and locked.epoch = asked.epoch and locked.last_seq = asked.after and locked.hash = asked.before
            and asked.last > asked.after and head.epoch = asked.epoch and head.last_seq = asked.after
        returning head.stream, head.epoch
    ), stored as (
        insert into counterpoint_journal
        select new.stream, new.seq, advanced.epoch, new.event, new.hash
        from unnest($6::text[], $7::bigint[], $8::text[], $9::bytea[]) as new (stream, seq, event, hash)
        join advanced on advanced.stream = new.stream
        returning 1
    )
    select stream, epoch, last_seq, hash from locked";

/// As [`TAKE_OVER`] returns it, without a change.
pub(crate) const WHOLE_HEAD: &str = "
    select epoch, last_seq, snapshot_at, hash from counterpoint_head where stream = $1";

pub(crate) const HEAD: &str = "select epoch, last_seq, snapshot_at, hash from counterpoint_head where stream = $1";

/// Stores a snapshot with the hash of its last entry, if the head has the same writer, has reached the entry, and has no
/// later snapshot.
pub(crate) const KEEP: &str = "
    with head as (
        update counterpoint_head set snapshot_at = $3
        where stream = $1 and epoch = $2 and last_seq >= $3 and snapshot_at <= $3
        returning stream
    )
    insert into counterpoint_snapshot
    select head.stream, $3, $4, $5, coalesce(
        (select hash from counterpoint_journal where stream = $1 and seq = $3),
        (select hash from counterpoint_snapshot where stream = $1 and at = $3),
        case when $3 = 0 then $6::bytea end
    )
    from head
    on conflict (stream, at) do update set state = excluded.state, sum = excluded.sum";

pub(crate) const DROP_ENTRIES: &str = "delete from counterpoint_journal where stream = $1 and seq <= $2";

pub(crate) const DROP_STATES: &str = "delete from counterpoint_snapshot where stream = $1 and at < $2";
