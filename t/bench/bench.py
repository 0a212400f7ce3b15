#!/usr/bin/env python3
"""Benchmarks against peers and floors, in one run: prints ratios, gates nothing.

usage: t/bench/bench.py PREFIX DATA.jsonl [--only NAME[,NAME]]

PREFIX is where `make install` put the programs; DATA is what contrib/demo/debian-jsonl prints. Needs curl, jq, nginx, wrk and
sqlite3 (contrib/deps.sh --bench); DuckDB and LadybugDB come from PyPI into a virtual environment and are left out, loudly,
where that cannot be reached.
"""
import json, os, re, shutil, signal, sqlite3, subprocess, sys, tempfile, time, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PREFIX, DATA = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
ONLY = set(sys.argv[sys.argv.index("--only") + 1].split(",")) if "--only" in sys.argv else None
TMP = tempfile.mkdtemp(prefix="omnigraph-bench.")
OG, SERVER = f"{PREFIX}/bin/omnigraph", f"{PREFIX}/bin/omnigraph-server"
GRAPH = f"{TMP}/graph"
SECONDS = 5


def line(what, value, goal=""):
    print(f"{what:<64} {value}{('   goal ' + goal) if goal else ''}", flush=True)


def run(*argv, **kw):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **kw)


class Server:
    def __init__(self, graph, workers=2, args=()):
        self.out = open(f"{TMP}/server.out", "w+")
        self.log = open(f"{TMP}/server.log", "w")
        self.p = subprocess.Popen([SERVER, graph, "--bind", "127.0.0.1:0", "--unauthenticated", "--workers", str(workers), *args],
                                  stdout=self.out, stderr=self.log)
        while True:
            text = open(f"{TMP}/server.out").read()
            m = re.search(r"OMNIGRAPH_LISTEN_ADDR=(\S+)", text)
            if m:
                break
            if self.p.poll() is not None:
                sys.exit("server did not start:\n" + open(f"{TMP}/server.log").read())
            time.sleep(0.05)
        self.url = "http://" + m.group(1)

    def ask(self, query, name=None, params=None, route="query"):
        body = json.dumps({"query": query, "name": name, "params": params or {}}).encode()
        req = urllib.request.Request(f"{self.url}/{route}", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(req, timeout=120))

    def pids(self):
        kids = run("pgrep", "-P", str(self.p.pid)).stdout.split()
        return {k: open(f"/proc/{k}/comm").read().strip() for k in kids}

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        self.p.wait()


def wrk(url, connections=16, script=None, seconds=SECONDS, threads=1):
    argv = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if script:
        path = f"{TMP}/{abs(hash(script))}.lua"
        open(path, "w").write(script)
        argv += ["-s", path]
    out = run(*argv, url).stdout
    rps = float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1))
    p99 = re.search(r"99%\s*([\d.]+)(us|ms|s)", out)
    ms = float(p99.group(1)) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99.group(2)]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if bad:
        line("  (answers that were no 2xx)", bad.group(1))
    return rps, ms


def post(body, extra=""):
    return f'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.body={json.dumps(body)}\n{extra}'


def point_body():
    return json.dumps({"query": "query p($n: String) { match { $p: Package { name: $n } } return { $p.version } }", "params": {"n": "libssl3"}})


def peers():
    venv = os.environ.get("OG_BENCH_VENV", f"{TMP}/venv")
    try:
        if not os.path.exists(venv):
            run(sys.executable, "-m", "venv", venv)
        if subprocess.run([f"{venv}/bin/python", "-c", "import duckdb"], capture_output=True).returncode:
            run(f"{venv}/bin/pip", "install", "-q", "duckdb", "real_ladybug")
        return f"{venv}/bin/python"
    except (subprocess.CalledProcessError, OSError):
        print("SKIPPED: DuckDB and LadybugDB (PyPI cannot be reached)", flush=True)
        return None


def nginx():
    conf = f"{TMP}/nginx.conf"
    port = 18080 + os.getpid() % 1000
    open(conf, "w").write(f"""worker_processes 2; pid {TMP}/nginx.pid; error_log {TMP}/nginx.err;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ok'; }} }} }}""")
    p = subprocess.Popen(["/usr/sbin/nginx", "-c", conf, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    return p, f"http://127.0.0.1:{port}/"


def bench_load(python):
    mb = os.path.getsize(DATA) / 1e6
    t = time.time()
    with open(DATA) as f:
        subprocess.run(["jq", "-c", "."], stdin=f, stdout=subprocess.DEVNULL, check=True)
    jq = time.time() - t
    run(OG, "init", "--schema", f"{ROOT}/contrib/demo/debian.pg", GRAPH)
    t = time.time()
    print(run(OG, "load", "--data", DATA, "--mode", "overwrite", GRAPH).stdout.strip())
    ours = time.time() - t
    line("load, MB/s (file of %.0f MB)" % mb, f"{mb / ours:.0f}")
    line("load over `jq -c .`", f"{jq / ours:.2f}", ">= 5")
    if not python:
        return
    out = subprocess.run([python, f"{HERE}/peer_load.py", DATA, TMP], capture_output=True, text=True)
    if out.returncode:
        line("  peers failed", out.stderr.strip().splitlines()[-1] if out.stderr.strip() else "?")
    for row in out.stdout.splitlines():
        name, seconds = row.rsplit(" ", 1)
        line(f"load over {name}", f"{float(seconds) / ours:.2f}", ">= 1.5")


def bench_http():
    s = Server(GRAPH)
    p, url = nginx()
    try:
        n, _ = wrk(url)
        h, _ = wrk(s.url + "/healthz")
        r, _ = wrk(s.url + "/query", script=post(point_body()))
    finally:
        p.terminate()
        p.wait()
        s.stop()
    line("nginx `return 200`, /healthz, point read: requests/s", f"{n:.0f} {h:.0f} {r:.0f}")
    line("point read over nginx", f"{r / n:.2f}", ">= 0.6")
    line("point read over /healthz", f"{r / h:.2f}")


def bench_expand(python):
    q = "query n($n: String) { match { $p: Package { name: $n } $q depends{1,3} $p } return { count($q) as n } }"
    s = Server(GRAPH)
    names = ["libssl3", "libglib2.0-0", "perl", "python3", "libc6"]
    for n in names:
        s.ask(q, params={"n": n})
    best = {}
    t = time.time()
    rounds = 5
    for _ in range(rounds):
        for n in names:
            best[n] = s.ask(q, params={"n": n})["rows"][0]["n"]
    ours = (time.time() - t) / rounds
    s.stop()
    db = sqlite3.connect(":memory:")
    db.execute("create table dep(src text, dst text)")
    with open(DATA) as f:
        db.executemany("insert into dep values (?, ?)", ((r["from"], r["to"]) for r in map(json.loads, (x for x in f if x.startswith('{"edge":"Depends"')))))
    db.execute("create index d on dep(dst, src)")
    db.execute("analyze")
    cte = """with recursive r(n, d) as (select ?, 0 union select dep.src, r.d + 1 from dep join r on dep.dst = r.n where r.d < 3)
             select count(distinct n) from r where n <> ?"""
    t = time.time()
    for n in names:
        got = db.execute(cte, (n, n)).fetchone()[0]
        if got != best[n]:
            line(f"  DIFFERENT ANSWERS for {n}", f"{best[n]} ours, {got} SQLite")
    lite = time.time() - t
    line("3-hop reverse expansion of 5 packages, ms (over HTTP)", f"{ours * 1e3:.1f}")
    line("3-hop expansion over SQLite (recursive CTE)", f"{lite / ours:.1f}", ">= 2")
    if python and os.path.exists(f"{TMP}/lbug"):
        out = subprocess.run([python, f"{HERE}/peer_expand.py", f"{TMP}/lbug", *names], capture_output=True, text=True)
        if out.returncode == 0:
            line("3-hop expansion over LadybugDB", f"{float(out.stdout.split()[0]) / ours:.1f}", ">= 2")
        else:
            line("  LadybugDB failed", out.stderr.strip().splitlines()[-1])


def bench_p99():
    s = Server(GRAPH)
    idle = wrk(s.url + "/query", 4, post(point_body()))[1]
    long = json.dumps({"query": "query l() { match { $a: Package $b: Package $a.summary = $b.homepage } return { count($a) } }"})
    c = subprocess.Popen(["curl", "-s", "-o", f"{TMP}/long.json", "-w", "%{time_total}", "-H", "Content-Type: application/json", "-d", long, s.url + "/query"],
                         stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    busy = wrk(s.url + "/query", 4, post(point_body()))[1]
    still = c.poll() is None
    c.terminate()
    s.stop()
    line("p99 of point reads idle and beside a long query, ms", f"{idle:.2f} {busy:.2f}" + ("" if still else " (the long query ended early)"))
    line("p99 beside a long query over idle", f"{busy / idle:.2f}", "<= 2")


def bench_write():
    g = f"{TMP}/writes"
    open(f"{TMP}/w.pg", "w").write("node Item { key: String @key  n: I64? }\n")
    run(OG, "init", "--schema", f"{TMP}/w.pg", g)
    s = Server(g)
    lua = post("", """
local id = 0
local start = %d
request = function()
  id = id + 1
  local body = '{"query":"query a($k: String) { insert Item { key: $k } }","params":{"k":"' .. start .. "-" .. tostring(wrk.thread) .. "-" .. id .. '"}}'
  return wrk.format("POST", nil, nil, body)
end
""")
    one, _ = wrk(s.url + "/mutate", 1, lua % 1)
    many, _ = wrk(s.url + "/mutate", 64, lua % 64)
    s.stop()
    db = sqlite3.connect(f"{TMP}/w.db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("create table item(key text primary key, n int)")
    t, k = time.time(), 0
    while time.time() - t < SECONDS:
        db.execute("insert into item values (?, null)", (str(k),))
        k += 1
    lite = k / (time.time() - t)
    line("one-row mutations/s: 1 writer, 64 writers, SQLite WAL FULL", f"{one:.0f} {many:.0f} {lite:.0f}")
    line("1 writer over SQLite", f"{one / lite:.2f}", ">= 0.5")
    line("64 writers over SQLite", f"{many / lite:.2f}", ">= 3")


def pss(pids):
    total = 0
    for p in pids:
        for row in open(f"/proc/{p}/smaps_rollup"):
            if row.startswith("Pss:"):
                total += int(row.split()[1])
    return total


def bench_memory():
    q = open(f"{ROOT}/contrib/demo/debian.gq").read()
    sizes = {}
    for n in (1, 8):
        s = Server(GRAPH, n)
        # Enough connections that each worker has answered each query.
        for _ in range(60):
            for name, param, value in (("needs", "name", "libssl3"), ("breaks_whom", "name", "libssl3"), ("brings_along", "name", "gimp"), ("package", "name", "perl")):
                s.ask(q, name, {param: value})
        workers = [p for p, comm in s.pids().items() if b"worker" in open(f"/proc/{p}/cmdline", "rb").read() and b"builder" not in open(f"/proc/{p}/cmdline", "rb").read()]
        sizes[n] = pss(workers)
        if n == 1:
            adj = image_bytes(s)
        s.stop()
    line("PSS over the workers, KiB: 1 worker, 8 workers", f"{sizes[1]} {sizes[8]}")
    line("8 workers over 1", f"{sizes[8] / sizes[1]:.2f}", "<= 1.2")
    if adj:
        line("bytes of memory per edge, both directions", f"{adj:.1f}", "<= 12")


def image_bytes(s):
    """Size of the adjacency image of Depends over its number of edges, from og-storaged's memfds."""
    edges = s_count(s)
    for p in s.pids():
        if b"storaged" not in open(f"/proc/{p}/cmdline", "rb").read():
            continue
        best = None
        for fd in os.listdir(f"/proc/{p}/fd"):
            try:
                target = os.readlink(f"/proc/{p}/fd/{fd}")
                if "adj" in target:
                    size = os.stat(f"/proc/{p}/fd/{fd}").st_size
                    best = max(best or 0, size)
            except OSError:
                pass
        return best / edges if best else None
    return None


def s_count(s):
    snap = json.load(urllib.request.urlopen(s.url + "/snapshot"))
    return next(t["row_count"] for t in snap["tables"] if t["table_key"] == "edge:Depends")


def main():
    python = peers() if ONLY is None or ONLY & {"load", "expand"} else None
    try:
        want = lambda name: ONLY is None or name in ONLY
        bench_load(python if want("load") or want("expand") else None)
        if want("http"):
            bench_http()
        if want("expand"):
            bench_expand(python)
        if want("p99"):
            bench_p99()
        if want("write"):
            bench_write()
        if want("memory"):
            bench_memory()
    finally:
        shutil.rmtree(TMP, ignore_errors=True)


main()
