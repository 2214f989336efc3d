#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""growth.py [--kiln PROGRAM] [SHAPE...]: what does a build cost as its Dockerfile grows?

Each shape is built with n, 2n and 4n of a thing, in a new store (cold) and once more (warm). Printed are the
processor seconds and the exponent that they grow with from 2n to 4n: 1 is linear, 2 quadratic. Nothing is
judged. Needs a configuration (KILN_CONFIG) in which busybox can be pulled."""

import argparse
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile

# name: (n, the Dockerfile of n things)
SHAPES = {
    "workdir": (100, lambda n: lines(n, "WORKDIR /w{}")),
    "copy": (100, lambda n: lines(n, "COPY f /f{}")),
    "copy --link": (100, lambda n: lines(n, "COPY --link f /f{}")),
    "sources of one copy": (1000, lambda n: [f"COPY {'f ' * n} /d/"]),
    "env": (1000, lambda n: lines(n, "ENV A{0}=v{0}")),
    "env in one": (1000, lambda n: ["ENV " + " ".join(f"A{i}=v" for i in range(n))]),
    "label": (1000, lambda n: lines(n, "LABEL a{0}=v{0}")),
    "arg": (1000, lambda n: lines(n, "ARG A{0}=v{0}")),
    "expose": (1000, lambda n: lines(n, "EXPOSE {}", 1)),
    "volume": (1000, lambda n: lines(n, "VOLUME /v{}")),
    "onbuild": (1000, lambda n: lines(n, "ONBUILD RUN {}")),
    "stages on stages": (200, lambda n: ["FROM busybox AS s0"] + lines(n, "FROM s{0} AS s{1}\nENV A={0}")),
    "stages beside": (50, lambda n: lines(n, "FROM busybox AS t{0}\nCOPY f /g{0}") + ["FROM busybox"]
                      + lines(n, "COPY --from=t{0} /g{0} /")),
    "mounts": (20, lambda n: ["RUN " + " ".join(lines(n, "--mount=type=tmpfs,target=/m{}")) + " true"]),
    "run": (10, lambda n: lines(n, "RUN echo {0} > /r{0}")),
    "heredoc": (1000, lambda n: ["COPY <<E /x\n" + "a line of text\n" * n + "E"]),
    "continuation": (1000, lambda n: ["RUN true" + " \\\n x" * n]),
}


def lines(n, text, first=0):
    return [text.format(i + first, i + first + 1) for i in range(n)]


def cpu_seconds(command, env):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(done.stderr.decode())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(kiln, make, n):
    """Cold and warm seconds."""
    folder = tempfile.mkdtemp(prefix="kiln-growth.")
    try:
        context, warm_up = folder + "/context", folder + "/base"
        env = dict(os.environ, KILN_ROOT=folder + "/store", HOME=folder)
        for where, text in ((context, make(n)), (warm_up, [])):
            os.mkdir(where)
            with open(where + "/f", "w") as file:
                file.write("f")
            with open(where + "/Dockerfile", "w") as file:
                file.write("\n".join(["FROM busybox"] + text + [""]))
        cpu_seconds([kiln, "build", "-q", warm_up], env)
        return [cpu_seconds([kiln, "build", "-q", context], env) for _ in range(2)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kiln", default="build/kiln")
    parser.add_argument("shapes", nargs="*", default=list(SHAPES))
    args = parser.parse_args()
    print(f"{'shape':20} {'n':>5}  {'cold n, 2n, 4n':>22} {'exp':>5}  {'warm n, 2n, 4n':>22} {'exp':>5}")
    for shape in args.shapes:
        n, make = SHAPES[shape]
        rounds = [measure(args.kiln, make, k * n) for k in (1, 2, 4)]
        columns = []
        for i in range(2):
            seconds = [r[i] for r in rounds]
            exponent = math.log2(max(seconds[2], 0.001) / max(seconds[1], 0.001))
            columns += [" ".join(f"{s:7.3f}" for s in seconds), f"{exponent:5.2f}"]
        print(f"{shape:20} {n:5}  {columns[0]} {columns[1]}  {columns[2]} {columns[3]}", flush=True)


main()
