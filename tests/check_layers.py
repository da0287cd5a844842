#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads the #includes of lib/ and asserts who may know whom.

usage: check_layers.py SOURCE_ROOT

A file includes lower layers, its own header and public headers. A header's comment says its layer ("Layer 3"), and
says the same as the table here. Files of the same layer don't know each other, but for BESIDE.
"""
import pathlib
import re
import sys

LAYERS = [
    {'octets', 'abi', 'error', 'status', 'version', 'time'},
    {'secret'},
    {'crypto', 'crypto_openssl', 'crypto_openssl_sha1', 'crypto_mbedtls', 'crypto_none'},
    {'kdf', 'prf', 'pbkdf2', 'wire_setup', 'wire_control', 'wire_owamp', 'wire_test', 'packet', 'record', 'schedule', 'alarm', 'window',
     'moments', 'sketch', 'arrivals', 'stats'},
    {'key', 'answer', 'keyring', 'keyring_find', 'keyring_use', 'keyring_answer', 'ask', 'session'},
    {'seal', 'cache', 'stream', 'scheme', 'plan'},
    {'demux', 'shard', 'sender', 'sender_schedule', 'reflector', 'receiver', 'conn', 'conn_keys', 'conn_request', 'conn_part', 'conn_stop', 'conn_names'},
    {'client', 'client_session', 'client_owamp', 'client_names', 'server', 'server_shared', 'server_setup', 'server_session',
     'server_owamp', 'server_names'},
]
# The same layer, the one above the other: contexts of seals; a shard's inside; what is made of it; what
# statistics are made of.
BESIDE = {('crypto_openssl', 'crypto_openssl_sha1'), ('crypto_openssl_sha1', 'crypto'), ('cache', 'seal'), ('shard', 'demux'), ('sender', 'shard'), ('reflector', 'shard'), ('receiver', 'shard'),
          ('sketch', 'moments'), ('stats', 'sketch'), ('stats', 'arrivals')}
# A .c file that has no header of its own belongs to this one.
HEADER_OF = {'crypto_openssl': 'crypto', 'crypto_mbedtls': 'crypto', 'crypto_none': 'crypto',
             'prf': 'kdf', 'keyring_find': 'keyring', 'keyring_use': 'keyring', 'keyring_answer': 'keyring', 'pbkdf2': 'kdf', 'server_shared': 'server', 'server_setup': 'server',
             'server_session': 'server', 'server_owamp': 'server', 'server_names': 'server', 'client_session': 'client',
             'client_owamp': 'client', 'client_names': 'client', 'conn_keys': 'conn', 'conn_request': 'conn', 'conn_part': 'conn', 'conn_stop': 'conn',
             'conn_names': 'conn', 'sender_schedule': 'sender', 'error': 'status'}

# Control and measurement meet only in session (and below): neither side knows the other.
CONTROL = {'wire_setup', 'wire_control', 'wire_owamp', 'key', 'answer', 'keyring', 'keyring_find', 'keyring_use', 'keyring_answer', 'ask', 'stream', 'scheme', 'conn', 'conn_keys', 'conn_request', 'conn_part',
           'conn_stop', 'conn_names', 'client', 'client_session', 'client_owamp', 'client_names', 'server', 'server_shared',
           'server_setup', 'server_session', 'server_owamp', 'server_names'}
MEASUREMENT = {'wire_test', 'packet', 'alarm', 'window', 'seal', 'cache', 'demux', 'shard', 'plan', 'sender', 'sender_schedule', 'reflector', 'receiver',
               'moments', 'sketch', 'arrivals', 'stats'}
CONTROL_PUBLIC = {'key', 'conn', 'client', 'server', 'ipsectwamp'}
MEASUREMENT_PUBLIC = {'packet', 'sender', 'reflector', 'receiver', 'stats', 'ipsectwamp'}

# System headers, by who may include them.
EVERYWHERE = {'stdbool.h', 'stddef.h', 'stdint.h', 'string.h', 'limits.h'}
ONLY = {'sodium.h': {'secret'}, 'stdlib.h': {'secret', 'crypto_mbedtls', 'shard', 'stats', 'conn', 'server_shared'},
        'openssl/': {'crypto_openssl', 'crypto_openssl_sha1'}, 'mbedtls/': {'crypto_mbedtls'}}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def layer(stem):
    return next((n for n, names in enumerate(LAYERS) if stem in names), None)


def judge_own(path, other):
    stem = path.stem
    if other == stem or HEADER_OF.get(stem) == other:
        return None
    if layer(other) is None:
        return 'has no layer in tests/check_layers.py'
    if layer(other) > layer(stem):
        return f'is of the higher layer {layer(other)}; this is {layer(stem)}'
    if layer(other) == layer(stem) and (stem, other) not in BESIDE:
        return f'is of the same layer {layer(stem)}'
    if stem in CONTROL and other in MEASUREMENT or stem in MEASUREMENT and other in CONTROL:
        return 'is on the other side: control and measurement meet in session'
    return None


def judge_public(path, name):
    public = pathlib.PurePath(name).stem
    if path.stem in CONTROL and public in MEASUREMENT_PUBLIC or path.stem in MEASUREMENT and public in CONTROL_PUBLIC:
        return 'is on the other side: control and measurement meet in session'
    return None


def judge_system(path, name):
    if name in EVERYWHERE:
        return None
    for prefix, stems in ONLY.items():
        if name.startswith(prefix):
            return None if path.stem in stems else f'is only for {", ".join(sorted(stems))}'
    return 'is not allowed in the core'


def judge(path, quote, name):
    if name.startswith('ipsectwamp/'):
        return judge_public(path, name)
    if quote == '"':
        return judge_own(path, pathlib.PurePath(name).stem)
    return judge_system(path, name)


def faults_of(path):
    text = path.read_text(encoding='utf-8')
    if layer(path.stem) is None:
        yield f'{path.name}: has no layer in tests/check_layers.py'
        return
    said = re.search(r'\bLayer (\d+)\b', text)
    if path.suffix == '.h' and (not said or int(said[1]) != layer(path.stem)):
        yield f'{path.name}: its comment must say "Layer {layer(path.stem)}"'
    for quote, name in INCLUDE.findall(text):
        fault = judge(path, quote, name)
        if fault:
            yield f'{path.name}: {name} {fault}'


def main():
    lib = pathlib.Path(sys.argv[1]) / 'lib'
    files = sorted(p for p in lib.iterdir() if p.suffix in ('.c', '.h'))
    faults = [fault for path in files for fault in faults_of(path)]
    for fault in faults:
        print(fault)
    if not files:
        print(f'{lib}: no sources')
    print(f'{len(files)} files, {len(faults)} faults')
    return 1 if faults or not files else 0


if __name__ == '__main__':
    sys.exit(main())
