#!/usr/bin/env python3
"""Refuses includes that go upward or are not declared in cmake/floors.txt, third-party headers outside the folder that
wraps them, and output to stdout outside app (MCP owns it)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
OUTPUT = re.compile(r'\bstd::(?:cout|printf|puts)\b|(?<![\w:.>])(?:printf|puts|putchar)\s*\(|\bfmt::print\s*\(\s*(?!stderr|file)')

# Folders below the event loop: bytes in, bytes out.
ASIO_ALLOWED = {"net", "proxy", "gateway", "app"}
# A third-party header, and the folders that may see it.
WRAPPED = [
    (re.compile(r"^boost/"), ASIO_ALLOWED, "Asio and Boost"),
    (re.compile(r"^nlohmann/"), {"base"}, "nlohmann/json (use base/json.h)"),
    (re.compile(r"^openssl/"), {"base", "tls", "net", "fingerprint", "capture", "gateway"}, "OpenSSL"),
    (re.compile(r"^(zlib|zstd|brotli/.*)(\.h)?$"), {"codings", "websocket"}, "compression libraries (use codings)"),
    (re.compile(r"^re2/"), {"regex", "rules"}, "RE2 (use regex)"),
    (re.compile(r"^CLI/"), {"app"}, "CLI11"),
    (re.compile(r"^yaml-cpp/"), {"app", "policy"}, "yaml-cpp"),
    (re.compile(r"^sqlite3\.h$"), {"sqlite", "gateway"}, "SQLite"),
    (re.compile(r"^hiredis/"), {"gateway"}, "hiredis"),
    (re.compile(r"^nghttp2/"), {"http2"}, "nghttp2"),
    (re.compile(r"^duktape\.h$"), {"pac"}, "Duktape"),
]
# Sockets and threads; a mutex around a shared cache and the parsing of addresses are neither.
SOCKETS = re.compile(r"^(sys/socket|netinet/.*|sys/epoll|poll|netdb|thread|condition_variable)(\.h)?$")
EXCEPTIONS = {("tls/authority_store.cc", "thread"): "waits for the lock that another process holds on the CA"}
PURE = {"http", "http1", "tls", "codings", "mcp", "fingerprint", "flow", "socks", "websocket", "http2", "policy"}


def read_floors(path):
    floors = {}
    for line in path.read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        folder, _, allowed = line.partition(":")
        allowed = set(allowed.split())
        unknown = allowed - set(floors)
        if unknown:
            sys.exit(f"{path.name}: {folder} lists {', '.join(sorted(unknown))} before it is declared: an upward arrow")
        floors[folder] = allowed | {"base", folder}
    return floors


def strip_comment(line):
    return line.split("//", 1)[0]


def check_file(path, folder, floors):
    problems = []
    test = path.stem.endswith(("_test", "_fuzz", "_bench")) or "test" in path.stem
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        where = f"{path.relative_to(ROOT)}:{number}"
        match = INCLUDE.match(line)
        if match:
            target = match.group(2)
            if match.group(1) == '"':
                top = target.split("/", 1)[0]
                if "/" not in target:
                    if (path.parent / target).exists():
                        problems.append(f'{where}: include "{folder}/{target}", not "{target}"')
                elif top in floors and top not in floors[folder]:
                    problems.append(f"{where}: {folder} may not include {top}/ (cmake/floors.txt)")
                elif top not in floors and not test and (ROOT / "src" / target).exists():
                    problems.append(f"{where}: {top}/ is not in cmake/floors.txt")
            for pattern, folders, name in WRAPPED:
                if pattern.match(target) and folder not in folders and not test:
                    problems.append(f"{where}: {name} does not belong in {folder}")
            excepted = (f"{folder}/{path.name}", target) in EXCEPTIONS
            if folder in PURE and not test and not excepted and SOCKETS.match(target):
                problems.append(f"{where}: <{target}> in a pure core")
        elif folder != "app" and not test and OUTPUT.search(strip_comment(line)):
            problems.append(f"{where}: writes to stdout, which MCP owns")
    return problems


def main():
    floors = read_floors(ROOT / "cmake" / "floors.txt")
    problems = []
    for directory in sorted((ROOT / "src").iterdir()):
        files = sorted(p for p in directory.rglob("*") if p.suffix in (".h", ".cc"))
        if not files:
            continue
        if directory.name not in floors:
            problems.append(f"src/{directory.name} is not in cmake/floors.txt")
            continue
        for path in files:
            problems += check_file(path, directory.name, floors)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
