# SPDX-License-Identifier: BSD-3-Clause
"""A stand-in for the plugin in charon, for tests without one: says strongswan.h's messages on a Unix socket. It holds IKE SAs
with made-up secrets, one end's view of them, and does with them what it is told."""
import os
import random
import socket
import struct
import threading

HELLO, ASK, ANSWER, EVENT = 1, 2, 3, 4
MAGIC, VERSION = 0x49545750, 1
UP, REKEYED, GONE = 1, 2, 3
SELECT, TOKEN_KEY = 1, 2
CLIENT = 1
ANS_NONE, ANS_SA, ANS_SECRET = 0, 1, 2
IKEV2 = 2
SA_MISMATCH, SA_NONE = -80, -81
IKE, PRF_HMAC_SHA2_256 = 1, 5

LOOPBACK = struct.pack('=HHI16s', 4, 0, 0, bytes((127, 0, 0, 1)))
NO_SA = struct.pack('=IIIIQQ', 32, 0, 0, 0, 0, 0)


class Sa:
    """Both ends' plugins hold the same one."""

    def __init__(self):
        source = random.SystemRandom()
        self.spi_i, self.spi_r = source.getrandbits(64) | 1, source.getrandbits(64) | 1
        self.secret = source.randbytes(32)

    @property
    def name(self):
        return f'IKE SA {self.spi_i:016x}_{self.spi_r:016x}'

    @property
    def octets(self):
        return struct.pack('=IIIIQQ', 32, IKE, PRF_HMAC_SHA2_256, 0, self.spi_i, self.spi_r)

    def is_named(self, octets, mask=2 ** 64 - 1):
        spi_i, spi_r = struct.unpack_from('=QQ', octets, 16)
        return not ((spi_i ^ self.spi_i) & mask or (spi_r ^ self.spi_r) & mask)


class Ask:
    def __init__(self, octets):
        self.size, self.id, self.kind, self.role, self.schemes, self.modes = struct.unpack_from('=6I', octets)
        self.sa = octets[80:112]


class FakePlugin:
    def __init__(self, path, *sas):
        self.path, self.sas, self.asked = str(path), list(sas), []
        self.lock = threading.RLock()
        self.agents = []
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server.bind(self.path)
        self.server.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                agent, _ = self.server.accept()
            except OSError:
                return
            with self.lock:
                self.agents.append(agent)
                self.send(agent, HELLO, 0, struct.pack('=IIII', MAGIC, VERSION, len(self.sas), 0))
            threading.Thread(target=self.serve, args=(agent,), daemon=True).start()

    @staticmethod
    def send(agent, kind, tag, octets):
        try:
            agent.send(struct.pack('=IIQ', kind, len(octets), tag) + octets)
        except OSError:
            pass  # it has left

    def serve(self, agent):
        while True:
            try:
                message = agent.recv(1024)
            except OSError:
                return
            if not message:
                return
            kind, octets, tag = struct.unpack_from('=IIQ', message)
            if kind == ASK and octets == len(message) - 16:
                with self.lock:
                    ask = Ask(message[16:])
                    self.send(agent, ANSWER, tag, self.answer(ask))
                    self.asked.append(ask.kind)

    def answer(self, ask):
        kind, schemes, modes, why, sa, secret = ANS_NONE, 0, 0, SA_NONE, NO_SA, b''
        if ask.kind == SELECT:
            checks = ask.role == CLIENT and ask.schemes != IKEV2
            found = [one for one in self.sas if not checks or one.is_named(ask.sa, 2 ** 32 - 1)]
            if found:
                kind, schemes, modes, sa = ANS_SA, ask.schemes, ask.modes, found[-1].octets
            elif checks:
                why = SA_MISMATCH
        else:
            found = [one for one in self.sas if one.is_named(ask.sa)]
            if found:
                kind, sa, secret = ANS_SECRET, found[0].octets, found[0].secret
        return (struct.pack('=5Ii', 320, ask.id, kind, schemes, modes, why) + sa
                + struct.pack('=4H256s', 0, 0, 0, len(secret), secret))

    def tell(self, kind, sa, by=None):
        event = (struct.pack('=IIiI', 128, kind, 0, 0) + sa.octets + (by.octets if by else NO_SA) + LOOPBACK * 2)
        for agent in self.agents:
            self.send(agent, EVENT, 0, event)

    # --- what IKE does ---

    def up(self, sa):
        with self.lock:
            self.sas.append(sa)
            self.tell(UP, sa)

    def rekey(self, old, new):
        with self.lock:
            self.sas.remove(old)
            self.sas.append(new)
            self.tell(REKEYED, old, new)

    def delete(self, sa):
        with self.lock:
            self.sas.remove(sa)
            self.tell(GONE, sa)

    def stop(self):
        """charon has ended."""
        with self.lock:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            os.unlink(self.path)
            for agent in self.agents:
                agent.shutdown(socket.SHUT_RDWR)
                agent.close()
            self.agents = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.server.fileno() >= 0:
            self.stop()
