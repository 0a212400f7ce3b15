#!/usr/bin/env python3
"""Loads the same records, every property with its type, into DuckDB and LadybugDB; prints "NAME SECONDS" a line.

usage: peer_load.py DATA.jsonl TMPDIR

Each writes a database on disk and has it checkpointed within the time. Neither checks what a schema does (ends that exist, ranges,
enums), and LadybugDB is spared the JSON: COPY wants a table's own columns in a file of its own, so CSV files are made before its clock starts.
"""
import csv, json, os, shutil, sys, time

data, tmp = sys.argv[1], sys.argv[2]
NODES = {
    "Package": [("name", "STRING"), ("version", "STRING"), ("architecture", "STRING"), ("priority", "STRING"), ("essential", "BOOL"), ("installed_kib", "INT64"),
                ("download_bytes", "INT64"), ("summary", "STRING"), ("homepage", "STRING"), ("tags", "STRING[]"), ("virtual", "BOOL")],
    "Source": [("name", "STRING")],
    "Section": [("name", "STRING")],
    "Maintainer": [("email", "STRING"), ("name", "STRING")],
}
RELATION = [("relation", "STRING")]
EDGES = {
    "Depends": ("Package", RELATION + [("alternative", "INT32"), ("pre", "BOOL")]),
    "Recommends": ("Package", RELATION + [("alternative", "INT32")]),
    "Suggests": ("Package", RELATION + [("alternative", "INT32")]),
    **{e: ("Package", RELATION) for e in ("Enhances", "Conflicts", "Breaks", "Replaces", "Provides")},
    "BuiltFrom": ("Source", []), "InSection": ("Section", []), "MaintainedBy": ("Maintainer", []),
}


def remove(path):
    for name in os.listdir(os.path.dirname(path)):
        if name.startswith(os.path.basename(path)):
            full = os.path.join(os.path.dirname(path), name)
            shutil.rmtree(full) if os.path.isdir(full) else os.remove(full)


def duck_type(t):
    return {"STRING": "VARCHAR", "STRING[]": "VARCHAR[]", "BOOL": "BOOLEAN", "INT64": "BIGINT", "INT32": "INTEGER"}[t]


def duck(typed):
    """read_json alone, into one table; or on into a table a type, as a graph needs them."""
    import duckdb
    remove(f"{tmp}/duck.db")
    fields = {}
    for cols in list(NODES.values()) + [cols for _, cols in EDGES.values()]:
        fields.update({n: duck_type(t) for n, t in cols})
    struct = "STRUCT(" + ", ".join(f'"{n}" {t}' for n, t in fields.items()) + ")"
    db = duckdb.connect(f"{tmp}/duck.db")
    t = time.monotonic()
    db.execute(f"""create {'temp ' if typed else ''}table raw as select * from read_json('{data}', format='newline_delimited',
                   columns={{type:'VARCHAR', edge:'VARCHAR', "from":'VARCHAR', "to":'VARCHAR', data:'{struct}'}})""")
    if typed:
        for name, cols in NODES.items():
            db.execute(f"create table {name} as select {', '.join(f'data.{n}' for n, _ in cols)} from raw where type = '{name}'")
        for name, (_, cols) in EDGES.items():
            columns = ", ".join(['"from"', '"to"'] + [f"data.{n}" for n, _ in cols])
            db.execute(f"create table {name} as select {columns} from raw where edge = '{name}'")
    db.execute("checkpoint")
    seconds = time.monotonic() - t
    rows = db.execute("select count(*) from raw").fetchone()[0]
    db.close()
    return seconds, rows


def csv_files():
    """Once for all rounds."""
    if os.path.exists(f"{tmp}/lb.rows"):
        return int(open(f"{tmp}/lb.rows").read())
    files = {t: open(f"{tmp}/lb_{t}.csv", "w", newline="") for t in list(NODES) + list(EDGES)}
    writers = {t: csv.writer(f) for t, f in files.items()}
    rows = 0

    def text(v):
        if v is None:
            return ""
        if isinstance(v, bool):
            return "true" if v else "false"
        return "[" + ",".join(v) + "]" if isinstance(v, list) else v

    for record in open(data):
        r = json.loads(record)
        rows += 1
        d = r.get("data") or {}
        if "type" in r:
            writers[r["type"]].writerow([text(d.get(n)) for n, _ in NODES[r["type"]]])
        else:
            writers[r["edge"]].writerow([r["from"], r["to"]] + [text(d.get(n)) for n, _ in EDGES[r["edge"]][1]])
    for f in files.values():
        f.close()
    open(f"{tmp}/lb.rows", "w").write(str(rows))
    return rows


def ladybug():
    import real_ladybug as lb
    want = csv_files()
    remove(f"{tmp}/lbug")
    db = lb.Database(f"{tmp}/lbug")
    c = lb.Connection(db)
    os.sync()
    t = time.monotonic()
    for name, cols in NODES.items():
        c.execute(f"CREATE NODE TABLE {name}({', '.join(f'{n} {t}' for n, t in cols)}, PRIMARY KEY({cols[0][0]}))")
    for name, (dst, cols) in EDGES.items():
        c.execute(f"CREATE REL TABLE {name}({', '.join([f'FROM Package TO {dst}'] + [f'{n} {t}' for n, t in cols])})")
    rows = 0
    for name in list(NODES) + list(EDGES):
        c.execute(f"""COPY {name} FROM '{tmp}/lb_{name}.csv' (HEADER=false, QUOTE='"', ESCAPE='"')""")
    c.execute("CHECKPOINT")
    seconds = time.monotonic() - t
    for name in NODES:
        rows += c.execute(f"MATCH (n:{name}) RETURN count(*)").get_next()[0]
    for name in EDGES:
        rows += c.execute(f"MATCH ()-[e:{name}]->() RETURN count(*)").get_next()[0]
    if rows != want:
        raise RuntimeError(f"{rows} rows loaded of {want}")
    return seconds, rows


failed = False
counts = set()
for name, fn in (("DuckDB read_json", lambda: duck(False)), ("DuckDB read_json and a table a type", lambda: duck(True)), ("LadybugDB COPY from CSV", ladybug)):
    try:
        seconds, rows = fn()
        counts.add(rows)
        print(name, f"{seconds:.3f}", flush=True)
    except Exception as e:
        print(f"{name}: {e}", file=sys.stderr)
        failed = True
if len(counts) > 1:
    sys.exit(f"the peers disagree on the number of records: {counts}")
sys.exit(failed)
