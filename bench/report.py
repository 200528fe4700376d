"""What a run of `./dev bench` says: tables in Markdown, and what they were measured on and with."""
import datetime
import os
import pathlib
import platform
import subprocess

from rows import EchoRow, Http2Row, HttpRow, IdleRow, LatencyRow, RecordingRow, RulesRow, ToolsRow, WorkersRow

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What each table compares with: a peer's name, or the row's own limit.
TABLES = [((HttpRow,), ("nginx", "mitmdump")), ((RulesRow, RecordingRow, WorkersRow, Http2Row, EchoRow), ("limit",))]


def number(value, digits=3):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, digits - len(str(int(value))))}f}"


def ratio(value, reference):
    if not reference or "cpu_us" not in reference:
        return ""
    return f"{value / reference['cpu_us']:.2f}" if value / reference["cpu_us"] >= 0.1 else f"{value / reference['cpu_us']:.3f}"


def table(rows, results, references):
    compared = "".join(f" × {name} |" for name in references)
    lines = [f"| Work | Peer | CPU-µs per request |{compared} requests/s | p50 ms | p99 ms | peak RSS MiB |",
             "|---|---|--:|" + "--:|" * (len(references) + 4)]
    for row in rows:
        measured = results.get(row.name, {})
        for name, r in measured.items():
            if "note" in r:
                lines.append(f"| {row.title} | {name} | does not count: {r['note'].splitlines()[0]} |" +
                             " |" * (len(references) + 4))
                continue
            against = [measured.get(row.limit if reference == "limit" else reference) for reference in references]
            ratios = "".join(f" {ratio(r['cpu_us'], reference)} |" for reference in against)
            lines.append(f"| {row.title} | {name} | {number(r['cpu_us'])} |{ratios} {number(r['rps'])} | "
                         f"{number(r['p50_us'] / 1000)} | {number(r['p99_us'] / 1000)} | {number(r['rss_mib'])} |")
            if r.get("apart_us"):
                lines.append(f"| {row.title} | {name}: sealing | {number(r['apart_us'])} |" + " |" * (len(references) + 4))
    return "\n".join(lines)


def idle_table(rows, results):
    lines = ["| Work | Peer | open | peak RSS MiB | KiB for each |", "|---|---|--:|--:|--:|"]
    for row in rows:
        for name, r in results.get(row.name, {}).items():
            if "note" in r:
                lines.append(f"| {row.title} | {name} | does not count: {r['note'].splitlines()[0]} | | |")
                continue
            lines.append(f"| {row.title} | {name} | {r['sockets']:,} | {number(r['rss_mib'])} | {number(r['kib_each'])} |")
    return "\n".join(lines)


def latency_table(rows, results):
    lines = ["| Work | Peer | p50 µs | p99 µs | p50 more than direct | p99 more than direct | p99 within Sluice |",
             "|---|---|--:|--:|--:|--:|--:|"]
    for row in rows:
        measured = results.get(row.name, {})
        direct = measured.get("direct", {})
        for name, r in measured.items():
            if "note" in r:
                lines.append(f"| {row.title} | {name} | does not count: {r['note'].splitlines()[0]} | | | | |")
                continue
            more = [f"{r[key] - direct[key]:,.0f}" if key in direct and name != "direct" else "" for key in ("p50_us", "p99_us")]
            inside = f"{r['inside_us']:,.0f}" if "inside_us" in r else ""
            lines.append(f"| {row.title} | {name} | {r['p50_us']:,.0f} | {r['p99_us']:,.0f} | {more[0]} | {more[1]} | {inside} |")
    return "\n".join(lines)


def tables(rows, results):
    measured = [row for row in rows if row.name in results]
    parts = []
    for kinds, references in TABLES:
        of_table = [row for row in measured if type(row) in kinds]
        if of_table:
            parts.append(table(of_table, results, references))
    times = [row for row in measured if isinstance(row, (LatencyRow, ToolsRow))]
    if times:
        parts.append(latency_table(times, results))
    idle = [row for row in measured if isinstance(row, IdleRow)]
    if idle:
        parts.append(idle_table(idle, results))
    return "\n\n".join(parts)


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), "?")
    except OSError:
        return "missing"


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    memory = next(int(line.split()[1]) for line in pathlib.Path("/proc/meminfo").read_text().splitlines()
                  if line.startswith("MemTotal"))
    system = next((line.split("=", 1)[1].strip('"') for line in pathlib.Path("/etc/os-release").read_text().splitlines()
                   if line.startswith("PRETTY_NAME")), "")
    return f"{os.cpu_count()} × {model}, {memory // 1024 // 1024} GiB, {system}, Linux {platform.release().split('-')[0]}"


def report(rows, results, rounds):
    programs = [version(command) for command in (
        ["/usr/sbin/nginx", "-v"], ["/usr/sbin/nghttpx", "--version"], ["/usr/sbin/squid", "-v"],
        ["mitmdump", "--version"], ["openssl", "version"])]
    return "\n".join([header(f"{'; '.join(programs)}; {rounds} alternating rounds, medians"), "", tables(rows, results), ""])


def write(text, section="measured"):
    """Into docs/benchmarks.md, between the marks of its section."""
    path = ROOT / "docs" / "benchmarks.md"
    page = path.read_text()
    begin, end = (f"<!-- {section}: {edge} -->" for edge in ("begin", "end"))
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise RuntimeError(f"docs/benchmarks.md has no section {section}")
    path.write_text(f"{before}{begin}\n{text}{end}{after}")
    return path.relative_to(ROOT)


def header(more):
    commit = version(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    return f"Measured {datetime.date.today().isoformat()} at {commit} on {machine()}; {more}."
