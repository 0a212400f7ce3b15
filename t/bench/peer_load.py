#!/usr/bin/env python3
"""Loads the same records into DuckDB and LadybugDB; prints "NAME SECONDS" a line. usage: peer_load.py DATA.jsonl TMPDIR"""
import json, os, subprocess, sys, time

data, tmp = sys.argv[1], sys.argv[2]


def duck():
    import duckdb
    db = duckdb.connect(f"{tmp}/duck.db")
    t = time.time()
    db.execute(f"create table raw as select * from read_json('{data}', format='newline_delimited', columns={{type:'VARCHAR', edge:'VARCHAR', \"from\":'VARCHAR', \"to\":'VARCHAR', data:'JSON'}})")
    db.execute("checkpoint")
    return time.time() - t


def ladybug():
    import real_ladybug as lb
    # COPY wants a table's own columns in a file of its own: these are made before the clock starts.
    files, nodes = {}, {}
    node_cols = {"Package": ["name", "version", "architecture", "priority", "summary", "homepage"], "Source": ["name"], "Section": ["name"], "Maintainer": ["email", "name"]}
    import csv
    writers = {}

    def out(name):
        if name not in writers:
            f = open(f"{tmp}/lb_{name}.csv", "w", newline="")
            writers[name] = (csv.writer(f), f)
        return writers[name][0]
    ends = {}
    for line in open(data):
        r = json.loads(line)
        if "type" in r:
            out(r["type"]).writerow([(r["data"].get(c) or "").replace("\n", " ").replace("\\", "/") for c in node_cols[r["type"]]])
        else:
            out("e_" + r["edge"]).writerow([r["from"], r["to"], (r["data"].get("relation") or "")])
            ends[r["edge"]] = {"BuiltFrom": "Source", "InSection": "Section", "MaintainedBy": "Maintainer"}.get(r["edge"], "Package")
    for _, f in writers.values():
        f.close()
    db = lb.Database(f"{tmp}/lbug")
    c = lb.Connection(db)
    for t, cols in node_cols.items():
        c.execute(f"CREATE NODE TABLE {t}({', '.join(x + ' STRING' for x in cols)}, PRIMARY KEY({cols[0]}))")
    for e, dst in ends.items():
        c.execute(f"CREATE REL TABLE {e}(FROM Package TO {dst}, relation STRING)")
    t0 = time.time()
    for t in node_cols:
        c.execute(f"COPY {t} FROM '{tmp}/lb_{t}.csv' (HEADER=false, PARALLEL=false)")
    for e in ends:
        c.execute(f"COPY {e} FROM '{tmp}/lb_e_{e}.csv' (HEADER=false, PARALLEL=false)")
    return time.time() - t0


for name, fn in (("DuckDB read_json", duck), ("LadybugDB COPY (from CSV)", ladybug)):
    try:
        print(name, f"{fn():.3f}", flush=True)
    except Exception as e:
        print(f"{name}: {e}", file=sys.stderr)
        sys.exitcode = 1
