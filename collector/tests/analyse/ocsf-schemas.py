# Prints the JSON Schema of each class that an export has, by its number.
import json
import sys

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION, *CLASSES = sys.argv[1:]
schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION))
print(json.dumps({
    uid: schema.get_class_schema(class_name=schema.lookup_class_name_from_uid(class_uid=int(uid)))
    for uid in CLASSES
}))
