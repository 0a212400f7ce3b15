#!/usr/bin/env python3
"""Arrow and DuckDB read what write_parquet wrote: values, nulls, field ids, types; and with filters, which make them
believe the statistics, they find what a plain comparison finds."""
import datetime as dt
import math
import os
import re
import subprocess
import tempfile

import readers

readers.use("readers")
import duckdb  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def odd(i):
    return [math.nan, -0.0, 0.0][i % 10] if i % 10 < 3 else (i - 1500) / 4


# name: (value of row i, Arrow's name of the type)
COLUMNS = {
    "few": (lambda i: f"text-{i % 40}", "string"),
    "id": (lambda i: f"id-{i}-ä", "string"),
    "bool": (lambda i: i % 2 == 0, "bool"),
    "i32": (lambda i: i - 1500, "int32"),
    "i64": (lambda i: (i - 1500) * 5000000000, "int64"),
    "u32": (lambda i: 2**32 - 1 - i, "uint32"),
    "u64": (lambda i: 2**64 - 1 - i, "uint64"),
    "f32": (lambda i: i / 4, "float"),
    "f64": (lambda i: i / 3, "double"),
    "date": (lambda i: (EPOCH + dt.timedelta(days=i - 1000)).date(), "date32[day]"),
    "datetime": (lambda i: EPOCH + dt.timedelta(milliseconds=i * 86400123), "timestamp[ms,tz=UTC]"),
    "vector": (lambda i: [float(i), i + 0.5, float(-i)], "list<element:floatnotnull>"),
    "strings": (lambda i: [None if (i + j) % 5 == 0 else f"x{j}" for j in range(i % 4)], "list<element:string>"),
    "numbers": (lambda i: [None if (i + j) % 5 == 0 else i * j for j in range(i % 4)], "list<element:int64>"),
    "long": (lambda i: f"{i // 1000:060d}/{i:080d}", "string"),
    "odd32": (odd, "float"),
    "odd64": (odd, "double"),
}
NESTED = ("vector", "strings", "numbers")
FLOATS = ("odd32", "odd64")
NAMES = list(COLUMNS) + [n + "_n" for n in COLUMNS]


def expected(name, rows):
    f = COLUMNS[name.removesuffix("_n")][0]
    return [None if name.endswith("_n") and i % 7 == 3 else f(i) for i in range(rows)]


def same(a, b):
    """NaN is itself, the zeroes differ."""
    return len(a) == len(b) and all(repr(x) == repr(y) if isinstance(x, float) else x == y for x, y in zip(a, b))


def check_footer(f, groups):
    assert f.metadata.num_row_groups == groups and f.metadata.metadata[b"purpose"] == b"interop"
    # In the form that the format asks for, which readers parse: "application version x".
    assert re.fullmatch(r"omnigraph version \d+\.\d+\.\d+", f.metadata.created_by), f.metadata.created_by
    assert f.schema_arrow.names == NAMES, f.schema_arrow.names
    for k, name in enumerate(NAMES):
        field = f.schema_arrow.field(name)
        assert field.metadata[b"PARQUET:field_id"] == str(100 + k).encode(), (name, field.metadata)
        assert str(field.type).replace(" ", "") == COLUMNS[name.removesuffix("_n")][1], (name, field.type)
        assert field.nullable == name.endswith("_n"), name


def check_statistics(f, rows):
    """Exact ones of the first group; none that a NaN would contradict; those of long strings are bounds."""
    for k, name in enumerate(NAMES):
        stats, plain = f.metadata.row_group(0).column(k).statistics, name.removesuffix("_n")
        values = [v for v in expected(name, rows) if v is not None]
        if plain in NESTED:
            assert stats is None, name
            continue
        assert stats.null_count == rows - len(values), name
        assert stats.has_min_max == (plain not in FLOATS), (name, stats)
        if plain in FLOATS:
            continue
        exact = plain != "long"
        assert stats.min == min(values) if exact else stats.min < min(values), (name, stats)
        assert stats.max == max(values) if exact else stats.max > max(values), (name, stats)


def check_arrow(path, rows, groups):
    f = pq.ParquetFile(path)
    check_footer(f, groups if rows else 0)
    if rows >= 64:
        check_statistics(f, rows)
    table = f.read()
    for name in NAMES:
        assert same(table.column(name).to_pylist(), expected(name, rows * groups)), name


def filters(name, rows):
    """Values to compare with: the ends of the whole, of the groups, and such as are not there."""
    values = sorted({v for v in expected(name, rows) if v is not None and v == v})
    return [values[0], values[1], values[len(values) // 3], values[len(values) // 2], values[-2], values[-1]]


def order(v):
    """DuckDB's: NaN is greater than any number, and equal to itself; so are the zeroes."""
    return (1, 0) if v != v else (0, v)


COMPARE = {"=": lambda a, b: a == b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
           ">=": lambda a, b: a >= b, "!=": lambda a, b: a != b}


def check_filters(db, path, rows):
    data = ds.dataset(path)
    for name in NAMES:
        if name.removesuffix("_n") in NESTED:
            continue
        values = [v for v in expected(name, rows) if v is not None]
        for v in filters(name, rows):
            for op, holds in COMPARE.items():
                want = sum(holds(order(x), order(v)) for x in values)
                got = db.execute(f"select count(*) from read_parquet('{path}') where {name} {op} ?", [v]).fetchone()[0]
                assert got == want, f"DuckDB: {name} {op} {v}: {got} rows instead of {want}"
            got = data.count_rows(filter=ds.field(name) <= pa.scalar(v, data.schema.field(name).type))
            want = sum(x <= v for x in values)
            assert got == want, f"Arrow: {name} <= {v}: {got} rows instead of {want}"
        least, most, nulls = db.execute(f"select min({name}), max({name}), count(*) - count({name}) from read_parquet('{path}')").fetchone()
        assert order(least) == min(map(order, values)) and order(most) == max(map(order, values)), (name, least, most)
        assert nulls == rows - len(values), name


def check_duckdb(db, path, rows):
    for name, has, least, most in db.execute("""select path_in_schema, stats_min_value is not null, min_is_exact, max_is_exact
                                                from parquet_metadata(?)""", [path]).fetchall():
        want = name.removesuffix("_n") != "long" if has else None
        assert least == want and most == want, (name, least, most)
    for name in NAMES:
        got = [row[0] for row in db.execute(f"select {name} from read_parquet('{path}')").fetchall()]
        assert same(got, expected(name, rows)), name


def main():
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'")
    writer = os.path.join(os.environ.get("builddir", "."), "t/interop/write_parquet")
    runs = 0
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "t.parquet")
        for codec, rows, groups in ((0, 3, 1), (0, 1000, 3), (1, 1000, 3), (6, 0, 1), (6, 3, 1), (6, 1000, 3), (6, 20000, 1)):
            subprocess.run([writer, path, str(codec), str(rows), str(groups)], check=True)
            check_arrow(path, rows, groups)
            check_duckdb(db, path, rows * groups)
            if (codec, groups) == (6, 3):
                check_filters(db, path, rows * groups)
            runs += 1
    print(f"parquet: {runs} files read by Arrow and DuckDB, all as written")


main()
