-- One row per audit record. `attributes` holds all attributes of resource and record as one JSON object;
-- the columns between `event_name` and `session_id` repeat those that are searched for.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    received_at_unix_nano INTEGER NOT NULL,
    time_unix_nano INTEGER NOT NULL,
    observed_time_unix_nano INTEGER NOT NULL,
    severity_number INTEGER NOT NULL,
    event_name TEXT NOT NULL,
    stream_id TEXT,
    batch_id TEXT,
    sequence_number INTEGER,
    service_name TEXT,
    rule TEXT,
    action TEXT,
    outcome TEXT,
    user_id TEXT,
    session_id TEXT,
    trace_id TEXT,
    span_id TEXT,
    body TEXT,
    attributes TEXT NOT NULL
);

CREATE INDEX records_by_action ON records (action);
CREATE INDEX records_by_user ON records (user_id);
CREATE INDEX records_by_session ON records (session_id);
CREATE INDEX records_by_stream ON records (stream_id, sequence_number);
CREATE INDEX records_by_time ON records (time_unix_nano);
