#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The example programs, run as people run them, on loopback: every scheme and mode, what users get wrong, bad peers,
many peers. Prints a line for each check; exit status 1 if one failed.

usage: test_programs.py SOURCE_ROOT BUILD_ROOT [ignored]...
       test_programs.py FOLDER_WITH_THE_PROGRAMS
"""
import json
import os
import pathlib
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LIMIT = 60  # seconds that a program may take; sanitizers and slow machines included
IP_RECVTTL = 12  # which Python doesn't name
FAMILIES = {4: '127.0.0.1', 6: '::1'}
DRAFT = ('shared', 'shared-sid', 'root', 'direct')

# --- checks ------------------------------------------------------------------------------------------------------------

count = 0
failures = []


def check(name, good, *evidence):
    global count
    count += 1
    print(('ok   ' if good else 'FAIL ') + name, flush=True)
    if not good:
        failures.append(name)
        for text in evidence:
            for line in str(text).splitlines()[-12:]:
                print('     | ' + line[:300], flush=True)
    return good


# --- keys: made up for this run ----------------------------------------------------------------------------------------


def hex_of(octets):
    return random.SystemRandom().randbytes(octets).hex()


class Keys:
    """Texts of sections; every secret in them is remembered, to be looked for in outputs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.secrets = set()
        self.files = 0
        self.spis = {}

    def secret(self, octets):
        text = hex_of(octets)
        self.secrets.add(text)
        return text

    def psk(self, name='alice'):
        return f'[psk {name}]\npassphrase = correct horse {self.secret(12)}\n'

    def ike(self, peer='', more='', prf='hmac-sha2-256', octets=32):
        return (f'[ike-sa {hex_of(2)}]\nspi-i = {hex_of(8)}\nspi-r = {hex_of(8)}\nprf = {prf}\n'
                f'skeyseed = {self.secret(octets)}\nsk-d = {self.secret(octets)}\n'
                + (f'peer = {peer}\n' if peer else '') + more)

    def ike_parts(self):
        return (f'[ike-sa parts]\nspi-i = {hex_of(8)}\nspi-r = {hex_of(8)}\nprf = aes128-xcbc\n'
                f'ni = {self.secret(16)}\nnr = {self.secret(16)}\ng-ir = {self.secret(256)}\n')

    def child(self, protocol='esp', encr='encr = aes-cbc\n', keys=None, more=''):
        if keys is None:
            keys = f'integ = hmac-sha1\nkeymat = {self.secret(72)}\n'
        return (f'[child-sa {hex_of(2)}]\nprotocol = {protocol}\nspi-i = {hex_of(4)}\nspi-r = {hex_of(4)}\n'
                f'prf = hmac-sha2-256\n{encr}{keys}{more}')

    def file(self, *sections):
        self.files += 1
        path = self.folder / f'{self.files}.keys'
        path.write_text('# keys of a test\n\n' + '\n'.join(sections))
        return str(path)


# --- programs ----------------------------------------------------------------------------------------------------------

outputs = []  # all that was ever printed


class Run:
    """A finished program."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err
        outputs.append(out + err)

    @property
    def all(self):
        return f'exit status {self.status}\n{self.out}{self.err}'


class Programs:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.running = []
        self.secure = 'crypto none' not in self.run('itw-demo').out

    def start(self, name, *args):
        out, err = tempfile.TemporaryFile('w+'), tempfile.TemporaryFile('w+')
        process = subprocess.Popen([str(self.folder / name), *map(str, args)], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=err)
        process.out, process.err = out, err
        self.running.append(process)
        return process

    @staticmethod
    def text(process):
        def whole(file):
            return os.pread(file.fileno(), 1 << 24, 0).decode(errors='replace')
        return whole(process.out), whole(process.err)

    def wait(self, process, limit=LIMIT):
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = 'too long'
        self.running.remove(process)
        return Run(status, *self.text(process))

    def run(self, name, *args):
        return self.wait(self.start(name, *args))

    def ping(self, *args):
        return self.run('itw-ping', *args)

    def kill_all(self):
        for process in list(self.running):
            process.kill()
            self.wait(process)


def until(condition, limit=15):
    """Polls; the condition's last value."""
    end = time.monotonic() + limit
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


class Responder:
    """itw-responder in the background; `with` ends it by SIGTERM."""

    def __init__(self, programs, *args, address='127.0.0.1', port=0):
        self.programs, self.address = programs, address
        self.process = programs.start('itw-responder', '--bind', address, '--port', port, *args)
        self.run = None

        def line():
            first = programs.text(self.process)[0].split('\n')[0]
            return first.startswith('listening on ') and first or self.process.poll() is not None
        first = until(line)
        self.port = int(first.rsplit(':', 1)[1]) if isinstance(first, str) else 0
        if not self.port:
            check('itw-responder starts', False, ' '.join(map(str, args)), *programs.text(self.process))

    @property
    def at(self):
        return f'[{self.address}]:{self.port}' if ':' in self.address else f'{self.address}:{self.port}'

    @property
    def err(self):
        return self.programs.text(self.process)[1]

    def says(self, *words):
        return until(lambda: all(word in self.err for word in words), 5)

    def __enter__(self):
        return self

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.run = self.programs.wait(self.process)
        return self.run

    def __exit__(self, *_):
        if self.run is None:
            self.stop()
        if self.run.status != 0:
            check('itw-responder ends well', False, self.run.all)


def families():
    for family, address in FAMILIES.items():
        try:
            socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM).bind((address, 0))
            yield family, address
        except OSError:
            print(f'     no IPv{family} here', flush=True)


# --- a client in Python: unauthenticated TWAMP-Control, to say what itw-ping wouldn't -----------------------------------


def receive(sock, n):
    octets = b''
    while len(octets) < n:
        part = sock.recv(n - len(octets))
        if not part:
            return octets
        octets += part
    return octets


class OpenClient:
    def __init__(self, port, setup=True):
        self.sock = socket.create_connection(('127.0.0.1', port), timeout=LIMIT)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(('127.0.0.1', 0))
        self.udp.settimeout(1)
        self.greeting = receive(self.sock, 64)
        if setup:
            self.accept = self.setup(1)

    def setup(self, mode):
        self.sock.sendall(struct.pack('>I160x', mode))
        answer = receive(self.sock, 48)
        return answer[15] if len(answer) == 48 else None

    def request(self, ipvn=4, conf=0, slots=0, padding=27, timeout=1 << 32, type_p=0, sender=b'\0' * 4, command=5):
        """The Accept value of the answer; None if the connection was closed."""
        now = int((time.time() + 2208988800) * 2 ** 32)
        self.sock.sendall(struct.pack('>BBBBIIHH16s16s16xIQQI8x16x', command, ipvn, conf, 0, slots, 0,
                                      self.udp.getsockname()[1], 0, sender, b'', padding, now, timeout, type_p))
        answer = receive(self.sock, 48)
        if len(answer) < 48:
            return None
        self.port = struct.unpack_from('>H', answer, 2)[0]
        return answer[0]

    def start(self):
        self.sock.sendall(b'\2' + bytes(31))
        return receive(self.sock, 32)[:1]

    def stop(self, sessions=1):
        self.sock.sendall(struct.pack('>BBHI24x', 3, 0, 0, sessions))

    def packet(self, seq=0, error=0x0101, padding=27):
        return struct.pack('>IQH', seq, int(time.time() * 2 ** 32) & (2 ** 64 - 1), error) + bytes(padding)

    def send(self, octets, sock=None):
        """The reply, or None."""
        sock = sock or self.udp
        sock.settimeout(0.4)
        sock.sendto(octets, ('127.0.0.1', self.port))
        try:
            return sock.recv(65536)
        except OSError:
            return None

    def closed(self):
        """Did the server close?"""
        self.sock.settimeout(5)
        try:
            return self.sock.recv(1) == b''
        except TimeoutError:
            return False
        except OSError:
            return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        self.udp.close()


# --- the cases ---------------------------------------------------------------------------------------------------------


def test_examples(programs, _):
    for name, *args in (('itw-demo',), ('itw-demo', '-6'), ('twamp_light',), ('firmware',), ('own_provider',)):
        if name == 'own_provider' and not programs.secure:
            continue
        if args and 6 not in dict(families()):
            continue
        run = programs.run(name, *args)
        check(f'{" ".join([name, *args])} runs', run.status == 0, run.all)
        if name == 'itw-demo':
            text = run.out
            check('itw-demo shows all schemes with both protocols',
                  not programs.secure or all(f'\n{protocol}  {scheme} ' in text for protocol in ('TWAMP', 'OWAMP')
                                             for scheme in ('psk', 'ikev2', *DRAFT)), text)
        if name == 'firmware':
            check('firmware prints its memory', ' octets  in all' in run.out, run.out)


def json_of(run):
    try:
        return json.loads(run.out)
    except ValueError:
        return {}


def test_schemes(programs, keys):
    path = keys.file(keys.psk(), keys.ike(), keys.child())
    for family, address in families():
        for scheme in ('psk', 'ikev2', *DRAFT):
            modes = ['open', 'auth', 'enc'] + ([] if scheme in DRAFT else ['mixed'])
            with Responder(programs, '--keys', path, '--scheme', scheme, '--modes', ','.join(modes),
                           address=address) as responder:
                for mode in modes:
                    run = programs.ping('--keys', path, '--scheme', scheme, '--mode', mode, '-c', 5, '-i', 0.005,
                                        '--json', responder.at)
                    got = json_of(run)
                    named = 'none' if mode == 'open' and scheme not in DRAFT else scheme
                    check(f'{scheme} {mode} IPv{family}',
                          run.status == 0 and got.get('scheme') == named and got.get('mode') == mode
                          and got.get('sent') == got.get('received') == 5 and got.get('lost') == 0
                          and got.get('valid') is True and not responder.err, run.all, responder.err)


def test_sources(programs, keys):
    """Kinds of SA and how they are written."""
    keymat, encr, integ = keys.secret(2 * (16 + 20)), keys.secret(16), keys.secret(20)
    aead = f'keymat = {keys.secret(72)}\n'
    cases = [
        ('root', 'ike', keys.ike_parts()),
        ('shared', 'ike', keys.ike(prf='hmac-sha2-512', octets=64)),
        ('ikev2', 'ike', keys.ike_parts()),
        ('shared', 'esp, keymat alone', keys.child(keys=f'keymat = {keymat}\n')),
        ('root', 'esp, AEAD', keys.child(encr='encr = aes-gcm\n', keys=aead)),
        ('shared-sid', 'ah', keys.child('ah', '', f'keymat = {keys.secret(40)}\n')),
        ('direct', 'esp, keys', keys.child(keys=f'encr-key = {encr}\ninteg-key = {integ}\n')),
        ('direct', 'esp, integ', keys.child(keys=f'integ = hmac-sha2-256\nkeymat = {keys.secret(128)}\n')),
    ]
    for scheme, name, section in cases:
        path = keys.file(section)
        with Responder(programs, '--keys', path, '--scheme', scheme) as responder:
            run = programs.ping('--keys', path, '--scheme', scheme, '-c', 2, '-i', 0.005, responder.at)
            check(f'{scheme} from {name}', run.status == 0, run.all, responder.err)


def test_unfit(programs, keys):
    both = f'encr-key = {keys.secret(16)}\ninteg-key = {keys.secret(20)}\n'
    cases = [
        ('an AEAD', 'AEAD', keys.child(encr='encr = aes-gcm\n', keys=f'keymat = {keys.secret(72)}\n')),
        ('NULL encryption', 'NULL', keys.child(encr='encr = null\n', keys=f'integ-key = {keys.secret(20)}\n')),
        ('AH', 'AH', keys.child('ah', '', f'integ-key = {keys.secret(20)}\n')),
        ('another cipher', 'AES-CBC', keys.child(encr='encr = 3des-cbc\n', keys=both)),
    ]
    for name, word, section in cases:
        path = keys.file(section)
        with Responder(programs, '--keys', path, '--scheme', 'direct') as responder:
            run = programs.ping('--keys', path, '--scheme', 'direct', responder.at)
            check(f'direct with {name} is refused by name', run.status == 2 and responder.says(word), run.all,
                  responder.err)
    path = keys.file(keys.child(keys=f'encr-key = {keys.secret(16)}\n'))
    run = programs.ping('--keys', path, '--scheme', 'direct', '127.0.0.1:1')
    check('encryption-only ESP is refused by name, with its line',
          run.status == 2 and 'encryption-only' in run.err and f'{path}:3:' in run.err, run.all)


def refused(name, run, *words):
    """Exit status 2 and one line on stderr that has these words."""
    lines = run.err.splitlines()
    check(name, run.status == 2 and len(lines) == 1 and run.out == '' and all(word in run.err for word in words),
          run.all)


def test_refusals(programs, keys):
    path, other = keys.file(keys.psk(), keys.ike()), keys.file(keys.psk(), keys.ike())
    stranger = keys.file(keys.psk('stranger'))
    with Responder(programs, '--keys', path, '--modes', 'auth,enc', '--count', 1024) as responder:
        refused('wrong passphrase', programs.ping('--keys', other, '--scheme', 'psk', responder.at), 'Accept 1')
        check('... the responder says why', responder.says('Accept 1', 'Token'), responder.err)
        refused('unknown name', programs.ping('--keys', stranger, responder.at), 'Accept 1')
        check('... the responder says why', responder.says('KeyID'), responder.err)
        refused('unknown IKE SA', programs.ping('--keys', other, '--scheme', 'ikev2', responder.at), 'Accept 6')
        check('... the responder says why', responder.says('Accept 6'), responder.err)
        refused('mode not offered', programs.ping(responder.at), 'mode')
        refused('a scheme that the server has not',
                programs.ping('--keys', path, '--scheme', 'root', responder.at), 'Greeting')
    with Responder(programs, '--keys', path, '--scheme', 'psk', '--count', 2048) as responder:
        refused('Count above --max-count',
                programs.ping('--keys', path, '--scheme', 'psk', '--max-count', 1024, responder.at), 'Count')
    for scheme in DRAFT[:3]:
        with Responder(programs, '--keys', path, '--scheme', scheme) as responder:
            refused(f'another SA, {scheme}', programs.ping('--keys', other, '--scheme', scheme, responder.at), 'SA')
            check('... the responder notices', responder.says('left during set-up'), responder.err)
    with Responder(programs, '--keys', path, '--scheme', 'root') as responder:
        run = programs.ping('--keys', path, '--scheme', 'direct', responder.at)
        refused('another scheme of the draft', run, 'SA')
    run = programs.ping('--connect', 3, f'127.0.0.1:{free_port()}')
    refused('nobody listens', run, 'refused')


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def test_fallback(programs, keys):
    mine, theirs = keys.psk(), keys.ike(peer='192.0.2.9')
    server, client = keys.file(mine, theirs), keys.file(mine, keys.ike())
    open_client = keys.file(keys.ike())
    with Responder(programs, '--keys', server, '--scheme', 'root', '--modes', 'auth,enc', '--fallback') as responder:
        run = programs.ping('--keys', client, '--scheme', 'root', '-c', 2, '-i', 0.005, '--fallback', '--json', responder.at)
        check('no SA there, --fallback: psk', run.status == 0 and json_of(run).get('scheme') == 'psk', run.all, responder.err)
        refused('no SA there, no --fallback', programs.ping('--keys', client, '--scheme', 'root', responder.at), 'SA')
    with Responder(programs, '--keys', keys.file(theirs), '--scheme', 'root', '--fallback') as responder:
        run = programs.ping('--keys', open_client, '--scheme', 'root', '-c', 2, '-i', 0.005, '--fallback', '--json',
                            responder.at)
        check('no SA there, no passphrase, --fallback: open', run.status == 0 and json_of(run).get('mode') == 'open',
              run.all, responder.err)
    with Responder(programs, '--keys', server, '--scheme', 'root') as responder:
        refused('no SA there, nor fall-back',
                programs.ping('--keys', client, '--scheme', 'root', '--fallback', responder.at), 'Modes 0')
        check('... the responder says why', responder.says('no SA'), responder.err)


def test_usage(programs, keys):
    path = keys.file(keys.psk())
    two = keys.file(keys.psk('a'), keys.psk('b'))
    for program, target in (('itw-ping', ['127.0.0.1:1']), ('itw-responder', [])):
        run = programs.run(program, '--kyes', path, *target)
        check(f'{program}: a mistyped option', run.status == 2 and '--kyes' in run.err and 'usage:' in run.err, run.all)
        run = programs.run(program, '--help')
        check(f'{program}: --help', run.status == 0 and run.out.startswith('usage:') and not run.err, run.all)
        refused(f'{program}: no keys file', programs.run(program, '--keys', '/nonexistent/keys', *target),
                '/nonexistent/keys', 'No such file')
        refused(f'{program}: an unknown scheme', programs.run(program, '--scheme', 'pks', *target), '--scheme pks')
        refused(f'{program}: a mode without keys', programs.run(program, '--mode' if target else '--modes', 'enc', *target),
                '--keys')
    refused('itw-ping: an unknown mode', programs.ping('--mode', 'encrypted', '127.0.0.1:1'), '--mode encrypted')
    refused('itw-ping: a bad count', programs.ping('-c', '5x', '127.0.0.1:1'), '-c 5x')
    refused('itw-ping: too short an interval', programs.ping('-i', '0', '127.0.0.1:1'), '-i 0')
    refused('itw-ping: which passphrase?', programs.ping('--keys', two, '127.0.0.1:1'), '--key')
    refused('itw-ping: a bad port', programs.ping('127.0.0.1:port'), 'port')
    refused('itw-ping: an unknown host', programs.ping('no-such-host.invalid'), 'no-such-host.invalid')
    check('itw-ping: no host', programs.ping().status == 2)
    for program, target in (('itw-ping', ['127.0.0.1:1']), ('itw-responder', [])):
        refused(f'{program}: an unknown protocol', programs.run(program, '--protocol', 'stamp', *target), '--protocol stamp')
        refused(f'{program}: mixed mode of OWAMP', programs.run(program, '--protocol', 'owamp', '--keys', path,
                                                                '--mode' if target else '--modes', 'mixed', *target), 'mixed')
    for wrong in (['--to'], ['--from'], ['--schedule', 'exp']):
        refused(f'itw-ping: {wrong[0]} of TWAMP', programs.ping(*wrong, '127.0.0.1:1'), 'owamp')
    for wrong in (['--individual'], ['--reflect', 4], ['--symmetrical'], ['--monitor-dscp'], ['--ptp']):
        refused(f'itw-ping: {wrong[0]} of OWAMP', programs.ping('--protocol', 'owamp', *wrong, '127.0.0.1:1'), 'TWAMP')
        refused(f'itw-ping: {wrong[0]} with a scheme of the draft',
                programs.ping('--keys', keys.file(keys.ike()), '--scheme', 'root', *wrong, '127.0.0.1:1'), "draft's")
    refused('itw-ping: OWAMP without an end', programs.ping('--protocol', 'owamp', '-c', 0, '127.0.0.1:1'), '-c')
    refused('itw-ping: an unknown schedule', programs.ping('--schedule', 'poisson', '127.0.0.1:1'), '--schedule poisson')
    refused('itw-ping: nothing to reflect', programs.ping('--reflect', '0', '127.0.0.1:1'), '--reflect 0')
    refused('itw-ping: a file that cannot be', programs.ping('--csv', '/nonexistent/x.csv', '127.0.0.1:1'), 'No such file')
    refused('itw-responder: an unknown feature', programs.run('itw-responder', '--features', 'reflect,ptpp'), 'ptpp')
    for wrong in ('packets', 'packets=', 'packets=0', 'packets=-1', 'packets=5x', 'packets=5kk', 'speed=5', 'packets=1,',
                  'packets=18446744073709551616', 'storage=99999999999999999T'):
        refused(f'itw-responder: limits {wrong}', programs.run('itw-responder', '--limits-open', wrong), f'{wrong}')
    refused('itw-responder: a bad Count', programs.run('itw-responder', '--count', 1000), '--count 1000')
    refused('itw-responder: an address of nobody', programs.run('itw-responder', '--bind', '192.0.2.77', '--port', 0),
            '192.0.2.77')
    with Responder(programs) as responder:
        refused('itw-responder: the port is taken',
                programs.run('itw-responder', '--bind', '127.0.0.1', '--port', responder.port), 'in use')


def test_keys_files(programs, keys):
    secret = keys.secret(16)
    cases = [
        ('no section', f'{secret}\n', ':1:'),
        ('a pair before any section', f'passphrase = {secret}\n', ':1:'),
        ('an unknown section', f'[pks alice]\npassphrase = {secret}\n', ':1:'),
        ('a section without a name', f'\n[psk]\npassphrase = {secret}\n', ':2:'),
        ('a section without an end', f'[psk alice\npassphrase = {secret}\n', ':1:'),
        ('an unknown key', f'[psk alice]\npasphrase = {secret}\n', ':2:'),
        ('a key twice', f'[psk alice]\npassphrase = {secret}\n# more\npassphrase = {secret}\n', ':4:'),
        ('a section twice', f'[psk alice]\npassphrase = {secret}\n[psk alice]\npassphrase = {secret}\n', ':3:'),
        ('no hex', f'[psk alice]\npassphrase-hex = {secret}zz\n', ':2:'),
        ('an odd number of digits', f'[psk alice]\npassphrase-hex = {secret}a\n', ':2:'),
        ('a line end in a passphrase', '[psk alice]\npassphrase-hex = 610a62\n', ':1:'),
        ('an empty passphrase', '[psk alice]\npassphrase =\n', ':1:'),
        ('an SPI too short', f'[ike-sa a]\nprf = hmac-sha1\nspi-i = 1234\nspi-r = {hex_of(8)}\nskeyseed = {secret}\n', ':3:'),
        ('no SPI', f'[ike-sa a]\nprf = hmac-sha1\nskeyseed = {secret}\n', ':1:'),
        ('an unknown PRF', f'[ike-sa a]\nprf = hmac-md5\nspi-i = {hex_of(8)}\nspi-r = {hex_of(8)}\nskeyseed = {secret}\n', ':2:'),
        ('a bad peer', keys.ike(peer='10.0.0.0/33'), ':7:'),
        ('half an exchange', f'[ike-sa a]\nspi-i = {hex_of(8)}\nspi-r = {hex_of(8)}\nprf = hmac-sha1\nni = {secret}\n', ':1:'),
        ('a cipher unknown', keys.child(encr='encr = rot13\n'), ':6:'),
        ('keymat too short', keys.child(keys=f'integ = hmac-sha1\nkeymat = {secret}\n'), ':8:'),
    ]
    for name, text, where in cases:
        path = keys.folder / 'bad.keys'
        path.write_text(text)
        for program, target in (('itw-ping', ['127.0.0.1:1']), ('itw-responder', [])):
            refused(f'{program}: keys file with {name}', programs.run(program, '--keys', path, *target), f'{path}{where}')
    path.write_bytes(b'[psk alice]\npassphrase = a\0b\n')
    refused('keys file with a NUL', programs.ping('--keys', path, '127.0.0.1:1'), 'NUL')
    refused('keys file that is a folder', programs.ping('--keys', keys.folder, '127.0.0.1:1'), 'not a keys file')


def test_ping_output(programs, keys):
    path = keys.file(keys.psk())
    with Responder(programs, '--keys', path, '--modes', 'open,auth,enc,mixed') as responder:
        run = programs.ping('--keys', path, '-c', 4, '-i', 0.005, '-v', responder.at)
        check('a line per packet, a summary', run.status == 0 and run.out.count('\nseq ') == 3
              and '4 sent, 4 received, 0 lost' in run.out and 'median' in run.out, run.all)
        run = programs.ping('--keys', path, '-c', 4, '-i', 0.005, responder.at)
        check('no line per packet when it is no terminal', run.status == 0 and 'seq ' not in run.out, run.all)
        run = programs.ping('--keys', path, '--key', 'alice', '-c', 8, '-i', 0.005, '-s', 500, '--zero', '--dscp', 46, '--json',
                            responder.at)
        got = json_of(run)
        names = ('protocol scheme mode peer sid sent received lost duplicates reordered auth_failures rtt_us there_us '
                 'back_us variation_us clock_here clock_there').split()
        rtt = got.get('rtt_us', {})
        order = [rtt.get(name, -1) for name in ('min', 'median', 'p95', 'p99', 'max')]
        check('--json: an object with all its members', run.status == 0 and all(name in got for name in names), run.all)
        check('--json: figures make sense', got.get('protocol') == 'twamp' and got.get('peer') == responder.at
              and len(got.get('sid', '')) == 32 and order == sorted(order) and order[0] > 0
              and rtt['min'] <= rtt['mean'] <= rtt['max'] and rtt['stddev'] >= 0, run.all)
        for padding in (0, 1, 27, 1400, 9000):
            run = programs.ping('--keys', path, '-c', 2, '-i', 0.005, '-s', padding, responder.at)
            check(f'padding {padding}', run.status == 0, run.all, responder.err)
        refused('padding over the bound', programs.ping('--keys', path, '-s', 9001, responder.at), 'Accept 3')
        check('... the responder says why', responder.says('Padding'), responder.err)
    process = None
    with Responder(programs) as responder:
        process = programs.start('itw-ping', '-c', 0, '-i', 0.005, responder.at)
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        run = programs.wait(process)
        check('Ctrl-C ends itw-ping early, with a summary', run.status == 0 and ' received' in run.out and not run.err,
              run.all)
        run = responder.stop(signal.SIGINT)
        check('SIGINT ends itw-responder with a summary', run.status == 0 and 'connections: 1' in run.out
              and 'sessions: 1' in run.out and 'test packets: ' in run.out and not run.err, run.all)
    run = programs.start('itw-responder', '--port', 0)
    first = until(lambda: programs.text(run)[0].count('\n') >= len(dict(families())))
    out = programs.text(run)[0]
    run.terminate()
    ports = {line.rsplit(':', 1)[1] for line in out.splitlines()}
    check('without --bind it listens on both families, one port', first and len(ports) == 1 and 'listening on 0.0.0.0:' in out,
          out)
    check('... and ends on SIGTERM', programs.wait(run).status == 0)


def test_broken(programs, _):
    responder = Responder(programs)
    ping = programs.start('itw-ping', '-c', 0, '-i', 0.005, responder.at)
    time.sleep(0.4)
    responder.process.kill()
    run = programs.wait(ping)
    check('the responder is killed: itw-ping says that results are invalid', run.status == 2 and 'invalid' in run.err
          and 'invalid' in run.out, run.all)
    programs.wait(responder.process)

    with Responder(programs) as responder:
        ping = programs.start('itw-ping', '-c', 0, '-i', 0.005, responder.at)
        steady = programs.start('itw-ping', '-c', 200, '-i', 0.005, '--json', responder.at)
        time.sleep(0.4)
        ping.kill()
        programs.wait(ping)
        check('itw-ping is killed: the responder says so', responder.says('test broken off'), responder.err)
        run = programs.wait(steady)
        check('... and another session goes on', json_of(run).get('lost') == 0, run.all)
    with socket.create_server(('127.0.0.1', 0)) as server:
        refused_by(server, programs, 'a server that closes at once', b'', 'closed')
        refused_by(server, programs, 'a server with half a greeting', bytes(20), 'Greeting')
        refused_by(server, programs, 'a server with Modes 0', bytes(64), 'Modes 0')
        refused_by(server, programs, 'a server with no mode of ours',
                   struct.pack('>12xI16s16sI12x', 0x40, b'c' * 16, b's' * 16, 1024), 'mode')
        refused_by(server, programs, 'a server that refuses', struct.pack('>12xI16s16sI12x', 1, b'c' * 16, b's' * 16, 1024)
                   + struct.pack('>15xB32x', 3), 'Accept 3')
        refused_by(server, programs, 'a server with a number of its own',
                   struct.pack('>12xI16s16sI12x', 1, b'c' * 16, b's' * 16, 1024) + struct.pack('>15xB32x', 99), 'Accept 99')


def refused_by(server, programs, name, octets, word):
    """itw-ping against a server that says these octets, then no more."""
    ping = programs.start('itw-ping', f'127.0.0.1:{server.getsockname()[1]}')
    server.settimeout(LIMIT)
    sock, _ = server.accept()
    sock.sendall(octets)
    sock.shutdown(socket.SHUT_WR)
    refused(name, programs.wait(ping), word)
    sock.close()


def test_counts(programs, keys):
    """Greetings whose Count a client must not take."""
    path = keys.file(keys.psk())
    with socket.create_server(('127.0.0.1', 0)) as server:
        for number in (0, 512, 1000, 65536, 1 << 31):
            ping = programs.start('itw-ping', '--keys', path, f'127.0.0.1:{server.getsockname()[1]}')
            sock, _ = server.accept()
            sock.sendall(struct.pack('>12xI16s16sI12x', 4, b'c' * 16, b's' * 16, number))
            refused(f'Count {number}', programs.wait(ping), 'Count')
            sock.close()


def test_bad_requests(programs, _):
    with Responder(programs) as responder:
        cases = [('IPVN 5', {'ipvn': 5}, 3), ('Conf-Sender', {'conf': 1}, 3), ('slots', {'slots': 1}, 3),
                 ('Padding Length 2^32 - 1', {'padding': 2 ** 32 - 1}, 3), ('Padding Length beyond', {'padding': 9001}, 3),
                 ('Type-P of the other form', {'type_p': 0x40000000}, 3),
                 ('an address of somebody else', {'sender': bytes((192, 0, 2, 1))}, 1),
                 ('a Timeout of years', {'timeout': 2 ** 63}, 3)]
        with OpenClient(responder.port) as client:
            for name, request, accept in cases:
                before = responder.err
                got = client.request(**request)
                check(f'request with {name}: Accept {accept}', got == accept and until(lambda: responder.err != before),
                      got, responder.err)
            check('... and a good one after all that', client.request() == 0 and client.start() == b'\0')
            check('a packet is answered', client.send(client.packet()) is not None)
            client.stop(2)
            check('Stop with another number of sessions closes', client.closed() and responder.says('Stop'), responder.err)
        with OpenClient(responder.port) as client:
            check('an unknown command: Accept 3, closed', client.request(command=99) == 3 and client.closed()
                  and responder.says('command'), responder.err)
        with OpenClient(responder.port, setup=False) as client:
            check('Mode 0: closed', client.setup(0) is None, responder.err)
        for mode in (2, 3, 4, 8, 0xffffffff):
            with OpenClient(responder.port, setup=False) as client:
                check(f'Mode {mode:#x}: Accept 3', client.setup(mode) == 3, responder.err)
        run = responder.stop()
        check('the summary counts them', run.status == 0 and 'refused 0' not in run.out.splitlines()[1], run.all)


def test_bad_packets(programs, _):
    with Responder(programs) as responder, OpenClient(responder.port) as client:
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind(('127.0.0.2', 0))
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        near.bind(('127.0.0.1', 0))
        client.request(timeout=1 << 31, type_p=46 << 24)

        def refuses(name, octets, word, sock=None):
            time.sleep(1.1)  # a line a second at most
            before = len(responder.err)
            reply = client.send(octets, sock)
            said = until(lambda: word in responder.err[before:], 5)
            check(f'test packet {name} is refused', reply is None and said, reply, responder.err)

        refuses('before Start-Ack', client.packet(), 'before its session')
        check('the session starts', client.start() == b'\0')
        client.udp.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        client.udp.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        client.udp.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 77)
        client.udp.sendto(client.packet(7), ('127.0.0.1', client.port))
        reply, control, _, _ = client.udp.recvmsg(2048, 512)
        said = {(level, kind): data for level, kind, data in control}
        check('a reply: as long, the TTL seen, TTL 255, the DSCP asked for',
              len(reply) == 41 and reply[40] == 77 and struct.unpack_from('>I', reply, 24)[0] == 7
              and said[0, socket.IP_TTL][0] == 255 and said[0, socket.IP_TOS][0] == 46 << 2, reply, said)
        refuses('that is short', client.packet()[:13], 'shorter')
        refuses('with Multiplier 0', client.packet(error=0x0100), 'Multiplier 0')
        refuses('from another address', client.packet(), 'no session', other)
        refuses('from another port', client.packet(), 'no session', near)
        longer = client.send(client.packet(8, padding=400))
        check('a packet longer than announced is answered', longer is not None and len(longer) == 414)
        twice = [client.send(client.packet(9)) for _ in range(2)]
        check('duplicates are answered', None not in twice)
        for _ in range(1000):
            near.sendto(b'x' * 41, ('127.0.0.1', client.port))
        time.sleep(0.3)
        check('a flood of refused packets is a line a second', len(responder.err.splitlines()) < 20, responder.err)
        client.stop()
        time.sleep(0.2)
        check('after Stop, within Timeout, a packet is answered', client.send(client.packet(10)) is not None)
        time.sleep(0.6)
        check('after Timeout, none is', client.send(client.packet(11)) is None)
        check('and a new session may begin', client.request() == 0 and client.start() == b'\0'
              and client.send(client.packet()) is not None)
        other.close()
        near.close()


# --- OWAMP -------------------------------------------------------------------------------------------------------------


def owamp_json(got, way):
    return got.get(way, {})


def whole(run, ways, sent, **members):
    """Nothing is missing in these directions."""
    got = json_of(run)
    return (run.status == 0 and got.get('protocol') == 'owamp' and got.get('valid') is True
            and {way for way in ('to', 'from') if way in got} == set(ways)
            and all(got[way]['sent'] == got[way]['received'] == sent and got[way]['lost'] == 0 for way in ways)
            and all(got.get(name) == value for name, value in members.items()))


def test_owamp_schemes(programs, keys):
    path = keys.file(keys.psk(), keys.ike(), keys.child())
    for family, address in families():
        for scheme in ('psk', 'ikev2', *DRAFT):
            with Responder(programs, '--protocol', 'owamp', '--keys', path, '--scheme', scheme, '--modes', 'open,auth,enc',
                           address=address) as responder:
                pings = {mode: programs.start('itw-ping', '--protocol', 'owamp', '--keys', path, '--scheme', scheme, '--mode',
                                              mode, '-c', 5, '-i', 0.01, '-W', 0.5, '--json', responder.at)
                         for mode in ('open', 'auth', 'enc')}
                for mode, ping in pings.items():
                    run = programs.wait(ping)
                    named = 'none' if mode == 'open' and scheme not in DRAFT else scheme
                    check(f'OWAMP {scheme} {mode} IPv{family}', whole(run, ('to', 'from'), 5, scheme=named, mode=mode)
                          and not responder.err, run.all, responder.err)


def test_owamp_ways(programs, _):
    with Responder(programs, '--protocol', 'owamp') as responder:
        runs = {}
        for ways in ([], ['--to'], ['--from'], ['--to', '--from']):
            for schedule in ('fixed', 'exp') if programs.secure else ('fixed',):
                name = ' '.join([*ways, schedule])
                runs[name] = [ways, programs.start('itw-ping', '--protocol', 'owamp', *ways, '--schedule', schedule, '-c', 20,
                                                   '-i', 0.02, '-W', 0.5, '-s', 100, '--dscp', 46, '--json', responder.at)]
        for name, (ways, ping) in runs.items():
            run = programs.wait(ping)
            check(f'OWAMP {name}', whole(run, [way[2:] for way in ways] or ['to', 'from'], 20), run.all, responder.err)
        run = programs.ping('--protocol', 'owamp', '-c', 4, '-i', 0.01, '-W', 0.3, '-v', '--histogram', responder.at)
        check('OWAMP: a line per packet and direction, summaries, histograms',
              all(f'\n{way}  seq 3  delay ' in '\n' + run.out for way in ('to', 'from')) and run.out.count('4 sent, 4 received, 0 lost') == 2
              and run.out.count('median') == 2 and '#' in run.out and 'OWAMP' in run.out, run.all)
        run = programs.ping('--protocol', 'owamp', '--to', '-c', 3, '-i', 0.01, '-W', 0.3, '--json', '--histogram', responder.at)
        to = json_of(run).get('to', {})
        order = [to.get('delay_us', {}).get(name, -1e9) for name in ('min', 'median', 'p95', 'p99', 'max')]
        check('OWAMP --json: figures make sense', run.status == 0 and len(to.get('sid', '')) == 32 and order == sorted(order)
              and order[0] > -1e6 and to['skipped'] == 0 and sum(row[2] for row in to['histogram_us']) == 3
              and json_of(run)['rtt_us']['min'] is None and to['sid'] == json_of(run)['sid'], run.all)
        run = responder.stop()
        check('OWAMP: the summary counts', 'test packets: ' in run.out and 'fetches: ' in run.out and ' 0 lost' in run.out, run.all)


def test_owamp_early(programs, _):
    """Ctrl-C, processes that stand still, processes that die."""
    args = ('itw-ping', '--protocol', 'owamp', '--schedule', 'fixed', '-W', 0.3, '--json')
    with Responder(programs, '--protocol', 'owamp') as responder:
        ping = programs.start(*args, '-c', 5000, '-i', 0.005, responder.at)
        time.sleep(1.5)
        ping.send_signal(signal.SIGINT)
        run = programs.wait(ping)
        got = json_of(run)
        check('OWAMP: Ctrl-C ends early, what is known is valid', run.status == 0 and got.get('valid') is True and not run.err
              and all(20 < got[way]['received'] < 500 and got[way]['lost'] == 0 for way in ('to', 'from')), run.all)

        for name, ways in (('itw-ping', ('to',)), ('itw-responder', ('from',))):
            ping = programs.start(*args, *[f'--{way}' for way in ways], '-c', 100, '-i', 0.02, responder.at)
            process = ping if name == 'itw-ping' else responder.process
            time.sleep(0.6)
            process.send_signal(signal.SIGSTOP)
            time.sleep(1)
            process.send_signal(signal.SIGCONT)
            run = programs.wait(ping)
            got = json_of(run).get(ways[0], {})
            check(f'OWAMP: {name} stands still: packets that were late by Timeout are skipped, not lost',
                  run.status == 0 and got.get('skipped', 0) > 10 and got['lost'] == 0
                  and got['sent'] == got['received'] == 100 - got['skipped'], run.all)

        ping = programs.start(*args, '-c', 5000, '-i', 0.005, responder.at)
        steady = programs.start(*args, '-c', 200, '-i', 0.01, responder.at)
        time.sleep(0.6)
        ping.kill()
        programs.wait(ping)
        check('OWAMP: itw-ping is killed: the responder says so', responder.says('test broken off'), responder.err)
        check('... and another session goes on', whole(programs.wait(steady), ('to', 'from'), 200), responder.err)

        ping = programs.start(*args, '-c', 5000, '-i', 0.005, responder.at)
        time.sleep(0.6)
        responder.process.kill()
        run = programs.wait(ping)
        check('OWAMP: the responder is killed: results are invalid', run.status == 2 and json_of(run).get('valid') is False
              and len(run.err.splitlines()) == 1 and 'invalid' in run.err, run.all)
        responder.run = programs.wait(responder.process)
        responder.run.status = 0


def test_limits(programs, keys):
    path = keys.file(keys.psk())
    cases = [
        ('packets', 'packets=10', ['-c', 11], '4', 'more packets'),
        ('bandwidth of one', 'bandwidth=30k', ['-i', 0.01], '4', 'more bandwidth'),
        ('storage of one', 'storage=1k', ['-c', 100], '4', 'more storage'),
        ('sessions', 'sessions=1', [], '5', 'too many sessions'),
        ('bandwidth of all', 'bandwidth=50k', ['-i', 0.01], '5', 'no bandwidth'),
    ]
    for name, limits, args, accept, word in cases:
        with Responder(programs, '--protocol', 'owamp', '--keys', path, '--modes', 'open,enc', '--count', 1024,
                       '--limits-open', limits) as responder:
            common = ('--protocol', 'owamp', '--schedule', 'fixed', '-W', 0.2, *args, responder.at)
            refused(f'OWAMP limit of {name}', programs.ping(*common), f'Accept {accept}')
            check('... the responder says why', responder.says(f'Accept {accept}', word), responder.err)
            run = programs.ping('--keys', path, '--json', *common)
            check('... those with a key have their own', json_of(run).get('valid') is True and run.status == 0, run.all)
    with Responder(programs, '--protocol', 'owamp') as responder:
        refused('OWAMP: by default few packets', programs.ping('--protocol', 'owamp', '-c', 10001, responder.at), 'Accept 4')
        refused('OWAMP: by default little bandwidth',
                programs.ping('--protocol', 'owamp', '-i', 0.001, '-s', 1000, responder.at), 'Accept 4')
        refused('OWAMP: more padding than the bound', programs.ping('--protocol', 'owamp', '-s', 9001, responder.at), 'Accept 3')


class OwampClient(OpenClient):
    """Unauthenticated OWAMP-Control, to say what itw-ping wouldn't."""

    @staticmethod
    def ntp(seconds=0.0):
        return int((time.time() + 2208988800 + seconds) * 2 ** 32)

    def ask(self, conf=(0, 1), packets=10, interval=0.02, timeout=0.2, receiver=b'\0' * 4, sid=bytes(16), slots=1, kind=1, start=0.1):
        """The Accept value; self.sid and self.port for the rest."""
        port = self.udp.getsockname()[1]
        self.sock.sendall(struct.pack('>BBBBIIHH4s12x4s12x16sIQQI8x16x', 1, 4, *conf, slots, packets, port if conf[1] else 0,
                                      0 if conf[1] else port, b'\0' * 4, receiver, sid, 0, self.ntp(start),
                                      int(timeout * 2 ** 32), 0)
                          + struct.pack('>B7xQ', kind, int(interval * 2 ** 32)) * slots + bytes(16))
        answer = receive(self.sock, 48)
        if len(answer) < 48:
            return None
        self.port = struct.unpack_from('>H', answer, 2)[0]
        self.sid = answer[4:20] if conf[1] else sid
        self.packets = packets
        return answer[0]

    def say_stop(self, next_seqno=None, skips=(), sid=None, sessions=1, accept=0):
        body = b''.join(struct.pack('>16sII', sid or self.sid, self.packets if next_seqno is None else next_seqno, len(skips))
                        + b''.join(struct.pack('>II', *skip) for skip in skips)
                        + bytes(-(24 + 8 * len(skips)) % 16) for _ in range(sessions))
        self.sock.sendall(struct.pack('>BB2xI8x', 3, accept, sessions) + body + bytes(16))

    def await_stop(self):
        """The Server's, which accounts for nothing."""
        return receive(self.sock, 32)[:2] == b'\3\0'

    def fetch(self, sid=None, begin=0, end=2 ** 32 - 1):
        """Accept, and the records."""
        self.sock.sendall(struct.pack('>B7xII16s16x', 4, begin, end, sid or self.sid))
        accept, finished, _, skips, records = struct.unpack('>BBxxIII16x', receive(self.sock, 32))
        if accept:
            return accept, None
        slots = struct.unpack_from('>I', receive(self.sock, 112), 4)[0]
        receive(self.sock, 16 * slots + 16)
        receive(self.sock, (8 * skips + 15) // 16 * 16 + 16)
        octets = receive(self.sock, (25 * records + 15) // 16 * 16 + 16)
        self.finished = finished
        return 0, [struct.unpack_from('>IHHQQB', octets, 25 * k) for k in range(records)]

    def send_all(self, seqs, interval=0.02):
        for seq in seqs:
            self.udp.sendto(struct.pack('>IQH', seq, self.ntp() & (2 ** 64 - 1), 1), ('127.0.0.1', self.port))
            time.sleep(interval)


def test_owamp_requests(programs, _):
    with Responder(programs, '--protocol', 'owamp', '--limits-open', 'sessions=3') as responder:
        with OwampClient(responder.port) as client:
            def refuses(name, accept, word, **args):
                before = len(responder.err)
                got = client.ask(**args)
                said = until(lambda: word in responder.err[before:], 5)
                check(f'OWAMP request: {name}: Accept {accept}', got == accept and said, got, responder.err)
            refuses('neither sender nor receiver', 3, 'refused', conf=(0, 0))
            refuses('a receiver that is a third party', 1, 'address', conf=(1, 0), receiver=bytes([192, 0, 2, 1]))
            refuses('no slot', 3, 'slots', slots=0)
            refuses('17 slots', 4, 'slots', slots=17)
            refuses('an unknown kind of slot', 3, 'slots', kind=2)
            refuses('no packet', 3, 'Packets', packets=0)
            refuses('no time between packets', 4, 'bandwidth', interval=0)
            refuses('a Timeout of 900 s', 3, 'Timeout', timeout=900)
            refuses('a start in an hour', 3, 'later', start=3600)
            refuses('more packets under way than can be told apart', 4, 'under way', packets=10000, interval=0.001, timeout=5)
            check('... the connection lives: three good ones', [client.ask() for _ in range(3)] == [0] * 3, responder.err)
            refuses('one more', 5, 'too many sessions')
        with OwampClient(responder.port) as client:
            check('... which are over with their connection', client.ask() == 0, responder.err)
            check('OWAMP: Start-Ack', client.start() == b'\0')
            client.say_stop(sessions=0)
            check('OWAMP: a Stop that accounts for none: closed', client.closed() and responder.says('Stop'), responder.err)
        for name, word, args in (('another session', 'Stop', {'sid': bytes(16)}),
                                 ('more packets than there are', 'Stop', {'next_seqno': 11}),
                                 ('skip ranges out of order', 'skip', {'skips': ((5, 6), (1, 2))}),
                                 ('skip ranges that overlap', 'skip', {'skips': ((1, 3), (3, 4))}),
                                 ('skip ranges beyond Next Seqno', 'skip', {'skips': ((9, 10),)})):
            before = len(responder.err)
            with OwampClient(responder.port) as client:
                client.ask()
                client.start()
                client.say_stop(**args)
                closed = client.closed()
                said = until(lambda: word in responder.err[before:], 5)
                check(f'OWAMP Stop-Sessions with {name}: closed', closed and said, responder.err)
    with Responder(programs, '--protocol', 'owamp', '--third-party') as responder, OwampClient(responder.port) as client:
        check('OWAMP: a third party with --third-party', client.ask(conf=(1, 0), receiver=bytes([127, 0, 0, 9]), sid=b'\1' * 16) == 0)


def test_fetch(programs, keys):
    with Responder(programs, '--protocol', 'owamp') as responder, OwampClient(responder.port) as client, \
            OwampClient(responder.port) as other:
        check('OWAMP fetch: an unknown SID is denied', other.fetch(bytes(16))[0] == 1 and responder.says('no such session'),
              responder.err)
        check('OWAMP: a session', client.ask(packets=10) == 0 and client.start() == b'\0', responder.err)
        time.sleep(0.1)
        client.send_all([0, 1, 2, 2, 4, 3])  # 5 is lost
        check('OWAMP fetch: a running session as a whole is denied', other.fetch(client.sid)[0] == 1
              and responder.says('under way'), responder.err)
        accept, records = other.fetch(client.sid, 0, 100)
        check('OWAMP fetch: of a running session what there is, in order of arrival', accept == 0 and not other.finished
              and [r[0] for r in records] == [0, 1, 2, 2, 4, 3], accept, records)
        client.send_all([6, 7])
        check('OWAMP: the Server says Stop when all is over', client.await_stop(), responder.err)
        client.say_stop(10, ((8, 9),))
        accept, records = client.fetch()
        lost = [r for r in records or [] if r[4] == 0]
        check('OWAMP fetch: duplicates, order, a lost packet; none for those never sent',
              accept == 0 and client.finished and [r[0] for r in records if r[4]] == [0, 1, 2, 2, 4, 3, 6, 7]
              and [r[0] for r in lost] == [5] and lost[0][5] == 255 and lost[0][1] == 1, accept, records)
        check('OWAMP fetch: a lost packet has the time when it should have been sent',
              0.03 < (lost[0][3] - records[3][3]) / 2 ** 32 < 0.5, records)
        check('OWAMP fetch: a range, twice, by another connection',
              [[r[0] for r in other.fetch(client.sid, 2, 4)[1]] for _ in range(2)] == [[2, 2, 4, 3]] * 2)
        client.sock.close()
        check('OWAMP: results without a key go with their connection',
              until(lambda: other.fetch(client.sid)[0] == 1, 5), responder.err)

        big = OwampClient(responder.port)
        check('OWAMP: a session of thousands', big.ask(packets=3000, interval=0.0005, timeout=1) == 0 and big.start() == b'\0',
              responder.err)
        time.sleep(0.1)
        big.send_all(range(3000), 0.0004)
        big.await_stop()
        big.say_stop(3000)
        accept, records = big.fetch()
        check('OWAMP fetch: thousands of records', accept == 0 and [r[0] for r in records] == list(range(3000)), accept)
        big.sock.close()


# --- TWAMP's extensions ------------------------------------------------------------------------------------------------

EXTENSIONS = {'individual': ['--individual'], 'reflect': ['--reflect', '12'], 'symmetrical': ['--symmetrical'],
              'monitor-dscp': ['--monitor-dscp'], 'ptp': ['--ptp']}


def test_extensions(programs, keys):
    """Every combination in every mode."""
    path = keys.file(keys.psk())
    modes = ('open', 'auth', 'enc', 'mixed') if programs.secure else ('open',)
    args = ('--keys', path, '--modes', ','.join(modes), '--count', 1024) if programs.secure else ()
    with Responder(programs, *args) as responder:
        for mode in modes:
            for half in (0, 16):
                runs = {}
                for number in range(half, half + 16):
                    chosen = [name for k, name in enumerate(EXTENSIONS) if number >> k & 1]
                    options = [option for name in chosen for option in EXTENSIONS[name]]
                    with_keys = () if mode == 'open' else ('--keys', path)
                    runs[','.join(chosen)] = programs.start('itw-ping', *with_keys, '--mode', mode, *options, '-c', 3, '-i', 0.01,
                                                            '--dscp', 10, '--json', responder.at)
                for name, ping in runs.items():
                    run = programs.wait(ping)
                    got = json_of(run)
                    check(f'{mode} with {name or "none"}', run.status == 0 and got.get('features') == name
                          and got.get('received') == 3 and not run.err
                          and all(abs(got[way]['median']) < 1e6 for way in ('there_us', 'back_us')), run.all, responder.err)
    with Responder(programs, '--features', 'reflect,ptp') as responder:
        run = programs.ping(*[option for options in EXTENSIONS.values() for option in options], '-c', 2, '-i', 0.01, '--json',
                            responder.at)
        check("what the Server can't is said in one line, the rest is used",
              run.status == 0 and json_of(run).get('features') == 'reflect,ptp'
              and run.err == "itw-ping: the Server can't do: individual,symmetrical,monitor-dscp\n", run.all)
        refused('too little padding to reflect', programs.ping('--reflect', 100, '-s', 50, responder.at), 'Padding Length')
    with Responder(programs) as responder:
        run = programs.ping('--monitor-dscp', '--dscp', 46, '-c', 2, '-i', 0.01, '-v', responder.at)
        check('--monitor-dscp: as packets arrived', run.status == 0 and run.out.count(', dscp 46, ecn 0)') == 2
              and 'there with DSCP 46, ECN 0; changed on the way: 0' in run.out, run.all)


# --- what itw-ping shows -----------------------------------------------------------------------------------------------


def on_terminal(programs, *args):
    """itw-ping with stderr on a terminal: what it wrote there, and its stdout."""
    master, slave = os.openpty()
    with tempfile.TemporaryFile('w+') as out:
        process = subprocess.Popen([str(programs.folder / 'itw-ping'), *map(str, args)], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=slave)
        os.close(slave)
        shown = b''
        try:
            while part := os.read(master, 65536):
                shown += part
        except OSError:  # the other end is closed
            pass
        os.close(master)
        process.wait(LIMIT)
        out.seek(0)
        return shown.decode(), out.read()


def test_shown(programs, keys):
    with Responder(programs) as responder:
        shown, out = on_terminal(programs, '-c', 150, '-i', 0.005, responder.at)
        check('progress on a terminal: one line, rewritten, and wiped', shown.count('\r\033[K') >= 3 and '\n' not in shown
              and ' received, 0 lost, rtt ' in shown and shown.endswith('\r\033[K') and '150 sent, 150 received' in out, shown, out)
        shown, out = on_terminal(programs, '-c', 150, '-i', 0.005, '-q', responder.at)
        check('... not with -q', shown == '' and '150 received' in out, shown, out)
        run = programs.ping('-c', 150, '-i', 0.005, responder.at)
        check('... nor without a terminal', run.status == 0 and run.err == '', run.all)

        run = programs.ping('-c', 50, '-i', 0.002, '--histogram', responder.at)
        bars = [line for line in run.out.splitlines() if line.endswith('#')]
        check('--histogram: rows that add up', bars and sum(int(line.split('#')[0].split()[-1]) for line in bars) == 50, run.all)
        path = keys.folder / 'packets.csv'
        run = programs.ping('-c', 20, '-i', 0.005, '--csv', path, '--json', responder.at)
        rows = [line.split(',') for line in path.read_text().splitlines()]
        names, rows = rows[0], rows[1:]
        figures = [dict(zip(names, row)) for row in rows]
        check('--csv: a row per packet, as many columns as names', len(rows) == 20 and all(len(row) == len(names) for row in rows)
              and [row['seq'] for row in figures] == [str(k) for k in range(20)], path.read_text())
        rtt = json_of(run)['rtt_us']
        check('... with the same figures as --json', abs(min(int(row['rtt_ns']) for row in figures) / 1e3 - rtt['min']) < 0.001
              and abs(max(int(row['rtt_ns']) for row in figures) / 1e3 - rtt['max']) < 0.001
              and all(abs(float(row['sent']) - time.time()) < 60 for row in figures), run.all, path.read_text())
    with Responder(programs, '--protocol', 'owamp') as responder:
        run = programs.ping('--protocol', 'owamp', '-c', 5, '-i', 0.01, '-W', 0.3, '--csv', path, responder.at)
        rows = [line.split(',') for line in path.read_text().splitlines()]
        check('--csv of OWAMP: both directions', len(rows) == 11 and all(len(row) == len(rows[0]) for row in rows)
              and sorted(row[0] for row in rows[1:]) == ['from'] * 5 + ['to'] * 5, path.read_text())
        shown, out = on_terminal(programs, '--protocol', 'owamp', '-c', 150, '-i', 0.005, '-W', 0.3, responder.at)
        check('progress of OWAMP', ' sent, ' in shown and '\n' not in shown and '150 sent, 150 received' in out, shown, out)


# --- many, and bad ones ------------------------------------------------------------------------------------------------


class Background:
    """Runs a function in a thread while the body of `with` runs."""

    def __init__(self, target):
        self.end = threading.Event()
        self.thread = threading.Thread(target=target, args=(self.end,))

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def steady(programs, name, responder, *args):
    """A measurement that must not notice what goes on beside it."""
    run = programs.ping('-c', 300, '-i', 0.005, '--json', *args, responder.at)
    got = json_of(run)
    check(f'a measurement goes on undisturbed beside {name}',
          run.status == 0 and got.get('lost') == 0 and got.get('received') == 300, run.all, responder.err)


def silent_connections():
    """How many there can be."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    return 2000 if limit[1] == resource.RLIM_INFINITY or limit[1] > 3000 else limit[1] // 2


def test_many(programs, keys):
    path = keys.file(keys.psk())
    wanted = silent_connections()
    for limit in (3000, 1000):
        with Responder(programs, '--keys', path, '--modes', 'open,enc', '--max-connections', limit) as responder:
            sockets = []

            def connect(_):
                time.sleep(0.5)  # the measurement is under way
                for _ in range(wanted):
                    sockets.append(socket.create_connection(('127.0.0.1', responder.port)))
            with Background(connect):
                steady(programs, f'{wanted} silent connections, at most {limit}', responder, '--keys', path)
            time.sleep(1)
            check('... and a new one finds a place', programs.ping('-c', 1, responder.at).status == 0, responder.err[-500:])
            if limit < wanted:
                check('... the oldest silent ones made room', responder.says('too many connections'))
            for sock in sockets:
                sock.close()
            check('... they go', until(lambda: responder.err.count('left during set-up')
                                       + responder.err.count('too many') >= wanted), responder.err[-500:])
    with Responder(programs, '--setup', 2) as responder:
        sockets = [socket.create_connection(('127.0.0.1', responder.port)) for _ in range(50)]
        check('silent connections end when the set-up time is over',
              until(lambda: responder.err.count('in time') >= 50, 10), responder.err[-500:])
        for sock in sockets:
            sock.close()


def residence(port):
    """How long the slowest of some packets stays in the reflector, by its own timestamps, in ms."""
    worst = 0
    with OpenClient(port) as client:
        client.request()
        client.start()
        for seq in range(300):
            reply = client.send(client.packet(seq))
            replied, arrived = struct.unpack_from('>Q', reply, 4)[0], struct.unpack_from('>Q', reply, 16)[0]
            worst = max(worst, (replied - arrived) * 1000 / 2 ** 32)
            time.sleep(0.003)
        client.stop()
    return worst


def test_bad_peers(programs, keys):
    path = keys.file(keys.psk())
    with Responder(programs, '--keys', path, '--modes', 'open,enc', '--setup', 3) as responder:

        def slow(end):
            """One octet at a time, for as long as it is let."""
            with socket.create_connection(('127.0.0.1', responder.port)) as sock:
                try:
                    while not end.wait(0.5):
                        sock.sendall(b'\0')
                except OSError:
                    pass

        def zeros(end):
            while not end.wait(0.05):
                with socket.create_connection(('127.0.0.1', responder.port)) as sock:
                    try:
                        sock.sendall(bytes(1 << 20))
                    except OSError:
                        pass

        def half(end):
            """Stops after every octet of a Set-Up-Response in turn."""
            octets = 0
            while not end.wait(0.01):
                octets = octets % 163 + 1
                with socket.create_connection(('127.0.0.1', responder.port)) as sock:
                    sock.sendall(struct.pack('>I160x', 1)[:octets])

        def guessing(end):
            """Names that nobody knows: each costs PBKDF2."""
            while not end.is_set():
                sockets = []
                for number in range(20):
                    sock = socket.create_connection(('127.0.0.1', responder.port))
                    receive(sock, 64)
                    sock.sendall(struct.pack('>I80s64s16s', 4, b'guess %d' % number, os.urandom(64), os.urandom(16)))
                    sockets.append(sock)
                for sock in sockets:
                    sock.settimeout(LIMIT)
                    receive(sock, 48)
                    sock.close()

        def noise(end):
            """Random octets instead of a set-up."""
            while not end.wait(0.02):
                with socket.create_connection(('127.0.0.1', responder.port)) as sock:
                    try:
                        sock.sendall(os.urandom(400))
                    except OSError:
                        pass

        def deaf(end):
            """Asks and asks, and never reads an answer."""
            with OpenClient(responder.port) as client:
                client.sock.settimeout(0.1)
                bad = struct.pack('>BB110x', 5, 5)  # IPVN 5: refused
                while not end.is_set():
                    try:
                        client.sock.sendall(bad * 100)
                    except TimeoutError:
                        pass
                if last:
                    client.sock.settimeout(LIMIT)
                    check('... SIGTERM ends the responder all the same', responder.stop().status == 0)

        last = False
        for name, peer in (('a peer that sends an octet at a time', slow), ('a megabyte of zeros', zeros),
                           ('peers that stop after any octet', half), ('peers that guess names', guessing),
                           ('noise', noise),
                           ('a peer that never reads', deaf)):
            with Background(peer):
                steady(programs, name, responder, '--keys', path)
        with Background(guessing):
            worst = residence(responder.port)
        check(f'beside PBKDF2 a packet waits for a slice at most ({worst:.2f} ms)', worst < 50)
        with socket.create_connection(('127.0.0.1', responder.port)) as sock:
            sock.settimeout(LIMIT)
            receive(sock, 64)
            end = time.monotonic() + LIMIT
            try:
                while time.monotonic() < end:
                    sock.sendall(b'\0')
                    time.sleep(0.1)
            except OSError:
                pass
            check('the slow peer is cut off', time.monotonic() < end and responder.says('in time'), responder.err)
        last = True
        with Background(deaf):
            time.sleep(1)


def test_at_once(programs, keys):
    path = keys.file(keys.psk(), keys.ike())
    with Responder(programs, '--keys', path, '--modes', 'open,auth,enc,mixed') as responder:
        pings = [programs.start('itw-ping', '--keys', path, '--scheme', ('psk', 'ikev2')[k % 2], '--mode',
                                ('open', 'auth', 'enc', 'mixed')[k // 2 % 4], '-c', 100, '-i', 0.01, '--json',
                                responder.at) for k in range(16)]
        runs = [programs.wait(ping) for ping in pings]
        lost = sum(json_of(run).get('lost', 100) for run in runs)
        check('16 pings at once, nothing lost', lost == 0 and all(run.status == 0 for run in runs), lost,
              *[run.all for run in runs if run.status != 0])
        run = responder.stop()
        check('the summary adds up', 'connections: 16' in run.out and 'sessions: 16' in run.out
              and 'test packets: 1600 received, 1600 replied' in run.out and not run.err, run.all)


def test_no_answer(programs, keys):
    """A server that says yes and reflects nothing: exit status 1."""
    with socket.create_server(('127.0.0.1', 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(('127.0.0.1', 0))

        def serve(_):
            sock, _ = server.accept()
            sock.sendall(struct.pack('>12xI16s16sI12x', 1, b'c' * 16, b's' * 16, 1024))
            receive(sock, 164)
            sock.sendall(bytes(48))
            receive(sock, 112)
            sock.sendall(struct.pack('>BBH16s28x', 0, 0, udp.getsockname()[1], b'sid'))
            receive(sock, 32)
            sock.sendall(bytes(32))
            receive(sock, 32)
            sock.close()
        with Background(serve):
            path = keys.folder / 'lost.csv'
            run = programs.ping('-c', 3, '-i', 0.01, '-W', 0.3, '--json', '--csv', path, f'127.0.0.1:{server.getsockname()[1]}')
        got = json_of(run)
        check('no reply: exit status 1, figures null', run.status == 1 and got.get('lost') == 3
              and got.get('rtt_us', {}).get('min', 0) is None, run.all)
        check('... and rows of --csv', path.read_text().splitlines()[1:] == [f'{k},lost' + ',' * 11 for k in range(3)],
              path.read_text())


# --- all of it ---------------------------------------------------------------------------------------------------------

# A build without a crypto library does these.
OPEN_TESTS = (test_examples, test_broken, test_bad_requests, test_bad_packets, test_no_answer, test_owamp_ways,
              test_owamp_early, test_owamp_requests, test_fetch, test_extensions, test_shown)
TESTS = (test_examples, test_schemes, test_sources, test_unfit, test_refusals, test_fallback, test_usage, test_keys_files,
         test_ping_output, test_broken, test_counts, test_bad_requests, test_bad_packets, test_at_once, test_no_answer,
         test_owamp_schemes, test_owamp_ways, test_owamp_early, test_limits, test_owamp_requests, test_fetch,
         test_extensions, test_shown,
         test_many, test_bad_peers)


def folder_of_programs(args):
    if len(args) == 1:
        return pathlib.Path(args[0])
    return pathlib.Path(args[1]) / 'examples'


def main():
    programs = Programs(folder_of_programs(sys.argv[1:]))
    with tempfile.TemporaryDirectory() as folder:
        keys = Keys(folder)
        try:
            for test in TESTS if programs.secure else OPEN_TESTS:
                test(programs, keys)
                if programs.running:
                    check(f'{test.__name__} leaves no process behind', False)
                    programs.kill_all()
        finally:
            programs.kill_all()
        told = [s for s in keys.secrets if any(s.lower() in text.lower() for text in outputs)]
        check(f'no secret in {len(outputs)} outputs', not told)
        check('no sanitizer or library complaint', not any('Sanitizer' in text or 'runtime error' in text for text in outputs))
    print(f'{count} checks, {len(failures)} failed')
    return 1 if failures else 0


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main())
