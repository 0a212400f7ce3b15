#!/usr/bin/env python3
"""Apache Spark, in one local session: the Delta tables of a graph have the rows of its export, in another time zone too, and filters find
them; and contrib/spark/pagerank.py over a graph that a server is writing to, then against ranks computed here."""
import glob
import json
import os
import sys
import threading

import readers

ENV = readers.use("spark")
os.environ["PYSPARK_SUBMIT_ARGS"] = " ".join([
    "--master local[2] --driver-memory 1g --jars", ",".join(glob.glob(ENV + "/jars/*.jar")),
    # A short test: little compiling, few partitions.
    "--driver-java-options='-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' --conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false --conf spark.sql.shuffle.partitions=1 --conf spark.sql.adaptive.enabled=false",
    "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN --conf spark.databricks.delta.snapshotPartitions=1 --conf spark.sql.session.timeZone=America/New_York",
    "--conf spark.sql.sources.parallelPartitionDiscovery.threshold=100000 --conf spark.log.level=ERROR",
    "--conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension",
    "--conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog pyspark-shell"])
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
from pyspark.sql import SparkSession, functions as F, types as T  # noqa: E402

import history  # noqa: E402
from harness import Server, Test, check, cli, init  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../contrib/spark"))
import pagerank  # noqa: E402

PEOPLE = "node Person { name: String @key  n: I32? }\nedge Knows: Person -> Person { since: I32? }\n"


def numbers(field):
    """Dates and times as integers: Python's own have no year 0, and the session's time zone."""
    c = F.col(field.name)
    if isinstance(field.dataType, T.ArrayType):
        of = {T.TimestampType: F.unix_millis, T.DateType: F.unix_date}.get(type(field.dataType.elementType))
        return (F.transform(c, of) if of else c).alias(field.name)
    of = {T.TimestampType: F.unix_millis, T.DateType: F.unix_date}.get(type(field.dataType))
    return (of(c) if of else c).alias(field.name)


def read(spark, folder, version):
    t = spark.read.format("delta").option("versionAsOf", version).load(folder)
    return [{k: history.plain(v) for k, v in r.asDict().items()} for r in t.select([numbers(f) for f in t.schema.fields]).collect()]


def filters(spark, folder, expected):
    """Counts up to a value, for two values of each column; delta.py tries them all."""
    t, n = spark.read.format("delta").load(folder), 0
    for column in ("i64", "u32", "u64", "f32", "string", "bool", "date", "datetime"):
        kind = history.THING[column]
        values = [r[column] for r in expected.values() if r[column] is not None]
        of = {"Date": F.date_from_unix_date, "DateTime": F.timestamp_millis}.get(kind, lambda x: x)
        tried = sorted({history.canonical(kind, x) for x in history.VALUES[kind]})
        for v in (tried[len(tried) // 2], tried[-1]):
            literal = of(F.lit(str(v) if kind == "U64" else v).cast({"U64": "decimal(20,0)", "Date": "int", "F32": "float", "String": "string", "Bool": "boolean"}.get(kind, "long")))
            got, want = t.where(F.col(column) <= literal).count(), sum(x <= v for x in values)
            check(got == want, "Spark: %s <= %r finds %d rows instead of %d" % (column, v, got, want))
            n += 1
    return n


def every_type(spark, rng, folder):
    graph = init(folder, history.SCHEMA, "types")
    h = history.History(graph, rng.random())
    h.write(100)
    n = 0
    for table, name, shown in history.logs(graph):
        # Old versions of one table: delta.py reads all of all.
        for v in {len(shown) - 1, len(shown) // 2 if name == "node:Thing" else len(shown) - 1}:
            history.compare("Spark, %s at version %d" % (name, v), h.expected[shown[v]][name], read(spark, table, v))
            n += 1
        if name == "node:Thing":
            compared = filters(spark, table, h.expected[shown[-1]][name])
    print("spark: %d reads of versions, %d filters" % (n, compared))


# --- PageRank


def direct(export, iterations, damping=0.85):
    """{id: rank} by plain loops."""
    ids, edges = [], []
    for r in map(json.loads, export.splitlines()):
        if "edge" in r:
            edges.append((r["from"], r["to"]))
        else:
            ids.append(r["data"]["id"])
    degree, rank = {i: 0 for i in ids}, {i: 1 / len(ids) for i in ids}
    for s, _ in edges:
        degree[s] += 1
    for _ in range(iterations):
        lost = sum(rank[i] for i in ids if degree[i] == 0)
        new = {i: (1 - damping) / len(ids) + damping * lost / len(ids) for i in ids}
        for s, d in edges:
            new[d] += damping * rank[s] / degree[s]
        rank = new
    return rank


def write_load(server, halt, rng, wrote):
    """Persons and edges come and go until told to stop."""
    n = 0
    while not halt.is_set():
        n += 1
        name, other = "w%d" % n, "p%d" % rng.randrange(100)
        ok = server.mutate("query a($n: String, $o: String) { insert Person { name: $n } insert Knows { from: $n, to: $o } insert Knows { from: $o, to: $n } }",
                           {"n": name, "o": other})
        if n % 3 == 0:
            server.mutate("query d($n: String) { delete Person where name = $n }", {"n": "w%d" % (n - 2)})
        check(ok.status == 200, "a write fails: %s" % ok)
        wrote.append(name)
        halt.wait(0.1)      # Spark is to have its share of the machine


def ranks_of(spark, graph, folder, name, iterations):
    out = os.path.join(folder, name)
    pagerank.main([graph, "--edge", "Knows: Person -> Person", "--iterations", str(iterations), "--top", "3", "--output", out])
    return {r.id: r.rank for r in spark.read.parquet(out).collect()}


def dangling(spark):
    """What tables of different commits may look like: an edge to a node that is no more, one from a node that is not yet there."""
    vertices = spark.sql("select * from values ('P/a'), ('P/b') as t(v)")
    edges = spark.sql("select * from values ('P/a', 'P/b'), ('P/a', 'P/gone'), ('P/new', 'P/b'), ('P/b', 'P/b'), ('P/a', 'P/b') as t(s, d)")
    kept = sorted((r.s, r.d) for r in pagerank.drop_dangling(vertices, edges).collect())
    check(kept == [("P/a", "P/b"), ("P/a", "P/b"), ("P/b", "P/b")], "edges that are kept", *kept)


def page_rank(spark, test, rng, folder):
    graph = init(folder, PEOPLE, "people")
    rows = [{"type": "Person", "data": {"name": "p%d" % i}} for i in range(100)]
    rows += [{"edge": "Knows", "from": "p%d" % int(rng.random() ** 2 * 90), "to": "p%d" % int(rng.random() ** 3 * 100)} for _ in range(400)]
    cli("load", graph, "--data", "-", "--mode", "append", text="\n".join(map(json.dumps, rows)))
    server = Server(test, graph)
    cli("optimize", graph)
    halt, wrote = threading.Event(), []
    writer = threading.Thread(target=write_load, args=(server, halt, rng, wrote))
    writer.start()
    try:
        busy = ranks_of(spark, graph, folder, "busy", 2)
    finally:
        halt.set()
        writer.join()
    check(len(wrote) >= 3, "the server wrote %d times only" % len(wrote))
    check(abs(sum(busy.values()) - 1) < 1e-9 and len(busy) >= 100, "ranks under load: %d, sum %r" % (len(busy), sum(busy.values())))
    cli("optimize", graph)
    want, have = direct(server.export(), 3), ranks_of(spark, graph, folder, "quiet", 3)
    check(set(want) == set(have), "persons", sorted(set(want) ^ set(have))[:5])
    off = max(abs(want[i] - have[i]) for i in want)
    check(off < 1e-12, "ranks differ by %g" % off)
    server.stop()
    print("pagerank: %d writes while it ran; then %d ranks as computed here" % (len(wrote), len(have)))


def run(test, rng, folder):
    spark = SparkSession.builder.getOrCreate()
    every_type(spark, rng, folder)
    dangling(spark)
    page_rank(spark, test, rng, folder)
    spark.stop()


sys.exit(Test("interop-spark", 1, 1).main(run))
