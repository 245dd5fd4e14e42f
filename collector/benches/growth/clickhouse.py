# Keeps records in a table of ClickHouse, as an embedded database.
#   clickhouse.py FOLDER cut POSITION: removes what came after this position
#   clickhouse.py FOLDER load FILE: inserts the lines of an export in NDJSON
#   clickhouse.py FOLDER size: prints rows, bytes on disk, and those of the columns of the ledger
#   clickhouse.py FOLDER version
import sys

from chdb.session import Session

WORDS = """
    `event_name` `body` `service.name` `service.instance.id` `telemetry.sdk.name`
    `telemetry.sdk.language` `telemetry.sdk.version` `audit.stream.id` `audit.rule` `audit.action`
    `audit.outcome` `audit.stage` `audit.identity.source` `http.request.method` `http.route`
    `server.address` `network.protocol.version` `user_agent.original` `rpc.system.name` `rpc.method`
    `rpc.response.status_code` `audit.rpc.status_source` `audit.response.code_details`
    `error.message` `flags`
""".split()
TEXTS = """
    `log.record.uid` `audit.batch.id` `trace_id` `span_id` `user.id` `user.name` `user.email`
    `session.id` `session.token_ref` `audit.session.context` `url.path` `client.address`
    `audit.request_id` `hash`
""".split()
OTHERS = """
    `time` DateTime64(9, 'UTC'), `observed_time_unix_nano` DateTime64(9, 'UTC'),
    `received_at_unix_nano` DateTime64(9, 'UTC'), `severity_number` UInt8, `position` UInt64,
    `audit.sequence.number` UInt64, `audit.sequence.next` UInt64, `audit.duration_ms` Float64,
    `http.response.status_code` UInt16, `audit.stream.alive_interval_ms` UInt32,
    `audit.buffer.max_records` UInt32
"""
# What the ledger adds to a record.
LEDGER = "('position', 'hash', 'received_at_unix_nano')"
# Columns of the export that are whole nanoseconds there. The first is `time` once more.
NANOS = ["time_unix_nano", "observed_time_unix_nano", "received_at_unix_nano"]

folder, order, *arguments = sys.argv[1:]
session = Session(folder)
run = lambda sql: session.query(sql, "TSV").bytes().decode().strip()

columns = [name + " LowCardinality(String)" for name in WORDS] + [name + " String" for name in TEXTS]
run("CREATE DATABASE IF NOT EXISTS audit")
run(
    f"CREATE TABLE IF NOT EXISTS audit.records ({', '.join(columns)}, {OTHERS})"
    " ENGINE = MergeTree ORDER BY time"
)

if order == "cut":
    run(f"ALTER TABLE audit.records DELETE WHERE position > {int(arguments[0])} SETTINGS mutations_sync = 2")
elif order == "load":
    of_file = ", ".join(columns) + "," + OTHERS
    of_file = of_file.replace("_nano` DateTime64(9, 'UTC')", "_nano` Int64") + ", `time_unix_nano` Int64"
    times = ", ".join(f"fromUnixTimestamp64Nano({name}, 'UTC') AS {name}" for name in NANOS[1:])
    run(
        f"INSERT INTO audit.records SELECT * EXCEPT ({', '.join(NANOS)}), {times}"
        # A column that is not used would count as unknown.
        f" FROM file('{arguments[0]}', JSONEachRow, $${of_file}$$) WHERE time_unix_nano > 0"
        " SETTINGS input_format_skip_unknown_fields = 0, date_time_input_format = 'best_effort'"
    )
elif order == "size":
    run("OPTIMIZE TABLE audit.records FINAL")
    of_table = "WHERE active AND database = 'audit' AND table = 'records'"
    print(run(f"SELECT sum(rows), sum(bytes_on_disk) FROM system.parts {of_table}"))
    print(
        run(
            "SELECT sum(column_data_compressed_bytes) FROM system.parts_columns"
            f" {of_table} AND column IN {LEDGER}"
        )
    )
else:
    print(run("SELECT version()"))
