#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each source file says its licence on its first line (or second, after #!), and has no tab and no space at a line's end.

usage: check_sources.py SOURCE_ROOT
"""
import pathlib
import sys

SPDX = 'SPDX-License-Identifier: '
LICENCE = 'BSD-3-Clause'
# What stands alone under another one.
OTHER_LICENCES = {('examples', 'strongswan-plugin'): 'GPL-2.0-or-later'}
FOLDERS = ('lib', 'include', 'examples', 'tests', '.ci')
SUFFIXES = {'.c', '.h', '.def', '.map', '.py', '.sh', '.supp', '.build', '.txt', '.ini', '.awk'}
NAMES = {'run', '.gitignore', '.editorconfig', '.clang-format', '.clang-tidy'}
TOP = ('meson.build', 'meson_options.txt', 'COPYING', '.gitignore', '.editorconfig', '.clang-format', '.clang-tidy')


def sources(root):
    yield from (root / name for name in TOP)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob('*')):
            known = path.suffix in SUFFIXES or path.name in NAMES
            if path.is_file() and known and '__pycache__' not in path.parts and 'vectors' not in path.parts:
                yield path


def licence_of(path, root):
    return OTHER_LICENCES.get(path.relative_to(root).parts[:2], LICENCE)


def faults_of(path, root):
    lines = path.read_text(encoding='utf-8').split('\n')
    wanted = SPDX + licence_of(path, root)
    if not any(wanted in line for line in lines[:2]):
        yield 1, f'the first line must say {wanted}'
    if lines[-1]:
        yield len(lines), 'no newline at the end'
    for number, line in enumerate(lines, 1):
        if '\t' in line:
            yield number, 'a tab'
        if line != line.rstrip():
            yield number, 'a space at the end'


def main():
    root = pathlib.Path(sys.argv[1])
    count = faults = 0
    for path in sources(root):
        count += 1
        for number, fault in faults_of(path, root):
            faults += 1
            print(f'{path.relative_to(root)}:{number}: {fault}')
    print(f'{count} files, {faults} faults')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
