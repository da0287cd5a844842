#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""--keys-from and --rekey of the example programs, without an IPsec: a stand-in for the plugin in charon does what charon
would, when it is told to. Prints a line for each check; exit status 1 if one failed.

usage: test_keys_from.py SOURCE_ROOT BUILD_ROOT [ignored]...
       test_keys_from.py FOLDER_WITH_THE_PROGRAMS
"""
import ctypes
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

import test_programs
from fake_plugin import FakePlugin, Sa
from test_programs import Keys, Programs, Responder, check, json_of, refused, until

COUNT, INTERVAL = 100, 0.01
CAP_NET_ADMIN, PR_CAPBSET_DROP = 12, 24


def lacks(programs, source, library):
    """A build without the source says so, and there is no more to see."""
    run = programs.ping('--keys-from', source, '--connect', 0.001, '127.0.0.1:1')
    if f'this build has no {library}' not in run.err:
        return False
    refused(f'no {library} in this build', run, 'meson option')
    return True


class Pair:
    """Two ends with an IKE SA between them: a responder, and what a client needs."""

    def __init__(self, programs, folder, *args, sas=None, client_sas=None):
        self.programs = programs
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.old, self.new = Sa(), Sa()
        sas = [self.old] if sas is None else sas
        self.server = FakePlugin(self.folder / 'server', *sas)
        self.client = FakePlugin(self.folder / 'client', *(sas if client_sas is None else client_sas))
        self.responder = Responder(programs, '--keys-from', f'strongswan:{self.server.path}', *args)
        until(lambda: 'keys from' in self.responder.err)

    def start(self, *args, count=COUNT):
        return self.programs.start('itw-ping', '--keys-from', f'strongswan:{self.client.path}', '-c', count, '-i', INTERVAL, *args,
                                   self.responder.at)

    def ping(self, *args, count=5):
        return self.programs.wait(self.start(*args, count=count))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.responder.__exit__()
        for plugin in (self.server, self.client):
            plugin.__exit__()


def under_way(programs, ping, packets=10):
    """With -v: some packets have been answered, and more are to come."""
    return until(lambda: programs.text(ping)[0].count('seq ') >= packets)


def parts_of(run):
    """The parts that a summary tells of: SA, sent, received, lost."""
    found = re.findall(r'^part (\d+), (IKE SA \S+): (\d+) sent, (\d+) received, (\d+) lost$', run.out, re.M)
    return [(sa, int(sent), int(received), int(lost)) for _, sa, sent, received, lost in found]


def adds_up(run, parts, count=COUNT):
    """Every packet is in one part, and has its one line."""
    seqs = [int(seq) for seq in re.findall(r'^seq (\d+) ', run.out, re.M)]
    lost = sum(part[3] for part in parts)
    return (sum(part[1] for part in parts) == count and all(sent == received + gone for _, sent, received, gone in parts)
            and len(set(seqs)) == len(seqs) == count - lost and all(seq < count for seq in seqs)
            and f'\n{count} sent, {count - lost} received, {lost} lost' in run.out)


# --- options -----------------------------------------------------------------------------------------------------------


def test_options(programs, folder):
    keys = Keys(folder)
    path = keys.file(keys.psk())
    with Responder(programs, '--keys-from', path, '--rekey', 'close') as responder:
        run = programs.ping('--keys-from', path, '--rekey', 'close', '-c', 3, '-i', 0.005, '--json', responder.at)
        check('--keys-from FILE', run.status == 0 and json_of(run).get('scheme') == 'psk' and not responder.err, run.all)
    refused('itw-ping: --rekey close with OWAMP', programs.ping('--protocol', 'owamp', '--rekey', 'close', '127.0.0.1:1'), 'TWAMP')
    for program, target in (('itw-ping', ['127.0.0.1:1']), ('itw-responder', [])):
        refused(f'{program}: an unknown policy', programs.run(program, '--rekey', 'never', *target), '--rekey never', 'keep close')
        refused(f'{program}: a file that is none', programs.run(program, '--keys-from', '/nonexistent/keys', *target),
                '/nonexistent/keys')


def test_strongswan_options(programs, folder):
    keys = Keys(folder)
    path = keys.file(keys.psk())
    live = f'strongswan:{folder}/none'
    for program, target in (('itw-ping', ['127.0.0.1:1']), ('itw-responder', ['--port', 0])):
        def run(*args):
            return programs.run(program, *args, *target)
        refused(f'{program}: keys from two places', run('--keys', path, '--keys-from', live), '--keys-from', 'already')
        refused(f'{program}: the other way round', run('--keys-from', live, '--keys', path), '--keys', 'already')
        refused(f'{program}: no socket', run('--keys-from', 'strongswan:'), 'socket')
        refused(f'{program}: half an address', run('--keys-from', 'strongswan:ha:127.0.0.2'), 'strongswan:ha:OURS,CHARONS')
        refused(f'{program}: HA not on loopback', run('--keys-from', 'strongswan:ha:192.0.2.1,192.0.2.2'), 'strongswan:ha:192.0.2.1')
        refused(f'{program}: direct of strongSwan', run('--keys-from', live, '--scheme', 'direct'), 'ikev2, shared')
        refused(f'{program}: psk of strongSwan', run('--keys-from', live, '--scheme', 'psk,ikev2'), 'passphrase')
    refused('itw-ping: a passphrase of strongSwan', programs.ping('--keys-from', live, '--key', 'alice', '127.0.0.1:1'), '--key')


def without_net_admin():
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0)


def test_xfrm_options(programs, _):
    for program, target in (('itw-ping', ['127.0.0.1:1']), ('itw-responder', ['--port', '0'])):
        done = subprocess.run([programs.folder / program, '--keys-from', 'xfrm', *target], preexec_fn=without_net_admin,
                              capture_output=True, text=True, timeout=60, check=False)
        run = test_programs.Run(done.returncode, done.stdout, done.stderr)
        refused(f'{program}: xfrm without CAP_NET_ADMIN', run, 'CAP_NET_ADMIN')
        refused(f'{program}: ikev2 of xfrm', programs.run(program, '--keys-from', 'xfrm', '--scheme', 'ikev2', *target), 'direct')


# --- charon's keys -----------------------------------------------------------------------------------------------------


def test_schemes(programs, folder):
    for scheme in ('ikev2', 'shared'):
        with Pair(programs, folder, '--scheme', scheme, '--modes', 'open,auth,enc') as pair:
            for mode in ('open', 'auth', 'enc'):
                run = pair.ping('--scheme', scheme, '--mode', mode, '--json')
                got = json_of(run)
                pinned = mode != 'open' or scheme != 'ikev2'
                check(f'{scheme} {mode} from a plugin', run.status == 0 and got.get('received') == 5 and got.get('mode') == mode
                      and (got.get('sa') == pair.old.name if pinned else 'sa' not in got)
                      and [part['received'] for part in got['parts']] == [5], run.all, pair.responder.err)
    with Pair(programs, folder) as pair:
        run = pair.ping('--json')
        check('ikev2 and enc are what is used if nothing is said',
              json_of(run).get('scheme') == 'ikev2' and json_of(run).get('mode') == 'enc', run.all)
        pair.server.rekey(pair.old, pair.new)
        pair.client.rekey(pair.old, pair.new)
        check('the responder tells of a rekey', pair.responder.says(f'SA rekeyed: {pair.old.name}, now {pair.new.name} between '
                                                                    '127.0.0.1 and 127.0.0.1'), pair.responder.err)
        check('the next session has the new SA', json_of(pair.ping('--json')).get('sa') == pair.new.name)
        with Pair(programs, folder) as other:
            run = programs.wait(other.programs.start('itw-ping', '--keys-from', f'strongswan:{other.client.path}', pair.responder.at))
            refused('an SA that the Server has not', run, 'Accept 6', other.old.name)
            check('... the responder says which', pair.responder.says('Accept 6', f'the KeyID names {other.old.name}', 'IKE 1'),
                  pair.responder.err)


def test_no_sa(programs, folder):
    with Pair(programs, folder, sas=[]) as pair:
        refused('no SA at either end', pair.ping(), 'no SA with this peer', 'between 127.0.0.1 and 127.0.0.1', 'IKE 0')
    with Pair(programs, folder, '--scheme', 'shared', sas=[]) as pair:
        refused('no SA, a scheme of the draft', pair.ping('--scheme', 'shared'), 'Modes 0')
        check('... the responder says what it looked for', pair.responder.says('between 127.0.0.1 and 127.0.0.1', 'IKE 0'),
              pair.responder.err)
    with Pair(programs, folder, '--scheme', 'shared', client_sas=[Sa()]) as pair:
        refused('another SA, a scheme of the draft', pair.ping('--scheme', 'shared'), 'the greeting names IKE SPIs that end in '
                f'{pair.old.spi_i & 0xffffffff:08x} {pair.old.spi_r & 0xffffffff:08x}')


# --- an SA is replaced -------------------------------------------------------------------------------------------------


def test_keep(programs, folder):
    with Pair(programs, folder) as pair:
        ping = pair.start('-v')
        check('keep: under way', under_way(programs, ping), *programs.text(ping))
        pair.server.rekey(pair.old, pair.new)
        pair.client.rekey(pair.old, pair.new)
        run = programs.wait(ping)
        check('keep: one session over a rekey, nothing lost', run.status == 0 and f'{COUNT} sent, {COUNT} received, 0 lost' in run.out
              and not parts_of(run), run.all)
        check('... both ends tell of it', f'{pair.old.name} was replaced' in run.err and len(run.err.splitlines()) == 1
              and pair.responder.says(f'goes on with the keys of {pair.old.name}'), run.err, pair.responder.err)
        ping = pair.start('-v')
        under_way(programs, ping)
        pair.server.delete(pair.new)
        pair.client.delete(pair.new)
        run = programs.wait(ping)
        check('keep: over a deletion', run.status == 0 and f'{COUNT} received, 0 lost' in run.out, run.all, pair.responder.err)
        done = pair.responder.stop()
        check('... no packet refused', 'refused: 0 forged, 0 malformed, 0 of no session, 0 early, 0 late' in done.out, done.all)


def test_close(programs, folder):
    """Who closes, and who hears of it first."""
    for name, server_policy, order, *options in (
            ('the client closes', 'keep', ('client', 'server')),
            ('both close, the client hears first', 'close', ('client', 'server')),
            ('both close, the Server hears first', 'close', ('server', 'client')),
            ('sessions stopped one by one', 'close', ('client', 'server'), '--individual'),
            ('sessions stopped one by one, the Server hears first', 'close', ('server', 'client'), '--individual')):
        with Pair(programs, folder, '--rekey', server_policy) as pair:
            csv = pair.folder / 'packets.csv'
            ping = pair.start('-v', '--rekey', 'close', '--csv', csv, *options)
            under_way(programs, ping)
            for end in order:
                getattr(pair, end).rekey(pair.old, pair.new)
                if order[0] == 'server' and end == 'server':
                    check('... the responder closes', pair.responder.says(f'closed, for its SA is gone: {pair.old.name}'),
                          pair.responder.err)
            run = programs.wait(ping)
            parts = parts_of(run)
            check(f'{name}: two parts, every packet accounted for, none lost', run.status == 0 and not run.err
                  and [part[0] for part in parts] == [pair.old.name, pair.new.name] and adds_up(run, parts)
                  and sum(part[3] for part in parts) == 0, run.all, pair.responder.err)
            rows = sorted(int(row.split(',')[0]) for row in csv.read_text().splitlines()[1:])
            check('... and has its row', rows == list(range(COUNT)), csv.read_text())
            done = pair.responder.stop()
            check('... no packet refused', 'refused: 0 forged, 0 malformed, 0 of no session, 0 early, 0 late' in done.out
                  and f'{COUNT} received, {COUNT} replied' in done.out, done.all)


def test_close_json(programs, folder):
    with Pair(programs, folder, '--rekey', 'close') as pair:
        csv, count = pair.folder / 'packets.csv', 200
        ping = pair.start('--rekey', 'close', '--json', '--csv', csv, count=count)
        until(lambda: csv.exists() and csv.stat().st_size)  # stdio's first buffer is full, the last one isn't
        pair.client.rekey(pair.old, pair.new)
        pair.server.rekey(pair.old, pair.new)
        run = programs.wait(ping)
        got = json_of(run)
        parts = got.get('parts', [])
        check('--json: the parts', run.status == 0 and [part['sa'] for part in parts] == [pair.old.name, pair.new.name]
              and len({part['sid'] for part in parts}) == 2 and all(len(part['sid']) == 32 for part in parts)
              and all(part['sent'] == part['received'] + part['lost'] and part['sent'] for part in parts), run.all, pair.responder.err)
        check('... and their totals', got.get('valid') is True and got.get('sent') == count
              and all(sum(part[name] for part in parts) == got.get(name) for name in ('sent', 'received', 'lost'))
              and got.get('sid') == parts[0]['sid'] and got.get('sa') == parts[0]['sa'] and got['rtt_us']['min'] > 0, run.all)


def test_close_early(programs, folder):
    """A rekey while the session is being set up, wherever that hits."""
    for asked, first, then in ((0, 'client', 'server'), (1, 'client', 'server'), (1, 'server', 'client'),
                               (2, 'client', 'server'), (2, 'server', 'client')):
        with Pair(programs, folder, '--rekey', 'close') as pair:
            ping = pair.start('-v', '--rekey', 'close')
            until(lambda: len(pair.client.asked) >= min(asked, 2) and len(pair.server.asked) >= asked // 2)
            getattr(pair, first).rekey(pair.old, pair.new)
            getattr(pair, then).rekey(pair.old, pair.new)
            run = programs.wait(ping)
            got = parts_of(run) or [(pair.new.name, COUNT, COUNT, 0)]
            check(f'a rekey after {asked} questions, the {first} hears first', run.status == 0 and adds_up(run, got), run.all, pair.responder.err)


def test_close_thrice(programs, folder):
    with Pair(programs, folder, '--rekey', 'close') as pair:
        ping = pair.start('-v', '--rekey', 'close', '-W', 0.5, count=150)
        sas = [pair.old, Sa(), Sa(), Sa()]
        for number, (old, new) in enumerate(zip(sas, sas[1:])):
            under_way(programs, ping, 30 * (number + 1))
            pair.client.rekey(old, new)
            pair.server.rekey(old, new)
        run = programs.wait(ping)
        parts = parts_of(run)
        check('three rekeys, four parts', run.status == 0 and [part[0] for part in parts] == [sa.name for sa in sas]
              and adds_up(run, parts, 150), run.all, pair.responder.err)
        ping = pair.start('-v', '--rekey', 'close', count=0)
        under_way(programs, ping)
        pair.client.rekey(sas[-1], pair.new)
        pair.server.rekey(sas[-1], pair.new)
        until(lambda: sum(plugin.asked.count(2) for plugin in (pair.client, pair.server)) >= 2 * (len(sas) + 2))
        under_way(programs, ping, programs.text(ping)[0].count('seq ') + 5)
        ping.send_signal(signal.SIGINT)
        run = programs.wait(ping)
        check('without an end, until interrupted', run.status == 0 and len(parts_of(run)) == 2 and not run.err, run.all)


def test_server_alone(programs, folder):
    with Pair(programs, folder, '--rekey', 'close') as pair:
        ping = pair.start('-v', '--rekey', 'close')
        under_way(programs, ping)
        pair.server.rekey(pair.old, pair.new)
        run = programs.wait(ping)
        check('the Server closes, and our SA is alive: results are invalid', run.status == 2 and 'invalid' in run.err
              and 'invalid' in run.out, run.all)
    with Pair(programs, folder, '--rekey', 'close') as pair:
        ping = pair.start('-v')
        under_way(programs, ping)
        pair.server.rekey(pair.old, pair.new)
        run = programs.wait(ping)
        check('the Server closes, and we would keep: as any broken test', run.status == 2 and 'invalid' in run.err, run.all)


def test_owamp(programs, folder):
    for policy in ('keep', 'close'):
        with Pair(programs, folder, '--protocol', 'owamp', '--rekey', policy) as pair:
            ping = pair.start('--protocol', 'owamp', '--schedule', 'fixed', '-W', 0.3, '--json')
            until(lambda: sum(plugin.asked.count(2) for plugin in (pair.client, pair.server)) == 2)
            pair.client.rekey(pair.old, pair.new)
            pair.server.rekey(pair.old, pair.new)
            run = programs.wait(ping)
            if policy == 'keep':
                over = f'{pair.old.name} was replaced' in run.err or json_of(run).get('sa') == pair.new.name
                check('OWAMP, keep: over a rekey, nothing lost', run.status == 0 and json_of(run).get('received') == 2 * COUNT
                      and over, run.all, pair.responder.err)
            else:  # unless that hit the set-up, which is tried again
                check('OWAMP, the Server closes: no results', run.status == 2 and 'closed' in run.err
                      or json_of(run).get('sa') == pair.new.name, run.all, pair.responder.err)


# --- an SA goes away ---------------------------------------------------------------------------------------------------


def test_deleted(programs, folder):
    with Pair(programs, folder, '--rekey', 'close') as pair:
        ping = pair.start('-v', '--rekey', 'close', '--connect', 1)
        under_way(programs, ping)
        pair.client.delete(pair.old)
        pair.server.delete(pair.old)
        run = programs.wait(ping)
        got = re.search(r'^(\d+) sent, (\d+) received, (\d+) lost', run.out, re.M)
        sent, received, lost = map(int, got.groups()) if got else (0, 0, 1)
        check('deleted, and no new one: a reason, and what was found so far', run.status == 2 and 'within 1 s' in run.err
              and 'no SA with this peer' in run.err and len(run.err.splitlines()) == 1 and 10 <= sent < COUNT
              and sent == received and not lost and 'invalid' not in run.out, run.all, pair.responder.err)
    with Pair(programs, folder, '--rekey', 'close') as pair:
        ping = pair.start('-v', '--rekey', 'close')
        under_way(programs, ping)
        pair.client.delete(pair.old)
        pair.server.delete(pair.old)
        check('deleted: another connection finds no SA', pair.responder.says('left during set-up'), pair.responder.err)
        pair.server.up(pair.new)
        pair.client.up(pair.new)
        run = programs.wait(ping)
        parts = parts_of(run)
        check('... and goes on when there is one', run.status == 0 and [part[0] for part in parts] == [pair.old.name, pair.new.name]
              and adds_up(run, parts), run.all, pair.responder.err)


def test_charon_away(programs, folder):
    refused('charon never comes', programs.ping('--keys-from', f'strongswan:{folder}/none', '--connect', 0.5, '127.0.0.1:1'),
            'no keys within 0.5 s', "isn't there", f'{folder}/none')
    with Pair(programs, folder) as pair:
        pair.client.stop()
        ping = pair.start('-v')
        pair.client = FakePlugin(pair.client.path, pair.old)
        run = programs.wait(ping)
        check('charon comes late', run.status == 0 and f'{COUNT} received' in run.out, run.all)
        ping = pair.start('-v')
        under_way(programs, ping)
        pair.server.stop()
        pair.client.stop()
        run = programs.wait(ping)
        check('keep: charon ends at both ends, the session goes on', run.status == 0 and f'{COUNT} received' in run.out, run.all)
        check('... the responder tells', pair.responder.says('is away', f'goes on with the keys of {pair.old.name}'),
              pair.responder.err)
        refused('... and there are no keys for a new one', pair.ping('--connect', 0.5), 'no keys within 0.5 s')
    with Pair(programs, folder, '--rekey', 'close') as pair:
        ping = pair.start('-v', '--rekey', 'close')
        under_way(programs, ping)
        pair.server.stop()
        pair.client.stop()
        check('close: charon ends, and the session', pair.responder.says('is away', f'closed, for its SA is gone: {pair.old.name}')
              or 'left' in pair.responder.err, pair.responder.err)
        pair.server = FakePlugin(pair.server.path, pair.new)
        pair.client = FakePlugin(pair.client.path, pair.new)
        run = programs.wait(ping)
        parts = parts_of(run)
        check('... charon is back: a second part', run.status == 0 and [part[0] for part in parts] == [pair.old.name, pair.new.name]
              and adds_up(run, parts), run.all, pair.responder.err)


# --- all of it ---------------------------------------------------------------------------------------------------------

XFRM_TESTS = (test_xfrm_options,)
STRONGSWAN_TESTS = (test_strongswan_options, test_schemes, test_no_sa, test_keep, test_close, test_close_json, test_close_early,
                    test_close_thrice, test_server_alone, test_owamp, test_deleted, test_charon_away)


def main():
    programs = Programs(test_programs.folder_of_programs(sys.argv[1:]))
    with tempfile.TemporaryDirectory() as folder:
        try:
            tests = [test_options]
            tests += [] if lacks(programs, 'xfrm', 'libipsectwamp-xfrm') else XFRM_TESTS
            tests += [] if lacks(programs, f'strongswan:{folder}/none', 'libipsectwamp-strongswan') else STRONGSWAN_TESTS
            for test in tests:
                test(programs, folder)
                if programs.running:
                    check(f'{test.__name__} leaves no process behind', False)
                    programs.kill_all()
        finally:
            programs.kill_all()
        check('no sanitizer or library complaint', not any('Sanitizer' in text or 'runtime error' in text
                                                           for text in test_programs.outputs))
    print(f'{test_programs.count} checks, {len(test_programs.failures)} failed')
    return 1 if test_programs.failures else 0


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main())
