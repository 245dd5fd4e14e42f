-- The ledger: one row per audit record, each with a hash over its content and over the hash before it. How the content is
-- put together from a row, its shape and the texts of its segment is in docs/ledger.md. A segment has the rows of 65536
-- positions. Times are nanoseconds since the Unix epoch; `time_unix_nano` is NULL where it is `at_unix_nano`. A key is the
-- CRC-32 of a searched text.
CREATE TABLE records (
    position BIGINT PRIMARY KEY CHECK (position > 0),
    at_unix_nano BIGINT NOT NULL,
    received_at_unix_nano BIGINT NOT NULL,
    time_unix_nano BIGINT,
    observed_time_unix_nano BIGINT NOT NULL,
    flags INTEGER NOT NULL,
    shape_id INTEGER NOT NULL,
    user_key INTEGER,
    name_key INTEGER,
    email_key INTEGER,
    session_key INTEGER,
    token_key INTEGER,
    stream_key INTEGER,
    hash BYTEA NOT NULL,
    uid BYTEA NOT NULL UNIQUE,
    trace_id BYTEA,
    span_id BYTEA,
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
    severity_number BIGINT NOT NULL,
    service_name TEXT,
    rule TEXT,
    action TEXT COLLATE "C",
    outcome TEXT,
    is_open INTEGER NOT NULL,
    template TEXT NOT NULL,
    PRIMARY KEY (segment, id)
);

-- A search reads these alone: templates are long.
CREATE INDEX shapes_by_kind ON shapes (action, service_name, rule, outcome, segment, id);
CREATE INDEX shapes_open ON shapes (segment, id) WHERE is_open = 1;

-- Values that rows of a segment share, as JSON.
CREATE TABLE texts (
    segment INTEGER NOT NULL,
    id INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (segment, id)
);

-- The times of the rows of each segment, how often its dictionary was swept, and whether it was since the last deletion.
CREATE TABLE segments (
    segment INTEGER PRIMARY KEY,
    first_at_unix_nano BIGINT NOT NULL,
    last_at_unix_nano BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    is_swept BIGINT NOT NULL
);

-- The records as they were sent, for readers without the program. `attributes` has all attributes.
CREATE VIEW records_view AS
WITH parts AS (
    SELECT records.*, shapes.template, shapes.event_name, shapes.severity_number,
        CASE get_byte(uid, 0)
            WHEN 1 THEN 'aud_' || CAST(CAST(encode(substr(uid, 2), 'hex') AS uuid) AS text)
            WHEN 2 THEN 'sha256:' || encode(substr(uid, 2), 'hex')
            ELSE convert_from(substr(uid, 2), 'UTF8')
        END AS uid_text,
        CASE WHEN shapes.template = '' THEN string_to_array(attribute_values, chr(10)) END AS whole_lines
    FROM records
    JOIN shapes ON shapes.segment = records.position / 65536 AND shapes.id = records.shape_id
), whole AS (
    SELECT *, CASE WHEN template = '' THEN array_to_string(whole_lines[3:], chr(10)) ELSE (
        SELECT '{' || COALESCE(string_agg(CAST(to_json(members.key) AS text) || ':'
            || CASE WHEN members.is_open THEN lines.value ELSE members.constant END, ',' ORDER BY members.n), '') || '}'
        FROM (
            SELECT key, n, CAST(value AS text) AS constant, CAST(value AS text) = 'null' AS is_open,
                SUM(CASE WHEN CAST(value AS text) = 'null' THEN 1 ELSE 0 END) OVER (ORDER BY n) AS line
            FROM json_each(CAST(template AS json)) WITH ORDINALITY AS member (key, value, n)
        ) AS members
        LEFT JOIN (
            SELECT n AS line, CASE
                WHEN line = '[]' THEN CAST(to_json(uid_text) AS text)
                WHEN line ~ '^\[[0-9]+\]$' THEN (SELECT texts.text FROM texts
                    WHERE texts.segment = position / 65536 AND texts.id = CAST(trim(line, '[]') AS integer))
                ELSE line
            END AS value
            FROM unnest(string_to_array(attribute_values, chr(10))) WITH ORDINALITY AS open_lines (line, n)
        ) AS lines ON members.is_open AND lines.line = members.line
    ) END AS attributes
    FROM parts
)
SELECT position, hash, uid_text AS uid, received_at_unix_nano, at_unix_nano,
    COALESCE(time_unix_nano, at_unix_nano) AS time_unix_nano, observed_time_unix_nano,
    CASE WHEN template = '' THEN CAST(whole_lines[2] AS bigint) ELSE severity_number END AS severity_number, flags,
    CASE WHEN template = '' THEN CAST(whole_lines[1] AS json) #>> '{}' ELSE event_name END AS event_name,
    CAST(attributes AS json) ->> 'audit.stream.id' AS stream_id,
    CAST(CAST(attributes AS json) ->> 'audit.sequence.number' AS bigint) AS sequence_number,
    CAST(attributes AS json) ->> 'service.name' AS service_name, CAST(attributes AS json) ->> 'audit.rule' AS rule,
    CAST(attributes AS json) ->> 'audit.action' AS action, CAST(attributes AS json) ->> 'audit.outcome' AS outcome,
    CAST(attributes AS json) ->> 'user.id' AS user_id, CAST(attributes AS json) ->> 'user.name' AS user_name,
    CAST(attributes AS json) ->> 'user.email' AS user_email, CAST(attributes AS json) ->> 'session.id' AS session_id,
    CAST(attributes AS json) ->> 'session.token_ref' AS token_ref, encode(trace_id, 'hex') AS trace_id,
    encode(span_id, 'hex') AS span_id, body, attributes
FROM whole;

-- Where the chain ends: position and hash of the newest row, also when that row was deleted.
CREATE TABLE head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL
);

-- What was sent under the uid of a kept record, but differs from it.
CREATE TABLE conflicts (
    position BIGINT NOT NULL,
    digest TEXT NOT NULL,
    uid TEXT NOT NULL,
    received_at_unix_nano BIGINT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (position, digest)
);

-- Signed heads of the chain. `root` is that of the tree up to there.
CREATE TABLE checkpoints (
    position BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    made_at_unix_nano BIGINT NOT NULL,
    signature BYTEA NOT NULL,
    root BYTEA,
    PRIMARY KEY (position, key_id)
);

-- Signed statements about rows that were deleted, so that the chain can be followed across the holes.
CREATE TABLE cuts (
    first_position BIGINT PRIMARY KEY,
    statement TEXT NOT NULL,
    key_id TEXT NOT NULL,
    signature BYTEA NOT NULL
);

-- Nodes of the Merkle tree over the hashes of all rows. One at `level` covers the 2^level rows that end with
-- `last_position`. Levels 8, 16, 24 and so on are complete; lower ones are kept for deleted rows.
CREATE TABLE tree (
    level BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (level, last_position)
);

-- One row, written to find out whether the database takes writes; nothing reads it.
CREATE TABLE rehearsals (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL,
    content BYTEA NOT NULL
);

-- Views: folds over the ledger, which can be made anew from it at any time.

-- Up to which position they have been made.
CREATE TABLE views (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL
);

-- One row per stream of a filter: what of it was received, as JSON, and what its status follows from at any time. A stream
-- that has ended completely is settled.
CREATE TABLE streams (
    stream_id TEXT PRIMARY KEY,
    last_seen_unix_nano BIGINT NOT NULL,
    is_settled BIGINT NOT NULL,
    missing BIGINT NOT NULL,
    missing_since_unix_nano BIGINT,
    missing_until_unix_nano BIGINT,
    silent_after_unix_nano BIGINT,
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
    is_settled BIGINT PRIMARY KEY,
    streams BIGINT NOT NULL,
    received BIGINT NOT NULL,
    explained BIGINT NOT NULL
);

-- One row per session: sums and latest values, whatever the order in which its records came. What the latest record tells
-- of has the time of the record that told it; `user_name_of` is the user whose name it is.
CREATE TABLE sessions (
    session_key TEXT COLLATE "C" PRIMARY KEY,
    session_id TEXT,
    token_ref TEXT,
    token_at_unix_nano BIGINT,
    user_id TEXT,
    user_at_unix_nano BIGINT,
    user_name TEXT,
    user_name_of TEXT,
    user_name_at_unix_nano BIGINT,
    start_unix_nano BIGINT NOT NULL,
    last_seen_unix_nano BIGINT NOT NULL,
    end_unix_nano BIGINT,
    ended_by TEXT,
    events BIGINT NOT NULL,
    last_action TEXT,
    last_outcome TEXT
);

CREATE INDEX sessions_by_time ON sessions (last_seen_unix_nano, session_key);
CREATE INDEX sessions_by_user ON sessions (user_id, last_seen_unix_nano, session_key) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_by_token ON sessions (token_ref, last_seen_unix_nano, session_key) WHERE token_ref IS NOT NULL;

-- Fields of the session context, one row for each change.
CREATE TABLE signals (
    session_key TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    since_unix_nano BIGINT NOT NULL,
    uid TEXT NOT NULL,
    PRIMARY KEY (session_key, position, name)
);

-- Requests of a rule by user and bucket, which is the number of the five minutes since the Unix epoch; an unknown user
-- is ''.
CREATE TABLE usage_users (
    rule TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (rule, bucket, user_id)
);

-- The sums of the same over users; `square_sum` is the sum over known users of the square of their requests.
CREATE TABLE usage_buckets (
    rule TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    users BIGINT NOT NULL,
    user_requests BIGINT NOT NULL,
    square_sum BIGINT NOT NULL,
    PRIMARY KEY (rule, bucket)
);

-- Words by which records are found, for suggestions: one row for each of the first words of a text, from that word on, in
-- lower case. The user is '' when unknown, and for actions.
CREATE TABLE terms (
    kind TEXT NOT NULL,
    term TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    last_seen_unix_nano BIGINT NOT NULL,
    PRIMARY KEY (kind, term, value, user_id)
);
