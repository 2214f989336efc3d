# SPDX-License-Identifier: Apache-2.0
"""What is built: the same files and Dockerfiles every time."""
import os, random


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def once(folder, stamp, make):
    """Calls `make` unless it was called before for this folder and stamp; returns the folder."""
    done = "%s.made-%s" % (folder, stamp)
    if not os.path.exists(done):
        make()
        write(done, "")
    return folder


def dockerfile(folder, text):
    write(folder + "/Dockerfile", text)
    return folder


def chain(folder, steps):
    return dockerfile(folder, "FROM busybox\n" + "".join("RUN true %d\n" % i for i in range(steps)))


def fan(folder, width, command):
    """Independent steps, and one stage that needs them all."""
    stages = "".join("FROM busybox AS s%d\nRUN %s && echo %d > /f\n" % (i, command, i) for i in range(width))
    mounts = " ".join("--mount=from=s%d,target=/m/%d" % (i, i) for i in range(width))
    return dockerfile(folder, stages + "FROM busybox\nRUN %s true\n" % mounts)


def wide_graph(folder, vertices):
    """Stages of 50 steps each, whose files the last stage copies 100 stages at a time."""
    stages, text = vertices // 51, ""
    for i in range(stages):
        text += "FROM scratch AS s%d\n" % i + "".join("WORKDIR /s%d/d%d\n" % (i, k) for k in range(50))
    text += "FROM scratch\n" + "".join("COPY --from=s%d / /\n" % i for i in range(stages))
    return dockerfile(folder, text)


def many_files(folder, count):
    def make():
        dockerfile(folder, "FROM scratch\nCOPY . /src\n")
        for i in range(count):
            write("%s/d%03d/s%02d/f%d" % (folder, i // 1000, i // 50 % 20, i), "x%d " % i * (200 + i % 600))
    return once(folder, "files-%d" % count, make)


def big_files(folder, megabytes):
    """Four files; half of every megabyte compresses to nothing, half not at all."""
    def make():
        dockerfile(folder, "FROM scratch\nCOPY . /big\n")
        for i in range(4):
            noise = random.Random(i)
            with open("%s/f%d" % (folder, i), "wb") as f:
                for k in range(megabytes // 4):
                    f.write((noise.randbytes(512 * 1024) + (b"kiln %d %d\n" % (i, k)) * 65536)[:1 << 20])
    return once(folder, "megabytes-%d" % megabytes, make)
