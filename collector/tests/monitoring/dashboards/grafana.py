"""Prints each field of a dashboard that the types of Grafana 11.6 do not know."""

import json
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def compare(path, given, known):
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            compare(f"{path}/{key}", value, known.get(key))
    elif isinstance(given, list) and isinstance(known, list):
        for index, value in enumerate(given):
            compare(f"{path}/{index}", value, known[index] if index < len(known) else None)
    elif given != known:
        print(f"{path}: {given!r}")


plugins.register_default_plugins()
with open(sys.argv[1]) as file:
    given = json.load(file)
compare("", given, json.loads(json.dumps(Dashboard.from_json(given), cls=JSONEncoder)))
