#!/usr/bin/env python3
"""Arrow and DuckDB read what write_parquet wrote: values, nulls, field ids, types, statistics.

Needs the Python packages pyarrow and duckdb; OG_INTEROP_PYTHON names an interpreter that has them.
"""
import datetime as dt
import os
import subprocess
import sys
import tempfile

other = os.environ.get("OG_INTEROP_PYTHON")
if other and sys.executable != other:
    os.execv(other, [other] + sys.argv)
try:
    import duckdb
    import pyarrow.parquet as pq
except ImportError as missing:
    print(f"SKIPPED: {missing}; no foreign reader has seen our Parquet in this run")
    sys.exit(77)

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
FORMULAS = {
    "few": lambda i: f"text-{i % 40}",
    "id": lambda i: f"id-{i}-ä",
    "bool": lambda i: i % 2 == 0,
    "i32": lambda i: i - 1500,
    "i64": lambda i: (i - 1500) * 5000000000,
    "u32": lambda i: 2**32 - 1 - i,
    "u64": lambda i: 2**64 - 1 - i,
    "f32": lambda i: i / 4,
    "f64": lambda i: i / 3,
    "date": lambda i: (EPOCH + dt.timedelta(days=i - 1000)).date(),
    "datetime": lambda i: EPOCH + dt.timedelta(milliseconds=i * 86400123),
    "vector": lambda i: [float(i), i + 0.5, float(-i)],
    "strings": lambda i: [None if (i + j) % 5 == 0 else f"x{j}" for j in range(i % 4)],
    "numbers": lambda i: [None if (i + j) % 5 == 0 else i * j for j in range(i % 4)],
}
TYPES = ("string string bool int32 int64 uint32 uint64 float double date32[day] timestamp[ms,tz=UTC] "
         "list<element:floatnotnull> list<element:string> list<element:int64>").split()


def expected(name, rows):
    f = FORMULAS[name.removesuffix("_n")]
    return [None if name.endswith("_n") and i % 7 == 3 else f(i) for i in range(rows)]


def check_arrow(path, rows, groups):
    f = pq.ParquetFile(path)
    table, schema = f.read(), f.schema_arrow
    assert f.metadata.num_row_groups == groups and f.metadata.created_by.startswith("omnigraph ")
    assert f.metadata.metadata[b"purpose"] == b"interop"
    names = list(FORMULAS) + [n + "_n" for n in FORMULAS]
    assert schema.names == names, schema.names
    for k, name in enumerate(names):
        field = schema.field(name)
        assert field.metadata[b"PARQUET:field_id"] == str(100 + k).encode(), (name, field.metadata)
        assert str(field.type).replace(" ", "") == TYPES[k % len(TYPES)], (name, field.type)
        assert field.nullable == name.endswith("_n"), name
        assert table.column(name).to_pylist() == expected(name, rows), name
    if rows >= 64:
        for k, name in enumerate(names):
            stats = f.metadata.row_group(0).column(k).statistics
            values = [v for v in expected(name, rows // groups) if v is not None]
            if k % len(TYPES) < 11:
                assert stats.has_min_max and stats.min == min(values) and stats.max == max(values), (name, stats)
                assert stats.null_count == rows // groups - len(values), name


def check_duckdb(path, rows):
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    for name in list(FORMULAS) + [n + "_n" for n in FORMULAS]:
        column = f"epoch_ms({name})" if name.startswith("datetime") else name
        got = [row[0] for row in db.execute(f"select {column} from read_parquet('{path}')").fetchall()]
        want = expected(name, rows)
        if name.startswith("datetime"):
            want = [None if v is None else (v - EPOCH) // dt.timedelta(milliseconds=1) for v in want]
        assert got == want, name
    # Filters use the statistics.
    n = db.execute(f"select count(*) from read_parquet('{path}') where i32 = -1500 and id < 'id-1' and u64 > 5").fetchone()[0]
    assert n == (1 if rows else 0), n


with tempfile.TemporaryDirectory() as tmp:
    path = os.path.join(tmp, "t.parquet")
    writer = os.path.join(os.environ.get("builddir", "."), "t/interop/write_parquet")
    runs = 0
    for codec in (0, 1, 6):
        for rows, groups in ((3, 1), (1000, 3), (40000, 1), (0, 1)):
            subprocess.run([writer, path, str(codec), str(rows), str(groups)], check=True)
            check_arrow(path, rows * groups, groups if rows else 0)
            check_duckdb(path, rows * groups)
            runs += 1
    print(f"parquet: {runs} files read by Arrow and DuckDB, all as written")
