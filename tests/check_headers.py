#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compiles the public headers, each alone, and the sources as a firmware's makefile would.

usage: check_headers.py SOURCE_ROOT C++|- CC...

- As C99, C11 and C++11, without a warning.
- Without implicit padding in any struct, on 64 and 32 bit: what a binding's author writes down by hand is then right.
  Not wire.h: its structs are source-stable only.
- 32 bit needs no libraries: whichever of CC -m32 and clang for i386, ARM and MIPS (big-endian) there is, with a
  <string.h> made on the fly. None is a failure.
- `cc -Iinclude -c lib/*.c`, with no more than a macro for the crypto library; one whose headers aren't there is left out.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

STRICT = ['-fsyntax-only', '-Wall', '-Wextra', '-Wpedantic', '-Werror']
VARIANTS = [('openssl/evp.h', []), ('mbedtls/aes.h', ['-DITW_CRYPTO_MBEDTLS']), (None, ['-DITW_CRYPTO_NONE', '-DITW_NO_TEXT'])]
STRING_H = '#include <stddef.h>\nvoid *memset(void *, int, size_t);\nvoid *memcpy(void *, const void *, size_t);\n'


class Checks:
    def __init__(self, root, scratch):
        self.include = f'-I{root / "include"}'
        self.scratch = scratch
        self.passed = self.failed = 0

    def compiles(self, command, text, suffix='.c'):
        source = self.scratch / f'source{suffix}'
        source.write_text(text, encoding='utf-8')
        run = subprocess.run([*command, self.include, str(source)], capture_output=True, text=True, check=False)
        return run.returncode == 0, run.stderr

    def expect(self, what, command, text, suffix='.c'):
        good, errors = self.compiles(command, text, suffix)
        self.passed += good
        self.failed += not good
        if not good:
            print(f'{what}: {" ".join(command)}\n{errors}')


def narrow_compilers(cc, checks, stub):
    """Compilers for 32 bit that work here without a C library of that kind."""
    freestanding = ['-ffreestanding', f'-isystem{stub}']
    candidates = [[*cc, '-m32', *freestanding]]
    if shutil.which('clang'):
        candidates += [['clang', f'--target={target}', *freestanding]
                       for target in ('i386-linux-gnu', 'armv7-linux-gnueabihf', 'mips-linux-gnu')]
    probe = '#include <stdint.h>\n#include <string.h>\nint ok[sizeof(void *) == 4 ? 1 : -1];\n'
    return [c for c in candidates if checks.compiles([*c, '-fsyntax-only'], probe)[0]]


def check_alone(checks, headers, cc, cxx):
    for header in headers:
        text = f'#include <ipsectwamp/{header.name}>\n'
        for std in ('c99', 'c11'):
            checks.expect(f'{header.name} as {std}', [*cc, f'-std={std}', *STRICT], text + 'extern int used;\n')
        if cxx != '-':
            checks.expect(f'{header.name} as c++11', [cxx, '-std=c++11', *STRICT], text, '.cc')


def check_padding(checks, headers, compilers):
    stable = [h for h in headers if h.name not in ('wire.h', 'ipsectwamp.h')]
    text = ''.join(f'#include <ipsectwamp/{h.name}>\n' for h in stable)
    for header in stable:
        for name in re.findall(r'^struct (itw_\w+) \{', header.read_text(encoding='utf-8'), re.M):
            text += f'extern char size_of_{name}[sizeof(struct {name})];\n' # clang lays out only what is used
    for command in compilers:
        checks.expect('padding', [*command, '-std=c99', '-Wpadded', *STRICT], text)
        padded, _ = checks.compiles([*command, '-Wpadded', *STRICT], 'struct s { char a; int b; };\nchar used[sizeof(struct s)];\n')
        if padded:
            print(f'{" ".join(command)} says nothing about padding')
        checks.failed += padded


def check_sources(checks, root, cc):
    for needed, defines in VARIANTS:
        if needed and not checks.compiles([*cc, '-E'], f'#include <{needed}>\n')[0]:
            print(f'left out, there is no {needed}: {" ".join(defines)}')
            continue
        sources = [str(source) for source in sorted((root / 'lib').glob('*.c'))]
        run = subprocess.run([*cc, *defines, checks.include, '-c', *sources], cwd=checks.scratch, capture_output=True,
                             text=True, check=False)
        checks.passed += run.returncode == 0
        checks.failed += run.returncode != 0
        print(run.stderr, end='')


def main():
    root, cxx, cc = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3:]
    headers = sorted((root / 'include' / 'ipsectwamp').glob('*.h'))
    with tempfile.TemporaryDirectory() as folder:
        stub = pathlib.Path(folder) / 'stub'
        stub.mkdir()
        (stub / 'string.h').write_text(STRING_H, encoding='utf-8')
        checks = Checks(root, pathlib.Path(folder))
        narrow = narrow_compilers(cc, checks, stub)
        for command in narrow:
            print('32 bit:', ' '.join(command[:2]))
        if not narrow:
            print('no compiler for 32 bit: install clang')
            checks.failed += 1
        check_alone(checks, headers, cc, cxx)
        check_padding(checks, headers, [cc, *narrow])
        check_sources(checks, root, cc)
    print(f'{len(headers)} headers: {checks.passed} compilations passed, {checks.failed} failed')
    return 1 if checks.failed or not headers else 0


if __name__ == '__main__':
    sys.exit(main())
