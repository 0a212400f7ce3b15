#!/usr/bin/env python3
"""Random writes by two servers and the command line on one directory, against the model.

After every acknowledged write each reader (both servers, the command line) must have it at once: exports
byte by byte, counts, versions that rise by exactly one a commit, refusals that leave no trace, and random
reads whose rows the model works out. At the end `verify` is clean, and an export loaded into a fresh graph
comes out the same.
"""
import json
import os
import sys

sys.dont_write_bytecode = True
import generate
import model
from harness import Server, Test, check, cli, init, write_file



class Run:
    def __init__(self, test, rng, folder):
        self.test, self.rng, self.folder = test, rng, folder
        self.state = model.State(generate.schema(rng))
        test.note("schema:\n" + self.state.schema.text())
        self.graph = init(folder, self.state.schema.text())
        self.servers = [Server(test, self.graph), Server(test, self.graph)]
        self.state.version = self.servers[0].version()
        log = self.servers[0].commits()
        self.head = log[-1]["graph_commit_id"] if log else None
        self.commits = len(log or [])
        self.done = self.refused = self.queries = self.retries = 0
        self.past = []          # (commit id, the state it names): what time travel must show

    # --- writes; each gives (status, error text, answer)

    def server_write(self, path, body, strict):
        s = self.rng.choice(self.servers)
        for _ in range(4):
            a = s.post(path, body)
            # Overtaken by the other server: free to say so, but a retry must get through.
            if a.status == 409 and strict and "manifest_conflict" in a.json:
                self.retries += 1
                continue
            break
        return a.status, a.error if a.status != 200 else "", a.json if a.status == 200 else None

    def cli_write(self, args, kind):
        rc, out, err = cli(*args, expect=None)
        if rc == 0:
            return 200, "", json.loads(out)
        check(rc == 1 and not out, "og-cli %s exits with %d" % (kind, rc), out, err)
        return 0, err.replace("\n      ", "\n"), None     # a report indents the further lines of a message

    def mutation(self, w, by_cli):
        strict = any(not isinstance(x, model.Insert) for x in w.statements)
        if by_cli:
            return self.cli_write(["mutate", "--uri", self.graph, "-e", w.text, "--params", json.dumps(w.params), "--json"],
                                  "mutate")
        return self.server_write("/mutate", {"query": w.text, "params": w.params}, strict)

    def load(self, mode, text, by_cli):
        if by_cli:
            f = write_file(os.path.join(self.folder, "data.jsonl"), text)
            return self.cli_write(["load", self.graph, "--data", f, "--mode", mode, "--json"], "load")
        return self.server_write("/ingest", {"mode": mode, "data": text}, mode == "overwrite")

    def step(self):
        rng, by_cli = self.rng, self.rng.random() < 0.12
        is_load = rng.random() < 0.2
        try:
            if is_load:
                records, mode, text = generate.records(rng, self.state)
                what = "load --mode %s%s:\n%s" % (mode, " (cli)" if by_cli else "", text)
                self.test.note(what)
                new, tables = model.load(self.state, records, mode)
                nodes = sum(n for t, n in tables.items() if t.startswith("node:"))
                edges, makes = sum(tables.values()) - nodes, True
            else:
                w = generate.mutation(rng, self.state)
                what = "mutate%s: %s %s" % (" (cli)" if by_cli else "", w.text, json.dumps(w.params))
                self.test.note(what)
                new, nodes, edges = model.mutate(self.state, w.statements)
                makes = nodes + edges > 0
            refused = None
        except model.Ambiguous:
            return
        except model.Refused as e:
            refused = e
        status, error, out = self.load(mode, text, by_cli) if is_load else self.mutation(w, by_cli)
        if refused:
            self.refused += 1
            check(status in ((0,) if by_cli else refused.status),
                  "expected a refusal (%s), got %s %s %s" % (refused, status, error, out), what)
            check(any(t in error for t in refused.texts), "refused for another reason: %s" % error,
                  "expected one of: %s" % refused.texts, what)
        else:
            self.done += 1
            check(status == 200, "refused: %s %s" % (status, error), what)
            if not is_load:
                got = out["affected_nodes"], out["affected_edges"]
                check(got == (nodes, edges), "affected %s instead of %s" % (got, (nodes, edges)), what)
            elif by_cli:
                got = out["nodes_loaded"], out["edges_loaded"]
                check(got == (nodes, edges), "loaded %s instead of %s" % (got, (nodes, edges)), what)
            else:
                got = {t["table_key"]: t["rows_loaded"] for t in out["tables"]}
                check(got == tables, "loaded %s instead of %s" % (got, tables), what)
            if not by_cli:
                check("commit" in out and (out["commit"] is not None) == makes, "the commit of the answer: %s" % out, what)
            self.state = new
            if makes and not by_cli:
                made = out["commit"]
                check(made["manifest_version"] == self.state.version + 1, "the commit of the answer: %s" % made, what)
            if makes:
                self.state.version += 1
                self.commits += 1
        self.observe(what, refused is None and makes)
        if refused is None and makes and not by_cli and rng.random() < 0.2:
            # Ids are known now, so that the past compares as the present does.
            self.past = self.past[-7:] + [(out["commit"]["graph_commit_id"], self.state.copy())]

    # --- observers

    def observe(self, what, moved):
        first = self.rng.random() < 0.5
        readers = list(reversed(self.servers)) if first else self.servers
        texts = []
        for s in readers:
            snap = s.snapshot()
            check(snap["manifest_version"] == self.state.version,
                  "version %d instead of %d" % (snap["manifest_version"], self.state.version), what)
            counts = {t["table_key"]: t["row_count"] for t in snap["tables"]}
            check(list(counts.items()) == list(self.state.counts().items()),
                  "snapshot counts %s instead of %s" % (counts, self.state.counts()), what)
            texts.append(s.export())
            wrong = self.state.sync(texts[-1])
            check(wrong is None, "server %d: %s" % (self.servers.index(s) + 1, wrong), what)
            log = s.commits()
            if log is None:
                continue
            check(len(log) == self.commits and log[-1]["manifest_version"] == self.state.version,
                  "%d commits instead of %d" % (len(log), self.commits), what)
            if moved:
                check(log[-1]["parent_commit_id"] == self.head or log[-1]["graph_commit_id"] == self.head,
                      "the chain breaks: %s" % log[-2:], what)
                self.head = log[-1]["graph_commit_id"]
            check(log[-1]["graph_commit_id"] == self.head, "a refused write moved the head", what)
        if self.rng.random() < 0.1:
            wrong = self.state.sync(cli("export", self.graph))
            check(wrong is None, "og-cli export: %s" % wrong, what)

    def restart(self):
        """What a server had in memory must come back from the files, at any place in the log."""
        s = self.rng.choice(self.servers)
        self.test.note("restart of server", self.servers.index(s) + 1)
        if self.rng.random() < 0.5:
            s.stop()
        else:
            s.kill()
        s.start()

    def read(self):
        state, more = self.state, {}
        if self.past and self.rng.random() < 0.2:
            id, state = self.rng.choice(self.past)
            more = {"snapshot": id}
        q = generate.query(self.rng, state)
        try:
            expected, exact = model.answer(state, q, 30000)
        except model.TooMuch:
            return
        self.queries += 1
        what = "read %s: %s %s" % (more, q.text(), json.dumps(q.json))
        self.test.note(what)
        bodies = []
        for s in self.servers if self.rng.random() < 0.3 else [self.rng.choice(self.servers)]:
            a = s.query(q.text(), q.json, **more)
            check(a.status == 200, "a read is refused: %s" % a, what)
            bodies.append(a.json)
        if not more and self.rng.random() < 0.04:
            bodies.append(json.loads(cli("query", "--uri", self.graph, "-e", q.text(), "--params", json.dumps(q.json),
                                         "--json")))
        for out in bodies:
            wrong = model.check_rows(expected, exact, q.limit, out["rows"])
            check(wrong is None, "wrong rows: %s" % wrong, what, "expected: %s" % model.json_text(expected[:20]),
                  "got: %s" % json.dumps(out, ensure_ascii=False)[:3000])
            check(out["row_count"] == len(out["rows"]), "row_count %d" % out["row_count"], what)
            check(out["columns"] == [i.column() for i in q.items], "columns %s" % out["columns"], what)
            check(model.same(out["rows"], bodies[0]["rows"]), "two readers order one result differently", what)
            check(self.head is None or out.get("graph_commit_id", self.head) == more.get("snapshot", self.head), "read at another commit: %s" % out, what)

    def finish(self):
        for s in self.servers:
            s.stop()
        self.test.servers = []
        cli("verify", self.graph)
        text = cli("export", self.graph)
        wrong = self.state.sync(text)
        check(wrong is None, "after the servers' end: %s" % wrong)
        twin = init(self.folder, self.state.schema.text(), "twin")
        f = write_file(os.path.join(self.folder, "export.jsonl"), text)
        cli("load", twin, "--data", f, "--mode", "overwrite")
        check(cli("export", twin) == text, "an export, loaded into a fresh graph, comes out different")
        again = Server(self.test, self.graph)
        wrong = self.state.sync(again.export())
        check(wrong is None, "opened again: %s" % wrong)
        again.stop()
        self.test.servers = []


def run(test, rng, folder):
    r = Run(test, rng, folder)
    for _ in range(rng.choice([20, 40, 120])):
        r.step()
        if rng.random() < 0.03:
            r.restart()
        for _ in range(rng.randint(0, 5)):
            r.read()
    r.finish()
    test.note("run:", r.done, "writes,", r.refused, "refusals,", r.retries, "retries,", r.queries, "reads")


if __name__ == "__main__":
    sys.exit(Test("mutations", 15).main(run))
