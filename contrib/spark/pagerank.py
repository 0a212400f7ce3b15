#!/usr/bin/env python3
"""PageRank over a graph, with Apache Spark, while servers write to it.

    spark-submit --packages io.delta:delta-spark_2.13:4.0.0 contrib/spark/pagerank.py GRAPH \\
        --edge 'DependsOn: Package -> Package' [--edge ...] [--iterations 20] [--damping 0.85] [--top 20] [--output FOLDER]

GRAPH is the graph's directory, or s3a://bucket/prefix (then Spark also needs hadoop-aws and its credentials; give it such as can only read).
An edge type is named with its ends, as the schema has it. --output keeps all ranks, as Parquet with the columns type, id, rank.

The rows come from the Delta tables that lie in the graph (omnigraph-data(5)), one of each type. Each version of a table shows the type as it was at
one commit, and says at which; the versions are chosen once, at the start, so writers do not disturb what runs. Tables may show different commits,
though: then an edge may lead to a node that its table does not have yet, or no more. Such edges are left out, and counted.
`omnigraph optimize GRAPH` beforehand brings all tables to the newest commit.
"""
import argparse
import re
import sys

from pyspark.sql import SparkSession, functions as F

LOG_SCHEMA = "commitInfo struct<omnigraph: struct<commit: string, version: long>>, metaData struct<name: string>"
EDGE = re.compile(r"\s*(\w+)\s*:\s*(\w+)\s*->\s*(\w+)\s*")


class Table:
    """One version of a type's Delta table: `commit` and `graph_version` say which state of the graph it shows."""

    def __init__(self, path, version, commit, graph_version):
        self.path, self.version, self.commit, self.graph_version = path, version, commit, graph_version

    def rows(self, spark):
        return spark.read.format("delta").option("versionAsOf", self.version).load(self.path)


def find_tables(spark, graph):
    """{"node:Package": Table} of all types that have a Delta log, each at its newest version: one job over the logs."""
    graph = graph.rstrip("/")
    file = F.regexp_extract_all(F.col("_metadata.file_path"), F.lit(r"data/(\d+)/_delta_log/(\d{20})\.json$"), F.lit(0))[0]
    log = (spark.read.schema(LOG_SCHEMA).json(graph + "/data/*/_delta_log/*.json")
           .select(F.split(file, "/")[1].cast("long").alias("type"), F.substring_index(F.split(file, "/")[3], ".", 1).cast("long").alias("version"),
                   F.col("commitInfo.omnigraph.commit").alias("commit"), F.col("commitInfo.omnigraph.version").alias("graph_version"),
                   F.col("metaData.name").alias("name")))
    newest = (log.groupBy("type").agg(
        F.max(F.when(F.col("commit").isNotNull(), F.struct("version", "commit", "graph_version"))).alias("shown"),
        F.max(F.when(F.col("name").isNotNull(), F.struct("version", "name"))).alias("named")))
    return {r.named.name: Table("%s/data/%d" % (graph, r.type), r.shown.version, r.shown.commit, r.shown.graph_version)
            for r in newest.collect() if r.named and r.shown}


def vertices_and_edges(spark, tables, edge_types):
    """DataFrames (v, type, id) and (s, d); v, s and d are a type and an id, for ids are unique within a type alone."""
    def key(kind, column):
        return F.concat(F.lit(kind + "/"), F.col(column))

    vertices = edges = None
    for name in sorted({end for _, source, target in edge_types for end in (source, target)}):
        if "node:" + name in tables:
            more = tables["node:" + name].rows(spark).select(key(name, "id").alias("v"), F.lit(name).alias("type"), "id")
            vertices = more if vertices is None else vertices.unionAll(more)
    for name, source, target in edge_types:
        if "edge:" + name in tables:
            more = tables["edge:" + name].rows(spark).select(key(source, "src").alias("s"), key(target, "dst").alias("d"))
            edges = more if edges is None else edges.unionAll(more)
    if vertices is None:
        sys.exit("pagerank: none of these types has rows in %s yet; omnigraph optimize brings the tables up to date" % (edge_types,))
    return vertices, edges if edges is not None else spark.createDataFrame([], "s string, d string")


def drop_dangling(vertices, edges):
    """Edges of which both ends are there."""
    for end in ("s", "d"):
        edges = edges.join(vertices.select(F.col("v").alias(end)), end, "left_semi")
    return edges


def pagerank(vertices, edges, iterations, damping):
    """(v, rank), the ranks adding up to 1. What is on vertices without outgoing edges goes to all alike."""
    n = vertices.count()
    degree = edges.groupBy("s").agg(F.count("*").alias("degree"))
    links = edges.join(degree, "s").cache()
    ranks = vertices.select("v", F.lit(1.0 / n).alias("rank"))
    for _ in range(iterations):
        flow = links.join(ranks, links.s == ranks.v).groupBy("d").agg(F.sum(F.col("rank") / F.col("degree")).alias("flow"))
        lost = ranks.join(degree, ranks.v == degree.s, "left_anti").agg(F.coalesce(F.sum("rank"), F.lit(0.0)).alias("lost"))
        ranks = (ranks.select("v").join(flow, F.col("v") == F.col("d"), "left").crossJoin(lost)
                 .select("v", ((1 - damping) / n + damping * (F.coalesce("flow", F.lit(0.0)) + F.col("lost") / n)).alias("rank")))
        # The plan would double with every step.
        ranks = ranks.localCheckpoint()
    links.unpersist()
    return ranks


def parse(argv):
    p = argparse.ArgumentParser(description="PageRank over a graph, with Apache Spark")
    p.add_argument("graph", help="directory, or s3a://bucket/prefix")
    p.add_argument("--edge", action="append", required=True, metavar="'NAME: SOURCE -> TARGET'", help="an edge type with its ends; may be repeated")
    p.add_argument("--iterations", type=int, default=20)
    p.add_argument("--damping", type=float, default=0.85)
    p.add_argument("--top", type=int, default=20, help="so many are printed")
    p.add_argument("--output", metavar="FOLDER", help="all ranks, as Parquet")
    args = p.parse_args(argv)
    args.edges = []
    for text in args.edge:
        m = EDGE.fullmatch(text)
        if not m:
            p.error("--edge %r: an edge type looks like 'DependsOn: Package -> Package'" % text)
        args.edges.append(m.groups())
    if args.iterations < 1 or not 0 <= args.damping < 1:
        p.error("--iterations is at least 1, --damping from 0 to below 1")
    return args


def main(argv):
    args = parse(argv)
    spark = (SparkSession.builder.appName("omnigraph-pagerank")
             .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
             .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog").getOrCreate())
    tables = find_tables(spark, args.graph)
    vertices, edges = vertices_and_edges(spark, tables, args.edges)
    vertices, edges = vertices.cache(), edges.cache()
    kept = drop_dangling(vertices, edges).cache()
    used = ["node:" + t for t in sorted({t for e in args.edges for t in e[1:]})] + ["edge:" + e[0] for e in args.edges]
    for name in used:
        t = tables.get(name)
        print("%-24s %s" % (name, "version %d of main, commit %s" % (t.graph_version, t.commit) if t else "no rows yet"))
    total, n = edges.count(), kept.count()
    print("%d vertices, %d edges, %d edges without one of their ends left out" % (vertices.count(), n, total - n))
    ranks = vertices.join(pagerank(vertices, kept, args.iterations, args.damping), "v").select("type", "id", "rank")
    if args.output:
        ranks.write.parquet(args.output)
        ranks = spark.read.parquet(args.output)
    for r in ranks.orderBy(F.desc("rank"), "type", "id").limit(args.top).collect():
        print("%.9f  %s %s" % (r.rank, r.type, r.id))


if __name__ == "__main__":
    main(sys.argv[1:])
