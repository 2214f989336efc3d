#!/usr/bin/env python3
"""Measures kiln against the limit of the machine, in one run, interleaved.

    bench.py --kiln build/kiln --registry HOST:PORT [--work DIR] [--rounds 5] [--files 100000]
             [--megabytes 2048] [--only NAME,...] [--json OUT] [--check]

Every workload is a list of contenders: kiln doing something, and the limit it is compared with (a find
over the same tree, a tar piped into a hash, ...).  Contenders of a workload take turns, round by round,
and the medians are printed as a table of ratios with peak memory.  --check compares with the targets of
docs/performance.md; it is for people, not for CI: machines are shared and noisy.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, time

TARGETS = {}  # (workload, contender) -> ratio to the limit that is aimed at


class Bench:
    def __init__(self, options):
        self.options, self.rows = options, []
        self.work = os.path.abspath(options.work)
        os.makedirs(self.work, exist_ok=True)
        self.config = os.path.join(self.work, "config.json")
        with open(self.config, "w") as f:
            json.dump({"registries": {"docker.io": {"mirrors": ["http://" + options.registry]}}}, f)

    def env(self, store):
        return dict(os.environ, KILN_CONFIG=self.config, KILN_ROOT=self.store(store))

    def store(self, name):
        return os.path.join(self.work, "store-" + name)

    def drop(self, name):
        shutil.rmtree(self.store(name), ignore_errors=True)

    def kiln(self, store, *args, cwd=None):
        return lambda: self.run([self.options.kiln] + list(args), env=self.env(store), cwd=cwd)

    def run(self, command, env=None, cwd=None, shell=False):
        """Seconds, and peak resident kilobytes of the largest process."""
        started = time.monotonic()
        process = subprocess.Popen(command, env=env, cwd=cwd, shell=shell, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError("%s failed:\n%s" % (command, errors.decode(errors="replace")[-2000:]))
        return time.monotonic() - started, usage.ru_maxrss

    def shell(self, text, cwd=None):
        return lambda: self.run(text, cwd=cwd, shell=True)

    def workload(self, name, limit, contenders):
        """contenders: [(name, function, prepare or None)]; `limit` names the one others are compared with."""
        if self.options.only and name not in self.options.only:
            return
        times = {c[0]: [] for c in contenders}
        memory = {c[0]: 0 for c in contenders}
        for _ in range(self.options.rounds):
            for label, function, prepare in contenders:
                if prepare:
                    prepare()
                seconds, peak = function()
                times[label].append(seconds)
                memory[label] = max(memory[label], peak)
        base = statistics.median(times[limit])
        for label, _, _ in contenders:
            median = statistics.median(times[label])
            self.rows.append({"workload": name, "what": label, "seconds": median, "ratio": median / base,
                              "min": min(times[label]), "max": max(times[label]), "peak_kb": memory[label],
                              "target": TARGETS.get((name, label))})
            row = self.rows[-1]
            print("%-22s %-34s %9.3f s  %6.2f x  %7.1f MB%s" % (
                name, label, median, row["ratio"], memory[label] / 1024,
                "" if row["target"] is None else "  (target %.1f x)" % row["target"]), flush=True)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def noop(b, repo):
    app = os.path.join(b.work, "app")
    shutil.copytree(os.path.join(repo, "examples/python-docker"), app, dirs_exist_ok=True)
    b.kiln("noop", "build", "-q", "-t", "bench-app", app)()
    TARGETS["no-op", "kiln, everything cached"] = 3.0
    b.workload("no-op", "curl --version", [
        ("curl --version", b.shell("curl --version"), None),
        ("kiln, everything cached", b.kiln("noop", "build", "-q", "-t", "bench-app", app), None),
        ("kiln, the same without output", b.kiln("noop", "build", "-q", "-o", "type=none", app), None)])


def run_steps(b):
    chain, fan = os.path.join(b.work, "chain"), os.path.join(b.work, "fan")
    write(chain + "/Dockerfile", "FROM busybox\n" + "".join("RUN true %d\n" % i for i in range(60)))
    write(fan + "/Dockerfile", "".join("FROM busybox AS s%d\nRUN sleep 0.2 && echo %d > /f\n" % (i, i) for i in range(32)) +
          "FROM scratch\n" + "".join("COPY --from=s%d /f /f%d\n" % (i, i) for i in range(32)))
    build = lambda folder: b.kiln("steps", "build", "-q", "--no-cache", "-o", "type=none", folder)
    build(chain)()
    build(fan)()
    b.workload("60 RUN in a chain", "60 x unshare -Urmpf true", [
        ("60 x unshare -Urmpf true", b.shell("for i in $(seq 60); do unshare -Urmpf true; done"), None),
        ("kiln --no-cache", build(chain), None)])
    b.workload("32 x sleep 0.2", "sleep 0.2", [
        ("sleep 0.2", b.shell("sleep 0.2"), None), ("kiln --no-cache", build(fan), None)])


def many_files(b):
    tree = os.path.join(b.work, "tree")
    write(tree + "/Dockerfile", "FROM scratch\nCOPY . /src\n")
    if not os.path.exists(tree + "/.made-%d" % b.options.files):
        for i in range(b.options.files):
            write("%s/d%03d/s%02d/f%d" % (tree, i // 1000, i // 50 % 20, i), "x%d " % i * (200 + i % 600))
        write(tree + "/.made-%d" % b.options.files, "")
    out = os.path.join(b.work, "out.tar")
    pipe = "tar cf - . | openssl dgst -sha256"
    cold = b.kiln("tree-cold", "build", "-q", "-o", "type=oci,compression=uncompressed,dest=" + out, tree)
    warm = b.kiln("tree", "build", "-q", "-o", "type=none", tree)
    count = iter(range(10 ** 9))
    warm()
    b.workload("files, cold", "tar | sha256", [
        ("tar | sha256", b.shell(pipe, tree), None),
        ("kiln to an OCI tar", cold, lambda: b.drop("tree-cold"))])
    TARGETS["files, unchanged", "kiln"] = 1.5
    b.workload("files, unchanged", "find", [
        ("find", b.shell("find . -printf '%p %s %T@ %C@ %i %m\\n'", tree), None), ("kiln", warm, None)])
    b.workload("files, one changed", "tar | sha256", [
        ("tar | sha256", b.shell(pipe, tree), None),
        ("kiln", warm, lambda: write(tree + "/d000/s00/f0", "changed %d" % next(count)))])


def big_files(b):
    tree, out = os.path.join(b.work, "big"), os.path.join(b.work, "out.tar")
    write(tree + "/Dockerfile", "FROM scratch\nCOPY . /big\n")
    for i in range(4):
        path = "%s/f%d" % (tree, i)
        if not os.path.exists(path):
            with open(path, "wb") as f:
                for k in range(b.options.megabytes // 4):
                    f.write((os.urandom(512 * 1024) + (b"kiln %d %d\n" % (i, k)) * 65536)[:1 << 20])
    for codec, limit in (("gzip", "pigz -6"), ("zstd", "zstd -T0 -3 -q")):
        TARGETS["big files, " + codec, "kiln"] = 1.1
        b.workload("big files, " + codec, "tar | " + limit, [
            ("tar | " + limit, b.shell("tar cf - . | %s > %s" % (limit, out), tree), None),
            ("kiln", b.kiln("big", "build", "-q", "-o", "type=oci,compression=%s,dest=%s" % (codec, out), tree),
             lambda: b.drop("big"))])


def pull(b):
    get = "curl -fsS http://%s/v2/library/python" % b.options.registry
    manifest = json.loads(subprocess.check_output(get + "/manifests/3.8-slim-buster -H 'Accept: application/vnd.oci.image.index.v1+json'", shell=True))
    manifest = json.loads(subprocess.check_output(get + "/manifests/%s -H 'Accept: application/vnd.oci.image.manifest.v1+json'" % manifest["manifests"][0]["digest"], shell=True))
    target = os.path.join(b.work, "untar")
    fetch = " && ".join("%s/blobs/%s | tar xzf - -C %s" % (get, l["digest"], target) for l in manifest["layers"])

    def fresh():
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
    TARGETS["pull and unpack", "kiln pull"] = 1.3
    b.workload("pull and unpack", "curl | tar x", [
        ("curl | tar x", b.shell(fetch), fresh),
        ("kiln pull", b.kiln("pull", "pull", "-q", "python:3.8-slim-buster"), lambda: b.drop("pull"))])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kiln", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--work", default="/var/tmp/kiln-bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--only", type=lambda s: s.split(","))
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    options.kiln = os.path.abspath(options.kiln)
    repo = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    bench = Bench(options)
    print("%-22s %-34s %11s  %8s  %10s" % ("workload", "what", "median", "ratio", "peak"))
    noop(bench, repo)
    run_steps(bench)
    many_files(bench)
    big_files(bench)
    pull(bench)
    if options.json:
        write(os.path.abspath(options.json), json.dumps(bench.rows, indent=1))
    missed = [r for r in bench.rows if r["target"] and r["ratio"] > r["target"]]
    if options.check and missed:
        for row in missed:
            print("MISSED %(workload)s, %(what)s: %(ratio).2f x, aimed at %(target).1f x" % row)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
