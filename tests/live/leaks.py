#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Looks for charon's secrets where they mustn't be. It hears them from the HA plugin (of a new IKE SA with a CHILD SA, with
HMAC PRFs), and looks for them in what our plugin answers to questions of all kinds, in the memory of the programs that use
it, and in files. Then it is a bad client: of another shape, one of too many, one that doesn't read.

usage: leaks.py PLUGIN-SOCKET CHARON-PID FOLDER
Says `ready` when it listens; reads a line, the programs' PIDs, when the SAs are there; says a line for each thing that is as
it should be, or isn't; its exit status is the number of the latter.
"""
import hashlib
import hmac
import pathlib
import re
import socket
import struct
import sys

# ---- the HA plugin's datagrams, version 3 (lib/strongswan/ha_message.h) ----

HA_PORT = 4510
IKE_ADD, CHILD_ADD = 1, 6
IKE_ID, NONCE_I, NONCE_R, SECRET, ALG_PRF, INITIATOR, INBOUND, OUTBOUND = 1, 15, 16, 17, 19, 14, 27, 28
OCTETS = {15, 16, 17, 18, 37, 38, 39, 40}
FIXED = {1: 18, 2: 18, 9: 4, 10: 4, 14: 1, 25: 1, 26: 1, 27: 4, 28: 4, 33: 4, 36: 1}
HASHES = {2: 'sha1', 5: 'sha256', 6: 'sha384', 7: 'sha512'}


def length(number, value):
    if number in (3, 4, 5):
        return 2 + value[1]
    if number in (6, 7, 11, 12, 13):
        return 3 + (4 if value[2] == socket.AF_INET else 16)
    if number in (31, 32):
        return 7 + 2 * (4 if value[0] == 7 else 16)
    if number == 8:
        return value.index(0) + 1
    if number in OCTETS:
        return 2 + struct.unpack_from('>H', value)[0]
    return FIXED.get(number, 2)


def attributes(datagram):
    found, rest = {}, datagram[2:]
    while rest:
        number, rest = rest[0], rest[1:]
        n = length(number, rest)
        found[number] = rest[2:n] if number in OCTETS else rest[:n]
        rest = rest[n:]
    return found


# ---- what follows from them (RFC 7296 2.13, 2.14, 2.17) ----

def prf(hash_name, key, data):
    return hmac.digest(key, data, hash_name)


def prf_plus(hash_name, key, seed, n):
    out = block = b''
    for i in range(1, 256):
        block = prf(hash_name, key, block + seed + bytes([i]))
        out += block
        if len(out) >= n:
            break
    return out[:n]


KEYMAT = 2 * (32 + 32)  # AES-256, SHA-256: as strongswan.sh configures it


class Sas:
    """Of the last IKE SA, and its CHILD SA."""

    def __init__(self, datagrams):
        for datagram in datagrams:
            a = attributes(datagram)
            if datagram[1] == IKE_ADD:
                self.on_ike(a)
            elif datagram[1] == CHILD_ADD:
                self.on_child(a)

    def on_ike(self, a):
        prf_id, = struct.unpack('>H', a[ALG_PRF])
        nonces = a[NONCE_I] + a[NONCE_R]
        self.spi_i, self.spi_r = struct.unpack('>QQ', a[IKE_ID][1:17])
        self.prf, self.hash = prf_id, HASHES[prf_id]
        self.g_ir = a[SECRET]
        self.skeyseed = prf(self.hash, nonces, self.g_ir)
        self.sk_d = prf_plus(self.hash, self.skeyseed, nonces + a[IKE_ID][1:17], hashlib.new(self.hash).digest_size)
        self.ippm = prf(self.hash, self.sk_d, b'IPPM')

    def on_child(self, a):
        self.keymat = prf_plus(self.hash, self.sk_d, a[NONCE_I] + a[NONCE_R], KEYMAT)
        inbound, outbound = (struct.unpack('<I' if sys.byteorder == 'little' else '>I', a[n])[0] for n in (INBOUND, OUTBOUND))
        self.esp = (inbound, outbound) if a[INITIATOR][0] else (outbound, inbound)

    def secrets(self):
        """Names of octets that no one may see: 16 are an AES key."""
        whole = {'g^ir': self.g_ir, 'SKEYSEED': self.skeyseed, 'SK_d': self.sk_d, 'KEYMAT': self.keymat}
        return {f'{name}[{at}..]': octets[at:at + 16]
                for name, octets in whole.items() for at in range(0, len(octets) - 15, 8)}


# ---- our plugin (include/ipsectwamp/strongswan.h, key.h) ----

HELLO, ASK, ANSWER = 1, 2, 3
MAGIC = 0x49545750
SELECT, TOKEN_KEY, ROOT, PAIR, SID_PAIR = range(1, 6)
PSK, IKEV2, SHARED, SHARED_SID, A_ROOT, DIRECT = 1, 2, 4, 8, 16, 32
NONE, SECRET_KIND, DERIVED = 0, 2, 3
IKE, ESP = 1, 3
NO_PBKDF2 = 1
ERR_COUNT = -36
CLIENTS = 64
SALT, CHALLENGE, SID = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))


def address(text):
    return struct.pack('=HHI', 4, 0, 0) + socket.inet_aton(text) + bytes(12)


def question(kind, schemes, sa, flags=0, count=1024, role=1):
    protocol, spi_i, spi_r, prf_id = sa
    ask = struct.pack('=6I', 256, 77, kind, role, schemes, 6) + address('10.77.0.1') + address('10.77.0.2') + \
        struct.pack('=Q', 5) + struct.pack('=4I2Q', 32, protocol, prf_id, 0, spi_i, spi_r) + \
        struct.pack('=4I', count, 0, flags, 0) + bytes(80) + SALT + CHALLENGE + SID
    return struct.pack('=IIQ', ASK, len(ask), 5) + ask


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(path)

    def receive(self):
        """Kind and body; None: it was closed."""
        try:
            message = self.socket.recv(4096)
        except ConnectionResetError:
            return None
        return (struct.unpack_from('=I', message)[0], message[16:]) if message else None

    def ask(self, *what, **more):
        self.socket.send(question(*what, **more))
        kind, body = self.receive()
        while kind != ANSWER:
            kind, body = self.receive()
        return Answer(body)

    def is_greeted(self):
        message = self.receive()
        return message is not None and message[0] == HELLO and struct.unpack_from('=I', message[1])[0] == MAGIC


class Answer:
    def __init__(self, body):
        self.whole = body
        _, self.id, self.kind, _, _, self.why = struct.unpack_from('=5Ii', body)
        token, enc, auth, secret = struct.unpack_from('=4H', body, 56)
        self.octets = body[64:]
        self.token, self.enc = self.octets[:token], self.octets[token:token + enc]
        self.auth, self.secret = self.octets[token + enc:token + enc + auth], self.octets[:secret]


# ---- what is looked at ----

faults = 0


def check(good, what):
    global faults
    faults += not good
    print(what if good else f'FAULT: not so: {what}', flush=True)


def leaks(secrets, octets, where):
    found = [name for name, secret in secrets.items() if secret in octets]
    for name in found[:3]:
        check(False, f'no {name} in {where}')
    return found


def all_questions(sas, client):
    names = ((IKE, sas.spi_i, sas.spi_r, sas.prf), (ESP, *sas.esp, sas.prf))
    kinds = (0, SELECT, TOKEN_KEY, ROOT, PAIR, SID_PAIR, 6)
    schemes = (0, PSK, IKEV2, SHARED, SHARED_SID, A_ROOT, DIRECT, IKEV2 | SHARED, 63)
    secrets, n, told = sas.secrets(), 0, 0
    for sa in names:
        for kind in kinds:
            for scheme in schemes:
                for flags in (0, NO_PBKDF2):
                    answer = client.ask(kind, scheme, sa, flags=flags)
                    n += 1
                    told += answer.kind != NONE
                    leaks(secrets, answer.whole, f'the answer to kind {kind}, schemes {scheme}, flags {flags} of {sa[0]}')
    check(told >= 10, f'{told} of {n} questions are answered, none with a secret of IPsec')


def answers(sas, client):
    ike, esp = (IKE, sas.spi_i, sas.spi_r, sas.prf), (ESP, *sas.esp, sas.prf)
    answer = client.ask(TOKEN_KEY, IKEV2, ike)
    check(answer.kind == SECRET_KIND and answer.secret == sas.ippm, 'ikev2: prf(SK_d, "IPPM")')
    for name, sa, secret in (('SKEYSEED', ike, sas.skeyseed), ('KEYMAT', esp, sas.keymat)):
        key = hashlib.pbkdf2_hmac('sha1', secret, SALT, 1024, 16)
        for scheme, what in ((SHARED, 'shared'), (SHARED_SID, 'shared-sid')):
            answer = client.ask(TOKEN_KEY, scheme, sa)
            check(answer.kind == DERIVED and answer.token == key, f'{what}: PBKDF2 of {name}')
    check(client.ask(TOKEN_KEY, SHARED, ike, count=1 << 17).why == ERR_COUNT, 'a Count above the bound is refused')


def memory_of(pid):
    maps = pathlib.Path(f'/proc/{pid}/maps').read_text(encoding='ascii')
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
        for begin, end in re.findall(r'^([0-9a-f]+)-([0-9a-f]+) .w', maps, re.M):
            memory.seek(int(begin, 16))
            try:
                yield memory.read(int(end, 16) - int(begin, 16))
            except OSError:
                pass  # a device's


def memories(sas, charon, pids):
    secrets = sas.secrets()
    check(any(sas.sk_d in octets for octets in memory_of(charon)), 'SK_d is in the memory of charon, where it belongs')
    for pid in pids:
        name = pathlib.Path(f'/proc/{pid}/comm').read_text(encoding='ascii').strip()
        found = [leak for octets in memory_of(pid) for leak in leaks(secrets, octets, f'the memory of {name}')]
        check(not found, f'no secret of IPsec in the memory of {name}')


def files(sas, folder):
    secrets, n = {}, 0
    for name, octets in {**sas.secrets(), 'prf(SK_d, "IPPM")': sas.ippm}.items():
        secrets.update({name: octets, f'{name} in hex': octets.hex().encode()})
    for path in pathlib.Path(folder).rglob('*'):
        if path.is_file():
            n += 1
            octets = path.read_bytes()
            leaks(secrets, octets + octets.lower(), path.relative_to(folder))
    check(n > 10, f'no secret in {n} files')


# ---- bad clients ----

def is_closed(client):
    while (message := client.receive()) is not None:
        if message[0] == ANSWER:
            return False
    return True


def bad_clients(path, sas):
    whole = question(SELECT, IKEV2, (IKE, sas.spi_i, sas.spi_r, sas.prf))
    for octets, what in ((b'x', 'one octet'), (whole[:-1], 'too short'), (whole + b'x', 'too long'), (b'\x09' + whole[1:], 'of another kind')):
        client = Client(path)
        client.socket.send(octets)
        check(client.is_greeted() and is_closed(client), f'a message that is {what}: closed')
    lazy = Client(path)
    try:
        for _ in range(100000):
            lazy.socket.send(whole)
        check(False, 'one that asks and does not read is closed')
    except (BrokenPipeError, ConnectionResetError):
        check(True, 'one that asks and does not read is closed')
    many, greeted = [], 0
    for _ in range(CLIENTS + 6):
        many.append(Client(path))
        greeted += many[-1].is_greeted()
    check(CLIENTS - 6 <= greeted <= CLIENTS, f'of {len(many)} clients as many are let in as there is room for')
    for client in many:
        client.socket.close()


def main():
    path, charon, folder = sys.argv[1:]
    ha = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ha.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    ha.bind(('127.0.0.2', HA_PORT))
    print('ready', flush=True)
    pids = sys.stdin.readline().split()
    ha.setblocking(False)
    datagrams = []
    try:
        while True:
            datagrams.append(ha.recv(4096))
    except BlockingIOError:
        pass
    sas = Sas(datagrams)
    client = Client(path)
    check(client.is_greeted(), 'the plugin speaks first')
    memories(sas, charon, pids)
    answers(sas, client)
    all_questions(sas, client)
    files(sas, folder)
    bad_clients(path, sas)
    check(client.ask(TOKEN_KEY, IKEV2, (IKE, sas.spi_i, sas.spi_r, sas.prf)).secret == sas.ippm, 'the first client is still served')
    return min(faults, 100)


if __name__ == '__main__':
    sys.exit(main())
