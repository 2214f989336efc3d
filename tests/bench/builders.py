# SPDX-License-Identifier: Apache-2.0
"""The builders that are compared, behind one interface: kiln, and the peers that this machine has."""
import json, os, shutil, subprocess

import measure


class Kiln:
    name = "kiln"

    def __init__(self, program, work, registry):
        self.program, self.work = os.path.abspath(program), work
        self.configs = {}
        self.registry = registry

    def config(self, registry):
        """A configuration file that has this registry as the mirror of docker.io."""
        if registry not in self.configs:
            path = os.path.join(self.work, "config-%s.json" % registry.replace(":", "-"))
            with open(path, "w") as f:
                json.dump({"registries": {"docker.io": {"mirrors": ["http://" + registry]}}}, f)
            self.configs[registry] = path
        return self.configs[registry]

    def root(self, store):
        return os.path.join(self.work, "store-" + store)

    def drop(self, store):
        shutil.rmtree(self.root(store), ignore_errors=True)

    def run(self, store, *args, cores=None, registry=None):
        env = dict(os.environ, KILN_CONFIG=self.config(registry or self.registry), KILN_ROOT=self.root(store))
        return measure.run([self.program] + list(args), env=env, cores=cores)

    def build(self, store, folder, *flags, output="type=none", cores=None):
        return self.run(store, "build", "-q", *flags, "-o", output, folder, cores=cores)

    def build_oci(self, store, folder, path, compression, *flags):
        return self.build(store, folder, *flags, output="type=oci,compression=%s,dest=%s" % (compression, path))


class Buildah:
    """Debian's. It runs steps in a chroot: its runtime wants a cgroup layout that not every machine has."""
    name = "buildah"

    def __init__(self, work, registry):
        self.work = work
        self.registries = os.path.join(work, "registries.conf")
        self.policy = os.path.join(work, "policy.json")
        with open(self.registries, "w") as f:
            f.write('unqualified-search-registries = ["docker.io"]\n[[registry]]\nprefix = "docker.io"\n'
                    'location = "%s"\ninsecure = true\n' % registry)
        with open(self.policy, "w") as f:
            json.dump({"default": [{"type": "insecureAcceptAnything"}]}, f)

    def root(self, store):
        return os.path.join(self.work, "buildah-" + store)

    def command(self, store, *args):
        root = self.root(store)
        return ["buildah", "--root", root, "--runroot", root + "-run", "--storage-driver", "overlay"] + list(args)

    def run(self, *command):
        return measure.run(*command, env=dict(os.environ, CONTAINERS_REGISTRIES_CONF=self.registries))

    def drop(self, store):
        for root in (self.root(store), self.root(store) + "-run"):
            subprocess.run(["umount", root + "/overlay"], stderr=subprocess.DEVNULL)
            shutil.rmtree(root, ignore_errors=True)

    def build_command(self, store, folder, *flags):
        return self.command(store, "build", "--signature-policy", self.policy, "--isolation", "chroot", "--layers",
                            "--network", "host", *flags, "-t", "bench", folder)

    def build(self, store, folder, *flags):
        return self.run(self.build_command(store, folder, *flags))

    def build_oci(self, store, folder, path, compression, *flags):
        """Its pushes to an archive have no such thing as an uncompressed layer: those are gzip."""
        save = self.command(store, "push", "--signature-policy", self.policy, "-q", "--compression-format",
                            "zstd" if compression == "zstd" else "gzip", "bench", "oci-archive:" + path)
        return self.run("%s && rm -f %s && %s" % (" ".join(self.build_command(store, folder, *flags)), path,
                                                  " ".join(save)))

    def pull(self, store, name):
        return self.run(self.command(store, "pull", "--signature-policy", self.policy, "-q", name))


class BuildKit:
    """buildctl with a running daemon, which has one store and the mirror in its own configuration."""
    name = "BuildKit"

    def __init__(self, program, host):
        self.program, self.host = program, host
        self.daemon = measure.Daemon(host.removeprefix("unix://")) if host.startswith("unix://") else None

    def run(self, *args):
        call = lambda: measure.run([self.program, "--addr", self.host] + list(args))
        return self.daemon.watch(call) if self.daemon else call()

    def drop(self, store):
        self.run("prune", "--all")

    def build(self, store, folder, *flags, output=None):
        return self.run("build", "--frontend", "dockerfile.v0", "--local", "context=" + folder, "--local",
                        "dockerfile=" + folder, *flags, *(["--output", output] if output else []))

    def build_oci(self, store, folder, path, compression, *flags):
        return self.build(store, folder, *flags, output="type=oci,compression=%s,force-compression=true,dest=%s" %
                          (compression, path))


def peers(work, registry, wanted):
    found = []
    if shutil.which("buildah") and os.geteuid() == 0:
        found.append(Buildah(work, registry))
    if "BUILDCTL" in os.environ and "BUILDKIT_HOST" in os.environ:
        found.append(BuildKit(os.environ["BUILDCTL"], os.environ["BUILDKIT_HOST"]))
    return [p for p in found if wanted is None or p.name.lower() in wanted]
