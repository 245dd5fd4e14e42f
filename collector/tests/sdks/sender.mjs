// Sends log records with the SDK of Node: `sender.mjs <endpoint> <http|proto> <none|gzip>`.

import { createRequire } from "node:module";

const [endpoint, encoding, compression] = process.argv.slice(2);
const require = createRequire(`${process.env.NODE_PACKAGES}/`);
const { OTLPLogExporter } = require(`@opentelemetry/exporter-logs-otlp-${encoding}`);
const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");

const exporter = new OTLPLogExporter({ url: endpoint, compression });
const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
const logger = provider.getLogger("sender");

for (let index = 0; index < 25; index++) {
  logger.emit({
    timestamp: 1783072800000,
    observedTimestamp: 1783072800001,
    severityNumber: 13,
    body: "login failed",
    attributes: { "user.id": "ann", "user.name": "Zo\ud83d", share: 0.5, raw: new Uint8Array([1, 2]) },
  });
}

await provider.forceFlush();
await provider.shutdown();
