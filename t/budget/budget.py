#!/usr/bin/env python3
"""How many requests to the store an operation costs, on a graph of 112 types: the budget, held exactly.

budget.py dir | s3. Counted by og-storaged where they enter the store, and on S3 also on the wire, by a proxy.
"""
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "prop"))
import s3
from harness import BUILD, IDENTITY, Server, Test, check, cli, until, write_file

NODES, EDGES = 80, 32
ASK = os.path.join(BUILD, "t", "e2e", "adminask")
QUIET = ["--poll-ms", "600000"]
os.environ["OMNIGRAPH_CACHE_BYTES"] = "0"       # what the store is asked counts, whatever this host has seen before
AGE = 400               # commits of the old graph; the journal alone opens one of ten thousand


def schema():
    out = ["node N%d { code: String @key  n: I64? }" % i for i in range(NODES)]
    out += ["edge E%d: N%d -> N%d { w: I64? }" % (i, i, i + 1) for i in range(EDGES)]
    return "\n".join(out) + "\n"


def insert(types):
    return "query put($k: String) { %s }" % " ".join("insert N%d { code: $k }" % t for t in types)


MANY = "query many($k: String) { %s %s }" % (" ".join("insert N%d { code: $k }" % t for t in range(NODES)),
                                             " ".join("insert E%d { from: $k, to: $k }" % t for t in range(EDGES)))
COUNT = "query c() { match { $x: N0 } return { count($x) as n } }"


class Counted(Server):
    """A server that tells what it asked of the store."""

    def counters(self):
        r = subprocess.run([ASK, self.log[:-4] + ".sock", "status"], stdout=subprocess.PIPE, check=True, **IDENTITY)
        found = {}

        def walk(v):
            if isinstance(v, dict):
                for k, x in v.items():
                    if k.startswith("store_") or k in ("checkpoints", "lost_rounds", "tail", "looks", "delta_puts"):
                        found[k] = x
                    walk(x)
            elif isinstance(v, list):
                for x in v:
                    walk(x)
        walk(json.loads(r.stdout))
        check("store_get" in found, "status has no counters of the store", r.stdout)
        return found

    def rested(self):
        """The counters once nothing more is going on in the background."""
        last, same, end = None, 0, time.monotonic() + 60
        while same < 4:
            now = self.counters()
            same = same + 1 if now == last else 0
            last = now
            check(time.monotonic() < end, "the store is asked without end", now)
            time.sleep(0.05)
        return last


def difference(a, b):
    return {k: b[k] - a[k] for k in b if k.startswith("store_") and b[k] != a[k] and k != "store_settle"}


def text(d):
    return " + ".join("%d %s" % (v, k.replace("store_", "")) for k, v in sorted(d.items())) or "0"


class Budget:
    def __init__(self, test, where, folder):
        self.test, self.where, self.folder, self.n = test, where, folder, 0
        self.rows = []
        self.s3 = where != "dir"
        self.base = s3.start("the request budget on S3") if self.s3 else folder

    def init(self, name, environ=None):
        uri = "%s/%s" % (self.base, name)
        if self.s3:
            uri = "%s/budget-%d-%s" % (self.base, os.getpid(), name)
        pg = write_file(os.path.join(self.folder, name + ".pg"), schema())
        old = dict(os.environ)
        os.environ.update(environ or {})
        try:
            cli("init", uri, "--schema", pg)
        finally:
            os.environ.clear()
            os.environ.update(old)
        return uri

    def row(self, what, allowed, got, ok):
        self.rows.append((what, allowed, got))
        if self.test.options.verbose:
            print("%-48s %-34s %s" % (what, allowed, got), flush=True)
        check(ok, "%s: %s instead of %s" % (what, got, allowed))

    def cost(self, server, what, allowed, do):
        """`allowed`: counters by name without store_."""
        before = server.rested()
        do()
        d = difference(before, server.rested())
        want = {"store_" + k: v for k, v in allowed.items() if v}
        self.row(what, text(want), text(d), d == want)

    def write(self, server, query, key=None, status=200):
        if key is None:
            self.n += 1
            key = "k%d" % self.n
        a = server.mutate(query, {"k": key})
        check(a.status == status, "a mutation: %s" % a)
        return a

    @staticmethod
    def load(server, text=None, status=200):
        lines = [{"type": "N%d" % t, "data": {"code": "load"}} for t in range(NODES)]
        lines += [{"edge": "E%d" % t, "from": "load", "to": "load", "data": {}} for t in range(EDGES)]
        a = server.post("/ingest", {"data": text or "".join(json.dumps(x) + "\n" for x in lines), "mode": "merge"})
        check(a.status == status, "a load: %s" % a)

    def at_once(self, n, do):
        bad, gate = [], threading.Barrier(n)

        def one(i):
            try:
                gate.wait(30)
                do(i)
            except Exception as e:  # noqa
                bad.append(e)
        ts = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(n)]
        for t in ts:
            t.start()
        for t in ts:
            t.join(90)
        if bad:
            raise bad[0]

    # --- rows

    def made(self):
        if not self.s3:
            return self.init("g")
        p = s3.Proxy()
        uri = self.init("g", p.environ)
        p.close()
        # Besides: does the store do what is needed of one that is not AWS's; each object of that has a name of its own.
        own = [x for x in p.log if "/format.json" in x[1]]
        self.row("init: the graph", "1 put", "%d (%s)" % (len(own), " ".join(x[0] for x in own)), len(own) == 1 and own[0][0] == "PUT")
        rest = sorted(x[0] for x in p.log if x not in own)
        self.row("init: the check of the store", "DELETE HEAD PUT PUT PUT", " ".join(rest), rest == ["DELETE", "HEAD", "PUT", "PUT", "PUT"])
        return uri

    def commands(self):
        """og-cli opens the graph for each command, which is its look, too: it asks no second time."""
        if not self.s3:
            return
        uri = self.init("commands")
        data = write_file(os.path.join(self.folder, "one.jsonl"), '{"type":"N0","data":{"code":"a"}}\n')
        put, opened = ["PUT log/1"], ["GET format.json", "GET ckpt/", "GET log/"]
        for what, want, args, text in (
                ("omnigraph load FILE", opened + ["GET log/1"] + put, ("load", uri, "--mode", "append", "--data", data), None),
                ("omnigraph query", opened + ["GET log/1", "GET log/2"], ("query", uri, "--query-string", COUNT), None),
                ("omnigraph load -", opened + ["GET log/1", "GET log/2", "PUT log/2"], ("load", uri, "--mode", "append", "--data", "-"), '{"type":"N0","data":{"code":"b"}}')):
            p = s3.Proxy()
            old = dict(os.environ)
            os.environ.update(p.environ)
            try:
                cli(*args, text=text)
            finally:
                os.environ.clear()
                os.environ.update(old)
            p.close()
            got = sorted(self.short(x) for x in p.log)
            self.row(what, " ".join(sorted(want)), " ".join(got), got == sorted(want))

    @staticmethod
    def short(x):
        """GET log/7 for a request of the proxy's log."""
        method, path = x[0], x[1]
        listed = re.search("prefix=[^&]*(log|ckpt)%2F", path)
        if listed:
            return "%s %s/" % (method, listed.group(1))
        logged = re.search("/log/[^/]*/[0-9]*/0*([0-9]+)", path)
        return "%s %s" % (method, "log/" + logged.group(1) if logged else path.split("?")[0].rsplit("/", 1)[1])

    def warm(self, uri):
        proxy = s3.Proxy() if self.s3 else None
        s = Counted(self.test, uri, workers=2, options=QUIET, environ=proxy and proxy.environ)
        one = {"put_absent": 1}
        look = {"get": 1} if self.s3 else {}
        self.write(s, MANY)     # every folder is there, every catalog compiled
        self.cost(s, "mutation, 1 type", one, lambda: self.write(s, insert([0])))
        self.cost(s, "mutation, 112 types", one, lambda: self.write(s, MANY))
        self.cost(s, "10 mutations one after another", {"put_absent": 10}, lambda: [self.write(s, insert([1])) for _ in range(10)])
        self.cost(s, "mutation of nothing (0 rows)", look,
                  lambda: self.write(s, "query d($k: String) { delete N0 where code = $k }", "none"))
        self.cost(s, "mutation refused (edge without its ends)", look,
                  lambda: self.write(s, "query e($k: String) { insert E0 { from: $k, to: $k } }", "none", 400))
        self.cost(s, "load, 112 types", one, lambda: self.load(s))
        self.cost(s, "load refused (edge without its ends)", look, lambda: self.load(s, '{"edge":"E0","from":"none","to":"none"}', 400))
        for worker in range(6):         # both workers have it
            s.rows(COUNT)
        s.rested()
        self.cost(s, "query", look, lambda: s.rows(COUNT))
        self.cost(s, "snapshot", look, s.snapshot)
        self.cost(s, "10 queries one after another", {k: 10 * v for k, v in look.items()}, lambda: [s.rows(COUNT) for _ in range(10)])
        if proxy:
            proxy.delay = 0.1   # so that those who come meanwhile do so on a busy machine, too
        before = s.rested()
        self.at_once(32, lambda i: s.rows(COUNT))
        d = difference(before, s.rested())
        n = d.get("store_get", 0)
        self.row("32 queries at once", "<= 8 get, shared" if self.s3 else "0", text(d),
                 set(d) <= {"store_get"} and (1 <= n <= 8 if self.s3 else n == 0))
        before = s.rested()
        self.at_once(64, lambda i: self.write(s, insert([i % NODES]), "c%d" % i))
        after = s.rested()
        d = difference(before, after)
        # A checkpoint may fall among them, and versions of Delta logs follow that.
        n = d.get("store_put_absent", 0) - (after["delta_puts"] - before["delta_puts"])
        self.row("64 mutations at once", "<= 16 put_absent" if self.s3 else "<= 64 put_absent", "%d put_absent" % n, 1 <= n <= (16 if self.s3 else 64))
        if "store_get" in d:
            check(s.counters()["checkpoints"], "writes of one host read: %s" % text(d))
        s.stop()
        self.test.servers.clear()
        if proxy:
            proxy.close()

    def two_hosts(self):
        uri = self.init("two")
        a = Counted(self.test, uri, workers=1, options=QUIET)
        b = Counted(self.test, uri, workers=1, options=QUIET)
        self.write(a, insert([0]))
        self.write(b, insert([0]))
        for x in (a, b):
            x.rows(COUNT)
        if self.s3:
            # Nobody told it: its put loses, it reads what won.
            self.write(a, insert([1]))
            self.cost(b, "mutation, another host's object in between", {"put_absent": 2, "get": 1}, lambda: self.write(b, insert([2])))
            self.write(a, insert([0]))
        else:
            # The doorbell rang: it looks first, and loses no put.
            self.write(a, insert([1]))
            self.cost(b, "mutation, another host's object in between", {"put_absent": 1, "get": 2}, lambda: self.write(b, insert([2])))
            self.write(a, insert([0]))
        self.cost(b, "query, another host's object in between", {"get": 2}, lambda: b.rows(COUNT))
        for x in (a, b):
            x.stop()
        self.test.servers.clear()

    def cold(self):
        """Old or young, a graph is opened by as many requests."""
        for age in (10, AGE):
            uri = self.init("age%d" % age)
            s = Counted(self.test, uri, workers=2, options=QUIET)
            w = 1 if age < 100 else 8
            counter = iter(range(10**9))
            guard = threading.Lock()

            def some(i):
                while True:
                    with guard:
                        k = next(counter)
                    if k >= age:
                        return
                    self.write(s, insert([k % NODES]), "a%d" % k)
            self.at_once(w, some)
            check(s.version() == age + 1, "%d commits instead of %d" % (s.version() - 1, age))
            # Whoever opens a long tail, as slow checkpoints leave one, makes a checkpoint first: that is another row.
            while s.rested()["tail"] >= 48:
                self.write(s, insert([1]))
            s.stop()
            self.test.servers.clear()
            s = Counted(self.test, uri, workers=2, options=QUIET)
            c = s.rested()
            d = difference({k: 0 for k in c}, c)
            # format.json, a checkpoint where there is one, the tail, the key behind it
            old = age > 100
            want = {"store_list": 2, "store_get": 1 + old + c["tail"] + 1}
            check(c["tail"] <= 64 and (old or c["tail"] == age), "a tail of %d objects after %d commits" % (c["tail"], age))
            self.row("cold open after %d commits, a tail of %d" % (age, c["tail"]), text(want), text(d), d == want)
            before = s.rested()
            n = len(s.rows("query all() { match { $x: N0 } return { $x.code as c } }"))
            d = difference(before, s.rested())
            check(n == (age + NODES - 1) // NODES, "%d rows" % n)
            self.row("first query after that", "1 look + <= 8 segments", text(d), sum(d.values()) <= 9 and set(d) <= {"store_get"})
            s.stop()
            self.test.servers.clear()

    def staleness(self):
        uri = self.init("stale")
        a = Counted(self.test, uri, workers=1, options=QUIET)
        b = Counted(self.test, uri, workers=1, options=QUIET + ["--max-staleness-ms", "600000"])
        self.write(a, insert([0]))
        b.rows(COUNT)
        if self.s3:
            self.cost(b, "10 queries, --max-staleness-ms", {}, lambda: [b.rows(COUNT) for _ in range(10)])
            check(b.rows(COUNT)[0]["n"] <= 1, "rows from nowhere")
            # What it acknowledged itself it shows at once.
            n = b.rows(COUNT)[0]["n"]
            self.write(b, insert([0]))
            check(b.rows(COUNT)[0]["n"] > n, "a host does not show its own write")
            # A refusal is never from a stale state.
            self.write(a, insert([0, 1]), "fresh")
            got = self.write(b, "query e($k: String) { insert E0 { from: $k, to: $k } }", "fresh")
            check(got.json["affected_edges"] == 1, "an edge: %s" % got)
        for x in (a, b):
            x.stop()
        self.test.servers.clear()
        c = Counted(self.test, uri, workers=1, options=["--poll-ms", "200"])
        before = c.rested() if not self.s3 else c.counters()
        time.sleep(2)
        after = c.counters()
        d = difference(before, after)
        n = d.get("store_get", 0)
        # each look is one get; one may be on its way
        check(not self.s3 or after["looks"] - before["looks"] == n, "%d looks cost %d gets" % (after["looks"] - before["looks"], n))
        self.row("2 s of --poll-ms 200", "<= 11 get" if self.s3 else "0", text(d), set(d) <= {"store_get"} and (2 <= n <= 11 if self.s3 else n == 0))
        c.stop()
        self.test.servers.clear()


    def journal(self):
        """What no route reaches yet, and the rounds in which requests are made."""
        place = "%s/%s" % (self.base, "budget-%d-journal" % os.getpid() if self.s3 else "journal")
        r = subprocess.run([os.path.join(BUILD, "t", "budget", "journal_budget"), place], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        out = r.stdout.decode("utf-8", "replace")
        check(r.returncode == 0, "the journal's budget is not kept", out)
        print("by the journal, in rounds:\n%s\nby a server:" % out.rstrip())


def run(test, rng, folder):
    b = Budget(test, test.where, folder)
    b.journal()
    b.warm(b.made())
    b.commands()
    b.two_hosts()
    b.staleness()
    b.cold()
    for what, allowed, got in b.rows:
        print("%-48s %-34s %s" % (what, allowed, got))


if __name__ == "__main__":
    where = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1] in ("dir", "s3") else "dir"
    t = Test("budget-" + where, 1, runs=1)
    t.where = where
    sys.exit(t.main(run))
