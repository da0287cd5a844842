#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Judges the symbols of a library.

usage: check_symbols.py SOURCE_ROOT ARCHIVE SHARED|- NM [HEADER]

Without HEADER, the core's; with it, those of the source of SAs that this header (xfrm.h) declares.

- The core's objects need nothing from outside but what is listed here: no sockets, stdio, clock, environment, abort, errno, threads.
  A list of what is allowed says more than one of what is not.
- They hold nothing writable: no globals, no thread-locals.
- What they define for others begins with itw_ or itwi_.
- The shared library exports what its public headers declare, neither more nor less.
"""
import pathlib
import re
import subprocess
import sys

# Of the C library: what compilers themselves may call, and its kin.
ANYONE = re.compile(r'^(mem(cpy|move|set|cmp|chr)|str(len|n?cmp)|bcmp|__mem(cpy|move|set)_chk|__stack_chk_(fail|guard)'
                    r'|_GLOBAL_OFFSET_TABLE_|__TMC_END__)$')
# What is more than that, by object. Each *_new allocates its object's block, and nothing else does.
HEAP = r'malloc|calloc|free'
ONLY = {
    'secret': rf'sodium_\w+|{HEAP}',
    'crypto_openssl': r'(EVP|ERR|OSSL|OPENSSL|CRYPTO)_\w+',
    'crypto_openssl_sha1': r'SHA1_\w+|(OPENSSL|CRYPTO)_\w+',
    'crypto_mbedtls': rf'mbedtls_\w+|{HEAP}',
    'shard': HEAP,
    'stats': HEAP,
    'conn': HEAP,
    'server_shared': HEAP,
}
# Headers of libraries beside the core.
SOURCES = {'xfrm.h', 'strongswan.h'}
READ_ONLY = re.compile(r'^\.(text|rodata|data\.rel\.ro|eh_frame|note|comment|group|opd)')


def run_nm(nm, *args):
    return subprocess.run([nm, *args], check=True, capture_output=True, text=True).stdout


def objects(nm, archive):
    """Of each object: its name and lines of (symbol, class, section)."""
    name, symbols = None, []
    for line in run_nm(nm, '-f', 'sysv', archive).splitlines():
        start = re.match(r'^(?:Undefined symbols|Symbols) from (?:.*\[)?(.*?)\]?:$', line)
        if start:
            if name:
                yield name, symbols
            name, symbols = pathlib.PurePath(start[1]).name.split('.')[0], []
            continue
        fields = [field.strip() for field in line.split('|')]
        if len(fields) == 7 and fields[0] != 'Name':
            symbols.append((fields[0], fields[2], fields[6]))
    if name:
        yield name, symbols


def judge(name, symbol, kind, section, core):
    if kind == 'U' and not core:
        return None
    if kind == 'U':
        own = re.match(r'^itwi?_', symbol) or ANYONE.match(symbol)
        if not own and not re.fullmatch(ONLY.get(name, '(?!)'), symbol):
            return 'needs'
    elif kind not in 'aNw?' and not READ_ONLY.match(section):
        return f'holds in {section}, which is writable,'
    elif kind.isupper() and not re.match(r'^itwi?_', symbol):
        return 'defines for all'
    return None


def judge_objects(nm, archive, core):
    count = 0
    for name, symbols in objects(nm, archive):
        count += 1
        for symbol, kind, section in symbols:
            fault = judge(name, symbol, kind, section, core)
            if fault:
                yield f'{name}.o {fault} {symbol}'
    if not count:
        yield f'{archive}: no objects'


def declarations(text):
    """Declarations outside of braces, without comments and preprocessor lines."""
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    text = re.sub(r'^[ \t]*#(\\\n|[^\n])*', '', text, flags=re.M)
    text = text.replace('extern "C" {', ' ')
    while re.search(r'\{[^{}]*\}', text):
        text = re.sub(r'\{[^{}]*\}', ' ', text)
    return text.split(';')


def declared(root, only):
    """Functions that the public headers of a library declare, and faults."""
    names, faults = set(), []
    for header in sorted((root / 'include' / 'ipsectwamp').glob('*.h')):
        if header.name != only and (only or header.name in SOURCES):
            continue
        for text in declarations(header.read_text(encoding='utf-8')):
            found = re.search(r'\b(\w+)\s*\(', text)
            if not found or 'typedef' in text:
                continue
            if not re.search(r'\bITW_(API|MUST)\b', text):
                faults.append(f'{header.name}: {found[1]} is declared without ITW_API or ITW_MUST')
            names.add(found[1])
    return names, faults


def exported(nm, shared):
    lines = run_nm(nm, '-D', '--defined-only', shared).splitlines()
    names = {line.split()[-1].split('@')[0] for line in lines}
    return {name for name in names if not name.startswith('IPSECTWAMP_')}


def judge_exports(root, nm, shared, header):
    names, faults = declared(root, header)
    yield from faults
    for name in sorted(names):
        if not name.startswith('itw_'):
            yield f"{name} is public, but not what the linker's map lets out"
    if not names:
        yield 'no declarations'
    if shared == '-':
        return
    out = exported(nm, shared)
    for name in sorted(names - out):
        yield f'{name} is declared, but not exported'
    for name in sorted(out - names):
        yield f'{name} is exported, but not declared'


def main():
    root, archive, shared, nm = sys.argv[1:5]
    header = sys.argv[5] if len(sys.argv) > 5 else None
    faults = [*judge_objects(nm, archive, not header), *judge_exports(pathlib.Path(root), nm, shared, header)]
    for fault in faults:
        print(fault)
    print(f'{len(faults)} faults')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
