#!/usr/bin/env python3
"""A graph on a small tmpfs that fills up again and again: mutations, loads and og-cli are refused with an error that names
the cause, nothing acknowledged is lost, nothing refused leaves a trace, reads go on, and with room again writes work
without a restart. Needs root, to mount the tmpfs.
"""
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "prop"))
from harness import Server, Test, check, cli, hand_over, init, until, write_file

SCHEMA = "node Doc { code: String @key  text: String }\nedge Cites: Doc -> Doc { n: I32 }\n"
PUT = """query put($a: String, $b: String, $t: String) {
  insert Doc { code: $a, text: $t }  insert Doc { code: $b, text: "small" }  insert Cites { from: $a, to: $b, n: 1 } }"""
CAUSE = "No space left on device"
SIZE = 3 << 20


def noise(rng, size):
    """Text that does not compress well."""
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=size))


class Disk:
    def __init__(self, test, rng, folder):
        self.test, self.rng, self.folder, self.n = test, rng, folder, 0
        self.mount = os.path.join(folder, "disk")
        os.mkdir(self.mount)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % SIZE, "omnigraph-test", self.mount],
                           stderr=subprocess.PIPE)
        if r.returncode:
            print("SKIPPED: no tmpfs can be mounted here (%s); no disk has been full in this run" % r.stderr.decode().strip())
            sys.exit(77)
        hand_over(self.mount)
        self.there, self.unknown = set(), set()

    def umount(self):
        subprocess.run(["umount", "-l", self.mount])

    def write(self, how):
        """True when acknowledged; an error must name the cause."""
        self.n += 1
        a, b, text = "d%d" % self.n, "d%d-b" % self.n, noise(self.rng, self.rng.choice([200, 5000, 60000]))
        if how == "mutate":
            r = self.server.mutate(PUT, {"a": a, "b": b, "t": text})
            ok, status, error = r.status == 200, r.status, r.error
        else:
            data = "".join(json.dumps(x) + "\n" for x in [
                {"type": "Doc", "data": {"code": a, "text": text}}, {"type": "Doc", "data": {"code": b, "text": "small"}},
                {"edge": "Cites", "from": a, "to": b, "data": {"n": 1}}])
            if how == "load":
                r = self.server.post("/ingest", {"data": data})
                ok, status, error = r.status == 200, r.status, r.error
            else:
                f = write_file(os.path.join(self.folder, "data.jsonl"), data)
                rc, out, error = cli("load", self.graph, "--data", f, "--mode", "append", expect=None)
                check(rc in (0, 1), "og-cli ends with %d" % rc, error)
                ok, status = rc == 0, "exit 1"
        if ok:
            self.there.add(self.n)
        else:
            self.test.note(how, status, error.strip())
            check(status == "exit 1" or status in (500, 503, 507), "a full disk is %s: %s" % (status, error))
            check(CAUSE in error, "the error does not name the cause: %s" % error)
            if status != "exit 1":
                check(r.headers.get("content-type") == "application/json" and "error" in r.json, "not the envelope: %s" % r)
            self.unknown.add(self.n)
        return ok

    def compare(self, when):
        text = self.server.export()
        rows = [json.loads(l) for l in text.splitlines()]
        docs = {r["data"]["id"] for r in rows if "type" in r}
        edges = {(r["from"], r["to"]) for r in rows if "edge" in r}
        for n in range(1, self.n + 1):
            whole = {"d%d" % n, "d%d-b" % n} <= docs and ("d%d" % n, "d%d-b" % n) in edges
            none = not {"d%d" % n, "d%d-b" % n} & docs
            check(whole or none, "%s: half of write %d" % (when, n))
            check(whole or n not in self.there, "%s: write %d is lost" % (when, n))
            if n in self.unknown:       # decided now, for good
                self.unknown.discard(n)
                if whole:
                    self.there.add(n)
            else:
                check(whole == (n in self.there), "%s: write %d appears late" % (when, n))
        counts = {t["table_key"]: t["row_count"] for t in self.server.snapshot()["tables"]}
        check(counts == {"edge:Cites": len(self.there), "node:Doc": 2 * len(self.there)}, "%s: counts %s" % (when, counts))


def run(test, rng, folder):
    d = Disk(test, rng, folder)
    try:
        d.graph = init(d.mount, SCHEMA)
        d.server = Server(test, d.graph)
        pids = [p for p, _ in d.server.children()]
        ballast = os.path.join(d.mount, "ballast")
        for turn in range(3):
            with open(ballast, "wb") as f:
                f.write(b"\0" * (400 << 10))
            for i in range(400):
                if not d.write(rng.choice(["mutate", "mutate", "load"])):
                    break
            else:
                check(False, "the disk does not get full")
            with open(ballast, "ab", 0) as f:   # and no hole is left
                try:
                    while f.write(b"\0" * 4096):
                        pass
                except OSError:
                    pass
            for how in ("mutate", "load", "cli", "mutate"):
                d.write(how)
            d.compare("full, turn %d" % turn)
            check(cli("export", d.graph) == d.server.export(), "og-cli reads another graph on a full disk")
            os.unlink(ballast)
            until("a write with room again", lambda: d.write(rng.choice(["mutate", "load", "cli"])) or time.sleep(0.2), 30)
            d.compare("room again, turn %d" % turn)
            subprocess.run(["mount", "-o", "remount,size=%d" % (SIZE * (turn + 2)), d.mount], check=True)
        check(pids == [p for p, _ in d.server.children()], "something had to be started again")
        text = d.server.export()
        d.server.stop()
        test.servers = []
        cli("verify", d.graph)
        check(cli("export", d.graph) == text, "another graph after a restart")
    finally:
        for s in test.servers:
            s.kill()
        d.umount()


if __name__ == "__main__":
    if os.getuid() != 0:
        print("SKIPPED: mounting a tmpfs needs root; no disk has been full in this run")
        sys.exit(77)
    sys.exit(Test("disk", 10).main(run))
