#!/usr/bin/env python3
"""Two servers with processes of their own on one graph, under mixed writes and kill -9 of any process of either.

hosts.py [dir | net | s3] [--kills N]; net: each reaches the directory by a mount of its own, of a file system that the kernel takes for one of
another host (bindfs), so that they share no memory. From the answers alone: nothing acknowledged is lost, nothing is there twice, nothing refused is there, the
branch is one line of commits in which real time is kept, what a host shows never goes back, and what any host acknowledged every other one
shows (but for one with --max-staleness-ms, which may be late by that). --kills N: one run with so many.
"""
import atexit
import collections
import glob
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import s3
from harness import Server, Test, check, cli, hand_over, init, until, write_file

SCHEMA = """
node Item { code: String @key  n: I64  who: String? }
node Shared { code: String @key  n: I64 }
edge Of: Item -> Shared { n: I64 }
"""
PUT = 'query put($k: String, $n: I64) { insert Item { code: $k, n: $n }  insert Of { from: $k, to: "row", n: $n } }'
SET = 'query set($n: I64) { update Shared set { n: $n } where code = "row" }'
DELETE = "query del($k: String) { delete Item where code = $k }"
ALL = "query all() { match { $i: Item } return { $i.code as k } }"
ROW = "query row() { match { $r: Shared } return { $r.n as n } }"
EDGES = "query edges() { match { $i: Item $i $e:of $r } return { $e.n as n, $i.code as k } }"
WRITERS = 6             # half of them at each server
KILLS = 6               # a run, unless told otherwise

Write = collections.namedtuple("Write", "kind key n start end status commit")


MOUNTED = []


def mounts(folder):
    """Two ways to one directory."""
    source, out = os.path.join(folder, "source"), []
    os.mkdir(source)
    for name in ("a", "b"):
        at = os.path.join(folder, name)
        os.mkdir(at)
        r = subprocess.run(["bindfs", source, at], stderr=subprocess.PIPE)
        check(r.returncode == 0, "bindfs: %s" % r.stderr.decode("utf-8", "replace"))
        MOUNTED.append(at)
        out.append(at)
    hand_over(folder)
    return out


def unmount():
    while MOUNTED:
        at = MOUNTED.pop()
        if subprocess.run(["umount", at], stderr=subprocess.DEVNULL).returncode:
            subprocess.run(["umount", "-l", at])


def can_mount():
    d = tempfile.mkdtemp()
    try:
        ok = os.geteuid() == 0 and subprocess.run(["bindfs", d, d], stderr=subprocess.DEVNULL).returncode == 0
        return ok and subprocess.run(["umount", d]).returncode == 0
    except OSError:
        return False
    finally:
        os.rmdir(d)


class Hosts:
    def __init__(self, test, rng, folder):
        self.test, self.rng = test, rng
        if test.where == "s3":
            self.graph = "%s/hosts-%d-%d" % (test.bucket, os.getpid(), rng.randrange(10**9))
            cli("init", self.graph, "--schema", write_file(os.path.join(folder, "g.pg"), SCHEMA))
            graphs = [self.graph] * 2
        elif test.where == "net":
            graphs = [os.path.join(m, "g") for m in mounts(folder)]
            self.graph = graphs[0]
            cli("init", self.graph, "--schema", write_file(os.path.join(folder, "g.pg"), SCHEMA))
        else:
            self.graph = init(folder, SCHEMA)
            graphs = [self.graph] * 2
        self.late = rng.choice((0, 0, 300))     # ms that the second server may be behind
        self.servers = [Server(test, graphs[0], workers=rng.choice((1, 2))),
                        Server(test, graphs[1], workers=rng.choice((1, 2)), options=["--max-staleness-ms", str(self.late), "--poll-ms", "100"])]
        a = self.servers[0].mutate('query s() { insert Shared { code: "row", n: 0 } }')
        check(a.status == 200, "set-up fails: %s" % a)
        self.first = a.json["commit"]
        self.lock, self.writes, self.bad = threading.Lock(), [], []
        self.kept, self.stop, self.reads = {}, threading.Event(), [0, 0]
        self.kills = collections.Counter()

    # --- the threads

    def guarded(self, f, *args):
        try:
            f(*args)
        except Exception as e:  # noqa: ends the run
            self.bad.append(e)
            self.stop.set()

    def send(self, server, kind, text, key, n):
        start = time.monotonic()
        status, commit = None, None
        try:
            a = server.mutate(text, {k: v for k, v in (("k", key), ("n", n)) if "$" + k in text})
            status = a.status
            commit = a.json.get("commit") if status == 200 else None
            check(status in (200, 409, 429) or status >= 500, "a write: %s" % a)
            check(status == 200 or len(a.error) > 8, "a refusal without a reason: %s" % a)
            if status >= 500:
                time.sleep(0.02)
            if status == 200 and kind == "put":
                check((a.json["affected_nodes"], a.json["affected_edges"]) == (1, 1), "an insert: %s" % a)
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
        w = Write(kind, key, n, start, time.monotonic(), status, commit)
        with self.lock:
            self.writes.append(w)
        return w

    def writer(self, i):
        rng, server, j, mine = random.Random("%s %d" % (self.test.first, i)), self.servers[i % 2], 0, []
        while not self.stop.is_set():
            j += 1
            n = j * 100 + i
            what = rng.random()
            if what < 0.6:
                key = "w%d-%d" % (i, j)
                w = self.send(server, "put", PUT, key, n)
                if w.status == 200 and rng.random() < 0.3:
                    mine.append(key)
                elif w.status == 200:
                    with self.lock:
                        self.kept[key] = w.end
            elif what < 0.8 or not mine:
                self.send(server, "set", SET, "row", n)
            else:
                self.send(server, "del", DELETE, mine.pop(), n)

    def reader(self, i):
        """What one host shows: versions rise, keys that nobody deletes stay."""
        server, version, seen = self.servers[i], 0, set()
        while not self.stop.is_set():
            try:
                limit = time.monotonic() - (self.late / 1000 + 0.05 if i and self.late else 0)
                with self.lock:
                    want = {k for k, at in self.kept.items() if at <= limit}
                a = server.query(ALL)
                if a.status == 200:
                    have = {r["k"] for r in a.json["rows"]}
                    check(want <= have, "host %d does not show what was acknowledged" % i, sorted(want - have)[:5])
                    with self.lock:
                        kept = set(self.kept)
                    check(seen & kept <= have, "host %d went back in time" % i, sorted((seen & kept) - have)[:5])
                    seen |= have
                    self.reads[i] += 1
                else:
                    check(a.status >= 500, "a read: %s" % a)
                a = server.get("/snapshot")
                if a.status == 200:
                    v = a.json["manifest_version"]
                    check(v >= version, "host %d shows version %d after %d" % (i, v, version))
                    version = v
                    t = {x["table_key"]: x["row_count"] for x in a.json["tables"]}
                    check(t["node:Item"] == t["edge:Of"], "host %d shows half a commit: %s" % (i, t))
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    def killer(self):
        """The process that is killed: any; og-master with all its own, and then it is started again."""
        server = self.rng.choice(self.servers)
        what = self.rng.choice(["storaged", "storaged", "worker", "builder", "master"])
        self.test.note("kill", what, "of server", self.servers.index(server))
        if what == "master":
            server.kill()
            server.start()
        else:
            until("a %s to kill" % what, lambda: self.kill(server, what))
        self.kills[what] += 1

    def kill(self, server, what):
        """False: there is none just now; it may have been killed a moment ago."""
        try:
            os.kill(self.rng.choice(server.victims(what)), signal.SIGKILL)
            return True
        except (IndexError, ProcessLookupError):
            return False

    # --- afterwards

    def line(self):
        """One line of commits, as far as answers tell, that keeps real time."""
        made = [w for w in self.writes if w.commit]
        by = {self.first["manifest_version"]: self.first}
        for w in made:
            v = w.commit["manifest_version"]
            check(v not in by, "two acknowledged commits of version %d" % v, by.get(v), w)
            by[v] = w.commit
        for v, c in by.items():
            if v - 1 in by:
                check(c["parent_commit_id"] == by[v - 1]["graph_commit_id"], "the line is broken at version %d" % v)
        check(len({c["graph_commit_id"] for c in by.values()}) == len(by), "a commit id occurs twice")
        latest, events = 0, [(w.start, 1, w.commit["manifest_version"]) for w in made] + [(w.end, 0, w.commit["manifest_version"]) for w in made]
        for _, begins, v in sorted(events):
            if begins:
                check(v > latest, "version %d began after %d was acknowledged" % (v, latest))
            else:
                latest = max(latest, v)
        top = self.servers[0].version()
        unknown = sum(w.status is None or w.status >= 500 for w in self.writes)
        check(len(made) <= top - self.first["manifest_version"] <= len(made) + unknown, "%d commits; %d acknowledged, %d unknown" % (
            top - self.first["manifest_version"], len(made), unknown))

    def log(self):
        """A directory's log, read here: each commit in one place, one chain, and what was acknowledged where it was said to be."""
        there, parent = {}, None
        for path in sorted(glob.glob(os.path.join(self.graph, "log", "*", "*", "*"))):
            with open(path, "rb") as f:
                frame = f.read(64)
                records = json.loads(f.read(int.from_bytes(frame[8:12], "little")))["records"]
            for r in records:
                check(r["id"] not in there, "a record is in the log twice", r)
                there[r["id"]] = r.get("ver")
                check(parent in (None, r["parent"]), "the line is broken", r)
                parent = r["id"]
        versions = list(there.values())
        check(versions == list(range(2, 2 + len(versions))), "versions do not rise by one")
        for w in self.writes:
            check(not w.commit or there.get(w.commit["graph_commit_id"]) == w.commit["manifest_version"], "acknowledged, and not in the log", w)

    def content(self):
        texts = [s.export() for s in self.servers]
        check(sorted(texts[0].splitlines()) == sorted(texts[1].splitlines()), "two servers show two graphs")
        have = [r["k"] for r in self.servers[0].rows(ALL)]
        edges = [r["k"] for r in self.servers[0].rows(EDGES)]
        check(len(have) == len(set(have)), "a key is there twice")
        check(sorted(edges) == sorted(have), "half a commit")
        have, may, must = set(have), set(), set()
        for w in sorted(self.writes, key=lambda w: w.start):
            sure, maybe = w.status == 200, w.status is None or w.status >= 500
            if w.kind == "put" and (sure or maybe):
                may.add(w.key)
                if sure:
                    must.add(w.key)
            elif w.kind == "del" and (sure or maybe):
                must.discard(w.key)
                if sure:
                    may.discard(w.key)
        check(must <= have, "acknowledged and lost", sorted(must - have)[:5])
        check(have <= may, "refused or deleted, and there", sorted(have - may)[:5])
        sets = [w for w in self.writes if w.kind == "set"]
        last = max((w for w in sets if w.commit), key=lambda w: w.commit["manifest_version"], default=None)
        allowed = {w.n for w in sets if w.status is None or w.status >= 500} | {last.n if last else 0}
        rows = self.servers[1].rows(ROW)
        check(len(rows) == 1 and rows[0]["n"] in allowed, "the shared row is %s, not one of %s" % (rows, sorted(allowed)[:9]))

    def go(self, kills):
        threads = [threading.Thread(target=self.guarded, args=(self.writer, i), daemon=True) for i in range(WRITERS)]
        threads += [threading.Thread(target=self.guarded, args=(self.reader, i), daemon=True) for i in range(2)]
        for t in threads:
            t.start()
        for _ in range(kills):
            self.stop.wait(self.rng.uniform(0.1, 0.7))
            if self.stop.is_set():
                break
            self.killer()
        self.stop.wait(0.5)
        self.stop.set()
        for t in threads:
            t.join(90)
            check(not t.is_alive(), "a request does not end")
        if self.bad:
            raise self.bad[0]
        for s in self.servers:
            until("a server that reads again", lambda: self.calm(s))
        # The one with --max-staleness-ms has the time that it may take.
        time.sleep(self.late / 1000)

    @staticmethod
    def calm(s):
        try:
            return s.get("/snapshot").status == 200 and s.query(ALL).status == 200
        except (OSError, http.client.HTTPException):
            return False


def run(test, rng, folder):
    h = Hosts(test, rng, folder)
    h.go(test.options.kills or KILLS)
    h.line()
    h.content()
    if test.where != "s3":
        h.log()
    for s in h.servers:
        s.stop()
    test.servers = []
    cli("verify", h.graph)
    unmount()
    n = test.counts
    n.update("killed " + k for k in h.kills.elements())
    n["reads"] += sum(h.reads)
    for w in h.writes:
        n["no answer" if w.status is None else w.status] += 1


if __name__ == "__main__":
    where = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1] in ("dir", "net", "s3") else "dir"
    t = Test("hosts-" + where, 8 if where == "net" else 12, more=lambda p: p.add_argument("--kills", type=int, help="one run with so many kills"))
    if t.options.kills:
        t.options.runs = 1
    t.where, t.counts = where, collections.Counter()
    if where == "net" and not can_mount():
        print("SKIPPED: bindfs cannot mount here (it takes root, the package bindfs and /dev/fuse); two hosts on a network file system are NOT tested")
        sys.exit(77)
    atexit.register(lambda: (t.end(), unmount()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if where == "s3":
        t.bucket = s3.start("two servers on one bucket")
    rc = t.main(run)
    print(dict(sorted(t.counts.items(), key=str)))
    sys.exit(rc)
