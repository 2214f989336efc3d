# SPDX-License-Identifier: Apache-2.0
"""What is measured: one function a workload, each a list of contenders that take turns."""
import atexit, json, os, shutil, subprocess
from dataclasses import dataclass, field
from itertools import count
from typing import Callable, Optional

import generate, measure
from forward import Forwarder


@dataclass
class Contender:
    """`prepare` is not measured. `targets` bound what report.UNITS names; the limit of a workload is its
    first contender."""
    name: str
    run: Callable
    prepare: Optional[Callable] = None
    targets: dict = field(default_factory=dict)
    is_peer: bool = False


def against(bench, run, prepare=None):
    """The same workload for each peer: run(peer), prepare(peer)."""
    return [Contender(p.name, lambda p=p: run(p), (lambda p=p: prepare(p)) if prepare else None, is_peer=True)
            for p in bench.peers]


def sized(sample, path):
    sample.facts["size"] = os.path.getsize(path)
    return sample


def from_nothing(builder, store, path):
    """An empty store, and no archive: ext4 writes a file to the disk at once that takes the place of another."""
    def prepare():
        builder.drop(store)
        if os.path.exists(path):
            os.remove(path)
    return prepare


def shell(text, cwd=None):
    return lambda: measure.run(text, cwd=cwd)


def on_cores(bench, build, targets):
    """The workload with one core and with two, to see what the second brings."""
    if os.cpu_count() < 2:
        return []
    return [Contender("kiln, %d core%s" % (n, "s"[:n - 1]), lambda n=n: build(n), targets=targets if n > 1 else {})
            for n in (1, 2)]


def no_op(bench):
    app = bench.path("app")
    shutil.copytree(os.path.join(bench.repo, "examples/python-docker"), app, dirs_exist_ok=True)
    bench.kiln.run("noop", "build", "-q", "-t", "bench-app", app)
    # Without the line for which BuildKit fetches a front end as an image.
    with open(app + "/Dockerfile") as f:
        plain = generate.dockerfile(bench.path("app-plain"), "".join(l for l in f if not l.startswith("# syntax")))
    shutil.copytree(app, plain, dirs_exist_ok=True, ignore=lambda *_: ["Dockerfile"])
    for p in bench.peers:
        p.build("noop", plain)
    return [Contender("curl --version", lambda: measure.run(["curl", "--version"])),
            Contender("kiln, to the local image", lambda: bench.kiln.run("noop", "build", "-q", "-t", "bench-app", app),
                      targets={"ratio": 3.0}),
            Contender("kiln, no output", lambda: bench.kiln.build("noop", app), targets={"seconds": 0.02})
            ] + against(bench, lambda p: p.build("noop", plain))


def no_op_in_a_big_store(bench):
    """100,000 cache records and 1,000 images beside the tutorial's."""
    app = bench.path("app")
    images, steps = bench.options.images, bench.options.records // bench.options.images
    root = bench.kiln.root("big-store")

    def fill():
        for i in range(images):
            folder = generate.dockerfile(bench.path("fill"), "FROM scratch\n" + "".join(
                "WORKDIR /i%d/s%d\n" % (i, k) for k in range(steps)))
            bench.kiln.run("big-store", "build", "-q", "-t", "fill:%d" % i, folder)
    generate.once(root, "images-%d" % images, fill)
    for store in ("noop", "big-store"):
        bench.kiln.run(store, "build", "-q", "-t", "bench-app", app)
    return [Contender("kiln, small store", lambda: bench.kiln.build("noop", app)),
            Contender("kiln, big store", lambda: bench.kiln.build("big-store", app), targets={"ratio": 1.1}),
            Contender("kiln images", lambda: bench.kiln.run("big-store", "images")),
            Contender("kiln du", lambda: bench.kiln.run("big-store", "du")),
            Contender("kiln prune, nothing to do",
                      lambda: bench.kiln.run("big-store", "prune", "-f", "--filter", "until=240h"))]


def chain(bench):
    folder = generate.chain(bench.path("chain"), 60)
    bench.kiln.drop("steps")
    bench.kiln.build("steps", folder)
    return [Contender("60 x sh -c true", shell("for i in $(seq 60); do sh -c true; done")),
            Contender("60 x unshare -Urmpf true", shell("for i in $(seq 60); do unshare -Urmpf true; done"))
            ] + sixty_containers(bench) + [
            Contender("kiln", lambda: bench.kiln.build("steps", folder, "--no-cache"), targets={"over_ms": 5.0})
            ] + against(bench, lambda p: p.build("steps", folder, "--no-cache"))


def sixty_containers(bench):
    """crun on a ready root file system, without cgroups: what a container costs by itself."""
    bundle = bench.path("bundle")
    # crun refuses to start beside cgroups of both versions: it is not shown the newer ones.
    calls = ["unshare", "-m", "sh", "-c", "umount -l /sys/fs/cgroup/unified 2> /dev/null; for i in $(seq 60); do"
             " crun --cgroup-manager=disabled run -b %s bench$i || exit 1; done" % bundle]
    shutil.rmtree(bundle, ignore_errors=True)
    os.makedirs(bundle + "/rootfs/bin")
    shutil.copy("/bin/busybox", bundle + "/rootfs/bin/sh")
    try:
        measure.run(["crun", "spec"], cwd=bundle)
        with open(bundle + "/config.json") as f:
            spec = json.load(f)
        spec["process"].update(terminal=False, args=["sh", "-c", "true"])
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "cgroup"]
        spec["mounts"] = [m for m in spec["mounts"] if m["type"] != "cgroup"]
        generate.write(bundle + "/config.json", json.dumps(spec))
        measure.run(calls)
    except (measure.Failed, OSError) as error:
        print("crun takes no part: %s" % error)
        return []
    return [Contender("60 x crun run", lambda: measure.run(calls))]


def fan(bench):
    folder = generate.fan(bench.path("fan"), 32, "sleep 0.2")
    bench.kiln.build("steps", folder)
    build = lambda cores=None: bench.kiln.build("steps", folder, "--no-cache", cores=cores)
    return [Contender("sleep 0.2", shell("sleep 0.2")), Contender("kiln", build, targets={"seconds": 0.6})
            ] + on_cores(bench, build, {}) + against(bench, lambda p: p.build("steps", folder, "--no-cache"))


def wide_fan(bench):
    folder = generate.fan(bench.path("wide-fan"), 500, "true")
    bench.kiln.build("steps", folder)
    build = lambda cores=None: bench.kiln.build("steps", folder, "--no-cache", cores=cores)
    return [Contender("500 x sh -c true", shell("for i in $(seq 500); do sh -c true; done")),
            Contender("kiln", build, targets={"over_ms": 5.0})] + on_cores(bench, build, {})


def graph(bench):
    folder = generate.wide_graph(bench.path("graph"), 10000)
    build = lambda: bench.kiln.build("graph", folder)
    build()
    return [Contender("curl --version", lambda: measure.run(["curl", "--version"])),
            Contender("kiln", build, targets={"seconds": 0.15})]


def files_cold(bench):
    tree, out = generate.many_files(bench.path("tree"), bench.options.files), bench.path("out.tar")
    layer = int(subprocess.check_output("tar cf - . | wc -c", shell=True, cwd=tree))

    def without_output(cores=None):
        sample = bench.kiln.build("tree-cold", tree, cores=cores)
        sample.facts["layer_bytes"] = layer
        return sample
    drop = from_nothing(bench.kiln, "tree-cold", out)
    contenders = [
        Contender("tar | sha256", shell("tar cf - . | openssl dgst -sha256", tree)),
        Contender("kiln to an OCI tar", lambda: bench.kiln.build_oci("tree-cold", tree, out, "uncompressed"), drop,
                  {"ratio": 2.0, "peak_mb": 150}),
        Contender("kiln, no output", without_output, drop, {"written_ratio": 1.1})]
    for c in on_cores(bench, without_output, {}):
        c.prepare = drop
        contenders.append(c)
    return contenders + against(bench, lambda p: p.build_oci("tree-cold", tree, out, "uncompressed"),
                                lambda p: from_nothing(p, "tree-cold", out)())


def files_unchanged(bench):
    tree = generate.many_files(bench.path("tree"), bench.options.files)
    build = lambda cores=None: bench.kiln.build("tree", tree, cores=cores)
    build()
    for p in bench.peers:
        p.build("tree", tree)
    return [Contender("find", shell("find . -printf '%p %s %T@ %C@ %i %m\\n'", tree)),
            Contender("kiln", build, targets={"ratio": 1.5, "peak_mb": 150})
            ] + on_cores(bench, build, {}) + against(bench, lambda p: p.build("tree", tree))


def files_one_changed(bench):
    tree, changes = generate.many_files(bench.path("tree"), bench.options.files), count()
    change = lambda *_: generate.write(tree + "/d000/s00/f0", "changed %d" % next(changes))
    # What an earlier run built with these changes would be found.
    bench.kiln.drop("changed")
    bench.kiln.build("changed", tree)
    for p in bench.peers:
        p.build("tree", tree)
    return [Contender("tar | sha256", shell("tar cf - . | openssl dgst -sha256", tree)),
            Contender("find", shell("find . -printf '%p %s %T@ %C@ %i %m\\n'", tree)),
            Contender("kiln", lambda: bench.kiln.build("changed", tree), change,
                      {"seconds": lambda s: s["tar | sha256"] + 1.5 * s["find"], "peak_mb": 150})
            ] + against(bench, lambda p: p.build("tree", tree), change)


def big_files(bench, codec, limit):
    tree, out = generate.big_files(bench.path("big"), bench.options.megabytes), bench.path("out.tar")
    pack = shell("tar cf - . | %s > %s" % (limit, out), tree)
    # What a builder cannot do without: the digests of the files, of their tar and of the blob.
    hashed = "tar cf - . | tee >(openssl dgst -sha256) | %s | tee >(openssl dgst -sha256) > %s & openssl dgst -sha256 *; wait" % (limit, out)
    with_digests = lambda: measure.run(["bash", "-c", hashed], cwd=tree)
    kiln = lambda how: lambda: sized(bench.kiln.build_oci("big", tree, out, how), out)
    drop = from_nothing(bench.kiln, "big", out)
    fast = [Contender("kiln, compression-level=fast", kiln("gzip,compression-level=fast"), drop,
                      {"seconds": 8 * bench.options.megabytes / 2048})]
    return [Contender("tar | " + limit, lambda: sized(pack(), out)),
            Contender("the same, and sha256 of files, tar, blob", lambda: sized(with_digests(), out)),
            Contender("kiln", kiln(codec), drop, {"ratio": 1.1, "size_ratio": 1.02, "peak_mb": 150})
            ] + (fast if codec == "gzip" else []) + against(bench, lambda p: sized(p.build_oci("big", tree, out, codec), out), lambda p: from_nothing(p, "big", out)())


def pull(bench):
    get = "curl -fsS http://%s/v2/library/python" % bench.options.registry
    read = lambda ref, kind: json.loads(subprocess.check_output(
        "%s/manifests/%s -H 'Accept: application/vnd.oci.image.%s.v1+json'" % (get, ref, kind), shell=True))
    manifest = read(read("3.8-slim-buster", "index")["manifests"][0]["digest"], "manifest")
    target = bench.path("untar")
    fetch = " && ".join("%s/blobs/%s | tar xzf - -C %s" % (get, l["digest"], target) for l in manifest["layers"])

    def fresh():
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
    return [Contender("curl | tar x", shell(fetch), fresh),
            Contender("kiln pull", lambda: bench.kiln.run("pull", "pull", "-q", "python:3.8-slim-buster"),
                      lambda: bench.kiln.drop("pull"), {"ratio": 1.3})
            ] + against(bench, lambda p: p.build("pull", generate.dockerfile(
                bench.path("pull"), "FROM python:3.8-slim-buster\nRUN true\n")), lambda p: p.drop("pull"))


def through(bench, store, *args, cache=None):
    """kiln with all of its traffic to a registry counted, which args may name as REGISTRY: the one that images
    come from, or `cache` beside it."""
    with Forwarder(cache or bench.options.registry) as relay:
        args = [a.replace("REGISTRY", relay.address) for a in args]
        sample = bench.kiln.run(store, *args, registry=None if cache else relay.address)
        sample.facts["moved"] = relay.received + relay.sent
    return sample


def remote_cache(bench):
    """A machine that starts empty, beside one that has built this before."""
    steps = "".join("RUN dd if=/dev/urandom of=/f%d bs=1M count=4\n" % i for i in range(5))
    folder = generate.dockerfile(bench.path("remote"), "FROM busybox\n" + steps)
    cache = "type=registry,ref=REGISTRY/bench/cache:latest"
    export = lambda: through(bench, "remote", "build", "-q", "-o", "type=none", "--cache-to", cache + ",mode=max", folder)
    export()
    return [Contender("kiln, everything in the store", lambda: bench.kiln.build("remote", folder)),
            Contender("kiln --cache-from, empty store",
                      lambda: through(bench, "empty", "build", "-q", "-o", "type=none", "--cache-from", cache, folder),
                      lambda: bench.kiln.drop("empty"), {"over_s": 0.05, "moved": 65536}),
            Contender("kiln --cache-to, nothing new", export, targets={"moved": 65536})]


def lazy_pull(bench):
    """A base image whose layers nothing reads: its manifest and configuration come, its layers do not."""
    folder = generate.dockerfile(bench.path("lazy"), "FROM python:3.8-slim-buster\nENV A=1\n")

    build = lambda: through(bench, "lazy", "build", "-q", "-o", "type=none", folder)
    return [Contender("curl --version", lambda: measure.run(["curl", "--version"])),
            Contender("kiln", build, lambda: bench.kiln.drop("lazy"), {"moved": 16384})]


def cold_and_warm(bench):
    """Ten steps that leave 500 MB, on machines that start empty; all traffic with the registry is counted."""
    address, folder = "127.0.0.1:5059", bench.path("cache-registry")
    script = os.path.join(bench.repo, "tests/fixtures/registry")
    steps = ["RUN head -c 50000000 /dev/urandom > /data%d\n" % i for i in range(10)]
    app = generate.dockerfile(bench.path("cache-app"), "FROM busybox\n" + "".join(steps))
    changed = generate.dockerfile(bench.path("cache-changed"), "FROM busybox\n" + "".join(steps[:9]) + "RUN wc -c /data* > /sizes\n")

    def stop():
        subprocess.run([script, "stop", address, folder])

    def start():
        stop()
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([script, "start", address, folder], check=True)
        atexit.register(stop)

    def kiln(name, *flags, app=app, prepare=None, **more):
        def fresh():
            bench.kiln.drop("cache")
            if prepare:
                prepare()
        return Contender("kiln, " + name, lambda: through(bench, "cache", "build", "-q", *flags, app, cache=address),
                         fresh, **more)
    cache = "REGISTRY/bench/cache:1"
    return [kiln("cold, no cache", "-o", "type=none"),
            kiln("cold, exports (mode=max)", "-o", "type=none", "--cache-to", "type=registry,ref=%s,mode=max" % cache, prepare=start),
            kiln("warm", "-o", "type=none", "--cache-from", cache, targets={"moved": 65536}),
            kiln("warm, pushes the image", "-t", "REGISTRY/bench/app:1", "--push", "--cache-from", cache),
            kiln("warm, last step changed", "-o", "type=none", "--cache-from", cache, app=changed),
            kiln("warm, to the local store", "-t", "bench-cache", "--cache-from", cache)]


WORKLOADS = {
    "no-op": no_op,
    "no-op in a big store": no_op_in_a_big_store,
    "60 RUN in a chain": chain,
    "32 x sleep 0.2": fan,
    "500 independent RUN": wide_fan,
    "10,000 vertices, cached": graph,
    "files, cold": files_cold,
    "files, unchanged": files_unchanged,
    "files, one changed": files_one_changed,
    "big files, gzip": lambda bench: big_files(bench, "gzip", "pigz -6"),
    "big files, zstd": lambda bench: big_files(bench, "zstd", "zstd -T0 -3 -q"),
    "pull and unpack": pull,
    "lazy pull": lazy_pull,
    "remote cache": remote_cache,
    "500 MB in a remote cache": cold_and_warm,
}
STEPS = {"60 RUN in a chain": 60, "500 independent RUN": 500}
WRITES_MUCH = {"files, cold", "files, one changed", "big files, gzip", "big files, zstd", "pull and unpack"}
