#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Line coverage of lib/ by what gcov counted in several builds: a line is covered if any of them ran it.

usage: coverage.py SOURCE_ROOT PERCENT BUILD_FOLDER...

Prints each file's percentage and the lines that never ran; fails below PERCENT. (gcovr 5.2 can't add up builds in which a
function stands at another line, as secret.c's do.)
"""
import collections
import json
import pathlib
import re
import subprocess
import sys


def counted(build):
    """What gcov knows of each data file: its own JSON, a document per line."""
    data = map(str, pathlib.Path(build).resolve().rglob('*.gcda'))
    files = sorted(path for path in data if re.search(r'itw-(\w+-)?objects', path))
    if not files:
        sys.exit(f'{build}: nothing was counted')
    run = subprocess.run(['gcov', '--json-format', '--stdout', *files], cwd=build, check=True, capture_output=True, text=True)
    for line in run.stdout.splitlines():
        if line.startswith('{'):
            yield json.loads(line)


def merge(root, builds):
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    for build in builds:
        for document in counted(build):
            for file in document['files']:
                path = (pathlib.Path(document['current_working_directory']) / file['file']).resolve()
                if path.is_relative_to(root / 'lib'):
                    for line in file['lines']:
                        lines[str(path.relative_to(root / 'lib'))][line['line_number']] += line['count']
    return lines


def ranges(numbers):
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ', '.join(str(a) if a == b else f'{a}-{b}' for a, b in out)


def main():
    root, least, builds = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2]), sys.argv[3:]
    lines = merge(root, builds)
    total = ran = 0
    for name, counts in sorted(lines.items()):
        missed = [n for n, count in counts.items() if not count]
        total += len(counts)
        ran += len(counts) - len(missed)
        print(f'{name:28} {len(counts):5} lines {100 * (1 - len(missed) / len(counts)):6.1f} %  {ranges(missed)}')
    percent = 100 * ran / total
    print(f'TOTAL {ran} of {total} lines, {percent:.1f} %; asked for: {least:g} %')
    return 0 if percent >= least else 1


if __name__ == '__main__':
    sys.exit(main())
