"""Sends log records with the SDK of Python: `sender.py <endpoint> <none|gzip>`."""

import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

endpoint, compression = sys.argv[1:]
exporter = OTLPLogExporter(endpoint=endpoint, compression=Compression(compression))
provider = LoggerProvider(resource=Resource({"service.name": "shop"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = provider.get_logger("sender")

SEVERITY = SeverityNumber.WARN
for _ in range(25):
    logger.emit(
        LogRecord(
            timestamp=1783072800000000000,
            observed_timestamp=1783072800000000001,
            severity_number=SEVERITY,
            body="login failed",
            attributes={"user.id": "ann", "attempt": 2**53 + 1, "share": 0.5, "raw": b"\x01\x02"},
        )
    )
logger.emit(LogRecord(observed_timestamp=1783072800000000002, severity_number=SEVERITY, body="no time"))

assert provider.force_flush()
provider.shutdown()
