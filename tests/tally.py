#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sums up what `meson test` ran: each case of a cmocka program counts, every other test as one.

usage: tally.py [--numbers] BUILD_FOLDER...

Prints `N passed, N failed, N skipped`, or with --numbers just the three. Fails if a test failed or none ran.
"""
import json
import pathlib
import re
import sys

CASES = {'passed': r'^\[ +OK +\] ', 'failed': r'^\[ +(?:FAILED|ERROR) +\] (?!.*\btest\(s\))', 'skipped': r'^\[ +SKIPPED +\] '}
RESULTS = {'OK': 'passed', 'EXPECTEDFAIL': 'passed', 'SKIP': 'skipped'}


def cases(text):
    """cmocka names each failed or skipped case again at its end."""
    return {kind: len({line for line in text.splitlines() if re.match(form, line)}) for kind, form in CASES.items()}


def count(test):
    result = RESULTS.get(test['result'], 'failed')
    found = cases(test.get('stdout', '') + '\n' + test.get('stderr', ''))
    if not any(found.values()):
        return {**found, result: 1}
    if result == 'failed' and not found['failed']:
        found['failed'] = 1 # it crashed, or a sanitizer spoke at its end
    return found


def main():
    args = sys.argv[1:]
    numbers = args[:1] == ['--numbers']
    total = dict.fromkeys(CASES, 0)
    for folder in args[numbers:]:
        log = pathlib.Path(folder) / 'meson-logs' / 'testlog.json'
        for line in log.read_text(encoding='utf-8').splitlines() if log.exists() else ():
            for kind, n in count(json.loads(line)).items():
                total[kind] += n
    print(*total.values()) if numbers else print(', '.join(f'{n} {kind}' for kind, n in total.items()))
    return 0 if total['passed'] and not total['failed'] else 1


if __name__ == '__main__':
    sys.exit(main())
