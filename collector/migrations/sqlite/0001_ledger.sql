-- The ledger: one row per audit record, each with a hash over its content and over the hash before it. How the content is
-- put together from a row, its shape and the texts of its segment is in docs/ledger.md. A segment has the rows of 65536
-- positions. Times are nanoseconds since the Unix epoch; `time_unix_nano` is NULL where it is `at_unix_nano`. A key is the
-- CRC-32 of a searched text.
CREATE TABLE records (
    position INTEGER PRIMARY KEY CHECK (position > 0),
    at_unix_nano INTEGER NOT NULL,
    received_at_unix_nano INTEGER NOT NULL,
    time_unix_nano INTEGER,
    observed_time_unix_nano INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    shape_id INTEGER NOT NULL,
    user_key INTEGER,
    name_key INTEGER,
    email_key INTEGER,
    session_key INTEGER,
    token_key INTEGER,
    stream_key INTEGER,
    hash BLOB NOT NULL,
    uid BLOB NOT NULL UNIQUE,
    trace_id BLOB,
    span_id BLOB,
    body TEXT,
    attribute_values TEXT NOT NULL
);

CREATE INDEX records_by_time ON records (at_unix_nano);
CREATE INDEX records_by_shape ON records (CAST(position / 65536 AS INTEGER), shape_id);
CREATE INDEX records_by_user ON records (CAST(position / 65536 AS INTEGER), user_key) WHERE user_key IS NOT NULL;
CREATE INDEX records_by_name ON records (CAST(position / 65536 AS INTEGER), name_key) WHERE name_key IS NOT NULL;
CREATE INDEX records_by_email ON records (CAST(position / 65536 AS INTEGER), email_key) WHERE email_key IS NOT NULL;
CREATE INDEX records_by_session ON records (CAST(position / 65536 AS INTEGER), session_key) WHERE session_key IS NOT NULL;
CREATE INDEX records_by_token ON records (CAST(position / 65536 AS INTEGER), token_key) WHERE token_key IS NOT NULL;
CREATE INDEX records_by_stream ON records (CAST(position / 65536 AS INTEGER), stream_key) WHERE stream_key IS NOT NULL;

-- What rows of one kind in a segment have in common. In `template`, an object, null stands for what each row has for itself.
-- Where `is_open` is 1, a row can have one of the four searched columns for itself.
CREATE TABLE shapes (
    segment INTEGER NOT NULL,
    id INTEGER NOT NULL,
    event_name TEXT NOT NULL,
    severity_number INTEGER NOT NULL,
    service_name TEXT,
    rule TEXT,
    action TEXT,
    outcome TEXT,
    is_open INTEGER NOT NULL,
    template TEXT NOT NULL,
    PRIMARY KEY (segment, id)
) WITHOUT ROWID;

-- A search reads these alone: templates are long.
CREATE INDEX shapes_by_kind ON shapes (action, service_name, rule, outcome, segment, id);
CREATE INDEX shapes_open ON shapes (segment, id) WHERE is_open = 1;

-- Values that rows of a segment share, as JSON.
CREATE TABLE texts (
    segment INTEGER NOT NULL,
    id INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (segment, id)
) WITHOUT ROWID;

-- The times of the rows of each segment, how often its dictionary was swept, and whether it was since the last deletion.
CREATE TABLE segments (
    segment INTEGER PRIMARY KEY,
    first_at_unix_nano INTEGER NOT NULL,
    last_at_unix_nano INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    is_swept INTEGER NOT NULL
);

-- The records as they were sent, for readers without the program. `attributes` has all attributes.
CREATE VIEW records_view AS
WITH parts AS (
    SELECT records.*, shapes.template, shapes.event_name, shapes.severity_number,
        substr(attribute_values, instr(attribute_values, char(10)) + 1) AS behind_name,
        CASE hex(substr(uid, 1, 1))
            WHEN '01' THEN 'aud_' || lower(substr(hex(uid), 3, 8) || '-' || substr(hex(uid), 11, 4) || '-'
                || substr(hex(uid), 15, 4) || '-' || substr(hex(uid), 19, 4) || '-' || substr(hex(uid), 23))
            WHEN '02' THEN 'sha256:' || lower(substr(hex(uid), 3))
            ELSE CAST(substr(uid, 2) AS TEXT)
        END AS uid_text
    FROM records
    JOIN shapes ON shapes.segment = records.position / 65536 AND shapes.id = records.shape_id
), whole AS (
    SELECT *, CASE WHEN template = '' THEN substr(behind_name, instr(behind_name, char(10)) + 1) ELSE (
        WITH members AS (
            SELECT id, key, template -> fullkey AS constant, type,
                SUM(type = 'null') OVER (ORDER BY id) - 1 AS line
            FROM json_each(template)
        ), lines AS (
            SELECT lines.key AS line, CASE
                WHEN lines.type = 'array' AND lines.value = '[]' THEN json_quote(uid_text)
                WHEN lines.type = 'array' AND lines.value NOT GLOB '[[]*[^0-9]*]' THEN
                    (SELECT text FROM texts WHERE segment = position / 65536 AND id = lines.value ->> 0)
                ELSE ('[' || replace(attribute_values, char(10), ',') || ']') -> lines.fullkey
            END AS value
            FROM json_each('[' || replace(attribute_values, char(10), ',') || ']') AS lines
        )
        SELECT json_group_object(members.key, json(CASE WHEN members.type = 'null' THEN lines.value ELSE constant END))
        FROM members LEFT JOIN lines ON members.type = 'null' AND lines.line = members.line
    ) END AS attributes
    FROM parts
)
SELECT position, hash, uid_text AS uid, received_at_unix_nano, at_unix_nano,
    COALESCE(time_unix_nano, at_unix_nano) AS time_unix_nano, observed_time_unix_nano,
    CASE WHEN template = '' THEN CAST(behind_name AS INTEGER) ELSE severity_number END AS severity_number, flags,
    CASE WHEN template = '' THEN json_extract(substr(attribute_values, 1, instr(attribute_values, char(10)) - 1), '$')
        ELSE event_name END AS event_name,
    attributes ->> '$."audit.stream.id"' AS stream_id, attributes ->> '$."audit.sequence.number"' AS sequence_number,
    attributes ->> '$."service.name"' AS service_name, attributes ->> '$."audit.rule"' AS rule,
    attributes ->> '$."audit.action"' AS action, attributes ->> '$."audit.outcome"' AS outcome,
    attributes ->> '$."user.id"' AS user_id, attributes ->> '$."user.name"' AS user_name,
    attributes ->> '$."user.email"' AS user_email, attributes ->> '$."session.id"' AS session_id,
    attributes ->> '$."session.token_ref"' AS token_ref, NULLIF(lower(hex(trace_id)), '') AS trace_id,
    NULLIF(lower(hex(span_id)), '') AS span_id,
    body, attributes
FROM whole;

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

-- Signed heads of the chain. `root` is that of the tree up to there.
CREATE TABLE checkpoints (
    position INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    made_at_unix_nano INTEGER NOT NULL,
    signature BLOB NOT NULL,
    root BLOB,
    PRIMARY KEY (position, key_id)
);

-- Signed statements about rows that were deleted, so that the chain can be followed across the holes.
CREATE TABLE cuts (
    first_position INTEGER PRIMARY KEY,
    statement TEXT NOT NULL,
    key_id TEXT NOT NULL,
    signature BLOB NOT NULL
);

-- Nodes of the Merkle tree over the hashes of all rows. One at `level` covers the 2^level rows that end with
-- `last_position`. Levels 8, 16, 24 and so on are complete; lower ones are kept for deleted rows.
CREATE TABLE tree (
    level INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, last_position)
) WITHOUT ROWID;

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
