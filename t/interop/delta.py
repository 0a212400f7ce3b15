#!/usr/bin/env python3
"""deltalake (with Arrow, and with DataFusion) and DuckDB read the Delta tables of a graph: every version of each has the rows of the
export of the commit that it names, and filters, which make them believe bounds, find what a plain comparison finds. With `s3` in a bucket."""
import glob
import os
import sys

import readers

ENV = readers.use("readers")
import deltalake  # noqa: E402
import duckdb  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute  # noqa: E402

import history  # noqa: E402
from harness import check, Test  # noqa: E402


def duck(options):
    db = duckdb.connect()
    for path in sorted(glob.glob(ENV + "/lib/python*/site-packages/duckdb_extension_*/extensions/*/*.duckdb_extension")):
        db.execute("load '%s'" % path)
    db.execute("set timezone = 'UTC'")
    if options:
        db.execute("create secret (type s3, key_id '%s', secret '%s', region '%s', endpoint '%s', use_ssl false, url_style 'path')" % (
            options["AWS_ACCESS_KEY_ID"], options["AWS_SECRET_ACCESS_KEY"], options["AWS_REGION"],
            options["AWS_ENDPOINT_URL"].removeprefix("http://")))
    return db


def by_arrow(path, version, options, db):
    return deltalake.DeltaTable(path, version=version, storage_options=options).to_pyarrow_table().to_pylist()


def by_datafusion(path, version, options, db):
    table = deltalake.DeltaTable(path, version=version, storage_options=options)
    return pa.table(deltalake.QueryBuilder().register("t", table).execute("select * from t").read_all()).to_pylist()


def by_duckdb(path, version, options, db):
    found = db.execute("select * from delta_scan('%s', version => %d)" % (path, version))
    names = [d[0] for d in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


READERS = {"deltalake": by_arrow, "DataFusion": by_datafusion, "DuckDB": by_duckdb}


def read_all(tables, expected, options, versions):
    """How many reads were right; versions(shown): which to read."""
    db, n = duck(options), 0
    for folder, name, shown in tables:
        table = deltalake.DeltaTable(folder, storage_options=options)
        check(table.metadata().name == name, "%s is called %s" % (name, table.metadata().name))
        for v in versions(shown):
            for who, read in READERS.items():
                rows = [{k: history.plain(x) for k, x in r.items()} for r in read(folder, v, options, db)]
                history.compare("%s, %s at version %d" % (who, name, v), expected[shown[v]][name], rows)
                n += 1
    return n


LITERAL = {"Date": "DATE '1970-01-01' + to_days(%d)", "DateTime": "make_timestamptz(%d * 1000)", "Bool": "%s", "F32": "%r::FLOAT", "F64": "%r::DOUBLE"}


def filters(folder, name, expected):
    """Counts with comparisons at every value that there may be, in DuckDB and Arrow."""
    db = duck(None)
    data = deltalake.DeltaTable(folder).to_pyarrow_dataset()
    n = 0
    for column, kind in history.TABLES[name].items():
        if kind not in history.VALUES:
            continue
        values = [r[column] for r in expected.values() if r[column] is not None]
        for v in sorted({history.canonical(kind, x) for x in history.VALUES[kind]}):
            literal = LITERAL.get(kind, "%d") % v if kind != "String" else "'%s'" % v.replace("'", "''")
            if "\0" in literal:
                continue
            for op, holds in (("=", lambda a, b: a == b), ("<", lambda a, b: a < b), (">=", lambda a, b: a >= b)):
                want = sum(holds(x, v) for x in values)
                got = db.execute("select count(*) from delta_scan('%s') where %s %s %s" % (folder, column, op, literal)).fetchone()[0]
                check(got == want, "DuckDB: %s %s %s finds %d rows instead of %d" % (column, op, literal, got, want))
                n += 1
            scalar = pa.scalar(v, pa.int64()).cast(pa.timestamp("ms", "UTC")).cast(data.schema.field(column).type) if kind == "DateTime" else \
                pa.scalar(v, pa.int32()).cast(pa.date32()) if kind == "Date" else pa.scalar(v, data.schema.field(column).type)
            got, want = data.count_rows(filter=pa.compute.field(column) <= scalar), sum(x <= v for x in values)
            check(got == want, "Arrow: %s <= %s finds %d rows instead of %d" % (column, v, got, want))
            n += 1
    return n


def run(test, rng, folder):
    graph = history.harness.init(folder, history.SCHEMA)
    h = history.History(graph, rng.random())
    h.write(150)
    tables = history.logs(graph)
    check(len(tables) == 6 and max(len(shown) for _, _, shown in tables) >= 6, "too few versions", *tables)
    reads = read_all(tables, h.expected, None, lambda shown: range(len(shown)))
    (folder, name, shown), = [t for t in tables if t[1] == "node:Thing"]
    compared = filters(folder, name, h.expected[shown[-1]][name])
    print("delta: %d tables, %d reads of versions, %d filters" % (len(tables), reads, compared))


def in_a_bucket():
    """A shorter history; the newest versions alone."""
    import s3
    bucket = s3.start("reading Delta tables in a bucket")
    options = {k: os.environ[k] for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    options.update(AWS_REGION=os.environ.get("AWS_REGION", "us-east-1"), AWS_ENDPOINT_URL=os.environ["AWS_ENDPOINT_URL_S3"], AWS_ALLOW_HTTP="true")
    with history.harness.tempfile.TemporaryDirectory() as tmp:
        graph = bucket + "/delta"
        history.harness.cli("init", graph, "--schema", history.harness.write_file(os.path.join(tmp, "s.pg"), history.SCHEMA))
        h = history.History(graph)
        h.load("append", h.things(100, "a") + list(h.links(50)) + list(h.rest()))
        h.optimize()
        h.mutate('query q() { delete Thing where code = "a1" }')
        h.load("merge", h.things(3, "a"))
        h.optimize()
        ids = [1, 2, 3, 4, 5, 6, 7, 8]
        tables = []
        for n in ids:
            path = "%s/data/%d" % (graph, n)
            if not deltalake.DeltaTable.is_deltatable(path, options):
                continue
            table = deltalake.DeltaTable(path, storage_options=options)
            shown = [int(c["userMetadata"].rsplit(" ", 1)[1]) for c in reversed(table.history())]
            tables.append((path, table.metadata().name, shown))
        check(len(tables) == 6, "tables", *tables)
        reads = read_all(tables, h.expected, options, lambda shown: [len(shown) - 1])
        print("delta: %d tables in a bucket read %d times" % (len(tables), reads))


if sys.argv[1:2] == ["s3"]:
    in_a_bucket()
else:
    sys.exit(Test("interop-delta", 1, 1).main(run))
