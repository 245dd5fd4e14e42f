"""Decodes OTLP/HTTP JSON logs from stdin with the strict protobuf JSON parser, and prints what it understood.

The parser refuses unknown fields and wrong types. It reads ids as base64, where OTLP wants hexadecimal digits, so they
are converted first, with their length checked.
"""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


def hex_to_base64(record, name, length):
    if name in record:
        raw = bytes.fromhex(record[name])
        assert len(raw) == length, f"{name} has {len(raw)} bytes"
        record[name] = base64.b64encode(raw).decode()


def plain(value):
    return getattr(value, value.WhichOneof("value"))


document = json.load(sys.stdin)
for resource in document["resourceLogs"]:
    for scope in resource["scopeLogs"]:
        for record in scope["logRecords"]:
            hex_to_base64(record, "traceId", 16)
            hex_to_base64(record, "spanId", 8)

request = json_format.Parse(json.dumps(document), ExportLogsServiceRequest())
records = [
    {
        "event": record.event_name,
        "time": record.time_unix_nano,
        "attributes": {attribute.key: plain(attribute.value) for attribute in record.attributes},
        "resource": {attribute.key: plain(attribute.value) for attribute in resource.resource.attributes},
    }
    for resource in request.resource_logs
    for scope in resource.scope_logs
    for record in scope.log_records
]
json.dump(records, sys.stdout)
