#!/usr/bin/env python3
"""Prints figures of the code: sizes of files and functions, paragraphs, and the language of comments.

    tests/figures.py            of this checkout
"""

import collections
import re
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PERSONS = re.compile(
    r"\b(tells?|told|telling|untold|says?|said|saying|asks?|asked|asking|hears?|heard|who|whom"
    r"|whoever|whomever|nobody|somebody|everybody|anybody|heirs?|kin|seats?|estates?)\b",
    re.IGNORECASE,
)
COMMENT = re.compile(r"(?:^|\s)//[/!]?(.*)")
FUNCTION = re.compile(r"^(\s*)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe )*fn \w+")


def area(path):
    """The part of the repository that a file belongs to."""
    if "tests" in path.parts or path.name in ("tests.rs", "fake.rs") or "benches" in path.parts:
        return "tests and benches"
    if "demo" in path.parts or "testkit" in path.parts:
        return "tests and benches"
    return "collector" if path.parts[0] == "collector" else "filter"


def production(lines):
    """Lines before the unit tests."""
    for number, line in enumerate(lines):
        if line.startswith("#[cfg(test)]"):
            return lines[:number]
    return lines


def functions(lines):
    """The bodies of functions, by indentation: the code has rustfmt's shape."""
    start = None
    for number, line in enumerate(lines):
        if start is None:
            found = FUNCTION.match(line)
            if found and not line.rstrip().endswith(";"):
                start, indent = number, found.group(1)
                if line.rstrip().endswith("}"):
                    start = None
        elif line.rstrip() == indent + ") -> u32;" or line.rstrip() == indent + ");":
            # A declaration of a foreign function.
            start = None
        elif line.rstrip() == indent + "}":
            yield lines[start : number + 1]
            start = None


def quantiles(values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]
    return f"median {statistics.median(values):.0f}, p90 {at(0.9)}, p99 {at(0.99)}, largest {values[-1]}"


def main():
    tracked = subprocess.check_output(["git", "ls-files", "*.rs"], cwd=ROOT, text=True).split()
    lines_of = collections.defaultdict(list)
    for name in tracked:
        path = Path(name)
        whole = (ROOT / path).read_text().splitlines()
        part = whole if area(path) == "tests and benches" else production(whole)
        lines_of[area(path)].append(part)
        if len(part) < len(whole):
            lines_of["tests and benches"].append(whole[len(part) :])

    totals = {}
    for name, files in sorted(lines_of.items()):
        bodies = [body for lines in files for body in functions(lines)]
        long = [body for body in bodies if len(body) >= 12]
        comments = [found.group(1) for lines in files for found in map(COMMENT.search, lines) if found]
        persons = sum(len(PERSONS.findall(text)) for text in comments)
        spaced = sum(any(not line.strip() for line in body) for body in long)
        totals[name] = sum(map(len, files))
        print(f"{name}: {len(files)} files, {totals[name]} lines")
        print(f"  lines of a file: {quantiles([len(lines) for lines in files])}")
        print(f"  lines of a function: {quantiles([len(body) for body in bodies])}")
        print(f"  functions of 12 lines and more with a blank line: {100 * spaced / len(long):.0f} %")
        print(f"  personified words for 1000 comment lines: {1000 * persons / len(comments):.1f}")

    code = totals["filter"] + totals["collector"]
    print(f"lines of tests, benches and demo for a line of production: {totals['tests and benches'] / code:.2f}")


main()
