# SPDX-License-Identifier: Apache-2.0
"""Turns samples into rows, rows into a table, and compares them with what is aimed at."""
import statistics

# What a target may bound, and how it is shown.
UNITS = {"ratio": "%.2f x", "seconds": "%.3f s", "over_ms": "%.1f ms a step over", "over_s": "%.3f s over",
         "peak_mb": "%.0f MB", "moved": "%d bytes moved", "size_ratio": "size %.3f x",
         "written_ratio": "%.2f x written"}


def median_fact(samples, name):
    values = [s.facts[name] for s in samples if name in s.facts]
    return statistics.median(values) if values else None


def row(workload, what, samples, targets):
    seconds = [s.seconds for s in samples]
    out = {"workload": workload, "what": what, "seconds": statistics.median(seconds), "min": min(seconds),
           "max": max(seconds), "rounds": len(seconds), "cpu": statistics.median(s.cpu for s in samples), "peak_mb": max(s.peak_kb for s in samples) / 1024,
           "written_mb": statistics.median(s.written for s in samples) / 1e6, "targets": targets}
    for fact in ("moved", "size", "layer_bytes"):
        if (value := median_fact(samples, fact)) is not None:
            out[fact] = value
    return out


def compare(row, limit, steps):
    """Adds what the limit's row is needed for."""
    row["ratio"] = row["seconds"] / limit["seconds"]
    row["over_s"] = row["seconds"] - limit["seconds"]
    if steps:
        row["over_ms"] = row["over_s"] * 1000 / steps
    if "size" in row and "size" in limit:
        row["size_ratio"] = row["size"] / limit["size"]
    if "layer_bytes" in row:
        row["written_ratio"] = row["written_mb"] * 1e6 / row["layer_bytes"]


def missed(row):
    return [key for key, most in row["targets"].items() if row.get(key) is None or row[key] > most]


def show(key, value):
    return UNITS[key] % value


HEADER = "%-26s %-36s %10s %8s %9s %9s %11s  %s" % ("workload", "what", "median", "ratio", "cpu", "peak",
                                                    "written", "aimed at")


def line(row):
    aims = []
    for key, most in row["targets"].items():
        aims.append("%s (%s%s)" % (show(key, most), show(key, row[key]), ", MISSED" if key in missed(row) else ""))
    extra = ["%s %d" % (k, row[k]) for k in ("moved", "size") if k in row]
    return "%-26s %-36s %8.3f s %6.2f x %7.3f s %6.1f MB %8.1f MB  %s" % (
        row["workload"], row["what"], row["seconds"], row["ratio"], row["cpu"], row["peak_mb"], row["written_mb"],
        "; ".join(aims + extra))


def markdown(rows):
    out = ["| workload | what | median | ratio | CPU | peak memory | written |",
           "| --- | --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        out.append("| %s | %s | %.3f s | %.2f | %.3f s | %.0f MB | %.1f MB |" % (
            r["workload"], r["what"].replace("|", "\\|"), r["seconds"], r["ratio"], r["cpu"], r["peak_mb"],
            r["written_mb"]))
    return "\n".join(out) + "\n"
