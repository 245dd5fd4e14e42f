"""Decodes OTLP/HTTP logs from stdin, protobuf or JSON, with the parsers of protobuf, and prints what was understood.

The parser of JSON refuses unknown fields and wrong types. It reads ids as base64, where OTLP wants hexadecimal digits, so they
are converted first, with their length checked.
"""

import base64
import json
import sys

from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest


def hex_to_base64(record, name, length):
    if name in record:
        raw = bytes.fromhex(record[name])
        assert len(raw) == length, f"{name} has {len(raw)} bytes"
        record[name] = base64.b64encode(raw).decode()


def plain(value):
    return getattr(value, value.WhichOneof("value"))


def unknown_fields(message):
    """What the schema does not have; the parser of protobuf keeps it without a word."""
    count = len(UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.message_type:
            count += sum(map(unknown_fields, value if field.is_repeated else [value]))
    return count


def from_json(body):
    document = json.loads(body)
    for resource in document["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                hex_to_base64(record, "traceId", 16)
                hex_to_base64(record, "spanId", 8)
    return json_format.Parse(json.dumps(document), ExportLogsServiceRequest())


def from_protobuf(body):
    request = ExportLogsServiceRequest.FromString(body)
    assert unknown_fields(request) == 0, request
    return request


body = sys.stdin.buffer.read()
request = from_json(body) if body.startswith(b"{") else from_protobuf(body)
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
