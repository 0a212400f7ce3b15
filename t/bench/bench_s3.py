#!/usr/bin/env python3
"""Benchmarks on an S3 server against the same requests without us, in one run: prints figures beside their goals, gates nothing.

usage: t/bench/bench_s3.py PREFIX [--only NAME[,NAME]] [--rounds N] [--nodes N] [--commits N]

PREFIX is where `make install` put the programs (build them with CFLAGS='-O2 -g'). Starts t/s3-server in a folder of its own; with
AWS_ENDPOINT_URL_S3 and OMNIGRAPH_S3_TEST_BUCKET set it uses that server and bucket instead.

commit   one commit over HTTP over one conditional PUT of as many bytes, in turns over two connections
writers  commits/s of 64 writers over those of one
cold     from the start of a server with an empty cache to the answer of a first query (two hops and a mean over a property), over
         reading the objects that it needs in parallel ranges; N nodes (default 1,000,000) and three times as many edges. These objects are images
         that the first server after the load has put; its own first answer, from rows, is printed too
"""
import argparse, json, os, random, shutil, signal, subprocess, sys, tempfile, time

import benchlib
from benchlib import at_least, at_most, finish, line, run, serving, started

HERE = os.path.dirname(os.path.abspath(__file__))
S3_SERVER = f"{os.path.dirname(HERE)}/s3-server"
NAMES = ("commit", "writers", "cold")

args = argparse.ArgumentParser()
args.add_argument("prefix")
args.add_argument("--only", default=",".join(NAMES))
args.add_argument("--rounds", type=int, default=3)
args.add_argument("--nodes", type=int, default=1000000)
args.add_argument("--commits", type=int, default=500)
args = args.parse_args()
ONLY = set(args.only.split(","))
if ONLY - set(NAMES):
    sys.exit(f"no such benchmark: {', '.join(ONLY - set(NAMES))}")
TMP = tempfile.mkdtemp(prefix="omnigraph-bench.")
benchlib.setup(args.prefix, TMP)
OG = benchlib.OG


def s3_environment():
    """-> bucket, whether the server is ours."""
    if "AWS_ENDPOINT_URL_S3" in os.environ and "OMNIGRAPH_S3_TEST_BUCKET" in os.environ:
        return os.environ["OMNIGRAPH_S3_TEST_BUCKET"], False
    p = subprocess.run([S3_SERVER, "start", "--dir", f"{TMP}/s3", "--port", "any"])
    if p.returncode:
        sys.exit("SKIPPED: no S3 server" if p.returncode == 77 else "the S3 server did not start")
    for text in run(S3_SERVER, "env", "--dir", f"{TMP}/s3").splitlines():
        name, value = text.removeprefix("export ").split("=", 1)
        os.environ[name] = value
    return os.environ["OMNIGRAPH_S3_TEST_BUCKET"], True


BUCKET, OURS = s3_environment()
import s3raw  # noqa: E402  takes its address from the environment


def quantile(times, q):
    return sorted(times)[int(len(times) * q)] * 1e3


def init(name, schema):
    open(f"{TMP}/{name}.pg", "w").write(schema)
    uri = f"s3://{BUCKET}/bench-{name}-{os.getpid()}"
    run(OG, "init", "--schema", f"{TMP}/{name}.pg", uri, cwd=TMP)
    return uri


ITEM = "node Item { key: String @key  n: I64? }\n"
INSERT = "query a($k: String) { insert Item { key: $k } }"


def post(address, path, body):
    return (f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def timed(conn, req):
    t = time.perf_counter()
    status, body = conn.send(req, keep=True)
    took = time.perf_counter() - t
    if status != 200:
        raise RuntimeError(f"{req[:60]}: {status}: {body[:300]}")
    return took


def bench_commit():
    uri = init("commit", ITEM)
    put, commit, size = [], [], 0
    with serving(uri) as s:
        host, port = s.addr.rsplit(":", 1)
        ours, raw = s3raw.Connection((host, int(port))), s3raw.Connection()
        for i in range(args.commits + 20):
            took = timed(ours, post(s.addr, "/mutate", json.dumps({"query": INSERT, "params": {"k": f"k{i}"}})))
            if i == 0:
                size = max(n for k, n in s3raw.objects(BUCKET, uri.split("/", 3)[3] + "/log/"))
            bare = timed(raw, s3raw.request("PUT", f"/{BUCKET}/bench-raw-{os.getpid()}/{i}", body=os.urandom(size), headers=[("if-none-match", "*")]))
            if i >= 20:
                put.append(bare)
                commit.append(took)
        raw.close()
        ours.close()
    line(f"conditional PUT of {size} bytes, ms: p10, p50, p90", " ".join(f"{quantile(put, q):.2f}" for q in (.1, .5, .9)))
    line("commit over HTTP, ms: p10, p50, p90", " ".join(f"{quantile(commit, q):.2f}" for q in (.1, .5, .9)))
    at_most("commit over conditional PUT, p50", quantile(commit, .5) / quantile(put, .5), 1.1)
    line("commit less conditional PUT of the same turn, p50, ms", f"{quantile([a - b for a, b in zip(commit, put)], .5):.2f}")


def bench_writers():
    uri = init("writers", ITEM)
    rates = {1: [], 64: []}
    with serving(uri) as s:
        for i in range(args.rounds):
            for n in rates:
                rates[n].append(benchlib.wrk(s.url + "/mutate", n, benchlib.INSERTS % f"{n}-{i}", 5)[0])
        commits = next(t["row_count"] for t in s.get("/snapshot")["tables"] if t["table_key"] == "node:Item")
    objects = len(s3raw.objects(BUCKET, uri.split("/", 3)[3] + "/log/"))
    line("commits/s: 1 writer, 64 writers", f"{max(rates[1]):.0f} {max(rates[64]):.0f}")
    line("commits, log objects (PUTs) that hold them", f"{commits} {objects}")
    at_least("64 writers over 1", max(rates[64]) / max(rates[1]), 30)


PEOPLE = """node Person { key: String @key  name: String  age: I32? }
edge Knows: Person -> Person { since: Date? }
"""
FIRST = """query first($k: String) { match { $p: Person { key: $k } $p knows{1,2} $q } return { count($q) as n, avg($q.age) as age } }"""


def write_people(path, n):
    rnd = random.Random(1)
    with open(path, "w") as f:
        for i in range(n):
            f.write(f'{{"type":"Person","data":{{"key":"p{i:07d}","name":"Name {rnd.randrange(n)}","age":{rnd.randrange(100)}}}}}\n')
        for i in range(n):
            for _ in range(3):
                day = rnd.randrange(1, 29)
                f.write(f'{{"edge":"Knows","from":"p{i:07d}","to":"p{rnd.randrange(n):07d}","data":{{"since":"20{rnd.randrange(10, 26)}-03-{day:02d}"}}}}\n')


def first_query(uri, cache):
    """-> seconds from the start to listening, to the first answer; of a second query; bytes that came from the store."""
    t = time.monotonic()
    with serving(uri, extra=["--cache-dir", cache]) as s:
        started_s = time.monotonic() - t
        rows = s.ask(FIRST, params={"k": "p0000042"})
        took = time.monotonic() - t
        if rows[0]["n"] < 3:
            raise RuntimeError(f"odd answer: {rows}")
        again = time.monotonic()
        s.ask(FIRST, params={"k": "p0000043"})
        again = time.monotonic() - again
        counters = json.loads(run(OG, "status", "--json", "--admin-socket", f"{TMP}/admin"))["counters"]
        return started_s, took, again, counters["http_bytes_in"]


def from_rows(uri):
    """The first server after a load: it builds images, and puts them once it is quiet. -> seconds to the first answer, the objects."""
    t = time.monotonic()
    with serving(uri) as s:
        s.ask(FIRST, params={"k": "p0000042"})
        took = time.monotonic() - t
        for _ in range(600):
            time.sleep(.1)
            counters = json.loads(run(OG, "status", "--json", "--admin-socket", f"{TMP}/admin"))["counters"]
            if counters["index_puts"] and counters["checkpoints"]:
                break
        else:
            raise RuntimeError("no image was put into the store")
    return took, s3raw.objects(BUCKET, uri.split("/", 3)[3] + "/index/")


def bench_cold():
    uri = init("cold", PEOPLE)
    data = f"{TMP}/people.jsonl"
    write_people(data, args.nodes)
    t = time.monotonic()
    run(OG, "load", "--data", data, "--mode", "overwrite", uri)
    line(f"load of {os.path.getsize(data) / 1e6:.0f} MB, s", f"{time.monotonic() - t:.2f}")
    os.unlink(data)
    size = sum(n for k, n in s3raw.objects(BUCKET, uri.split("/", 3)[3] + "/data/") if k.endswith(".parquet"))
    took, keys = from_rows(uri)
    line(f"first answer after the load, from {size / 1e6:.1f} MB of Parquet, s", f"{took:.3f}")
    size = sum(n for _, n in keys)
    raw, ready, cold, warm, second, came = [], [], [], [], [], []
    for _ in range(args.rounds):
        raw.append(min(benchlib.clock(s3raw.get_all, BUCKET, keys, n, 8 << 20) for n in (4, 8, 16)))
        cache = tempfile.mkdtemp(dir=TMP)
        a, b, c, d = first_query(uri, cache)
        ready.append(a)
        cold.append(b)
        second.append(c)
        came.append(d)
        warm.append(first_query(uri, cache)[1])
        shutil.rmtree(cache)
    line(f"{len(keys)} images, {size / 1e6:.1f} MB, read raw in parallel, s", f"{min(raw):.3f}")
    line("bytes that the server got from the store over those", f"{max(came) / size:.4f}")
    line("from start to listening; to the first answer, empty cache, s", f"{min(ready):.3f} {min(cold):.3f}")
    at_most("cold open and first query over raw parallel GET", min(cold) / min(raw), 1.3)
    line("the same with the images in the cache; a second query, s", f"{min(warm):.3f} {min(second):.4f}")


def main():
    try:
        print(f"machine: {len(os.sched_getaffinity(0))} CPUs; load {os.getloadavg()[0]:.1f}; S3 at {os.environ['AWS_ENDPOINT_URL_S3']}")
        for name, call in (("commit", bench_commit), ("writers", bench_writers), ("cold", bench_cold)):
            if name in ONLY:
                try:
                    call()
                except (RuntimeError, OSError) as e:
                    line(f"  {name} FAILED", str(e))
    finally:
        for p in list(started):
            finish(p, signal.SIGKILL)
        if OURS:
            subprocess.run([S3_SERVER, "stop", "--dir", f"{TMP}/s3"])
        shutil.rmtree(TMP, ignore_errors=True)


main()
