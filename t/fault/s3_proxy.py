#!/usr/bin/env python3
"""A server on S3 whose requests meet with every mishap there is: refused and reset connections, errors before and after the
server acted, answers cut short, held back, or wrong.

Whatever happens: an acknowledged write is there, no write is there twice, a refusal says why, and the graph is sound.
"""
import os
import random
import string
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "prop"))
import s3
from harness import Server, Test, check, cli, until, write_file

SCHEMA = "node Item { code: String @key  n: I64 }"
PUT = "query put($k: String, $n: I64) { insert Item { code: $k, n: $n } }"
BUMP = "query bump($k: String, $n: I64) { update Item set { n: $n } where code = $k }"
ALL = "query all() { match { $i: Item } return { $i.code as k, $i.n as n } }"
# What a client may be told; the second may or may not have happened.
REFUSED, UNKNOWN = (409, 429), (500, 502, 503, 504)


class Run:
    def __init__(self, test, rng, folder, bucket):
        self.test, self.rng = test, rng
        self.share = 0.0
        self.mix = rng.sample(s3.Proxy.FAULTS, rng.randrange(3, len(s3.Proxy.FAULTS) + 1))
        self.only_log = rng.random() < 0.3
        self.proxy = s3.Proxy(self.choose)
        self.draw = random.Random(rng.random())
        self.guard = threading.Lock()
        self.graph = "%s/proxy-%d-%d" % (bucket, os.getpid(), rng.randrange(10**9))
        cli("init", self.graph, "--schema", write_file(os.path.join(folder, "s.pg"), SCHEMA))
        self.server = Server(test, self.graph, environ=self.proxy.environ)
        self.acked, self.unknown, self.codes = set(), set(), {}

    def choose(self, method, path, headers):
        with self.guard:
            if self.draw.random() >= self.share or (self.only_log and "/log/" not in path):
                return None
            fault = self.draw.choice(self.mix)
        # A store that says of an unconditional request that its condition fails is none that can be used.
        return None if fault.startswith("412") and "if-none-match" not in headers else fault

    def note(self, key, a):
        with self.guard:
            self.codes[a.status] = self.codes.get(a.status, 0) + 1
            if a.status == 200:
                self.acked.add(key)
                return
            check(a.status in REFUSED + UNKNOWN, "a write under faults: %s" % a)
            check(len(a.error) > 8, "a refusal without a reason: %s" % a)
            if a.status in UNKNOWN:
                self.unknown.add(key)

    def writer(self, i, end, bad):
        j = 0
        try:
            while time.monotonic() < end:
                key = "%d-%d" % (i, j)
                j += 1
                self.note(key, self.server.mutate(PUT, {"k": key, "n": j}))
        except Exception as e:  # noqa: whatever it is ends the run
            bad.append(e)

    def reader(self, end, bad):
        try:
            while time.monotonic() < end:
                with self.guard:
                    want = set(self.acked)
                a = self.server.query(ALL)
                if a.status == 200:
                    have = {r["k"] for r in a.json["rows"]}
                    check(want <= have, "acknowledged and not shown: %s" % sorted(want - have)[:5])
                else:
                    check(a.status in UNKNOWN and len(a.error) > 8, "a read under faults: %s" % a)
        except Exception as e:  # noqa
            bad.append(e)

    def go(self, seconds):
        bad, end = [], time.monotonic() + seconds
        threads = [threading.Thread(target=self.writer, args=(i, end, bad), daemon=True) for i in range(4)]
        threads.append(threading.Thread(target=self.reader, args=(end, bad), daemon=True))
        self.share = self.rng.choice((0.05, 0.2, 0.5))
        self.test.note("share", self.share, "only the log" if self.only_log else "all", "faults", *self.mix)
        for t in threads:
            t.start()
        for t in threads:
            t.join(seconds + 70)
            check(not t.is_alive(), "a request does not end")
        self.share = 0.0
        if bad:
            raise bad[0]

    def check(self):
        """The store works again: everything is as it was told, through the server and read afresh."""
        # What was unknown is decided once a later write is acknowledged.
        tries = 0
        for tries in range(1, 200):
            if self.server.mutate(PUT, {"k": "last", "n": 0}).status == 200:
                break
            time.sleep(0.1)
        self.acked.add("last")
        a = self.server.query(ALL)
        check(a.status == 200, "a read afterwards: %s" % a)
        have = [r["k"] for r in a.json["rows"]]
        check(len(have) == len(set(have)), "a key is there twice")
        check(self.acked <= set(have), "acknowledged and lost: %s" % sorted(self.acked - set(have))[:5])
        check(set(have) <= self.acked | self.unknown, "refused, and there: %s" % sorted(set(have) - self.acked - self.unknown)[:5])
        # Every key is one commit, "last" may have taken several, and versions rise by one.
        made = self.server.version() - 1
        check(len(have) <= made <= len(have) + tries - 1, "%d commits for %d keys" % (made, len(have)))
        self.server.stop()
        self.test.servers = []
        cli("verify", self.graph)


def cold(test, rng, folder):
    """Servers that start on a graph of whole segments and read them for the first time: these rows, or 503, whatever befalls the answers."""
    graph = "%s/cold-%d-%d" % (BUCKET, os.getpid(), rng.randrange(10**9))
    want = {"".join(rng.choices(string.ascii_letters + string.digits, k=64)): i for i in range(30000)}
    lines = "".join('{"type": "Item", "data": {"code": "%s", "n": %d}}\n' % x for x in want.items())
    cli("init", graph, "--schema", write_file(os.path.join(folder, "s.pg"), SCHEMA))
    cli("load", graph, "--data", write_file(os.path.join(folder, "l.jsonl"), lines), "--mode", "append")
    cli("optimize", graph)      # nothing stays in the log
    for fault in ("truncate", "stall", "reset_after", "500", "etag"):
        left = [2]

        def choose(method, path, headers):
            if method != "GET" or "/data/" not in path or not left[0]:
                return None
            left[0] -= 1
            return fault
        proxy = s3.Proxy(choose)
        proxy.stall = 0.3
        try:
            read_cold(test, graph, proxy, want, ["--cache-dir", os.path.join(folder, "cache-" + fault)])
        finally:
            proxy.close()
        # Another ETag is no failure where the object is read in one piece.
        check(left[0] < (2 if fault == "etag" else 1), "the segment was asked for %d times under %s" % (2 - left[0], fault))
        key = "segment " + fault
        test.counts[key] = test.counts.get(key, 0) + proxy.done[fault]


def read_cold(test, graph, proxy, want, options):
    server = Server(test, graph, environ=proxy.environ, options=options)
    end, a = time.monotonic() + 40, None
    while not a or a.status != 200:
        a = server.query(ALL)
        check(a.status == 200 or a.status in UNKNOWN and len(a.error) > 8, "a read of segments: %s" % a)
        check(time.monotonic() < end, "the segments cannot be read: %s" % a)
    check({r["k"]: r["n"] for r in a.json["rows"]} == want, "other rows than were loaded")
    server.stop()
    test.servers = []


def run(test, rng, folder):
    if not test.was_cold:
        test.was_cold = True
        cold(test, rng, folder)
    r = Run(test, rng, folder, BUCKET)
    try:
        r.go(2.5)
        r.check()
    finally:
        r.proxy.close()
    for k, v in list(r.codes.items()) + list(r.proxy.done.items()):
        test.counts[str(k)] = test.counts.get(str(k), 0) + v


if __name__ == "__main__":
    t = Test("s3-proxy", 18)
    t.counts, t.was_cold = {}, False
    BUCKET = s3.start("a server whose store misbehaves")
    rc = t.main(run)
    print(dict(sorted(t.counts.items())))
    sys.exit(rc)
