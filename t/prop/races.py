#!/usr/bin/env python3
"""Writers that race, on two servers over one directory: what may be answered, and what must hold afterwards.

Every scenario ends with: one linear chain of commits whose versions rise by one, as many new commits as
acknowledgements, an order of commits that agrees with real time, no orphan edge, all constraints hold, and
both servers export the same.
"""
import collections
import json
import sys
import threading
import time

sys.dont_write_bytecode = True
from harness import Server, Test, check, cli, init, until

SCHEMA = """
node Item { code: String @key  n: I64  owner: String?  tag: String?  @unique(tag) }
node Hub  { code: String @key }
node Half { code: String @key }
edge Has:   Hub -> Item @card(0..3) { by: String? }
edge Next:  Item -> Item { by: String? }
edge Joins: Half -> Half { n: I64 }
"""
INSERT = "query put($k: String, $n: I64, $o: String?, $t: String?) { insert Item { code: $k, n: $n, owner: $o, tag: $t } }"
UPDATE = "query set($k: String, $n: I64, $o: String) { update Item set { n: $n, owner: $o } where code = $k }"
DELETE = "query del($k: String) { delete Item where code = $k }"
HUB = "query hub($k: String) { insert Hub { code: $k } }"
HAS = "query has($f: String, $t: String, $b: String) { insert Has { from: $f, to: $t, by: $b } }"
NEXT = "query next($f: String, $t: String, $b: String) { insert Next { from: $f, to: $t, by: $b } }"
ITEM = "query item($k: String) { match { $i: Item { code: $k } } return { $i.n as n, $i.owner as o } }"
JOIN = """query join($a: String, $b: String, $n: I64) {
  insert Half { code: $a }  insert Half { code: $b }  insert Joins { from: $a, to: $b, n: $n } }"""

Done = collections.namedtuple("Done", "who start end answer")


class Races:
    def __init__(self, test, rng, folder):
        self.test, self.rng = test, rng
        self.graph = init(folder, SCHEMA)
        self.servers = [Server(test, self.graph), Server(test, self.graph)]
        self.round = 0
        self.root = None        # the last commit that set-up made
        self.setup(HUB, k="root")

    def at_once(self, jobs):
        """jobs: (who, server, function giving an Answer or a list of them), started together; list of Done."""
        gate, out, lock, broken = threading.Barrier(len(jobs)), [], threading.Lock(), []

        def work(who, server, f):
            try:
                gate.wait()
                for step in f:
                    start = time.monotonic()
                    a = step(server)
                    with lock:
                        out.append(Done(who, start, time.monotonic(), a))
            except BaseException as e:
                broken.append(e)
        threads = [threading.Thread(target=work, args=j, daemon=True) for j in jobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join(90)
            check(not t.is_alive(), "a request hangs")
        if broken:
            raise broken[0]
        return out

    def writers(self, n, make):
        """n jobs, alternating between the servers; make(i) gives the list of steps of writer i."""
        first = self.rng.randrange(2)
        return [(i, self.servers[(i + first) % 2], make(i)) for i in range(n)]

    def begin(self):
        self.round += 1
        self.remember()
        return "r%d" % self.round

    def remember(self):
        self.before = self.servers[0].commits()
        if self.before is None:
            self.before = [self.root]

    def end(self, name, done):
        """What holds after any scenario; {who: commit ids in their order}."""
        good = [d for d in done if d.answer.status == 200]
        logs = [s.commits() for s in self.servers]
        check(logs[0] == logs[1], "%s: two servers, two histories" % name, logs)
        made = [d for d in good if d.answer.json.get("commit")]
        # Without a history route the answers' own commits are the history.
        log = logs[0] if logs[0] is not None else sorted(
            [self.root] + [d.answer.json["commit"] for d in made], key=lambda c: c["manifest_version"])
        check(log[:len(self.before)] == self.before, "%s: history changed" % name)
        for a, b in zip(log, log[1:]):
            check(b["parent_commit_id"] == a["graph_commit_id"] and b["manifest_version"] == a["manifest_version"] + 1
                  and b["merged_parent_commit_id"] is None, "%s: the chain is not one line" % name, a, b)
        place = {c["graph_commit_id"]: n for n, c in enumerate(log)}
        check(len(place) == len(log), "%s: a commit id occurs twice" % name)
        check(len(log) - len(self.before) == len(made),
              "%s: %d commits for %d acknowledged writes" % (name, len(log) - len(self.before), len(made)))
        self.place = place
        for d in made:
            check(d.answer.json["commit"]["graph_commit_id"] in place, "%s: an acknowledged commit is not listed" % name)
        # If one answer came before another request began, the commits stand in that order.
        latest = -1
        events = sorted([(d.start, 1, self.at(d)) for d in made] + [(d.end, 0, self.at(d)) for d in made])
        for _, begins, n in events:
            if begins:
                check(n > latest, "%s: the order of commits contradicts real time" % name)
            else:
                latest = max(latest, n)
        exports = [s.export() for s in self.servers]
        check(exports[0] == exports[1], "%s: two servers, two exports" % name)
        self.whole(name, exports[0])
        made.sort(key=self.at)
        self.root = made[-1].answer.json["commit"] if made else self.root
        return made

    def at(self, d):
        return self.place[d.answer.json["commit"]["graph_commit_id"]]

    def whole(self, name, text):
        ids, tags, degree = collections.defaultdict(set), set(), collections.Counter()
        records = [json.loads(l) for l in text.splitlines()]
        for r in records:
            if "type" in r:
                check(r["data"]["id"] not in ids[r["type"]], "%s: two rows of one key: %s" % (name, r))
                ids[r["type"]].add(r["data"]["id"])
                tag = r["data"].get("tag")
                check(tag is None or tag not in tags, "%s: @unique does not hold: %s" % (name, r))
                tags.add(tag)
        ends = {"Has": ("Hub", "Item"), "Next": ("Item", "Item"), "Joins": ("Half", "Half")}
        for r in records:
            if "edge" in r:
                s, d = ends[r["edge"]]
                check(r["from"] in ids[s] and r["to"] in ids[d], "%s: an orphan: %s" % (name, r))
                degree[r["edge"], r["from"]] += 1
        check(all(n <= 3 for (e, _), n in degree.items() if e == "Has"), "%s: @card does not hold: %s" % (name, degree))
        check(len(ids["Half"]) == 2 * len([r for r in records if r.get("edge") == "Joins"]), "%s: half a commit" % name)
        self.records = records

    def setup(self, text, **params):
        a = self.servers[self.rng.randrange(2)].mutate(text, params)
        check(a.status == 200, "set-up fails: %s" % a)
        self.root = a.json["commit"]

    # --- scenarios

    def distinct_inserts(self):
        """All succeed; each is seen through the other server as soon as it is acknowledged."""
        r, each = self.begin(), 6

        def steps(i):
            def one(j):
                def go(server):
                    k = "%s-%d-%d" % (r, i, j)
                    a = server.mutate(INSERT, {"k": k, "n": j, "o": "w%d" % i})
                    check(a.status == 200, "an insert of a key of its own is refused: %s" % a)
                    for other in self.servers:
                        rows = other.rows(ITEM, {"k": k})
                        check(rows == [{"n": j, "o": "w%d" % i}], "acknowledged, but not seen: %s: %s" % (k, rows))
                    return a
                return go
            return [one(j) for j in range(each)]
        done = self.at_once(self.writers(8, steps))
        # The reads came after the answers, so the stated ends are too late for the order: leave it to them.
        self.end("distinct inserts", done)
        mine = [x for x in self.records if x.get("type") == "Item" and x["data"]["id"].startswith(r + "-")]
        check(len(mine) == 8 * each, "distinct inserts: %d rows instead of %d" % (len(mine), 8 * each))

    def updates_of_one_row(self):
        r = self.begin()
        self.setup(INSERT, k=r, n=0)
        self.remember()

        def steps(i):
            return [lambda server, j=j: server.mutate(UPDATE, {"k": r, "n": i * 100 + j, "o": "%d.%d" % (i, j)})
                    for j in range(4)]
        done = self.at_once(self.writers(8, steps))
        for d in done:
            a = d.answer
            check(a.status in (200, 409), "an update among others: %s" % a)
            if a.status == 409:
                check(a.json["code"] == "conflict", "409 without its code: %s" % a)
                c = a.json.get("manifest_conflict")
                check("exhausted 5 retries" in a.error or (c and c["table_key"] == "node:Item" and c["actual"] > c["expected"]),
                      "409 without its reason: %s" % a)
            else:
                check(a.json["affected_nodes"] == 1, "an update of one row: %s" % a)
        made = self.end("updates of one row", done)
        check(made, "updates of one row: nobody won")
        n = self.test.counts
        n["update 200"] += len(made)
        n["update 409"] += len(done) - len(made)
        # The row is that of the last commit: find it by the values that writer `who` sent.
        rows = self.servers[0].rows(ITEM, {"k": r})
        check(len(rows) == 1 and rows[0]["o"].startswith("%d." % made[-1].who), "the final value %s is not that of the last 200 (%s)"
              % (rows, made[-1].who))

    def unique_race(self):
        r = self.begin()
        done = self.at_once(self.writers(6, lambda i: [
            lambda server: server.mutate(INSERT, {"k": "%s-%d" % (r, i), "n": i, "t": "tag-" + r})]))
        for d in done:
            check(d.answer.status in (200, 400, 409), "a race on @unique: %s" % d.answer)
            check(d.answer.status != 400 or "@unique violation on Item.tag" in d.answer.error, "a race on @unique: %s" % d.answer)
        made = self.end("unique", done)
        check(len(made) == 1, "a race on @unique: %d winners" % len(made))

    def card_race(self):
        r = self.begin()
        self.setup(HUB, k=r)
        for i in range(6):
            self.setup(INSERT, k="%s-%d" % (r, i), n=i)
        self.remember()
        done = self.at_once(self.writers(6, lambda i: [
            lambda server: server.mutate(HAS, {"f": r, "t": "%s-%d" % (r, i), "b": str(i)})]))
        for d in done:
            check(d.answer.status in (200, 400, 409), "a race on @card: %s" % d.answer)
            check(d.answer.status != 400 or "@card violation on edge Has: source '%s' has 4 edges (max 3)" % r in d.answer.error,
                  "a race on @card: %s" % d.answer)
        made = self.end("card", done)
        check(len(made) == 3, "a race on @card(0..3): %d winners" % len(made))

    def upserts_of_one_key(self):
        """Six at once need at most five replays, so all get through."""
        r = self.begin()
        done = self.at_once(self.writers(6, lambda i: [
            lambda server: server.mutate(INSERT, {"k": r, "n": i, "o": "w%d" % i})]))
        for d in done:
            check(d.answer.status == 200 and d.answer.json["affected_nodes"] == 1, "an upsert of one key: %s" % d.answer)
        made = self.end("upserts", done)
        rows = self.servers[1].rows(ITEM, {"k": r})
        check(rows == [{"n": made[-1].who, "o": "w%d" % made[-1].who}], "upserts of one key end with %s, the last was %d"
              % (rows, made[-1].who))

    def edge_against_delete(self):
        r = self.begin()
        self.setup(INSERT, k=r + "-x", n=0)
        for i in range(3):
            self.setup(INSERT, k="%s-%d" % (r, i), n=i)
        self.remember()

        def steps(i):
            if i == 3:
                return [lambda server: server.mutate(DELETE, {"k": r + "-x"})]
            ends = ("%s-%d" % (r, i), r + "-x")
            f, t = ends if i % 2 else ends[::-1]
            return [lambda server: server.mutate(NEXT, {"f": f, "t": t, "b": str(i)})]
        done = self.at_once(self.writers(4, steps))
        gone = False
        for d in done:
            a = d.answer
            if d.who == 3:
                check(a.status in (200, 409), "a delete among edge inserts: %s" % a)
                gone = a.status == 200
            else:
                check(a.status in (200, 400, 409), "an edge insert beside a delete: %s" % a)
                check(a.status != 400 or "'%s-x' not found in Item" % r in a.error, "an edge insert beside a delete: %s" % a)
        made = self.end("edge against delete", done)
        edges = [x for x in self.records if x.get("edge") == "Next" and r + "-x" in (x["from"], x["to"])]
        there = any(x.get("type") == "Item" and x["data"]["id"] == r + "-x" for x in self.records)
        check(there != gone, "edge against delete: the node is %s" % ("there" if there else "gone"))
        check(len(edges) == (0 if gone else len(made)), "edge against delete: %s" % edges)
        if gone:
            cut = next(d for d in made if d.who == 3)
            check(cut.answer.json["affected_edges"] == made.index(cut), "the cascade counts %s" % cut.answer)
            check(made[-1] is cut, "an edge insert won after its endpoint was gone")
        self.test.counts["delete 200" if gone else "delete 409"] += 1

    def whole_commits(self):
        """Readers beside writers of two nodes and an edge see all three or none."""
        r = self.begin()
        stop = threading.Event()
        bad, seen = [], [0]

        def watch(server):
            last = 0
            while not stop.is_set():
                t = {x["table_key"]: x["row_count"] for x in server.snapshot()["tables"]}
                n = server.rows("query c() { match { $h: Half } return { count($h) as n } }")[0]["n"]
                rows = server.rows("query j() { match { $a $e:joins $b not { $x: Half { code: \"none\" } $a joins $x } } "
                                   "return { count($e.n) as n } }")
                if t["node:Half"] != 2 * t["edge:Joins"] or n % 2 or n < t["node:Half"] or rows[0]["n"] < last or n < last:
                    bad.append((t, n, rows, last))
                    return
                last = rows[0]["n"]
                seen[0] += 1
        watchers = [threading.Thread(target=watch, args=(s,), daemon=True) for s in self.servers]
        for w in watchers:
            w.start()
        done = self.at_once(self.writers(4, lambda i: [
            lambda server, j=j: server.mutate(JOIN, {"a": "%s-%d-%d-a" % (r, i, j), "b": "%s-%d-%d-b" % (r, i, j), "n": j})
            for j in range(6)]))
        stop.set()
        for w in watchers:
            w.join(60)
        check(not bad, "a reader saw part of a commit, or went back in time: %s" % bad)
        check(seen[0] > 0, "no reader got a look")
        for d in done:
            check(d.answer.status == 200 and (d.answer.json["affected_nodes"], d.answer.json["affected_edges"]) == (2, 1),
                  "inserts of keys of their own: %s" % d.answer)
        self.end("whole commits", done)

    def disjoint_types(self):
        """Strict writes of different types do not disturb each other."""
        r = self.begin()
        self.setup(INSERT, k=r, n=0)
        self.setup(HUB, k=r)
        self.remember()
        done = self.at_once(self.writers(2, lambda i: [
            (lambda server, j=j: server.mutate(UPDATE, {"k": r, "n": j, "o": "x"})) if i else
            (lambda server, j=j: server.mutate("query d($k: String) { delete Half where code = $k }", {"k": "none-%d" % j})
             if j % 2 else server.mutate(HUB, {"k": "%s-%d" % (r, j)})) for j in range(6)]))
        for d in done:
            check(d.answer.status == 200, "a write of one type beside writes of another: %s" % d.answer)
        self.end("disjoint types", done)


def run(test, rng, folder):
    races = Races(test, rng, folder)
    scenarios = [races.distinct_inserts, races.updates_of_one_row, races.unique_race, races.card_race,
                 races.upserts_of_one_key, races.edge_against_delete, races.edge_against_delete, races.edge_against_delete,
                 races.whole_commits, races.disjoint_types]
    rng.shuffle(scenarios)
    for s in scenarios:
        test.note("scenario", s.__name__)
        s()
    for s in races.servers:
        s.stop()
    test.servers = []
    cli("verify", races.graph)


if __name__ == "__main__":
    t = Test("races", 12)
    t.counts = collections.Counter()
    rc = t.main(run)
    print(dict(t.counts))
    sys.exit(rc)
