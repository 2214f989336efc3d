#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""random_travel.py KILN REGISTRY FOLDER [--seed N] [--rounds N | --minutes N]: random Dockerfiles of steps whose
layers hold more than added files, edited at random between builds, against a model that keeps a tree of paths. What
a round built leaves for an empty store in a way chosen at random (a cache of mode min or max in a directory, a
registry or the image; push and pull; save and load; an OCI archive). What is there must be what the model says and,
where nothing ran again, byte for byte what was here; a further step on top of it too; and every second time the
next round goes on there.

Every seed makes a world of its own; --minutes takes one seed after the other. The first difference ends it with 1, says
the seed, and leaves the Dockerfile in FOLDER."""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time

ROUNDS_OF_A_WORLD = 6
TEXTS = ["one", "two", "three", "four"]
FILE_MODES = [0o644, 0o600, 0o755, 0o4755, 0o640]
DIR_MODES = [0o755, 0o700, 0o1777, 0o711]
TIMES = [1, 86399, 315532800, 2000000000]
WAYS = ["local-min", "local-max", "registry-min", "registry-max", "inline", "pull", "load", "oci"]


class Failure(Exception):
    pass


class Entry:
    """What is at a path. Times are not the model's: a step that leaves what another left but for its times gives
    that one's layer (docs/cache.md). Those of here and there are compared, with all the other bytes."""

    def __init__(self, kind, mode, uid=0, gid=0, data=""):
        self.kind, self.mode, self.uid, self.gid, self.data = kind, mode, uid, gid, data

    def copy(self):
        return Entry(self.kind, self.mode, self.uid, self.gid, self.data)


def new_file(text):
    return Entry("f", 0o644, data=text + "\n")


def new_dir():
    return Entry("d", 0o755)


class Tree:
    """The model: the paths below /w, each with its Entry."""

    def __init__(self, entries=None):
        self.entries = entries if entries is not None else {"/w": new_dir()}
        self.linked = set()  # may share a file with another path since this step began

    def copy(self):
        return Tree({path: entry.copy() for path, entry in self.entries.items()})

    def below(self, top):
        return [p for p in self.entries if p == top or p.startswith(top + "/")]

    def remove(self, top):
        for p in self.below(top):
            del self.entries[p]

    def put(self, path, entry):
        self.remove(path)
        self.entries[path] = entry

    def graft(self, top, other, source):
        """What `other` has at `source`, at `top`."""
        new = {top + p[len(source):]: other.entries[p].copy() for p in other.below(source)}
        self.remove(top)
        self.entries.update(new)

    def move(self, source, top):
        self.graft(top, self.copy(), source)
        self.remove(source)

    def pick(self, rng, kinds, fits=lambda path, entry: True):
        paths = [p for p, e in sorted(self.entries.items()) if p != "/w" and e.kind in kinds and fits(p, e)]
        return rng.choice(paths) if paths else None

    def fresh(self, rng, directory=None):
        """A path that is not there, in a directory that is."""
        if directory is None:
            directory = rng.choice(sorted(p for p, e in self.entries.items() if e.kind == "d" and p.count("/") < 4))
        while True:
            path = directory + "/" + rng.choice("abcdefgh") + rng.choice(["", "", "x", " y", "\u00f6"])
            if path not in self.entries:
                return path


def q(path):
    return "'" + path + "'"


# --- Commands. Each changes the tree and gives the shell's words for it, or None where nothing fits.


def write(rng, t):
    # Not through what shares its file with another path, and nothing whose mode a write may change.
    p = t.pick(rng, "f", lambda p, e: p not in t.linked and e.mode != 0o4755) if rng.random() < 0.4 else None
    p = p or t.fresh(rng)
    text = rng.choice(TEXTS)
    if p in t.entries:
        t.entries[p].data = text + "\n"
    else:
        t.put(p, new_file(text))
    return f"echo {text} > {q(p)}"


def temporary(rng, t):
    p = t.fresh(rng)
    return f"echo t > {q(p)} && rm {q(p)}" if rng.random() < 0.5 else f"mkdir {q(p)} && rmdir {q(p)}"


def touch(rng, t):
    p = t.pick(rng, "df", lambda p, e: p not in t.linked)
    if not p:
        return None
    return f"touch -d @{rng.choice(TIMES)} {q(p)}" if rng.random() < 0.6 else f"touch {q(p)}"


def chmod(rng, t):
    p = t.pick(rng, "dfp", lambda p, e: p not in t.linked)
    if not p:
        return None
    if rng.random() < 0.6:
        t.entries[p].mode = rng.choice(DIR_MODES if t.entries[p].kind == "d" else FILE_MODES)
    return f"chmod {t.entries[p].mode:o} {q(p)}"


def chown(rng, t):
    p = t.pick(rng, "dfp", lambda p, e: p not in t.linked)
    if not p:
        return None
    e = t.entries[p]
    if rng.random() < 0.6:
        e.uid, e.gid = rng.choice([0, 7, 1000]), rng.choice([0, 8])
    if e.kind != "d":
        e.mode &= ~0o4000
    return f"chown {e.uid}:{e.gid} {q(p)}"


def there_and_back(rng, t):
    p = t.pick(rng, "dflp")
    if not p:
        return None
    t.linked.update(t.below(p))
    return f"mv {q(p)} {q(p + '~')} && mv {q(p + '~')} {q(p)}"


def move(rng, t):
    p = t.pick(rng, "dflp")
    if not p:
        return None
    # What shares a file stays where the others are.
    to = t.fresh(rng, os.path.dirname(p))
    t.linked.update(to + r[len(p):] for r in t.below(p))
    t.move(p, to)
    return f"mv {q(p)} {q(to)}"


def swap(rng, t):
    a = t.pick(rng, "dfl")
    b = a and t.pick(rng, "dfl", lambda p, e: os.path.dirname(p) == os.path.dirname(a) and p != a)
    if not b:
        return None
    t.move(a, a + "~")
    t.move(b, a)
    t.move(a + "~", b)
    t.linked.update(t.below(a) + t.below(b))
    return f"mv {q(a)} {q(a + '~')} && mv {q(b)} {q(a)} && mv {q(a + '~')} {q(b)}"


def remove(rng, t):
    p = t.pick(rng, "dflp")
    if not p:
        return None
    t.remove(p)
    return f"rm -r {q(p)}"


def anew(rng, t):
    p = t.pick(rng, "d")
    if not p:
        return None
    t.put(p, new_dir())
    words = f"rm -r {q(p)} && mkdir {q(p)}"
    if rng.random() < 0.6:
        inside = t.fresh(rng, p)
        t.put(inside, new_file("anew"))
        words += f" && echo anew > {q(inside)}"
    return words


def copy_and_back(rng, t):
    p = t.pick(rng, "d")
    if not p:
        return None
    t.linked.update(t.below(p))
    return f"cp -a {q(p)} {q(p + '~')} && rm -r {q(p)} && cp -a {q(p + '~')} {q(p)} && rm -r {q(p + '~')}"


def copy(rng, t):
    p = t.pick(rng, "df", lambda p, e: p.count("/") < 4)
    if not p:
        return None
    to = t.fresh(rng, os.path.dirname(p))
    t.graft(to, t.copy(), p)
    t.linked.update(t.below(to))
    return f"cp -a {q(p)} {q(to)}"


def link(rng, t):
    p = t.pick(rng, "f")
    if not p:
        return None
    to = t.fresh(rng, os.path.dirname(p))
    t.put(to, t.entries[p].copy())
    words = f"ln {q(p)} {q(to)}"
    if p not in t.linked and t.entries[p].mode != 0o4755 and rng.random() < 0.4:
        for path in (p, to):
            t.entries[path].data = "both\n"
        words += f" && echo both > {q(to)}"
    t.linked.update((p, to))
    return words


def symlink(rng, t):
    p = t.fresh(rng)
    target = rng.choice(["nowhere", "a", "/w", ".."])
    t.put(p, Entry("l", 0o777, data=target))
    return f"ln -s {target} {q(p)}"


def fifo(rng, t):
    p = t.fresh(rng)
    t.put(p, Entry("p", 0o640))
    return f"mkfifo -m 640 {q(p)}"


def mkdir(rng, t):
    p = t.fresh(rng)
    t.put(p, new_dir())
    if p.count("/") < 4 and rng.random() < 0.5:
        t.put(p + "/a", new_dir())
        return f"mkdir -p {q(p + '/a')}"
    return f"mkdir {q(p)}"


def other_kind(rng, t):
    p = t.pick(rng, "dfl")
    if not p:
        return None
    if t.entries[p].kind == "d":
        t.put(p, new_file("was a directory"))
        return f"rm -r {q(p)} && echo was a directory > {q(p)}"
    t.put(p, new_dir())
    return f"rm {q(p)} && mkdir {q(p)}"


def rewrite(rng, t):
    p = t.pick(rng, "f")
    if not p:
        return None
    t.put(p, new_file(t.entries[p].data[:-1]))
    t.linked.discard(p)
    return f"cat {q(p)} > {q(p + '~')} && mv {q(p + '~')} {q(p)}"


def nothing(rng, t):
    return "true"


COMMANDS = [write, write, write, write, temporary, touch, touch, chmod, chmod, chown, there_and_back, there_and_back, move,
            swap, remove, anew, anew, copy_and_back, copy, link, link, symlink, fifo, mkdir, mkdir, other_kind, rewrite, nothing]


# --- Dockerfiles: stages of steps, a step being a seed. What it does follows from that and from the tree below it.


def run_step(rng, t):
    t.linked = set()
    words = [rng.choice(COMMANDS)(rng, t) for _ in range(rng.choice([1, 1, 2, 3]))]
    return "RUN " + (" && ".join(w for w in words if w) or "true")


def copy_step(rng, t, before):
    """COPY of a file of the context, or of a file or directory of a stage before."""
    p = t.pick(rng, "f") if rng.random() < 0.4 else None
    p = p or t.fresh(rng)
    if before and rng.random() < 0.7:
        n = rng.randrange(len(before))
        source = before[n].pick(rng, "f")
        if source and p not in t.entries and rng.random() < 0.5:
            source = os.path.dirname(source)
        if source and not any(" " in q for q in (source, p)):
            t.graft(p, before[n], source)
            return f"COPY --from=s{n} {source} {p}"
    name = rng.choice(TEXTS)
    t.put(p, new_file(name))
    return f'COPY ["{name}", "{p}"]'


def step(seed, t, before):
    rng = random.Random(seed)
    return copy_step(rng, t, before) if rng.random() < 0.15 else run_step(rng, t)


class World:
    def __init__(self, options, seed):
        self.kiln, self.registry, self.folder = options.kiln, options.registry, options.folder
        self.seed, self.rng = seed, random.Random(seed)
        self.stages = [[self.new_seed() for _ in range(self.rng.randint(1, 5))] for _ in range(self.rng.randint(1, 3))]
        self.on = [self.rng.randrange(-1, n) if n else -1 for n in range(len(self.stages))]  # -1: busybox
        self.image = f"{self.registry}/random-{os.getpid()}-{seed}:1"
        self.store = self.path("store-0")

    def new_seed(self):
        return self.rng.randrange(1 << 32)

    def path(self, name):
        return os.path.join(self.folder, name)

    def dockerfile(self):
        """Its lines, and the model of its last stage."""
        lines, trees = [], []
        for n, seeds in enumerate(self.stages):
            if self.on[n] < 0:
                lines += [f"FROM busybox AS s{n}", "RUN mkdir /w"]
                t = Tree()
            else:
                lines.append(f"FROM s{self.on[n]} AS s{n}")
                t = trees[self.on[n]].copy()
            lines += [step(seed, t, trees) for seed in seeds]
            trees.append(t)
        return lines, trees[-1]

    def edit(self):
        for _ in range(self.rng.choice([1, 1, 2])):
            seeds = self.rng.choice(self.stages)
            if self.rng.random() < 0.4 and len(seeds) < 7:
                seeds.insert(self.rng.randrange(len(seeds) + 1), self.new_seed())
            else:
                seeds[self.rng.randrange(len(seeds))] = self.new_seed()

    def run(self, *arguments, may_warn=False):
        p = subprocess.run([self.kiln, *arguments], env=os.environ | {"KILN_ROOT": self.store}, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.returncode:
            raise Failure(f"kiln {' '.join(arguments)} ended with {p.returncode}\n{p.stderr}")
        if "WARN" in p.stderr and not may_warn:
            raise Failure(f"kiln {' '.join(arguments)} warned\n{p.stderr}")
        return p.stderr

    def build(self, lines, *arguments):
        with open(self.path("app/Dockerfile"), "w") as f:
            f.write("\n".join(lines) + "\n")
        return self.run("build", "--progress", "plain", *arguments, self.path("app"))

    def archive(self, lines, name, tree):
        """Builds once more into an archive; what it holds must be the model's."""
        archive = self.path(name)
        self.build(lines, "-o", f"type=tar,dest={archive}")
        compare(tree, archive)
        return archive

    def one_round(self, number):
        lines, tree = self.dockerfile()
        way = self.rng.choice(WAYS)
        cache = {"local": f"type=local,dest={self.path('cache')}",
                 "registry": f"type=registry,ref={self.image}-cache",
                 "inline": "type=inline"}.get(way.split("-")[0])
        arguments = ["--cache-to", cache + (",mode=" + way.split("-")[1] if "-" in way else "")] if cache else []
        shutil.rmtree(self.path("cache"), ignore_errors=True)
        said = self.build(lines, *arguments, "-o", f"type=image,name={self.image},push=true")
        here = self.archive(lines, "here.tar", tree)
        there = self.path(f"store-{self.rng.randrange(1 << 32)}")
        old, self.store = self.store, there
        print(f"# round {number}: {len(lines)} lines, {said.count(' CACHED')} found, by {way}", flush=True)
        self.arrive(way, old, lines, tree, here)
        kept, removed = (there, old) if self.rng.random() < 0.5 else (old, there)
        self.store = removed
        self.run("store", "verify")
        shutil.rmtree(removed)
        self.store = kept
        self.edit()

    def arrive(self, way, old, lines, tree, here):
        """In an empty store: the same tree, and what one step more leaves on it."""
        if way in ("pull", "load", "oci"):
            if way == "pull":
                self.run("pull", self.image)
            else:
                self.store, there = old, self.store
                if way == "load":
                    self.run("save", "-o", self.path("saved.tar"), self.image)
                else:
                    self.build(lines, "-o", f"type=oci,dest={self.path('saved.tar')},name={self.image}")
                self.store = there
                self.run("load", "-i", self.path("saved.tar"))
            lines = [f"FROM {self.image}"]
        else:
            source = {"local": f"type=local,src={self.path('cache')}",
                      "registry": f"type=registry,ref={self.image}-cache",
                      "inline": f"type=registry,ref={self.image}"}[way.split("-")[0]]
            said = self.build(lines, "-t", self.image, "--cache-from", source)
            if way.endswith("max") and said.count(" CACHED") < len([l for l in lines if not l.startswith("FROM")]):
                self.check_found(said)
        archive = self.archive(lines, "there.tar", tree)
        if not way.endswith("min") and way != "inline" and open(archive, "rb").read() != open(here, "rb").read():
            raise Failure(f"by {way}: the archives of here and there differ")
        further = tree.copy()
        lines = lines + [step(self.new_seed(), further, []) for _ in range(2)]
        self.archive(lines, "further.tar", further)

    @staticmethod
    def check_found(said):
        """No step ran: each that this build asked for was found."""
        started = {l.split()[0] for l in said.splitlines() if "] RUN" in l or "] COPY" in l}
        found = {l.split()[0] for l in said.splitlines() if l.endswith(" CACHED")}
        if started - found:
            raise Failure(f"steps ran that a cache of all results has\n{said}")


def describe(e):
    return f"{e.kind} {e.mode:o} {e.uid}:{e.gid} {e.data!r}"


def compare(tree, archive):
    """The model and what an archive has below w."""
    got = {}
    with tarfile.open(archive) as t:
        for m in t:
            path = "/" + m.name.rstrip("/").removeprefix("./")
            if path != "/w" and not path.startswith("/w/"):
                continue
            if m.islnk():
                got[path] = got["/" + m.linkname.removeprefix("./").lstrip("/")]
                continue
            kind = "d" if m.isdir() else "l" if m.issym() else "p" if m.isfifo() else "f"
            data = m.linkname if kind == "l" else t.extractfile(m).read().decode() if kind == "f" else ""
            got[path] = Entry(kind, m.mode, m.uid, m.gid, data)
    for path in sorted(set(got) | set(tree.entries)):
        a, b = tree.entries.get(path), got.get(path)
        if not a or not b or describe(a) != describe(b):
            raise Failure(f"{path} in {archive}\nmodel: {a and describe(a)}\n  got: {b and describe(b)}")


def play(options, seed, rounds):
    world = World(options, seed)
    print(f"# seed {seed}", flush=True)
    for number in range(1, rounds + 1):
        try:
            world.one_round(number)
        except Failure as e:
            print(f"not ok - seed {seed}, round {number}, store {world.store}: {e}", flush=True)
            return False
    shutil.rmtree(world.store)
    return True


def main():
    parser = argparse.ArgumentParser()
    for argument in ("kiln", "registry", "folder"):
        parser.add_argument(argument)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    parser.add_argument("--rounds", type=int, default=ROUNDS_OF_A_WORLD)
    parser.add_argument("--minutes", type=float, default=0)
    options = parser.parse_args()
    os.makedirs(os.path.join(options.folder, "app"), exist_ok=True)
    for text in TEXTS:
        with open(os.path.join(options.folder, "app", text), "w") as f:
            f.write(text + "\n")
    end = time.monotonic() + 60 * options.minutes
    while True:
        if not play(options, options.seed, options.rounds):
            return 1
        options.seed += 1
        if time.monotonic() >= end:
            return 0


sys.exit(main())
