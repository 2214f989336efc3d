# SPDX-License-Identifier: Apache-2.0
"""Runs commands and takes their measure: time, peak memory, bytes written."""
import ctypes, mmap, os, re, socket, struct, subprocess, tempfile, time
from dataclasses import dataclass, field


@dataclass
class Sample:
    seconds: float
    cpu: float = 0  # seconds of processors, of all processes: tells more than the clock where others compute
    peak_kb: int = 0  # of the largest process, or of client and daemon together
    written: int = 0  # bytes that were to reach a disk, as the kernel counts them for a process
    facts: dict = field(default_factory=dict)  # what only some workloads measure, such as "size"


class Failed(Exception):
    pass


def written_by(pid):
    """Of an ended process that nobody has waited for yet, with those that it has waited for itself."""
    try:
        with open("/proc/%d/io" % pid) as f:
            return int(re.search(r"^write_bytes: (\d+)", f.read(), re.M).group(1))
    except (OSError, AttributeError):
        return 0


def warm_memory(megabytes):
    """Has free memory in hand, as a machine of one's own would: hosts take back from their virtual machines what
    lies idle for seconds, and the next file written there waits for it, at a tenth of the speed."""
    with open("/proc/meminfo") as f:
        free = int(re.search(r"^MemFree:\s*(\d+)", f.read(), re.M).group(1)) // 1024
    size = min(megabytes, free - 1024) << 20
    if size > 0:
        with mmap.mmap(-1, size) as memory:
            at = ctypes.c_char.from_buffer(memory)
            ctypes.memset(ctypes.addressof(at), 1, size)
            del at


def run(command, env=None, cwd=None, cores=None):
    """`command` is a list, or a text for the shell; `cores` limits it to that many of them."""
    if isinstance(command, str):
        command = ["sh", "-c", command]
    if cores:
        command = ["taskset", "-c", "0-%d" % (cores - 1)] + command
    # time(1) stands between: the peak of a process that Python makes would be Python's at least.
    with tempfile.NamedTemporaryFile() as peak:
        command = ["time", "-o", peak.name, "-f", "%M"] + command
        started = time.monotonic()
        process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = process.stderr.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        seconds, written = time.monotonic() - started, written_by(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failed("%s failed:\n%s" % (" ".join(command), errors.decode(errors="replace")[-2000:]))
        return Sample(seconds, usage.ru_utime + usage.ru_stime, int(peak.read()), written)


class Daemon:
    """The memory and the writes of a daemon behind a unix socket."""

    def __init__(self, path):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            self.pid = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def watch(self, function):
        with open("/proc/%d/clear_refs" % self.pid, "w") as f:
            f.write("5")  # forget the peak
        before = written_by(self.pid)
        sample = function()
        with open("/proc/%d/status" % self.pid) as f:
            sample.peak_kb += int(re.search(r"^VmHWM:\s*(\d+)", f.read(), re.M).group(1))
        sample.written += written_by(self.pid) - before
        return sample
