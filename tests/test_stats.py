#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares the library's statistics with those of sorted lists, exact fractions and dictionaries.

usage: test_stats.py DRIVER [SEED]

DRIVER is stats_driver. What is random here is the same in every run but for another SEED.
"""
import fractions
import math
import random
import subprocess
import sys

ONE_WAY, LOST, LATE, DUPLICATE = 1, 2, 4, 8
NAMES = ['there', 'back', 'round', 'pdv there', 'pdv back', 'pdv round', 'ipdv there', 'ipdv back', 'ipdv round',
         'extent']
PPM = [0, 1, 1000, 10000, 50000, 100000, 250000, 500000, 750000, 900000, 950000, 990000, 999000, 999900, 999999,
       1000000]
S_BIT = 0x8000


# ---- what should come out ----

def nearest_rank(values, ppm):
    return values[max(1, -(-len(values) * ppm // 1000000)) - 1]


def nearest(x):
    """Halves away from zero."""
    return int(math.floor(abs(x) + fractions.Fraction(1, 2))) * (1 if x >= 0 else -1)


def deviation(values):
    n = len(values)
    if n < 2:
        return 0
    total = sum(values)
    variance = fractions.Fraction(sum((n * v - total) ** 2 for v in values), n * n * (n - 1))
    root = math.isqrt(variance.numerator // variance.denominator)
    return root + (variance >= (root + fractions.Fraction(1, 2)) ** 2)


def runs(lost):
    lengths, current = [], 0
    for is_lost in [*lost, False]:
        if is_lost:
            current += 1
        elif current:
            lengths.append(current)
            current = 0
    return lengths


def limited(ns):
    return max(-2**61, min(2**61, ns))


class Expected:
    """Of samples in the order of arrival: (seq, flags, here, there, there_ns, back_ns, rtt_ns)."""

    def __init__(self, samples, sent, skips, one_way):
        first = {}
        self.duplicates = self.late = 0
        for sample in samples:
            self.late += bool(sample[1] & LATE)
            self.duplicates += bool(sample[1] & DUPLICATE)
            if sample[1] & (LOST | LATE | DUPLICATE):
                continue
            self.duplicates += sample[0] in first
            first.setdefault(sample[0], sample)
        self.first = list(first.values())
        self.sent = max([sent] + [s[0] + 1 for s in samples])
        self.skipped = {seq for low, high in skips for seq in range(low, min(high + 1, self.sent))} - set(first)
        outcome = [seq not in first for seq in range(self.sent) if seq not in self.skipped]
        self.runs = runs(outcome)
        self.tail = sum(seq not in self.skipped for seq in range(max(first, default=-1) + 1, self.sent))
        self.lists = self.distributions(first, one_way)

    def distributions(self, first, one_way):
        directions = range(1 if one_way else 3)
        lists = {which: [] for which in range(10)}
        for d in directions:
            delays = [s[4 + d] for s in self.first]
            lists[d] = delays
            lowest = min(delays, default=0)
            lists[3 + d] = [v - lowest for v in delays]
            lists[6 + d] = [limited(s[4 + d] - first[s[0] - 1][4 + d]) for s in self.first if s[0] - 1 in first]
        order = [s[0] for s in self.first]
        highest = -1
        for i, seq in enumerate(order):
            if seq < highest: # from RFC 4737 section 4.2.3, word by word
                lists[9].append(i - next(j for j in range(i) if order[j] > seq))
            highest = max(highest, seq)
        return {which: sorted(values) for which, values in lists.items()}

    def unsynchronised(self):
        return sum(not (s[2] & s[3] & S_BIT) for s in self.first)


# ---- what came out ----

def run(driver, commands):
    done = subprocess.run(driver, input='\n'.join(commands) + '\n', capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f'{driver}: {done.returncode} {done.stderr}')
    return [line.split() for line in done.stdout.splitlines()]


class Case:
    def __init__(self, name, bins=0, window=0, one_way=False, exact_unit=True):
        self.name, self.bins, self.window, self.one_way, self.exact_unit = name, bins, window, one_way, exact_unit
        self.faults = []

    def expect(self, what, got, wanted):
        if got != wanted:
            self.faults.append(f'{self.name}: {what} is {got}, not {wanted}')

    def near(self, what, got, wanted, unit):
        """The header's promise."""
        if abs(got - wanted) > max(abs(wanted) / 128, unit / 2 if unit > 1 else 0):
            self.faults.append(f'{self.name}: {what} is {got}, not near {wanted}; unit {unit}')

    def judge(self, lines, expected):
        counts = ('loss', 'reorder', 'clocks')
        self.judge_counts({line[0]: [int(x) for x in line[1:]] for line in lines if line[0] in counts}, expected)
        rows = {which: [] for which in expected.lists}
        for line in lines:
            if line[0] in ('delays', 'percentile', 'bin'):
                rows[int(line[1])].append([line[0], *map(int, line[2:])])
        for which, values in expected.lists.items():
            self.judge_distribution(which, rows[which], values, expected)

    def judge_counts(self, rows, e):
        received, reordered, lost = len(e.first), len(e.lists[9]), sum(e.runs)
        self.expect('loss', rows['loss'], [e.sent, received, lost, e.sent - received - lost, e.tail, len(e.runs),
                                           max(e.runs, default=0), e.duplicates, e.late, 0])
        self.expect('reorder', rows['reorder'], [reordered * 1000000 // max(received, 1), received, reordered,
                                                 max(e.lists[9], default=0), 0])
        self.expect('clocks', rows['clocks'][4], e.unsynchronised())

    def judge_distribution(self, which, rows, values, e):
        name = NAMES[which]
        (_, flags, count, low, median, high, mean, stddev, unit), = [row for row in rows if row[0] == 'delays']
        self.expect(f'{name} count', count, len(values))
        if not values:
            self.expect(f'{name} of none', rows, [['delays'] + [0] * 8])
            return
        self.expect(f'{name} flags', flags, int(which < 2 and e.unsynchronised() > 0))
        self.expect(f'{name} min', low, values[0])
        self.expect(f'{name} max', high, values[-1])
        base = e.lists[which - 3][0] if 3 <= which < 6 else 0
        self.expect(f'{name} mean', mean, nearest(fractions.Fraction(sum(values), len(values)) + base) - base)
        self.expect(f'{name} stddev', stddev, deviation(values))
        if self.exact_unit:
            self.expect(f'{name} unit', unit, 1)
        self.near(f'{name} median', median, nearest_rank(values, 500000), unit)
        for _, ppm, value in [row for row in rows if row[0] == 'percentile']:
            self.near(f'{name} percentile {ppm}', value, nearest_rank(values, ppm), unit)
        self.judge_bins(name, [row[1:] for row in rows if row[0] == 'bin'], values, 2 if which in (6, 7, 8) else 1)

    def judge_bins(self, name, bins, values, share):
        self.expect(f'{name} bins end', (bins[0][0], bins[-1][1] - 1), (values[0], values[-1]))
        self.expect(f'{name} bins in order', all(a[1] <= b[0] for a, b in zip(bins, bins[1:])), True)
        at = 0
        for low, high, count in bins:
            inside = 0
            while at < len(values) and low <= values[at] < high:
                at, inside = at + 1, inside + 1
            self.expect(f'{name} bin [{low}, {high})', count, inside)
        self.expect(f'{name} in bins', at, len(values))
        if self.bins:
            self.expect(f'{name} bins at most', len(bins) <= share * self.bins, True)


# ---- inputs ----

def arrivals(rng, n, loss=0.0, duplicates=0.0, displaced=0):
    """Sequence numbers in order of arrival; none is displaced by more than that."""
    seqs = [seq for seq in range(n) if rng.random() >= loss]
    seqs += [seq for seq in seqs if rng.random() < duplicates]
    return sorted(seqs, key=lambda seq: seq + (rng.random() * displaced if displaced else 0))


def lossy_in_bursts(rng, n):
    seqs, seq = [], 0
    while seq < n:
        good = rng.randrange(1, 300)
        seqs += range(seq, min(n, seq + good))
        seq += good + rng.choice([1, 1, 2, 3, 40, 700, 1500])
    return seqs


def delays(rng, n):
    """By name: a function of i that gives a delay in ns."""
    decreasing = sorted((rng.randrange(10**9) for _ in range(n)), reverse=True)
    return {
        'constant': lambda i: 20000000,
        'two points': lambda i: rng.choice([1000000, 9000000]),
        'nanoseconds': lambda i: rng.randrange(0, 40),
        'uniform': lambda i: rng.randrange(10**6, 10**7),
        'exponential': lambda i: 5000000 + int(rng.expovariate(1 / 200000)),
        'heavy tail': lambda i: 100000 + int(1000 * rng.paretovariate(0.9)),
        'hours, jitter of microseconds': lambda i: 5 * 3600 * 10**9 + int(rng.expovariate(1 / 3000)),
        'negative': lambda i: -3600 * 10**9 - int(rng.expovariate(1 / 50000)),
        'around zero': lambda i: int(rng.gauss(0, 100000)),
        'up': lambda i: 10**7 + 50 * i + int(rng.expovariate(1 / 2000)),
        'down': lambda i: 10**7 - 50 * i + int(rng.expovariate(1 / 2000)),
        'down through zero': lambda i: 200000 - 100 * i,
        'always a new minimum': lambda i: decreasing[i],
        'a late minimum': lambda i: (10**9 if i < n * 4 // 5 else 10**6) + int(rng.expovariate(1 / 10000)),
        'one late minimum': lambda i: 10**9 + rng.randrange(1000) if i != n - 2 else -10**12,
        'log-uniform, ns to an hour': lambda i: int(math.exp(rng.uniform(0, math.log(3.6e12)))),
        'log-uniform, both signs': lambda i: rng.choice([-1, 1]) * int(math.exp(rng.uniform(0, math.log(3.6e12)))),
        '64 years': lambda i: rng.choice([-1, 1]) * rng.randrange(2 * 10**18),
    }


def samples_of(rng, seqs, delay, one_way=False, synchronised=True):
    samples = []
    for i, seq in enumerate(seqs):
        there, back = delay(i), 10**6 + rng.randrange(10**5)
        errors = [(S_BIT if synchronised else 0) | rng.randrange(1, 0x20ff)] * 2
        rest = (there, 0, 0) if one_way else (there, back, there + back)
        samples.append((seq, ONE_WAY if one_way else 0, *errors, *rest))
    return samples


def commands_of(case, samples, sent, skips):
    flags = 1 if case.one_way else 0
    return ([f'new {case.bins} {case.window} {flags}'] + [f'skip {low} {high}' for low, high in skips]
            + ['add ' + ' '.join(map(str, sample)) for sample in samples] + [f'sent {sent}'])


def compare(driver, case, samples, sent=0, skips=()):
    lines = run(driver, commands_of(case, samples, sent, skips) + ['print ' + ' '.join(map(str, PPM))])
    case.judge(lines, Expected(samples, sent, skips, case.one_way))
    return case.faults


def distributions(driver, rng):
    n = 4000
    for name, delay in delays(rng, n).items():
        ample = Case(name, bins=16384)
        yield compare(driver, ample, samples_of(rng, range(n), delay), n)
        for bins in (16, 100, 0):
            yield compare(driver, Case(f'{name}, {bins} bins', bins, exact_unit=False),
                          samples_of(rng, range(n), delays(rng, n)[name], one_way=False, synchronised=False), n)
        yield compare(driver, Case(f'{name}, few', bins=4096, one_way=True), samples_of(rng, range(9), delay, True), 9)


def orders(driver, rng):
    delay = delays(rng, 1)['exponential']
    for displaced in (0, 2, 10, 200):
        for loss in (0, 0.01, 0.5):
            seqs = arrivals(rng, 3000, loss, 0.02, displaced)
            case = Case(f'displaced {displaced}, loss {loss}', bins=8192)
            yield compare(driver, case, samples_of(rng, seqs, delay), 3000)
    for i in range(20):
        case = Case(f'bursts {i}', window=32, bins=8192, one_way=True)
        skips = sorted({rng.randrange(6) * 1000 + 7 * k: 0 for k in range(20)})
        skips = [(low, low + rng.randrange(7)) for low in skips]
        samples = samples_of(rng, lossy_in_bursts(rng, 5000), delay, True)
        yield compare(driver, case, samples, 5000 + rng.randrange(1000), skips)
    flagged = samples_of(rng, arrivals(rng, 2000), delay)
    flagged = [(s[0], rng.choice([0, 0, LOST, LATE, DUPLICATE]), *s[2:]) for s in flagged]
    yield compare(driver, Case('flagged', bins=8192), flagged, 2000)
    yield compare(driver, Case('nothing'), [], 17)


def merged(driver, rng):
    n = 3000
    pairs = [('exponential', 'uniform'), ('negative', 'nanoseconds'), ('a late minimum', 'down'),
             ('constant', 'constant')]
    for one, two in pairs:
        for bins in (64, 8192):
            case = Case(f'{one} merged with {two}, {bins} bins', bins, exact_unit=bins > 64)
            first = samples_of(rng, range(n), delays(rng, n)[one])
            # As one session of both, with a packet between them that is lost, so that there is no pair across.
            second = samples_of(rng, range(n), delays(rng, n)[two])
            lines = run(driver, commands_of(case, first, n + 1, ()) + commands_of(case, second, n, ())
                        + ['merge', 'print ' + ' '.join(map(str, PPM))])
            both = first + [(s[0] + n + 1, *s[1:]) for s in second]
            expected = Expected(both, 2 * n + 1, (), False)
            expected.tail = 1
            case.judge(lines, expected)
            yield case.faults


def main():
    driver, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4737
    rng = random.Random(seed)
    results = [faults for part in (distributions, orders, merged) for faults in part(driver, rng)]
    faults = [fault for faults in results for fault in faults]
    for fault in faults[:40]:
        print(fault)
    print(f'{len(results)} cases, {len(faults)} faults')
    return 1 if faults or not results else 0


if __name__ == '__main__':
    sys.exit(main())
