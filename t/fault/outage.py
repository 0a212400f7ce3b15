#!/usr/bin/env python3
"""The store goes away, for seconds and for longer than anybody waits, and comes back: two servers, whose clients go on asking all the time.

While it is away: every request is answered, a read with 503 and Retry-After, or from what is known where --max-staleness-ms allows that; a
write with 503, which says whether it may have happened. Afterwards everything works without a restart of any process, and what was unknown
is there once or not at all, decided for good by the next write that is acknowledged.
"""
import collections
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "prop"))
import s3
from harness import Server, Test, check, cli, until, write_file

SCHEMA = "node Item { code: String @key  n: I64 }"
PUT = "query put($k: String, $n: I64) { insert Item { code: $k, n: $n } }"
ALL = "query all() { match { $i: Item } return { $i.code as k } }"
LONG = 40               # more than the 30 seconds after which a request is given up, and what it takes to notice
SLOWEST = 50            # seconds until any request has an answer


class Gone(s3.Proxy):
    """Accepts and says nothing, or accepts nobody. What it was told meanwhile it passes on afterwards: a late effect."""

    silent = False

    def answer(self, *args):
        while self.silent:
            time.sleep(0.02)
        return super().answer(*args)


class Client(threading.Thread):
    def __init__(self, run, server, what, name):
        super().__init__(daemon=True)
        self.run_, self.server, self.what, self.label = run, server, what, name
        self.answers = []       # (what, key, start, seconds, answer)
        self.error = None
        self.start()

    def run(self):
        try:
            n = 0
            while not self.run_.stop.is_set():
                n += 1
                key = "%s-%d" % (self.label, n)
                start = time.monotonic()
                a = self.server.mutate(PUT, {"k": key, "n": n}) if self.what == "write" else self.server.query(ALL)
                self.answers.append((self.what, key, start, time.monotonic() - start, a))
                time.sleep(0.05)
        except Exception as e:  # noqa: ends the run
            self.error = e


class Outage:
    def __init__(self, test, rng, folder):
        self.test = test
        self.proxy = Gone()
        self.graph = "%s/outage-%d-%d" % (test.bucket, os.getpid(), rng.randrange(10**9))
        cli("init", self.graph, "--schema", write_file(os.path.join(folder, "s.pg"), SCHEMA))
        self.strict = Server(test, self.graph, environ=self.proxy.environ)
        self.lax = Server(test, self.graph, environ=self.proxy.environ, options=["--max-staleness-ms", "120000", "--poll-ms", "100"])
        self.servers = [self.strict, self.lax]
        self.stop = threading.Event()
        for s in self.servers:
            check(s.mutate(PUT, {"k": "first-%d" % self.servers.index(s), "n": 0}).status == 200, "set-up fails")

    def away(self, how, seconds):
        """The store is away while clients ask; their answers."""
        self.test.note(how, seconds)
        processes = [s.children() for s in self.servers]
        self.stop.clear()
        clients = [Client(self, s, what, "%s-%d-%d" % (how, i, k)) for i, s in enumerate(self.servers)
                   for k, what in enumerate(("write", "write", "read"))]
        time.sleep(0.3)
        start = time.monotonic()
        if how == "refused":
            self.proxy.refuse(seconds)
        else:
            self.proxy.silent = True
            while time.monotonic() < start + seconds:
                for s in self.servers:
                    check(s.get("/healthz").status == 200, "the server itself is not well")
                time.sleep(0.2)
            self.proxy.silent = False
        end = time.monotonic()
        time.sleep(0.5)
        self.stop.set()
        for c in clients:
            c.join(SLOWEST + 10)
            check(not c.is_alive(), "a request does not end")
            if c.error:
                raise c.error
        # Nobody was started again, and everybody works.
        for s in self.servers:
            until("a write after the outage", lambda: s.mutate(PUT, {"k": "%s-after-%d" % (how, self.servers.index(s)), "n": 1}).status in (200, 409), 15)
            until("a read after the outage", lambda: s.query(ALL).status == 200, 15)
        check(processes == [s.children() for s in self.servers], "processes were started again")
        return start, end, [a for c in clients for a in c.answers]

    def judge(self, how, start, end, answers):
        counts = self.test.counts
        acked, unknown, refused = set(), set(), set()
        for what, key, began, took, a in answers:
            counts["%s %s %d" % (how, what, a.status)] += 1
            check(a.status in (200, 503), "%s: %s" % (what, a))
            check(took < SLOWEST, "%s took %.0f s: %s" % (what, took, a))
            if a.status == 503:
                check(a.headers.get("retry-after") and len(a.error) > 20, "a 503 that does not help: %s" % a)
            if what == "write":
                (acked if a.status == 200 else refused if "nothing happened" in a.error else unknown).add(key)
        rows = [r["k"] for r in self.strict.rows(ALL)]
        check(len(rows) == len(set(rows)), "a key is there twice")
        check(acked <= set(rows), "acknowledged and lost: %s" % sorted(acked - set(rows)))
        check(not refused & set(rows), "said not to have happened, and there: %s" % sorted(refused & set(rows)))
        counts["%s unknown, there" % how] += len(unknown & set(rows))
        counts["%s unknown, not there" % how] += len(unknown - set(rows))
        return unknown, set(rows)


def run(test, rng, folder):
    o = Outage(test, rng, folder)
    try:
        decided = []
        for how, seconds in (("refused", 2), ("silent", test.options.outage or 3)):
            start, end, answers = o.away(how, seconds)
            decided.append(o.judge(how, start, end, answers))
            if seconds >= LONG:
                inside = [a for a in answers if start - 1 < a[2] < end - LONG + 2]
                kinds = {(a[0], a[4].status) for a in inside}
                check(("write", 503) in kinds and ("read", 503) in kinds and ("read", 200) in kinds, "an outage that nobody noticed: %s" % kinds)
        # Decided is decided, also for what the proxy passed on late.
        time.sleep(1)
        have = {r["k"] for r in o.strict.rows(ALL)}
        for unknown, then in decided:
            check(have & unknown == then & unknown, "an outcome changed afterwards: %s" % sorted((have ^ then) & unknown))
        for s in o.servers:
            s.stop()
        test.servers = []
        cli("verify", o.graph)
    finally:
        o.proxy.silent = False
        o.proxy.close()


if __name__ == "__main__":
    t = Test("outage", 1, runs=1, more=lambda p: p.add_argument("--outage", type=float, help="seconds; from %d on clients are told" % LONG))
    t.counts = collections.Counter()
    t.bucket = s3.start("an outage of the store")
    t.options.outage = t.options.outage or LONG
    rc = t.main(run)
    print(dict(sorted(t.counts.items())))
    sys.exit(rc)
