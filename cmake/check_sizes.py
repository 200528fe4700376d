#!/usr/bin/env python3
"""A file should be readable in one sitting: warns past 400 lines of source (200 of header), fails past 600."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WARN = {".cc": 400, ".h": 200, ".py": 400, ".ts": 400, ".mjs": 400}
LIMIT = 600


def files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.splitlines() if listed.returncode == 0 else [
        str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if not {"build", "node_modules", ".git"} & set(p.parts)]
    return sorted(set(names))


def main():
    failed = False
    for name in files():
        path = ROOT / name
        if path.suffix not in WARN and name != "dev" or not path.is_file():
            continue
        lines = path.read_bytes().count(b"\n")
        if lines > LIMIT:
            print(f"{name}: {lines} lines, at most {LIMIT}", file=sys.stderr)
            failed = True
        elif lines > WARN.get(path.suffix, 400) and not path.stem.endswith("_test"):
            print(f"{name}: {lines} lines (warning: more than {WARN.get(path.suffix, 400)})", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
