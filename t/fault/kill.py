#!/usr/bin/env python3
"""kill -9 at random under a mixed write load: worker, builder, og-storaged, og-master, and og-cli in the middle of a load.

Eight writers keep a ledger: acknowledged (200), refused (4xx: without effect), unknown (5xx, no answer). Every
acknowledged group of rows must be there at once and for ever, an unknown one wholly or not at all and decided
once, and the service must come back by itself (og-master alone is started again). Then `verify`.
"""
import collections
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "prop"))
from harness import CLI, IDENTITY, Server, Test, check, cli, init, session, until, write_file

SCHEMA = """
node Part { code: String @key  group: String  n: I64 }
node Meter { code: String @key  n: I64 }
edge Of: Part -> Part { group: String }
"""
PAIR = """query pair($a: String, $b: String, $g: String) {
  insert Part { code: $a, group: $g, n: 1 }  insert Part { code: $b, group: $g, n: 2 }  insert Of { from: $a, to: $b, group: $g } }"""
DROP = "query drop($g: String) { delete Part where group = $g }"
METER = "query meter($k: String, $n: I64) { insert Meter { code: $k, n: $n } }"
RAISE = "query meter($k: String, $n: I64) { update Meter set { n: $n } where code = $k }"
ONE = "query one($g: String) { match { $p: Part { group: $g } } return { $p.code } }"
WRITERS = 8
PLAN = ["worker", "storaged", "cli", "worker", "storaged", "builder", "cli", "master", "worker", "storaged", "cli", "master"]


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.groups = {}                    # group -> (set of what may be, number of nodes, number of edges)
        self.meters = {}                    # meter -> set of values that it may have
        self.counts = collections.Counter()

    def group(self, g, may, nodes, edges):
        with self.lock:
            self.groups[g] = (may, nodes, edges)

    def meter(self, k, may):
        with self.lock:
            self.meters[k] = may


def outcome(server, ledger, path, body):
    """yes, no or unknown."""
    try:
        a = server.post(path, body)
    except (OSError, http.client.HTTPException):
        with ledger.lock:
            ledger.counts["no answer"] += 1
        time.sleep(0.02)
        return "unknown"
    with ledger.lock:
        ledger.counts[a.status] += 1
    if a.status == 200:
        return "yes"
    check(a.status in (409, 429) or a.status >= 500, "a write is answered %s" % a)
    if a.status >= 500:
        check(a.status in (500, 503, 504) and isinstance(a.json["error"], str) and a.json["error"], "an error says nothing: %s" % a)
        check(a.status != 503 or "retry-after" in a.headers, "503 without Retry-After")
        time.sleep(0.02)
        return "unknown"
    return "no"


def writer(server, ledger, i, seed, stop, broken):
    rng, mine, n = random.Random(seed), [], 0
    meter = "meter-%s" % i
    values = {None}
    try:
        while not stop.is_set():
            n += 1
            g = "g%s-%d" % (i, n)
            roll = rng.random()
            if roll < 0.45:
                ledger.group(g, {True, False}, 2, 1)
                r = outcome(server, ledger, "/mutate", {"query": PAIR, "params": {"a": g + "a", "b": g + "b", "g": g}})
                ledger.group(g, {"yes": {True}, "no": {False}, "unknown": {True, False}}[r], 2, 1)
                if r == "yes":
                    mine.append((g, 2, 1))
                    if rng.random() < 0.2:
                        try:
                            rows = server.rows(ONE, {"g": g})
                        except Exception:
                            continue        # killed meanwhile, or restarting
                        check(len(rows) == 2, "acknowledged, but not there: %s: %s" % (g, rows))
            elif roll < 0.6:
                size = rng.randint(3, 30)
                data = "".join(json.dumps({"type": "Part", "data": {"code": "%s-%d" % (g, k), "group": g, "n": k}}) + "\n"
                               for k in range(size))
                data += "".join(json.dumps({"edge": "Of", "from": "%s-%d" % (g, k), "to": "%s-%d" % (g, k + 1),
                                            "data": {"group": g}}) + "\n" for k in range(size - 1))
                ledger.group(g, {True, False}, size, size - 1)
                r = outcome(server, ledger, "/ingest", {"data": data, "mode": rng.choice(["merge", "append"])})
                ledger.group(g, {"yes": {True}, "no": {False}, "unknown": {True, False}}[r], size, size - 1)
                if r == "yes":
                    mine.append((g, size, size - 1))
            elif roll < 0.7 and mine:
                g, nodes, edges = mine.pop(rng.randrange(len(mine)))
                ledger.group(g, {True, False}, nodes, edges)
                r = outcome(server, ledger, "/mutate", {"query": DROP, "params": {"g": g}})
                ledger.group(g, {"yes": {False}, "no": {True}, "unknown": {True, False}}[r], nodes, edges)
                if r == "no":
                    mine.append((g, nodes, edges))
            else:
                known = None not in values
                ledger.meter(meter, values | {n})
                r = outcome(server, ledger, "/mutate", {"query": RAISE if known and rng.random() < 0.5 else METER,
                                                        "params": {"k": meter, "n": n}})
                values = {"yes": {n}, "no": values, "unknown": values | {n}}[r]
                ledger.meter(meter, values)
    except BaseException as e:
        broken.append(e)


def compare(ledger, text, when):
    """The export against the ledger; what was open is decided by it."""
    nodes, edges, meters = collections.Counter(), collections.Counter(), {}
    codes = set()
    for line in text.splitlines():
        r = json.loads(line)
        if r.get("type") == "Part":
            nodes[r["data"]["group"]] += 1
            codes.add(r["data"]["code"])
        elif r.get("type") == "Meter":
            meters[r["data"]["code"]] = r["data"]["n"]
    for line in text.splitlines():
        r = json.loads(line)
        if "edge" in r:
            edges[r["data"]["group"]] += 1
            check(r["from"] in codes and r["to"] in codes, "%s: an orphan: %s" % (when, line))
    for g, (may, n, e) in ledger.groups.items():
        got = nodes.pop(g, 0), edges.pop(g, 0)
        check(got in ((n, e), (0, 0)), "%s: half of %s: %d of %d nodes, %d of %d edges" % (when, g, got[0], n, got[1], e))
        there = got == (n, e)
        check(there in may, "%s: %s is %s" % (when, g, "there, but was refused or deleted" if there else "lost, but was acknowledged"))
        ledger.groups[g] = ({there}, n, e)
    check(not nodes and not edges, "%s: rows that nobody wrote: %s %s" % (when, nodes, edges))
    for k, may in ledger.meters.items():
        check(meters.get(k) in may, "%s: %s is %s instead of one of %s" % (when, k, meters.get(k), may))
        ledger.meters[k] = {meters.get(k)}


def killed_load(test, rng, ledger, graph, folder, n):
    """og-cli load beside the server, killed at any moment with what it has started; the load is whole or absent."""
    g, size = "cli-%d" % n, rng.choice([5, 300, 4000])
    data = "".join(json.dumps({"type": "Part", "data": {"code": "%s-%d" % (g, k), "group": g, "n": k}}) + "\n" for k in range(size))
    data += "".join(json.dumps({"edge": "Of", "from": "%s-%d" % (g, k), "to": "%s-%d" % (g, k + 1), "data": {"group": g}}) + "\n"
                    for k in range(size - 1))
    f = write_file(os.path.join(folder, "load.jsonl"), data)
    p = subprocess.Popen([CLI, "load", graph, "--data", f, "--mode", "append"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         stdin=subprocess.DEVNULL, start_new_session=True, **IDENTITY)
    time.sleep(rng.uniform(0, 0.15))
    for pid in rng.choice([[p.pid], session(p.pid)]) + session(p.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    p.communicate()
    test.note("og-cli load of %d rows ends with %s" % (size, p.returncode))
    ledger.group(g, {True} if p.returncode == 0 else {True, False}, size, size - 1)


def works(server):
    try:
        return server.mutate(METER, {"k": "probe", "n": 1}).status == 200
    except (OSError, http.client.HTTPException):
        return False


def run(test, rng, folder):
    graph = init(folder, SCHEMA)
    server = Server(test, graph)
    stop, broken, ledger = threading.Event(), [], Ledger()
    # In a round without og-master's death the load goes on through the kills.
    plan = PLAN[:]
    rng.shuffle(plan)

    def begin():
        stop.clear()
        threads = [threading.Thread(target=writer, args=(server, ledger, "%d.%d" % (begin.n, i), rng.random(), stop, broken),
                                    daemon=True) for i in range(WRITERS)]
        begin.n += 1
        for t in threads:
            t.start()
        return threads
    begin.n = 0

    def finish(threads):
        stop.set()
        for t in threads:
            t.join(90)
            check(not t.is_alive(), "a request hangs")
        if broken:
            raise broken[0]

    for n, what in enumerate(plan):
        threads = begin()
        time.sleep(rng.uniform(0.15, 0.5))
        if what == "cli":
            killed_load(test, rng, ledger, graph, folder, n)
            finish(threads)
        elif what == "master":
            test.note("kill og-master")
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
            # Its children must not outlive it for long: a second og-storaged may write beside the next one.
            old = server.process
            finish(threads)
            server.process.stdout.close()
            until("the children of a killed og-master end", lambda: not session(old.pid), 20)
            server.start()
        else:
            pids = server.victims(what)
            check(pids, "no %s runs" % what)
            pid = rng.choice(pids)
            test.note("kill", what, pid)
            os.kill(pid, signal.SIGKILL)
            time.sleep(rng.uniform(0.05, 0.3))
            until("service after the end of " + what, lambda: works(server), 30)
            finish(threads)
        until("service after the end of " + what, lambda: works(server), 30)
        ledger.meters["probe"] = {1}
        compare(ledger, server.export(), "after kill %d (%s)" % (n + 1, what))
        counts = {t["table_key"]: t["row_count"] for t in server.snapshot()["tables"]}
        check(counts["node:Part"] == sum(g[1] for g in ledger.groups.values() if g[0] == {True}), "counts: %s" % counts)
    text = server.export()
    server.stop()
    test.servers = []
    cli("verify", graph)
    check(cli("export", graph) == text, "another export after a restart")
    test.note("answers:", dict(ledger.counts))
    check(ledger.counts[200] > 50, "hardly a write got through: %s" % ledger.counts)
    test.counts.update(ledger.counts)


if __name__ == "__main__":
    t = Test("kill", 12)
    t.counts = collections.Counter()
    rc = t.main(run)
    print(dict(t.counts))
    sys.exit(rc)
