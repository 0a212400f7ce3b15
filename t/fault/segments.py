#!/usr/bin/env python3
"""Segments that come from an S3 store in ranges, through every mishap that a store, a network and the cache on the local disk may have.

A query answers rightly or says why it cannot; when the store works again it answers rightly, without a restart, and verify finds nothing wrong.
"""
import os
import random
import secrets
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "prop"))
import s3
from harness import Server, Test, check, cli, hand_over, until, write_file

SCHEMA = "node Item { code: String @key  n: I64 }"
SUM = "query s() { match { $i: Item } return { count($i) as c, sum($i.n) as s } }"
ROWS = 220000       # of names that do not compress: a segment of two ranges
UNKNOWN = (500, 502, 503, 504)


class Run:
    def __init__(self, test, rng):
        self.test, self.rng, self.share = test, rng, 0.0
        self.draw, self.guard = random.Random(rng.random()), threading.Lock()
        self.mix = rng.sample(s3.Proxy.FAULTS, rng.randrange(2, 6))
        self.proxy = s3.Proxy(self.choose)
        self.proxy.stall = 0.2
        self.cache = os.path.join(test.tmp, "cache-of-the-test")

    def choose(self, method, path, headers):
        with self.guard:
            return self.draw.choice(self.mix) if "/data/" in path and self.draw.random() < self.share else None

    def spoil(self):
        """What may have become of the cache since."""
        how = self.rng.choice(("keep", "empty", "flip", "cut", "left-over"))
        files = sorted(os.listdir(self.cache)) if os.path.isdir(self.cache) else []
        for name in files:
            path = os.path.join(self.cache, name)
            size = os.path.getsize(path)
            if how == "empty":
                os.unlink(path)
            elif how == "cut":
                os.truncate(path, self.rng.randrange(size or 1))
            elif how == "flip" and size:
                with open(path, "r+b") as f:
                    f.seek(self.rng.randrange(size))
                    f.write(b"\x55\xaa\x55")
            elif how == "left-over":
                os.rename(path, os.path.join(self.cache, ".tmp.%s" % name[:20]))
        return how

    def go(self):
        size = self.rng.choice(("0", "1M", "1G", "1G", "1G"))
        how = self.spoil()
        self.share = self.rng.choice((0.0, 0.3, 0.6))
        self.test.note("cache", size, how, "share", self.share, "faults", *self.mix)
        server = Server(self.test, GRAPH, workers=1, options=["--cache-dir", self.cache, "--cache-bytes", size], environ=self.proxy.environ)
        for _ in range(2):
            a = server.query(SUM)
            if a.status == 200:
                check(a.json["rows"] == [{"c": ROWS, "s": ROWS * (ROWS - 1) // 2}], "a wrong answer: %s" % a)
            else:
                check(a.status in UNKNOWN and len(a.error) > 8, "a query under faults: %s" % a)
            self.test.counts[a.status] = self.test.counts.get(a.status, 0) + 1
        self.share = 0.0
        until("a right answer from a store that works", lambda: server.query(SUM).status == 200)
        check(server.query(SUM).json["rows"] == [{"c": ROWS, "s": ROWS * (ROWS - 1) // 2}], "a wrong answer afterwards")
        server.stop()
        self.test.servers = []


def run(test, rng, folder):
    r = Run(test, rng)
    try:
        r.go()
    finally:
        r.proxy.close()
    for k, v in r.proxy.done.items():
        test.counts[k] = test.counts.get(k, 0) + v


if __name__ == "__main__":
    t = Test("segments", 10)
    t.counts = {}
    GRAPH = "%s/segments-%d" % (s3.start("fetching segments from a store that misbehaves"), os.getpid())
    cli("init", GRAPH, "--schema", write_file(os.path.join(t.tmp, "s.pg"), SCHEMA))
    with open(os.path.join(t.tmp, "rows.jsonl"), "w") as f:
        for i in range(ROWS):
            f.write('{"type":"Item","data":{"code":"%s","n":%d}}\n' % (secrets.token_hex(32), i))
    hand_over(t.tmp)
    cli("load", "--data", os.path.join(t.tmp, "rows.jsonl"), "--mode", "overwrite", GRAPH)
    rc = t.main(run)
    if rc == 0:
        cli("verify", GRAPH)
    print(dict(sorted((str(k), v) for k, v in t.counts.items())))
    sys.exit(rc)
