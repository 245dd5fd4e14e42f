#!/usr/bin/env bash
# Rotel 0.0.1a15, Kafka exporter, `--kafka-exporter-format json`: the filter's documents name what consumers of a topic
# can read. A message is the bare list of resources, `[{"resource":…,"scopeLogs":…}]`, and not the request of OTLP,
# `{"resourceLogs":[…]}`, which it is with `--kafka-exporter-format protobuf`. A parser of the request refuses it.
#
# Source: streamfold/rotel, src/exporters/kafka/request_builder.rs: `serialize_json` writes the resources,
# `serialize_protobuf` wraps them first.
# Seen: `json: a list of 1 ['resource', 'schemaUrl', 'scopeLogs'], not a request` and `protobuf: a request of 1`.
# The broker is the mock of librdkafka.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --root-user-action ignore \
  --target "$folder/wheels" rotel==0.0.1a15 confluent-kafka==2.16.1 opentelemetry-proto==1.45.2 protobuf==7.36.2
chmod +x "$folder/wheels/rotel/rotel-agent"

PYTHONPATH=$folder/wheels python3 - "$folder" <<'PYTHON'
import json, os, socket, subprocess, sys, time, urllib.error, urllib.request
from confluent_kafka import Consumer, Producer
from google.protobuf.json_format import Parse, ParseError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

folder = sys.argv[1]
deadline = time.monotonic() + 120
# Its client brings the broker along.
host = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
broker = list(host.list_topics(timeout=30).brokers.values())[0]
brokers = f"127.0.0.1:{broker.port}"
batch = {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}


def free_port():
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


def send(port):
    headers = {"content-type": "application/json"}
    body = json.dumps(batch).encode()
    while time.monotonic() < deadline:
        try:
            return urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/v1/logs", body, headers))
        except urllib.error.URLError:
            time.sleep(0.05)
    sys.exit("Rotel does not answer")


def message(form):
    """What arrives on the topic."""
    port = free_port()
    agent = [f"{folder}/wheels/rotel/rotel-agent", "start", "--exporter", "kafka", "--kafka-exporter-brokers", brokers]
    agent += ["--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"]
    agent += ["--kafka-exporter-logs-topic", form, "--kafka-exporter-format", form]
    rotel = subprocess.Popen(agent, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        send(port)
        consumer = Consumer({"bootstrap.servers": brokers, "group.id": form, "auto.offset.reset": "earliest"})
        consumer.subscribe([form])
        while time.monotonic() < deadline:
            found = consumer.poll(1)
            if found is not None and not found.error():
                consumer.close()
                return found.value()
        sys.exit("nothing arrives")
    finally:
        rotel.kill()
        rotel.wait()


text = message("json")
value = json.loads(text)
try:
    Parse(text, ExportLogsServiceRequest(), ignore_unknown_fields=True)
    parsed = "a request"
except (ParseError, AttributeError, TypeError):
    parsed = "not a request"
keys = sorted(value[0]) if isinstance(value, list) else sorted(value)
seen_json = f"json: a {type(value).__name__} of {len(value)} {keys}, {parsed}"

request = ExportLogsServiceRequest()
request.ParseFromString(message("protobuf"))
seen_protobuf = f"protobuf: a request of {len(request.resource_logs)}"
print(seen_json, seen_protobuf, sep="\n")
expected = "json: a list of 1 ['resource', 'schemaUrl', 'scopeLogs'], not a request"
if (seen_json, seen_protobuf) != (expected, "protobuf: a request of 1"):
    sys.exit("changed")
PYTHON
