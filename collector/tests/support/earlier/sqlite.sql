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
