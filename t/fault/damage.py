#!/usr/bin/env python3
"""Random damage to the files of a graph: bits flipped, blocks zeroed, files cut, lengthened, emptied, removed, exchanged.

Whatever file it is: og-cli and a server either answer rightly or with an error that names what is damaged, never
with other rows, never with a crash. Where the log is damaged, the state just before that object may be shown, and
then no write is taken. `verify` finds what a reader could stumble over.
"""
import http.client
import json
import os
import re
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "prop"))
from harness import Failed, Server, Test, check, cli, crashed, hand_over, init

SCHEMA = """
node Doc { code: String @key  text: String  n: I32? }
node Place { code: String @key }
edge Cites: Doc -> Doc { n: I32 }
"""
COUNT = """query c() { match { $p: Place } return { count($p) as n } }"""
SUM = """query s() { match { $d: Doc } return { count($d) as c, sum($d.n) as s, min($d.text) as t } }"""
LINKS = """query l() { match { $a $e:cites $b } return { count($e.n) as c, sum($e.n) as s, min($a.code) as a, max($b.code) as b } }"""
READS = (COUNT, SUM, LINKS)
CASES = 14


def build(test, rng, folder):
    """(graph, [export after log object n], [answers after it])."""
    graph = init(folder, SCHEMA)
    s = Server(test, graph)
    states, answers = [s.export()], [[s.rows(q) for q in READS]]
    docs = ["d%d" % i for i in range(60)]
    data = "".join(json.dumps({"type": "Doc", "data": {"code": c, "text": "".join(rng.choices("abcdefgh", k=300)), "n": 1}}) + "\n"
                   for c in docs)
    big = "".join(json.dumps({"type": "Doc", "data": {"code": "big%d" % i, "text": "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20000)), "n": 1}}) + "\n"
                  for i in range(80))
    writes = rng.choice([20, 75, 110])      # before, soon after and well after the first checkpoint
    large = rng.randrange(writes)
    for i in range(writes):
        roll = rng.random()
        if i == 0:
            a = s.post("/ingest", {"data": data})
        elif i == large:
            a = s.post("/ingest", {"data": big})
        elif roll < 0.4:
            a = s.mutate("query q($k: String) { insert Place { code: $k } }", {"k": "p%d" % i})
        elif roll < 0.7:
            a = s.mutate("query q($a: String, $b: String, $n: I32) { insert Cites { from: $a, to: $b, n: $n } }",
                         {"a": rng.choice(docs), "b": rng.choice(docs), "n": i})
        elif roll < 0.9:
            a = s.mutate("query q($a: String, $n: I32) { update Doc set { n: $n } where code = $a }",
                         {"a": rng.choice(docs), "n": i + 2})
        else:
            a = s.mutate("query q($n: I32) { delete Cites where n = $n }", {"n": i - 1})
            if a.json["commit"] is None:
                continue
        check(a.status == 200, "set-up: %s" % a)
        states.append(s.export())
        answers.append([s.rows(q) for q in READS])
    if rng.random() < 0.5:
        time.sleep(0.3)                     # a checkpoint at work may end
    s.stop()
    test.servers.remove(s)
    cli("verify", graph)
    return graph, states, answers


def kinds(graph):
    """{kind: files}"""
    out = {}
    for d, _, files in os.walk(graph):
        for f in files:
            path = os.path.relpath(os.path.join(d, f), graph)
            out.setdefault("delta" if "/_delta_log/" in path else path.split("/")[0], []).append(path)
    return {k: sorted(v) for k, v in out.items()}


def names(graph, ulid):
    """Whether a checkpoint or an object of the log does."""
    for folder in ("ckpt", "log"):
        for d, _, files in os.walk(os.path.join(graph, folder)):
            for f in files:
                with open(os.path.join(d, f), "rb") as o:
                    if ulid.encode() in o.read():
                        return True
    return False


def spoil(rng, graph, kind, path, files):
    """Damages the file; what was done."""
    full = os.path.join(graph, path)
    size = os.path.getsize(full)
    ways = ["flip"] * 4 + ["cut", "cut", "empty", "longer", "zero", "remove"] + (["exchange"] if len(files) > 1 else [])
    how = rng.choice(ways)
    if how == "remove":
        os.unlink(full)
        return "removed"
    if how == "exchange":
        other = rng.choice([f for f in files if f != path])
        shutil.copyfile(os.path.join(graph, other), full)
        return "overwritten with " + other
    if how == "longer":
        with open(full, "ab") as f:
            f.write(bytes([rng.randrange(256)]) * rng.choice([1, 64, 4096]))
        return "lengthened"
    if how in ("cut", "empty"):
        n = 0 if how == "empty" or size == 0 else rng.choice([size - 1, rng.randrange(size), min(size - 1, 63), min(size - 1, 64)])
        os.truncate(full, n)
        return "cut to %d of %d" % (n, size)
    if size == 0:
        os.unlink(full)
        return "removed"
    with open(full, "r+b") as f:
        data = bytearray(f.read())
        at = rng.choice([rng.randrange(size), rng.randrange(min(size, 64)), size - 1 - rng.randrange(min(size, 16))])
        if how == "flip":
            data[at] ^= 1 << rng.randrange(8)
        else:
            old = bytes(data)
            data[at:at + 512] = bytes(len(data[at:at + 512]))
            if bytes(data) == old:
                data[at] ^= 1
        f.seek(0)
        f.write(data)
    return "%s at %d of %d" % (how, at, size)


class Case:
    def __init__(self, test, rng, graph, states, answers, kind, path, files):
        self.states, self.answers, self.graph, self.kind = states, answers, graph, kind
        self.test, self.rng = test, rng
        self.last = len(states) - 1
        self.seq = int(path.rsplit("/", 1)[1]) if kind == "log" else None
        self.ulid = (re.findall(r"[0-9A-HJKMNP-TV-Z]{26}", path) or [""])[-1]
        self.unnamed = kind == "data" and not names(graph, self.ulid)
        how = spoil(rng, graph, kind, path, files)
        self.what = "%s %s" % (path, how)
        self.gone = how == "removed"
        test.note("damage:", self.what)
        # States that may be shown: the last, and before a damaged log object; or after it, if what readers need of it is whole.
        self.may = {self.last} | ({self.seq - 1, self.seq} if kind == "log" else set())

    def named(self, text):
        """The error names what is damaged. Nothing depends on the logs for other programs: no error comes of them."""
        if self.kind == "delta":
            return False
        if self.kind == "log":
            return "stands in the place of %d" % self.seq in text or \
                any("log object %d" % n in text for n in (self.seq - 1, self.seq, self.seq + 1))
        if self.kind == "format.json":
            return "format.json" in text or (self.gone and "graph not found at" in text)
        return self.ulid in text or "node:" in text or "edge:" in text

    def command(self, right, *args):
        """Right for one of the states, or an error that names the object."""
        rc, out, err = cli(*args, expect=None)
        check(rc in (0, 1), "%s: og-cli %s ends with %d" % (self.what, args[0], rc), err)
        if rc == 0:
            got = [n for n in self.may if right(n, out)]
            check(got, "%s: og-cli %s shows what was never there" % (self.what, args[0]), err, self.difference(args[0], out))
            check(self.last in got or self.named(err) or (self.gone and self.seq == self.last),
                  "%s: og-cli %s shows an old state and does not say why" % (self.what, args[0]), err)
        else:
            check(self.named(err), "%s: og-cli %s does not name it: %s" % (self.what, args[0], err))
            check(not out or args[0] == "export" and any(self.states[n].startswith(out) for n in self.may),
                  "%s: og-cli %s fails, having shown what was never there" % (self.what, args[0]), out[-1000:])

    def difference(self, command, out):
        if command != "export":
            return out[-2000:]
        if out in self.states:
            return "the state after object %d of %d" % (self.states.index(out), self.last)
        a, b = set(self.states[self.last].splitlines()), set(out.splitlines())
        return "\n".join(["last state, not shown:"] + [x[:300] for x in sorted(a - b)][:5] +
                         ["shown, not in the last state:"] + [x[:300] for x in sorted(b - a)][:5])

    def client(self):
        self.command(lambda n, out: out == self.states[n], "export", self.graph)
        for i, q in enumerate(READS):
            self.command(lambda n, out: json.loads(out)["rows"] == self.answers[n][i], "query", "--uri", self.graph, "-e", q, "--json")
        self.command(self.counts, "snapshot", self.graph, "--json")

    def counts(self, n, out):
        got = {t["table_key"]: t["row_count"] for t in json.loads(out)["tables"]}
        rows = [json.loads(l) for l in self.states[n].splitlines()]
        return got == {k: sum(("node:%s" % r["type"] if "type" in r else "edge:%s" % r["edge"]) == k for r in rows) for k in got}

    def verify(self):
        rc, out, err = cli("verify", self.graph, expect=None)
        check(rc in (0, 1), "%s: verify ends with %d" % (self.what, rc), out, err)
        if rc == 0:
            # A checkpoint that is gone, and the newest object, leave no trace; the bell means nothing, what is for other programs is theirs, images
            # are built again, and segments of a checkpoint that the server's end cut short are nobody's.
            quiet = self.kind in ("doorbell", "delta", "index") or self.unnamed or (self.gone and (self.kind == "ckpt" or self.seq == self.last))
            check(quiet, "%s: verify finds nothing" % self.what, out)
        else:
            check(self.kind == "ckpt" or self.named(out + err), "%s: verify does not name it" % self.what, out, err)

    def server(self):
        try:
            s = Server(self.test, self.graph)
        except Failed as e:
            check(self.named(str(e)), "%s: a server does not start, and does not name it: %s" % (self.what, e))
            return
        shown = set(self.may)
        for i, q in enumerate(READS):
            a = s.query(q)
            if a.status == 200:
                shown = {n for n in shown if self.answers[n][i] == a.json["rows"]}
                check(shown, "%s: the server shows what was never there: %s" % (self.what, a), q)
            else:
                check(a.status >= 500 and self.named(a.error), "%s: the server answers %s" % (self.what, a))
        try:
            a = s.post("/export", {})
        except http.client.IncompleteRead as e:     # found on the way: the stream breaks off
            check(any(self.states[n].startswith(e.partial.decode()) for n in shown),
                  "%s: the server exports what was never there" % self.what)
            a = None
        if a is None:
            pass
        elif a.status == 200:
            shown = {n for n in shown if self.states[n] == a.body.decode()}
            check(shown, "%s: the server exports what was never there" % self.what)
        else:
            check(a.status >= 500 and self.named(a.error), "%s: the server answers %s" % (self.what, a))
        a = s.mutate("query q() { insert Place { code: \"new\" } }")
        if a.status == 200:
            # Only on top of everything: where the newest object is gone without a trace, that is what is left.
            check(self.last in shown or (self.gone and self.seq == self.last), "%s: written over a hole" % self.what)
        else:
            check(a.status >= 500 or a.status == 403, "%s: a write is answered %s" % (self.what, a))
            check(self.named(a.error), "%s: a refused write does not say why: %s" % (self.what, a))
        log = s.tail(1000)
        check(not crashed(log), "%s: a process of the server dies" % self.what, log[-3000:])
        s.stop()
        self.test.servers.remove(s)


def run(test, rng, folder):
    whole, states, answers = build(test, rng, folder)
    files = kinds(whole)
    for i in range(CASES):
        kind = rng.choices(list(files), [{"log": 6, "ckpt": 3, "data": 4, "format.json": 2}.get(k, 1) for k in files])[0]
        path = rng.choice(files[kind])
        if kind == "log" and rng.random() < 0.4:
            path = files[kind][-1 - rng.randrange(min(3, len(files[kind])))]
        graph = os.path.join(folder, "case%d" % i)
        shutil.copytree(whole, graph)
        hand_over(graph)
        c = Case(test, rng, graph, states, answers, kind, path, files[kind])
        c.verify()
        c.client()
        if rng.random() < 0.5:
            c.server()
        if not test.options.keep:
            shutil.rmtree(graph)


if __name__ == "__main__":
    sys.exit(Test("damage", 14).main(run))
