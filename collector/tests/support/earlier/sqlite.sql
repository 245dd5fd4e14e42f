-- The ledger: one row per audit record, each with a hash over itself and over the hash before it. `attributes` holds all
-- attributes of resource and record as one JSON object; the columns between `event_name` and `span_id` repeat those that are
-- searched for, cut to 256 bytes. `at_unix_nano` is `time_unix_nano`, or the time of receipt where that cannot be believed.
CREATE TABLE records (
    position INTEGER PRIMARY KEY CHECK (position > 0),
    hash BLOB NOT NULL,
    uid TEXT NOT NULL UNIQUE,
    received_at_unix_nano INTEGER NOT NULL,
    at_unix_nano INTEGER NOT NULL,
    time_unix_nano INTEGER NOT NULL,
    observed_time_unix_nano INTEGER NOT NULL,
    severity_number INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    event_name TEXT NOT NULL,
    stream_id TEXT,
    sequence_number INTEGER,
    service_name TEXT,
    rule TEXT,
    action TEXT,
    outcome TEXT,
    user_id TEXT,
    user_name TEXT,
    user_email TEXT,
    session_id TEXT,
    token_ref TEXT,
    trace_id TEXT,
    span_id TEXT,
    body TEXT,
    attributes TEXT NOT NULL
);

CREATE INDEX records_by_time ON records (at_unix_nano);
CREATE INDEX records_by_stream ON records (stream_id, at_unix_nano);
CREATE INDEX records_by_rule ON records (rule, at_unix_nano);
CREATE INDEX records_by_action ON records (action, at_unix_nano);
CREATE INDEX records_by_outcome ON records (outcome, at_unix_nano);
CREATE INDEX records_by_user ON records (user_id, at_unix_nano) WHERE user_id IS NOT NULL;
CREATE INDEX records_by_name ON records (user_name, at_unix_nano) WHERE user_name IS NOT NULL;
CREATE INDEX records_by_email ON records (user_email, at_unix_nano) WHERE user_email IS NOT NULL;
CREATE INDEX records_by_session ON records (session_id, at_unix_nano) WHERE session_id IS NOT NULL;
CREATE INDEX records_by_token ON records (token_ref, at_unix_nano) WHERE token_ref IS NOT NULL;

-- Where the chain ends: position and hash of the newest row, also when that row was deleted.
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    hash BLOB NOT NULL
);

-- What was sent under the uid of a kept record, but differs from it.
CREATE TABLE conflicts (
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,
    uid TEXT NOT NULL,
    received_at_unix_nano INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (position, digest)
);

-- Signed heads of the chain.
CREATE TABLE checkpoints (
    position INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    made_at_unix_nano INTEGER NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (position, key_id)
);

-- Signed statements about rows that were deleted, so that the chain can be followed across the holes.
CREATE TABLE cuts (
    first_position INTEGER PRIMARY KEY,
    statement TEXT NOT NULL,
    key_id TEXT NOT NULL,
    signature BLOB NOT NULL
);

-- One row, written to find out whether the database takes writes; nothing reads it.
CREATE TABLE rehearsals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL,
    content BLOB NOT NULL
);

-- Views: folds over the ledger, which can be made anew from it at any time.

-- Up to which position they have been made.
CREATE TABLE views (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL
);

-- One row per stream of a filter: what of it was received, as JSON, and what its status follows from at any time. A stream
-- that has ended completely is settled.
CREATE TABLE streams (
    stream_id TEXT PRIMARY KEY,
    last_seen_unix_nano INTEGER NOT NULL,
    is_settled INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    missing_since_unix_nano INTEGER,
    missing_until_unix_nano INTEGER,
    silent_after_unix_nano INTEGER,
    state TEXT NOT NULL
);

CREATE INDEX streams_by_time ON streams (last_seen_unix_nano, stream_id);
CREATE INDEX streams_unsettled ON streams (last_seen_unix_nano, stream_id) WHERE is_settled = 0;
CREATE INDEX streams_with_gaps ON streams (last_seen_unix_nano, stream_id) WHERE missing > 0;
CREATE INDEX streams_missing ON streams (missing_until_unix_nano, missing_since_unix_nano, missing) WHERE missing > 0;
CREATE INDEX streams_silent ON streams (silent_after_unix_nano, last_seen_unix_nano)
    WHERE silent_after_unix_nano IS NOT NULL;

-- Sums over the settled streams, and over the others.
CREATE TABLE stream_sums (
    is_settled INTEGER PRIMARY KEY,
    streams INTEGER NOT NULL,
    received INTEGER NOT NULL,
    explained INTEGER NOT NULL
);

-- One row per session: sums and latest values, whatever the order in which its records came. What the latest record tells
-- of has the time of the record that told it; `user_name_of` is the user whose name it is.
CREATE TABLE sessions (
    session_key TEXT PRIMARY KEY,
    session_id TEXT,
    token_ref TEXT,
    token_at_unix_nano INTEGER,
    user_id TEXT,
    user_at_unix_nano INTEGER,
    user_name TEXT,
    user_name_of TEXT,
    user_name_at_unix_nano INTEGER,
    start_unix_nano INTEGER NOT NULL,
    last_seen_unix_nano INTEGER NOT NULL,
    end_unix_nano INTEGER,
    ended_by TEXT,
    events INTEGER NOT NULL,
    last_action TEXT,
    last_outcome TEXT
);

CREATE INDEX sessions_by_time ON sessions (last_seen_unix_nano, session_key);
CREATE INDEX sessions_by_user ON sessions (user_id, last_seen_unix_nano, session_key) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_by_token ON sessions (token_ref, last_seen_unix_nano, session_key) WHERE token_ref IS NOT NULL;

-- Fields of the session context, one row for each change.
CREATE TABLE signals (
    session_key TEXT NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    since_unix_nano INTEGER NOT NULL,
    uid TEXT NOT NULL,
    PRIMARY KEY (session_key, position, name)
);

-- Requests of a rule by user and bucket, which is the number of the five minutes since the Unix epoch; an unknown user
-- is ''.
CREATE TABLE usage_users (
    rule TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (rule, bucket, user_id)
) WITHOUT ROWID;

-- The sums of the same over users; `square_sum` is the sum over known users of the square of their requests.
CREATE TABLE usage_buckets (
    rule TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    users INTEGER NOT NULL,
    user_requests INTEGER NOT NULL,
    square_sum INTEGER NOT NULL,
    PRIMARY KEY (rule, bucket)
) WITHOUT ROWID;

-- Words by which records are found, for suggestions: one row for each of the first words of a text, from that word on, in
-- lower case. The user is '' when unknown, and for actions.
CREATE TABLE terms (
    kind TEXT NOT NULL,
    term TEXT NOT NULL,
    value TEXT NOT NULL,
    user_id TEXT NOT NULL,
    last_seen_unix_nano INTEGER NOT NULL,
    PRIMARY KEY (kind, term, value, user_id)
) WITHOUT ROWID;
