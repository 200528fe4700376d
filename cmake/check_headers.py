#!/usr/bin/env python3
"""Compiles every header alone: each includes what it needs. Usage: check_headers.py COMPILER [PATH...]"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def compile_alone(compiler, header):
    source = f'#include "{header.relative_to(ROOT / "src")}"\n'
    command = [compiler, "-std=c++20", "-fsyntax-only", "-I", str(ROOT / "src"), "-x", "c++", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    return header, done.returncode, done.stderr


def main():
    compiler = sys.argv[1]
    headers = [pathlib.Path(p).resolve() for p in sys.argv[2:]] or sorted((ROOT / "src").rglob("*.h"))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, code, errors in pool.map(lambda h: compile_alone(compiler, h), headers):
            if code:
                failed += 1
                print(f"{header.relative_to(ROOT)} does not stand alone:\n{errors}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
