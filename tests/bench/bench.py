#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures kiln against the limit of the machine and against peers, in one run, interleaved.

Every workload is a list of contenders: what the machine can do (a find over the same tree, a tar piped
into a hash, ...), kiln, and the builders that are installed.  They take turns, round by round, and the
medians are printed as a table of ratios to the first.  docs/performance.md says how to read it.  --check
compares with the targets; it is for people, not for CI: machines are shared and noisy.
"""
import argparse, json, os, sys

import builders, measure, report, workloads


class Bench:
    """What workloads are given: where things are and who takes part."""

    def __init__(self, options):
        self.options = options
        self.repo = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.work = os.path.abspath(options.work)
        os.makedirs(self.work, exist_ok=True)
        self.kiln = builders.Kiln(options.kiln, self.work, options.registry)
        self.peers = builders.peers(self.work, options.registry, options.peers)

    def path(self, name):
        return os.path.join(self.work, name)


def take_turns(contenders, rounds, peer_rounds, warm_mb):
    samples = {c.name: [] for c in contenders}
    for i in range(max(rounds, peer_rounds)):
        for c in contenders:
            if i >= (peer_rounds if c.is_peer else rounds):
                continue
            if c.prepare:
                c.prepare()
            if warm_mb:
                os.sync()  # else what the one before wrote goes to the disk at this one's cost
                measure.warm_memory(warm_mb)
            samples[c.name].append(c.run())
    return samples


def rows_of(name, contenders, samples):
    limit, rows, seconds = None, [], {}
    for c in contenders:
        if not samples[c.name]:
            continue
        targets = {k: v(seconds) if callable(v) else v for k, v in c.targets.items()}
        row = report.row(name, c.name, samples[c.name], targets)
        limit = limit or row
        report.compare(row, limit, workloads.STEPS.get(name))
        seconds[c.name] = row["seconds"]
        rows.append(row)
    return rows


def parse():
    names = lambda text: [t.strip() for t in text.split(",") if t.strip()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog="workloads: " + "; ".join(workloads.WORKLOADS))
    parser.add_argument("--kiln", required=True, help="the program")
    parser.add_argument("--registry", required=True, help="HOST:PORT that tests/fixtures/push_images.py has filled")
    parser.add_argument("--work", default="/var/tmp/kiln-bench", help="where trees and stores go")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, help="for peers, which are slow (default: as --rounds)")
    parser.add_argument("--peers", type=lambda text: names(text.lower()), help="buildah,buildkit (default: those present)")
    parser.add_argument("--only", type=lambda text: text.split(";"), help="workloads, by the beginnings of their names, separated by ';'")
    parser.add_argument("--files", type=int, default=100000, help="files of the large context")
    parser.add_argument("--megabytes", type=int, default=2048, help="bytes of the big files")
    parser.add_argument("--records", type=int, default=100000, help="cache records of the big store")
    parser.add_argument("--images", type=int, default=1000, help="images of the big store")
    parser.add_argument("--warm-memory", type=int, default=8192, metavar="MB",
                        help="memory that is touched before each run that writes much, see measure.warm_memory")
    parser.add_argument("--json", help="write all rows to this file")
    parser.add_argument("--markdown", help="write the table to this file")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    if options.peer_rounds is None:
        options.peer_rounds = options.rounds
    return options


def main():
    options = parse()
    bench, rows = Bench(options), []
    print(report.HEADER)
    for name, workload in workloads.WORKLOADS.items():
        if options.only and not any(name.startswith(o.strip()) for o in options.only):
            continue
        contenders = workload(bench)
        warm_mb = options.warm_memory if name in workloads.WRITES_MUCH else 0
        samples = take_turns(contenders, options.rounds, options.peer_rounds, warm_mb)
        for row in rows_of(name, contenders, samples):
            rows.append(row)
            print(report.line(row), flush=True)
    for path, text in ((options.json, json.dumps(rows, indent=1)), (options.markdown, report.markdown(rows))):
        if path:
            with open(path, "w") as f:
                f.write(text)
    late = [r for r in rows if report.missed(r)]
    for r in late:
        print("MISSED: %s, %s: %s" % (r["workload"], r["what"], ", ".join(
            "%s, aimed at %s" % (report.show(k, r[k]), report.show(k, r["targets"][k])) for k in report.missed(r))))
    return 1 if options.check and late else 0


if __name__ == "__main__":
    sys.exit(main())
