#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What kiln makes of the fixtures beside this file against what docker compose and buildx made of them (record):
tests/data/compose/compare.py KILN [FIXTURE...]. Key by key; the order of keys does not count."""

import json
import os
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent
ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/bin"}


def load(text):
    try:
        return json.loads(text)
    except ValueError:
        return text.splitlines()


def differences(want, got, path):
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            at = f"{path}.{key}"
            if key not in got:
                yield f"{at}: missing, should be {want[key]}"
            elif key not in want:
                yield f"{at}: should not be there: {got[key]}"
            else:
                yield from differences(want[key], got[key], at)
    elif want != got or isinstance(want, bool) != isinstance(got, bool):
        yield f"{path}: should be {want!r}, is {got!r}"


def compare(kiln, fixture):
    equal = different = 0
    for number, line in enumerate((fixture / "args").read_text().splitlines(), 1):
        words = line.split()
        if words[0] == "compose" and not any(word.startswith("--") and word.endswith("s") for word in words):
            words += ["--format", "json"]
        done = subprocess.run([kiln, *words], cwd=fixture, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        want = load((fixture / f"expected.{number}").read_text())
        found = list(differences(want, load(done.stdout.replace(str(fixture), "@DIR@")), ""))
        if found:
            different += 1
            print(f"{fixture.name}: {line}\n{done.stderr}", "\n".join(found), sep="")
        else:
            equal += 1
    return equal, different


def main():
    kiln = os.path.realpath(sys.argv[1])
    names = sys.argv[2:] or sorted(path.parent.name for path in DATA.glob("*/args"))
    counts = [compare(kiln, DATA / name) for name in names]
    equal, different = sum(count[0] for count in counts), sum(count[1] for count in counts)
    print(f"{equal} equal, {different} different")
    return different > 0


sys.exit(main())
