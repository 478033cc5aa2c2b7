//! The SQL statements.

/// Entries are durable when a commit returns, regardless of the server's default; and no statement timeout of the
/// server applies.
pub(crate) const SESSION: &str = "set synchronous_commit = on; set statement_timeout = 0;";

/// A writer that stops in the middle of a transaction holds the head; after this number of milliseconds the server ends
/// the transaction.
pub(crate) const PATIENCE: &str = "select set_config('idle_in_transaction_session_timeout', $1, false)";

/// Creates the tables. The lock is held to the end of the transaction: of two that begin at once, one creates them.
pub(crate) const CREATE: &str = "
    select pg_advisory_xact_lock(hashtext('counterpoint'));
    create table if not exists counterpoint_head (
        stream text primary key,
        epoch bigint not null,
        last_seq bigint not null,
        snapshot_at bigint not null
    );
    create table if not exists counterpoint_journal (
        stream text not null,
        seq bigint not null,
        epoch bigint not null,
        event text not null,
        primary key (stream, seq)
    );
    create table if not exists counterpoint_snapshot (
        stream text not null,
        at bigint not null,
        state bytea not null,
        primary key (stream, at)
    );";

pub(crate) const BEGIN_STREAM: &str =
    "insert into counterpoint_head values ($1, 0, 0, 0) on conflict (stream) do nothing";

pub(crate) const TAKE_OVER: &str = "
    update counterpoint_head set epoch = epoch + 1 where stream = $1 returning epoch, last_seq, snapshot_at";

pub(crate) const SNAPSHOT: &str = "select state from counterpoint_snapshot where stream = $1 and at = $2";

pub(crate) const TAIL: &str = "select seq, event from counterpoint_journal where stream = $1 and seq > $2 order by seq";

/// Advances the head if it has the expected epoch and last entry, and inserts the entries if it was advanced.
pub(crate) const APPEND: &str = "
    with head as (
        update counterpoint_head set last_seq = last_seq + cardinality($4::text[])
        where stream = $1 and epoch = $2 and last_seq = $3
        returning stream
    )
    insert into counterpoint_journal
    select head.stream, $3::bigint + new.place, $2, new.event
    from head, unnest($4::text[]) with ordinality as new (event, place)";

pub(crate) const HEAD: &str = "select epoch, last_seq, snapshot_at from counterpoint_head where stream = $1";

pub(crate) const KEEP_STATE: &str = "
    insert into counterpoint_snapshot values ($1, $2, $3)
    on conflict (stream, at) do update set state = excluded.state";

/// The fence of snapshots: the same writer, an existing entry, and not before the last snapshot.
pub(crate) const KEEP_AT: &str = "
    update counterpoint_head set snapshot_at = $3
    where stream = $1 and epoch = $2 and last_seq >= $3 and snapshot_at <= $3";

pub(crate) const DROP_ENTRIES: &str = "delete from counterpoint_journal where stream = $1 and seq <= $2";

pub(crate) const DROP_STATES: &str = "delete from counterpoint_snapshot where stream = $1 and at < $2";
