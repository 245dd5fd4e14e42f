#!/usr/bin/env python3
"""Verifies a ledger of audit-collector, or an export of one. Made from ledger.md, without its code.

    verify.py audit.db --public-key 3f5a... --checkpoints kept-elsewhere.ndjson
    verify.py records.ndjson --public-key 3f5a... --checkpoints kept-elsewhere.ndjson
    verify.py --proof proof.json --public-key 3f5a...

Prints a line for each fault: table, position, column, and what is wrong. Exit code: 0 sound, 1 not
sound, 2 something cannot be read or checked. Needs Python 3.11, and `cryptography` for signatures.
"""

import argparse
import hashlib
import json
import pathlib
import sqlite3
import struct
import sys
import time
import uuid
import zlib
from bisect import bisect_left, bisect_right
from collections import deque
from datetime import datetime, timedelta

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None

# The hashed columns in their order, those that repeat an attribute, and those that can be NULL.
HASHED = {
    "uid": str, "received_at_unix_nano": int, "at_unix_nano": int, "time_unix_nano": int,
    "observed_time_unix_nano": int, "severity_number": int, "flags": int, "event_name": str,
    "stream_id": str, "sequence_number": int, "service_name": str, "rule": str, "action": str,
    "outcome": str, "user_id": str, "user_name": str, "user_email": str, "session_id": str,
    "token_ref": str, "trace_id": str, "span_id": str, "body": str, "attributes": str,
}
REPEATED = {
    "stream_id": "audit.stream.id", "sequence_number": "audit.sequence.number",
    "service_name": "service.name", "rule": "audit.rule", "action": "audit.action",
    "outcome": "audit.outcome", "user_id": "user.id", "user_name": "user.name",
    "user_email": "user.email", "session_id": "session.id", "token_ref": "session.token_ref",
}
OPTIONAL = {*REPEATED, "trace_id", "span_id", "body", "root"}
# The stored columns, and which column each key is of.
STORED = {
    "position": int, "at_unix_nano": int, "received_at_unix_nano": int, "time_unix_nano": int,
    "observed_time_unix_nano": int, "flags": int, "shape_id": int, "user_key": int,
    "name_key": int, "email_key": int, "session_key": int, "token_key": int, "stream_key": int,
    "hash": bytes, "uid": bytes, "trace_id": bytes, "span_id": bytes, "body": str,
    "attribute_values": str,
}
KEYS = {
    "user_key": "user_id", "name_key": "user_name", "email_key": "user_email",
    "session_key": "session_id", "token_key": "token_ref", "stream_key": "stream_id",
}
OPTIONAL |= {"time_unix_nano", *KEYS}
SHAPE = {
    "segment": int, "id": int, "event_name": str, "severity_number": int, "service_name": str,
    "rule": str, "action": str, "outcome": str, "is_open": int, "template": str,
}
TEXT = {"segment": int, "id": int, "text": str}
SEGMENT = {"segment": int, "first_at_unix_nano": int, "last_at_unix_nano": int}
HEAD = {"position": int, "hash": bytes}
RECORD = HEAD | HASHED
CHECKPOINT = HEAD | {"root": bytes, "made_at_unix_nano": int, "key_id": str, "signature": bytes}
TREE = {"last_position": int, "level": int, "hash": bytes}
CUT = {"first_position": int, "statement": str, "key_id": str, "signature": bytes}
GENESIS, LARGEST, UID = bytes(32), 2**63 - 1, "log.record.uid"


# What Python raises for JSON of another shape.
NOT_OF_THE_FORMAT = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
                     RecursionError)


class Unreadable(Exception):
    """The input is no ledger and no export."""


def integer(value):
    return value if type(value) is int and -LARGEST - 1 <= value <= LARGEST else None


def json_object(text):
    """A JSON object; an empty one when the text is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def row_hash(previous, row):
    parts = [b"audit-ledger-row-v1", previous, struct.pack(">q", row["position"])]
    for name in HASHED:
        value = row[name]
        if value is None:
            parts.append(b"\0")
        elif isinstance(value, int):
            parts.append(b"\1" + struct.pack(">q", value))
        else:
            parts.append(b"\2" + struct.pack(">Q", len(value.encode())) + value.encode())
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(row):
    return hashlib.sha256(b"\0" + row).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of_path(position, size, leaf, path):
    """Where a path leads from a leaf (RFC 9162, section 2.1.3.2)."""
    index, last = position - 1, size - 1
    for sibling in path:
        if last == 0:
            return None
        if index % 2 == 1 or index == last:
            leaf = node_hash(sibling, leaf)
            # Levels at which the node has no sibling.
            while index % 2 == 0:
                index, last = index // 2, last // 2
        else:
            leaf = node_hash(leaf, sibling)
        index, last = index // 2, last // 2
    return leaf if last == 0 and position >= 1 else None


def checkpoint_statement(row):
    root = row["root"]
    lines = ["audit-checkpoint-v2" if root else "audit-checkpoint-v1", row["position"],
             row["hash"].hex(), *([root.hex()] if root else []), row["made_at_unix_nano"],
             row["key_id"]]
    return "".join(f"{line}\n" for line in lines)


def repeated(attributes):
    """The columns that repeat attributes. Their texts end at 256 bytes and have no NUL."""
    row = {}
    for column, name in REPEATED.items():
        value = attributes.get(name)
        if HASHED[column] is int:
            row[column] = integer(value)
        else:
            text = value.replace("\0", "\ufffd") if isinstance(value, str) else None
            row[column] = text and text.encode("utf-8", "replace")[:256].decode("utf-8", "ignore")
    return row


def members(text):
    """The members of a JSON object: name, value, and the text of both as it stands there."""
    decoder, at = json.JSONDecoder(), 1
    if text[:1] != "{":
        raise ValueError("no object")
    while text[at] != "}":
        name, colon = decoder.raw_decode(text, at)
        value, end = decoder.raw_decode(text, colon + 1)
        yield name, value, text[at:colon], text[colon + 1:end]
        at = end + (text[end] == ",")
    if at + 1 != len(text):
        raise ValueError("more than one object")


def uid_text(stored):
    form, content = stored[0], stored[1:]
    if form == 1 and len(content) == 16:
        return f"aud_{uuid.UUID(bytes=content)}"
    if form == 2 and len(content) == 32:
        return f"sha256:{content.hex()}"
    if form == 0:
        return content.decode()
    raise ValueError("of no known form")


def key_of(text):
    """CRC-32 as a number with a sign."""
    return None if text is None else (zlib.crc32(text.encode()) ^ 2**31) - 2**31


def ordering_time(row):
    is_believed = row["time_unix_nano"] != 0 and row["flags"] == 0
    return row["time_unix_nano" if is_believed else "received_at_unix_nano"]


def wrong_cells(row, kinds):
    """By column, what no collector writes there."""
    wrong = {}
    for name, kind in kinds.items():
        value = row[name]
        if type(value) is not kind and not (value is None and name in OPTIONAL):
            wrong[name] = f"holds {type(value).__name__}, not {kind.__name__}"
        elif kind is int and value is not None and integer(value) is None:
            wrong[name] = "has more than 64 bits"
        elif kind is str and value and any("\ud800" <= letter <= "\udfff" for letter in value):
            wrong[name] = "is not UTF-8"
        elif name in ("hash", "root") and value is not None and len(value) != 32:
            wrong[name] = "is not 32 bytes long"
    return wrong


class Database:
    """A SQLite file in one state, opened read-only."""

    def __init__(self, file):
        # Without a log, the file alone is the database, and nothing is created beside it.
        is_in_use = any(pathlib.Path(f"{file}{end}").exists() for end in ("-wal", "-shm"))
        uri = pathlib.Path(file).absolute().as_uri() + ("?mode=ro" if is_in_use else "?immutable=1")
        self.connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        self.connection.execute("BEGIN")

    def select(self, table, columns):
        if table == "records":
            return self.rows()
        return self.cells(table, columns)

    def rows(self):
        """The rows with the columns that are hashed. `wrong` and `differing` have what is wrong with
        the stored columns, by column: with `wrong`, the row cannot be read."""
        segment = None
        for stored in self.cells("records", STORED):
            wrong = wrong_cells(stored, STORED)
            number = (integer(stored["position"]) or 0) // 65536
            if segment is None or segment.number != number:
                segment = Segment(self, number)
            row = {"position": stored["position"], "hash": stored["hash"], "wrong": wrong}
            if not wrong:
                row |= segment.row(stored)
            yield row

    def cells(self, table, columns, where=""):
        names = ", ".join(columns)
        order = next(iter(columns))
        select = f"SELECT {names} FROM {table} {where} ORDER BY {order}"
        for cells in self.connection.execute(select):
            yield dict(zip(columns, cells))

    def damage(self):
        try:
            found = self.connection.execute("PRAGMA integrity_check(100)").fetchall()
        except sqlite3.DatabaseError as error:
            found = [(str(error),)]
        return [text for (text,) in found if text != "ok"]


class Segment:
    """The dictionary of the rows of 65536 positions."""

    def __init__(self, database, number):
        where = f"WHERE segment = {number}"
        self.number, self.shapes, self.texts, self.times = number, {}, {}, None
        for row in database.cells("shapes", SHAPE, where):
            self.shapes[row["id"]] = row
        for row in database.cells("texts", TEXT, where):
            self.texts[row["id"]] = row["text"]
        for row in database.cells("segments", SEGMENT, where):
            self.times = row

    def row(self, stored):
        """A stored row as it is hashed."""
        try:
            uid = uid_text(stored["uid"])
        except (ValueError, IndexError):
            return {"wrong": {"uid": "is of no known form"}}
        shape = self.shapes.get(stored["shape_id"])
        if shape is None:
            return {"wrong": {"shape_id": f"segment {self.number} has no such shape"}}
        try:
            event_name, severity, attributes = self.content(shape, stored["attribute_values"], uid)
        except NOT_OF_THE_FORMAT as error:
            text = f"does not fit shape {shape['id']} and the texts of segment {self.number}"
            return {"wrong": {"attribute_values": f"{text}: {error!r}"}}

        row = {name: stored[name] for name in ("received_at_unix_nano", "at_unix_nano",
                                               "observed_time_unix_nano", "flags", "body")}
        time = stored["time_unix_nano"]
        row["time_unix_nano"] = stored["at_unix_nano"] if time is None else time
        row |= {name: stored[name] and stored[name].hex() for name in ("trace_id", "span_id")}
        row |= {"uid": uid, "event_name": event_name, "severity_number": severity}
        row |= {"attributes": attributes} | repeated(json_object(attributes))
        row["differing"] = dict(self.differing(stored, shape, row))
        return row

    def content(self, shape, values, uid):
        if shape["template"] == "":
            event_name, severity, attributes = values.split("\n", 2)
            return json.loads(event_name), int(severity), attributes
        lines = deque(values.split("\n") if values else [])
        parts = []
        for _, _, name, value in members(shape["template"]):
            parts.append(f"{name}:{self.value(lines.popleft(), uid) if value == 'null' else value}")
        if lines:
            raise ValueError(f"{len(lines)} lines too many")
        return shape["event_name"], shape["severity_number"], "{" + ",".join(parts) + "}"

    def value(self, line, uid):
        if line == "[]":
            return json.dumps(uid, ensure_ascii=False)
        is_text = line[0] == "[" and line[-1] == "]" and line[1:-1].isdecimal()
        return self.texts[int(line[1:-1])] if is_text else line

    def differing(self, stored, shape, row):
        """What a search relies on, and does not follow from the record."""
        for key, column in KEYS.items():
            if stored[key] != key_of(row[column]):
                yield key, f"is not that of {column}"
        if row["at_unix_nano"] != ordering_time(row):
            yield "at_unix_nano", "is neither the time nor, where it cannot be believed, the receipt"
        if self.times is None or not (
                self.times["first_at_unix_nano"] <= row["at_unix_nano"]
                <= self.times["last_at_unix_nano"]):
            yield "at_unix_nano", f"is not among the times of segment {self.number}"
        if not shape["is_open"]:
            for column in ("service_name", "rule", "action", "outcome"):
                if shape[column] != row[column]:
                    yield "shape_id", f"{column} of shape {shape['id']} is not that of its rows"


class Export:
    """Lines of NDJSON, in the order of positions. They have neither head nor cuts."""

    FIELDS = {"position", "hash", "flags", "time", "time_unix_nano", "observed_time_unix_nano",
              "received_at_unix_nano", "severity_number", "event_name", "body", "trace_id",
              "span_id"}

    def __init__(self, files):
        self.files = files

    def damage(self):
        return []

    def select(self, table, _columns):
        return self.rows() if table == "records" else iter(())

    def rows(self):
        for file in self.files:
            with open(file, encoding="utf-8", newline="\n") as lines:
                for number, line in enumerate(lines, 1):
                    try:
                        yield self.row(line.rstrip("\n"))
                    except NOT_OF_THE_FORMAT as error:
                        raise Unreadable(f"{file}, line {number}: no row of an export: {error!r}")

    def row(self, line):
        """The row of a line. The text of the attributes is put together from those in the line."""
        values, texts = {}, {}
        for name, value, *text in members(line):
            if name in values:
                raise ValueError(f"{name} occurs twice")
            values[name], texts[name] = value, ":".join(text)

        row = repeated(values)
        row |= {name: values.get(name) for name in ("trace_id", "span_id", "body")}
        row |= {name: values[name] for name in ("position", "severity_number", "event_name")}
        row |= {name: int(values[name]) for name in self.FIELDS if name.endswith("_unix_nano")}
        row |= {"uid": values[UID], "hash": bytes.fromhex(values["hash"])}
        row["flags"] = int("clock_skew" in values["flags"].split(" "))
        row["at_unix_nano"] = ordering_time(row)
        seconds, nanos = divmod(row["time_unix_nano"], 10**9)
        made = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        row["is time right"] = values["time"] == f"{made.isoformat()}.{nanos:09}Z"

        names = sorted(values.keys() - self.FIELDS)
        row["attributes"] = "{" + ",".join(texts[name] for name in names) + "}"
        if row["uid"].startswith("sha256:"):
            # The collector has derived it, so it is no attribute.
            row["attributes without uid"] = (
                "{" + ",".join(texts[name] for name in names if name != UID) + "}")
        return row


def add(ranges, first, last, since):
    """Adds numbers to ascending ranges (first, last, since) with a hole between any two."""
    if 0 <= first <= last:
        start = bisect_left(ranges, first - 1, key=lambda known: known[1])
        end = bisect_right(ranges, last + 1, key=lambda known: known[0])
        firsts, lasts, times = zip((first, last, since), *ranges[start:end])
        ranges[start:end] = [(min(firsts), max(lasts), min(times))]


class Stream:
    """Which numbers of a stream were received, reported as lost, and given out."""

    def __init__(self):
        self.received, self.explained, self.next = [], [], (0, 0)

    def has(self, number):
        index = bisect_right(self.received, number, key=lambda known: known[0])
        return index > 0 and number <= self.received[index - 1][1]

    def merge(self, received, explained, following):
        for known in received:
            add(self.received, *known)
        for known in explained:
            add(self.explained, *known)
        # The highest one counts; among equal ones, the first received.
        self.next = max(self.next, following or (0, 0), key=lambda next: (next[0], -next[1]))

    def see(self, row):
        number, since = row["sequence_number"], row["received_at_unix_nano"]
        attributes = json_object(row["attributes"])
        first, last, following = (
            integer(attributes.get(f"audit.{name}"))
            for name in ("loss.first_number", "loss.last_number", "sequence.next"))
        is_loss = row["event_name"] == "audit.loss" and None not in (first, last)
        # A loss is reported after the fact.
        lost = [(first, last, since)] if is_loss and last < number else []
        self.merge([(number, number, since)], lost, (following or 0, since))

    def covered(self):
        covered = list(self.received)
        for known in self.explained:
            add(covered, *known)
        return covered

    def lost(self):
        """How many numbers were reported as lost, and not received."""
        covered, received = (sum(last - first + 1 for first, last, _ in ranges)
                             for ranges in (self.covered(), self.received))
        return covered - received

    def missing(self):
        expected = 0
        for first, last, since in [*self.covered(), (self.next[0], self.next[0], self.next[1])]:
            if first > expected:
                yield expected, first - 1, since
            expected = max(expected, last + 1)


class Tree:
    """The Merkle tree over the hashes of the rows, while it grows (RFC 9162, section 2.1).

    Nodes of deleted rows are taken as they are stored. The next root shows whether they are right.
    """

    def __init__(self, fault):
        self.fault, self.size, self.peaks = fault, 0, []
        # The stored nodes, by level and last row; an export has none.
        self.nodes, self.rooted_to = None, 0
        self.is_lost, self.hole_end, self.hole_roots, self.fits = False, 0, [], True

    def row(self, position, kept):
        self.fill()
        self.is_lost = self.is_lost or position != self.size + 1 or kept is None
        if not self.is_lost:
            self.push(0, leaf_hash(kept))

    def hole(self, first, last):
        """Rows that a cut covers. Holes that touch are one: a node can cover rows of both."""
        self.is_lost = self.is_lost or first != max(self.size, self.hole_end) + 1
        self.hole_end, self.hole_roots = last, []

    def root(self, position, root):
        if self.hole_end > self.size:
            self.hole_roots.append(root)
        elif not self.is_lost:
            self.compare(position, root)

    def push(self, level, kept):
        self.size += 1 << level
        while self.peaks and self.peaks[-1][0] == level:
            kept, level = node_hash(self.peaks.pop()[1], kept), level + 1
            if level % 8 == 0 and self.nodes is not None:
                self.compare_node(level, kept)
        self.peaks.append((level, kept))

    def compare_node(self, level, kept):
        stored = self.nodes.pop((level, self.size), None)
        if stored is None and self.size <= self.rooted_to:
            self.fault("tree", self.size, "level", f"the node of level {level} is missing")
        elif stored not in (None, kept):
            text = f"the node of level {level} differs from that of the rows"
            self.fault("tree", self.size, "hash", text)

    def fill(self):
        """Adds the stored nodes of a hole, the largest ones that fit."""
        while not self.is_lost and self.size < self.hole_end:
            for level in range(8, -1, -1):
                end = self.size + (1 << level)
                if self.size % (1 << level) == 0 and end <= self.hole_end:
                    kept = (self.nodes or {}).pop((level, end), None)
                    if kept is not None:
                        self.push(level, kept)
                        break
            else:
                self.is_lost = True
                if self.rooted_to >= self.hole_end:
                    rows = f"{self.size + 1}-{self.hole_end}"
                    self.fault("tree", rows, "level", "the nodes of these deleted rows are missing")
        if not self.is_lost:
            for root in self.hole_roots:
                self.compare(self.size, root)
        self.hole_roots = []

    def compare(self, position, root):
        computed = self.peaks[-1][1]
        for _, left in self.peaks[-2::-1]:
            computed = node_hash(left, computed)
        # One wrong node makes all later roots wrong.
        if computed != root and self.fits:
            self.fault("checkpoints", position, "root", "differs from that of the rows")
        self.fits = computed == root

    def finish(self):
        self.fill()
        if not self.is_lost:
            for level, last in self.nodes or ():
                self.fault("tree", last, "level", f"a node of level {level} is surplus")


class Verification:
    def __init__(self, source, flags):
        self.source, self.flags, self.streams = source, flags, {}
        self.position, self.hash = 0, GENESIS
        self.faults = self.rows = self.deleted = self.left_out = self.unproved = self.signed_to = 0
        self.keys = {hashlib.sha256(key).hexdigest()[:16]: key for key in flags.public_key}
        self.checks_signatures = bool(self.keys) and Ed25519PublicKey is not None
        self.tree = Tree(self.fault)

    def fault(self, table, position, column, text):
        self.faults += 1
        show(f"{table} {position} {column}: {text}")

    def well_typed(self, table, rows, kinds):
        for row in rows:
            wrong = wrong_cells(row, kinds)
            for column, text in wrong.items():
                self.fault(table, row[next(iter(kinds))], column, text)
            if not wrong:
                yield row

    def is_signed(self, table, position, row, statement):
        """Whether a trusted key has signed it; without keys, that is not checked."""
        if not self.checks_signatures:
            return True
        try:
            key = Ed25519PublicKey.from_public_bytes(self.keys[row["key_id"]])
            key.verify(row["signature"], statement.encode())
            return True
        except (KeyError, ValueError, InvalidSignature):
            text = f"not of a trusted key, but of {row['key_id']}"
            self.fault(table, position, "signature", text)
            return False

    def run(self):
        for text in self.source.damage():
            self.fault("file", "-", "-", text)
        self.load()
        for row in self.source.select("records", RECORD):
            self.check_row(row)
        self.cross_cuts(LARGEST)
        self.tree.finish()
        for position in self.waiting:
            self.fault("checkpoints", position, "position", f"the chain ends at {self.position}")
        if isinstance(self.source, Database):
            self.check_head()
        return self.check_streams()

    def load(self):
        self.checkpoints, self.count = {}, 0
        rows = [*self.source.select("checkpoints", CHECKPOINT), *self.flags.checkpoints]
        for row in self.well_typed("checkpoints", rows, CHECKPOINT):
            position = row["position"]
            if self.is_signed("checkpoints", position, row, checkpoint_statement(row)):
                self.signed_to = max(self.signed_to, position)
            if position < 1:
                self.fault("checkpoints", position, "position", "a chain begins at 1")
            self.checkpoints.setdefault(position, []).append((row["hash"], row["root"]))
            if row["root"] is not None:
                self.tree.rooted_to = max(self.tree.rooted_to, position)
            self.count += 1
        self.waiting = deque(sorted(self.checkpoints))

        self.cuts = deque(self.well_typed("cuts", self.source.select("cuts", CUT), CUT))
        for row in self.cuts:
            self.is_signed("cuts", row["first_position"], row, row["statement"])

        if isinstance(self.source, Database):
            nodes = self.well_typed("tree", self.source.select("tree", TREE), TREE)
            self.tree.nodes = {(row["level"], row["last_position"]): row["hash"] for row in nodes}

    def check_row(self, row):
        position = row["position"]
        self.rows += 1
        self.unproved += position > self.signed_to
        self.cross_cuts(position)
        wrong = row.get("wrong") or wrong_cells(row, RECORD)
        for column, text in {**wrong, **row.get("differing", {})}.items():
            self.fault("records", position, column, text)

        if not row.get("is time right", True):
            self.fault("records", position, "time", "is not that of time_unix_nano")

        if position > self.position + 1:
            self.missing(position - 1)
        elif position <= self.position:
            self.fault("records", position, "position", "lies within a cut, or behind a later row")
        elif not wrong and not self.matches(row):
            text = f"does not match the row ({row['uid']}){hint(row)}"
            self.fault("records", position, "hash", text)
        self.tree.row(position, None if "hash" in wrong else row["hash"])
        self.reach(position, GENESIS if "hash" in wrong else row["hash"])
        if not wrong and row["stream_id"] is not None and row["sequence_number"] is not None:
            self.see(row)

    def matches(self, row):
        if row_hash(self.hash, row) == row["hash"]:
            return True
        other = row.get("attributes without uid")
        return other and row_hash(self.hash, row | {"attributes": other}) == row["hash"]

    def see(self, row):
        id, number = row["stream_id"], row["sequence_number"]
        stream = self.streams.setdefault(id, Stream())
        if stream.has(number):
            text = f"an earlier row has {number} of stream {id}, too"
            self.fault("records", row["position"], "sequence_number", text)
        stream.see(row)

    def cross_cuts(self, position):
        while self.cuts and self.cuts[0]["first_position"] < position:
            row = self.cuts.popleft()
            try:
                self.cross(row["first_position"], json_object(row["statement"]))
            except NOT_OF_THE_FORMAT:
                self.fault("cuts", row["first_position"], "statement", "is not one of a cut")

    def cross(self, first, statement):
        last, of = integer(statement["last_position"]), integer(statement["first_position"])
        before, after = (bytes.fromhex(statement[f"hash_{end}"]) for end in ("before", "after"))
        is_cut = statement["kind"] == "audit-cut-v1" and of == first and len(after) == 32
        if not is_cut or not 1 <= first <= last:
            raise ValueError("not a cut")
        if first > self.position + 1:
            self.missing(first - 1)
        elif first <= self.position or before != self.hash:
            self.fault("cuts", first, "statement", "does not continue the chain before it")
        for id, state in statement["streams"].items():
            known = [state.get(name) for name in ("received", "explained", "next")]
            self.streams.setdefault(id, Stream()).merge(known[0] or [], known[1] or [], known[2])
        self.deleted += last - first + 1
        self.tree.hole(first, last)
        self.reach(last, after)

    def missing(self, last):
        if self.flags.partial:
            self.left_out += last - self.position
        else:
            rows = f"{self.position + 1}-{last}"
            self.fault("records", rows, "position", "the rows are missing, and no cut covers them")

    def reach(self, position, kept):
        """Moves on, and compares checkpoints. Those of rows that are gone cannot be compared."""
        self.position, self.hash = position, kept
        while self.waiting and self.waiting[0] <= position:
            passed = self.waiting.popleft()
            if passed != position:
                continue
            signed = self.checkpoints[passed]
            if {head for head, _ in signed} != {kept}:
                self.fault("checkpoints", passed, "hash", "differs from that of the row")
                continue
            for root in (root for _, root in signed if root is not None):
                self.tree.root(position, root)

    def check_head(self):
        head = {"position": 0, "hash": GENESIS}
        for head in self.source.select("head", head):
            for column, text in wrong_cells(head, HEAD).items():
                self.fault("head", head["position"], column, text)
        if head["position"] != self.position:
            self.fault("head", head["position"], "position", f"the chain ends at {self.position}")
        elif head["hash"] != self.hash:
            self.fault("head", head["position"], "hash", "differs from that of the last row")
        for views in self.source.select("views", ["position"]):
            if (integer(views["position"]) or 0) > (integer(head["position"]) or 0):
                self.fault("views", views["position"], "position", "it is beyond that of the head")

    def check_proof(self, proof):
        """Names its faults. Returns whether its root could be compared with a signature or a copy."""
        row, signed = proof["record"], proof["checkpoint"]
        position, self.hash = row["position"], proof["before"]
        if proof["position"] != position:
            self.fault("proof", position, "position", "differs from that of the record")
        if not self.matches(row):
            text = f"does not match its hash ({row['uid']}){hint(row)}"
            self.fault("proof", position, "record", text)
        if not row["is time right"]:
            self.fault("proof", position, "time", "is not that of time_unix_nano")

        root = root_of_path(position, signed["position"], leaf_hash(row["hash"]), proof["path"])
        if root is None or root != signed["root"]:
            text = f"does not lead to the root of the checkpoint at {signed['position']}"
            self.fault("proof", position, "path", text)
        self.is_signed("proof", position, signed, checkpoint_statement(signed))

        kept = self.flags.checkpoints
        is_kept = any(known["position"] == signed["position"] and known["root"] == root
                      for known in kept)
        if kept and not is_kept:
            self.fault("proof", position, "checkpoint", "is not one of those kept elsewhere")
        return self.checks_signatures or is_kept

    def check_streams(self):
        now, numbers = time.time_ns(), {"open": 0, "missing": 0}
        for id, stream in sorted(self.streams.items()):
            for first, last, since in stream.missing():
                state = "open" if abs(now - since) < self.flags.grace * 10**9 else "missing"
                numbers[state] += last - first + 1
                show(f"stream {id} sequence_number: {first} to {last} {state}")
        return numbers


def show(line):
    """Prints a line that stays one, whatever the ledger holds."""
    print("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line))


def hint(row):
    """The columns that contradict others of the row, after a colon."""
    attributes = json_object(row["attributes"])
    made = repeated(attributes) | {"at_unix_nano": ordering_time(row)}
    made["uid"] = attributes.get(UID) or row["uid"]
    columns = ", ".join(name for name, value in made.items() if value != row[name])
    return columns and f": {columns} and the columns that it repeats differ"


def checkpoint(line):
    row = {name: line[name] for name in CHECKPOINT if name != "root"}
    row |= {name: bytes.fromhex(line[name]) for name in ("hash", "signature")}
    row["root"] = bytes.fromhex(line["root"]) if "root" in line else None
    return row | {"made_at_unix_nano": int(line["made_at_unix_nano"])}


def read_proof(file):
    try:
        with open(file, encoding="utf-8") as text:
            proof = json.load(text)
        if proof["kind"] != "audit-proof-v1":
            raise ValueError("of another kind")
        read = {"record": Export([]).row(proof["record"]), "position": proof["position"]}
        read["before"] = bytes.fromhex(proof["hash_before"])
        read["path"] = [bytes.fromhex(digits) for digits in proof["path"]]
        read["checkpoint"] = checkpoint(proof["checkpoint"])
        for row, kinds in ((read["record"], RECORD), (read["checkpoint"], CHECKPOINT)):
            for column, text in wrong_cells(row, kinds).items():
                raise ValueError(f"{column} {text}")
        return read
    except NOT_OF_THE_FORMAT as error:
        raise Unreadable(f"{file}: no proof: {error!r}")


def read_checkpoints(file):
    for number, line in enumerate(open(file, encoding="utf-8"), 1):
        try:
            yield checkpoint(json.loads(line))
        except NOT_OF_THE_FORMAT as error:
            raise Unreadable(f"{file}, line {number}: no checkpoint: {error!r}")


def public_key(text):
    key = bytes.fromhex(text)
    if len(key) != 32:
        raise ValueError
    return key


def parse_flags():
    parser = argparse.ArgumentParser(description="Verifies a ledger of audit-collector.")
    parser.add_argument("files", nargs="*", help="a SQLite file, or NDJSON exports in their order")
    parser.add_argument("--proof", metavar="FILE",
                        help="instead of a ledger, the proof of one record")
    parser.add_argument("--public-key", action="append", default=[], type=public_key, metavar="HEX",
                        help="a trusted key; may be given several times")
    parser.add_argument("--checkpoints", metavar="FILE", help="checkpoints kept elsewhere")
    parser.add_argument("--grace", type=float, default=300, metavar="SECONDS",
                        help="how long a number may be missing before it counts as lost")
    parser.add_argument("--partial", action="store_true",
                        help="an export has some rows only: rows and numbers between are no fault")
    flags = parser.parse_args()
    if bool(flags.files) == bool(flags.proof):
        parser.error("give a ledger, or --proof")
    flags.checkpoints = list(read_checkpoints(flags.checkpoints)) if flags.checkpoints else []
    return flags


def open_source(flags):
    with open(flags.files[0], "rb") as file:
        is_database = file.read(16) == b"SQLite format 3\0"
    if is_database and (len(flags.files) > 1 or flags.partial):
        raise Unreadable("a database is verified alone and whole")
    return Database(flags.files[0]) if is_database else Export(flags.files)


def in_utc(nanos):
    return (datetime(1970, 1, 1) + timedelta(seconds=nanos // 10**9)).isoformat() + "Z"


def prove(flags):
    proof = read_proof(flags.proof)
    row, signed = proof["record"], proof["checkpoint"]
    verification = Verification(None, flags)
    is_anchored = verification.check_proof(proof)

    received, made = in_utc(row["received_at_unix_nano"]), in_utc(signed["made_at_unix_nano"])
    show(f"record: {row['uid']}, row {row['position']}, received {received}")
    show(f"checkpoint: rows 1 to {signed['position']}, signed {made} by key {signed['key_id']}")
    print(f"path: {len(proof['path'])} hashes")
    print(f"faults: {verification.faults}")
    if verification.faults:
        print("NOT PROVED")
        return 1
    if not is_anchored:
        missing = "the package cryptography" if verification.keys else "--public-key"
        print(f"NOT PROVED: the signature is not checked without {missing}")
        return 2
    print("PROVED: the record is this row of the ledger that was signed")
    return 0


def main():
    sys.stdout.reconfigure(errors="backslashreplace")
    flags = parse_flags()
    if flags.proof:
        return prove(flags)
    verification = Verification(open_source(flags), flags)
    try:
        numbers = verification.run()
    except sqlite3.DatabaseError:
        # The file is damaged, which is a fault already.
        if verification.faults:
            print(f"faults: {verification.faults}", "NOT SOUND", sep="\n")
            return 1
        raise

    is_sound = verification.faults == 0 and (numbers["missing"] == 0 or flags.partial)
    left_out = f", {verification.left_out} left out" if flags.partial else ""
    print(f"rows: {verification.rows}, {verification.deleted} deleted by retention{left_out}")
    print(f"checkpoints: {verification.count}, rows after the last one: {verification.unproved}")
    lost = sum(map(Stream.lost, verification.streams.values()))
    print(f"streams: {len(verification.streams)}, numbers reported as lost: {lost}, "
          f"open: {numbers['open']}, missing: {numbers['missing']}")
    if not verification.checks_signatures:
        reason = "the package cryptography is missing" if verification.keys else "no --public-key"
        print(f"signatures: NOT checked, {reason}")
    print(f"faults: {verification.faults}", "sound" if is_sound else "NOT SOUND", sep="\n")
    could_check = verification.checks_signatures or not verification.keys
    return (0 if could_check else 2) if is_sound else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, UnicodeDecodeError, sqlite3.Error, Unreadable) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        sys.exit(2)
