#!/usr/bin/env python3
"""Benchmarks against peers and floors, in one run: prints figures beside their goals, gates nothing.

usage: t/bench/bench.py PREFIX DATA.jsonl [--only NAME[,NAME]] [--rounds N]

PREFIX is where `make install` put the programs (build them with CFLAGS='-O2 -g'); DATA is what contrib/demo/debian-jsonl prints.
Names: load, start, http, expand, p99, write, memory. Needs jq, nginx, wrk and a Python with sqlite3; DuckDB and LadybugDB come
from PyPI into a virtual environment ($OG_BENCH_VENV keeps one between runs) and are left out, loudly, where that cannot be reached.

Whatever is compared is measured in turns within the run, N times (default 3), and the best of each counts: other work on the
machine then hits both sides alike. Files lie in $TMPDIR: it should be on a disk, because writes are compared by their fsync.
"""
import argparse, contextlib, http.client, json, os, re, shutil, signal, sqlite3, struct, subprocess, sys, tempfile, time

import benchlib
from benchlib import JSON, at_least, at_most, children, clock, cpu_ns, cpu_seconds, finish, line, run, serving, start, started, wrk

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAMES = ("load", "start", "http", "expand", "p99", "write", "memory")
SECONDS = 3
CPUS = sorted(os.sched_getaffinity(0))

args = argparse.ArgumentParser()
args.add_argument("prefix")
args.add_argument("data")
args.add_argument("--only", default=",".join(NAMES))
args.add_argument("--rounds", type=int, default=3)
args = args.parse_args()
ONLY = set(args.only.split(","))
if ONLY - set(NAMES):
    sys.exit(f"no such benchmark: {', '.join(ONLY - set(NAMES))}")
PREFIX, DATA, ROUNDS = os.path.abspath(args.prefix), os.path.abspath(args.data), args.rounds
TMP = tempfile.mkdtemp(prefix="omnigraph-bench.")
benchlib.setup(PREFIX, TMP)
OG = benchlib.OG
GRAPH = f"{TMP}/graph"
# ext4 without a journal (small virtual machines have that) looks at every inode of a block group that was freed in the last minutes before it takes a new
# one: whatever was deleted near by would be counted as ours. With this flag each folder in TMP has a block group of its own.
subprocess.run(["chattr", "+T", TMP], capture_output=True)

POINT = "query p($n: String) { match { $p: Package { name: $n } } return { $p.version } }"


def points_script(names):
    """Keys in turn; the requests are made before the clock starts."""
    bodies = ",\n".join("[==[" + json.dumps({"query": POINT, "params": {"n": n}}) + "]==]" for n in names)
    return f"""
local bodies = {{ {bodies} }}
local requests, i = {{}}, 0
init = function()
  for k, b in ipairs(bodies) do
    requests[k] = wrk.format("POST", "/query", {{ ["Content-Type"] = "application/json" }}, b)
  end
end
request = function()
  i = i % #requests + 1
  return requests[i]
end
"""


def some_packages(n):
    """Real packages spread over the file."""
    out = []
    for text in open(DATA):
        if text.startswith('{"type":"Package"') and '"version"' in text:
            out.append(json.loads(text)["data"]["name"])
    return out[:: max(1, len(out) // n)][:n]


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read())
    mem = int(re.search(r"MemTotal:\s*(\d+)", open("/proc/meminfo").read()).group(1)) >> 10
    fs = run("stat", "-f", "-c", "%T", TMP).strip()
    print(f"machine: {len(CPUS)} CPUs, {cpu.group(1) if cpu else '?'}, {mem} MiB, Linux {os.uname().release}, {fs} under {TMP}; load {os.getloadavg()[0]:.1f}")
    print(f"best of {ROUNDS} rounds; SQLite {sqlite3.sqlite_version}, {run('jq', '--version').strip()}, {nginx_version()}")


def nginx_version():
    return subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True).stderr.strip().split(": ")[-1]


def peers():
    venv = os.environ.get("OG_BENCH_VENV", f"{TMP}/venv")
    py = f"{venv}/bin/python"
    try:
        if not os.path.exists(py):
            run(sys.executable, "-m", "venv", venv)
        if subprocess.run([py, "-c", "import duckdb, real_ladybug"], capture_output=True).returncode:
            run(f"{venv}/bin/pip", "install", "-q", "duckdb", "real_ladybug")
        print("peers: " + run(py, "-c", "import duckdb, real_ladybug as l; print('DuckDB', duckdb.__version__, 'LadybugDB', l.__version__)").strip())
        return py
    except (RuntimeError, OSError) as e:
        print(f"SKIPPED: DuckDB and LadybugDB (PyPI cannot be reached): {e}", flush=True)
        return None


@contextlib.contextmanager
def nginx(workers, cpus):
    port = 18080 + os.getpid() % 1000
    os.makedirs(f"{TMP}/nginx", exist_ok=True)
    temps = "".join(f"{x}_temp_path {TMP}/nginx/{x}; " for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    open(f"{TMP}/nginx.conf", "w").write(f"""worker_processes {workers}; pid {TMP}/nginx.pid; error_log {TMP}/nginx.err;
daemon off; events {{ worker_connections 1024; }}
http {{ {temps} access_log off; keepalive_requests 1000000000;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ok'; }} }} }}""")
    p = start(["/usr/sbin/nginx", "-c", f"{TMP}/nginx.conf", "-e", f"{TMP}/nginx.err"], cpus)
    for _ in range(100):
        try:
            http.client.HTTPConnection("127.0.0.1", port).request("GET", "/")
            break
        except OSError:
            time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/", p.pid
    finally:
        finish(p)


def load_once():
    shutil.rmtree(GRAPH, ignore_errors=True)
    run(OG, "init", "--schema", f"{ROOT}/contrib/demo/debian.pg", GRAPH, cwd=TMP)
    os.sync()
    return clock(run, OG, "load", "--data", DATA, "--mode", "overwrite", GRAPH)


def jq_once():
    with open(DATA) as f:
        return clock(lambda: subprocess.run(["jq", "-c", "."], stdin=f, stdout=subprocess.DEVNULL, check=True))


def bench_load(python):
    mb = os.path.getsize(DATA) / 1e6
    ours, jq, peer = [], [], {}
    for _ in range(ROUNDS):
        ours.append(load_once())
        jq.append(jq_once())
        if not python:
            continue
        os.sync()
        for row in run(python, f"{HERE}/peer_load.py", DATA, TMP).splitlines():
            name, seconds = row.rsplit(" ", 1)
            peer.setdefault(name, []).append(float(seconds))
    best = min(ours)
    line(f"load of {mb:.0f} MB (omnigraph load, durable), s", f"{best:.3f}")
    line("load, MB/s", f"{mb / best:.0f}")
    line("jq -c ., MB/s", f"{mb / min(jq):.0f}")
    at_least("load over jq", min(jq) / best, 5)
    for name, seconds in peer.items():
        line(f"{name}, s", f"{min(seconds):.3f}")
        at_least(f"load over {name}", min(seconds) / best, 1.5)


def first_and_best(s, q, name, params):
    conn = s.connect()
    times = [clock(s.ask, q, name, params, conn) for _ in range(20)]
    conn.close()
    return times[0] * 1e3, min(times) * 1e3


DEMO = (("package", {"name": "perl"}), ("needs", {"name": "libssl3"}), ("needs_directly", {"name": "libssl3"}), ("breaks_whom", {"name": "libssl3"}),
        ("brings_along", {"name": "gimp"}), ("leaves", {"section": "libs"}), ("provides", {"name": "mail-transport-agent"}))


def bench_start():
    q = open(f"{ROOT}/contrib/demo/debian.gq").read()
    rss = {}
    starts = []
    for _ in range(ROUNDS):
        with serving(GRAPH) as s:
            starts.append(s.start_s)
            times = {name: first_and_best(s, q, name, params) for name, params in DEMO}
            for pid in [s.p.pid] + children(s.p.pid):
                what = open(f"/proc/{pid}/cmdline").read().split("\0")
                who = "og-master" if pid == s.p.pid else os.path.basename(what[0]) + " " + what[1]
                kb = int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{pid}/status").read()).group(1))
                rss.setdefault(who, []).append(kb)
    line("from start to listening, ms", f"{min(starts) * 1e3:.0f}")
    for name, (first, best) in times.items():
        line(f"demo query {name}: first (images are built), best of 20, ms", f"{first:.1f} {best:.2f}")
    for who, kb in rss.items():
        line(f"RSS of {who}, KiB", " ".join(str(x) for x in sorted({min(kb), max(kb)})))


def bench_http():
    # The server on one CPU, the client on another: with both on both the client's share would depend on the scheduler.
    mine, theirs = (CPUS[:1], CPUS[1:2]) if len(CPUS) > 1 else (None, None)
    names = some_packages(64)
    rps, cpu = {}, {}
    with nginx(1, mine) as (url, pid), serving(GRAPH, 1, mine) as s:
        for n in names:
            if s.ask(POINT, params={"n": n})[0].get("p.version") is None:
                raise RuntimeError(f"{n} has no version")
        for _ in range(ROUNDS):
            for what, target, script, pids in (("nginx", url, None, children(pid)), ("healthz", s.url + "/healthz", None, s.pids("worker")),
                                               ("point", s.url + "/query", points_script(names), s.pids("worker"))):
                before = cpu_seconds(pids)
                got, _ = wrk(target, script=script, cpus=theirs)
                rps.setdefault(what, []).append(got)
                cpu.setdefault(what, []).append((cpu_seconds(pids) - before) / (got * SECONDS) * 1e6)
    n, h, p = (max(rps[k]) for k in ("nginx", "healthz", "point"))
    cn, ch, cp = (min(cpu[k]) for k in ("nginx", "healthz", "point"))
    line("requests/s on one CPU: nginx `return 200`, /healthz, point read", f"{n:.0f} {h:.0f} {p:.0f}")
    line("CPU microseconds a request: the same three", f"{cn:.1f} {ch:.1f} {cp:.1f}")
    at_least("point read over nginx, requests/s", p / n, 0.6)
    line("point read over nginx, by CPU time", f"{cn / cp:.2f}")
    line("point read over /healthz, requests/s", f"{p / h:.2f}")
    line("/healthz over nginx, requests/s", f"{h / n:.2f}")


EXPAND = "query n($n: String) { match { $p: Package { name: $n } $q depends{1,3} $p } return { count($q) as n } }"
CTE = """with recursive r(n, d) as (select id, 0 from name where name = ? union select dep.src, r.d + 1 from dep join r on dep.dst = r.n where r.d < 3)
         select count(distinct n) from r where n <> (select id from name where name = ?)"""


def sqlite_graph():
    """What suits SQLite best: integers, and the edges clustered by their target."""
    db = sqlite3.connect(":memory:")
    db.execute("create table name(id integer primary key, name text unique)")
    db.execute("create table dep(dst int, src int, primary key(dst, src)) without rowid")
    ids = {}
    with open(DATA) as f:
        for text in f:
            if text.startswith('{"edge":"Depends"'):
                r = json.loads(text)
                ends = [ids.setdefault(r[x], len(ids)) for x in ("to", "from")]
                db.execute("insert or ignore into dep values (?, ?)", ends)
    db.executemany("insert into name values (?, ?)", ((i, n) for n, i in ids.items()))
    db.execute("analyze")
    return db


def expand_all(ask, names):
    return {n: ask(n) for n in names}


def bench_expand(python):
    names = ["libssl3", "libglib2.0-0", "perl", "python3", "libc6", "libgtk-3-0", "libx11-6", "zlib1g"]
    db = sqlite_graph()
    ours, lite, lady = [], [], []
    with serving(GRAPH) as s:
        mine = lambda n: s.ask(EXPAND, params={"n": n})[0]["n"]
        theirs = lambda n: db.execute(CTE, (n, n)).fetchone()[0]
        answers = expand_all(mine, names)
        if answers != expand_all(theirs, names):
            line("  DIFFERENT ANSWERS", f"{answers} ours, {expand_all(theirs, names)} SQLite")
        for _ in range(ROUNDS * 3):
            ours.append(clock(expand_all, mine, names))
            lite.append(clock(expand_all, theirs, names))
    line(f"3-hop reverse expansion of {len(names)} packages over HTTP, ms", f"{min(ours) * 1e3:.2f}")
    line("the same in SQLite, recursive CTE, in process, ms", f"{min(lite) * 1e3:.1f}")
    at_least("3-hop expansion over SQLite", min(lite) / min(ours), 2)
    if not python:
        return
    if not os.path.exists(f"{TMP}/lbug"):
        run(python, f"{HERE}/peer_load.py", DATA, TMP)
    best = json.loads(run(python, f"{HERE}/peer_expand.py", f"{TMP}/lbug", str(ROUNDS * 3), *names))
    if best["answers"] != answers:
        line("  DIFFERENT ANSWERS", f"{answers} ours, {best['answers']} LadybugDB")
    line("the same in LadybugDB, in process, ms", f"{best['seconds'] * 1e3:.1f}")
    at_least("3-hop expansion over LadybugDB", best["seconds"] / min(ours), 2)


LONG = """query l() { match { $a: Package $b: Package $a.installed_kib > $b.installed_kib $a.download_bytes < $b.download_bytes } return { count($a) as n } }"""


def bench_p99():
    """With as many connections as keep both CPUs busy, and with one, whose requests find the server idle."""
    idle, busy, rates, still = {1: [], 4: []}, {1: [], 4: []}, {"idle": [], "busy": []}, True
    script = points_script(some_packages(64))

    def points(into, rates):
        for n in into:
            rate, ms = wrk(s.url, n, script)
            into[n].append(ms)
        rates.append(rate)

    with serving(GRAPH, len(CPUS)) as s:
        wrk(s.url, 16, script, 1)
        for _ in range(ROUNDS):
            points(idle, rates["idle"])
            conn = s.connect()
            conn.request("POST", "/query", json.dumps({"query": LONG}), JSON)
            time.sleep(0.3)
            points(busy, rates["busy"])
            conn.sock.setblocking(False)
            try:
                still = still and not conn.sock.recv(1)
            except BlockingIOError:
                pass
            conn.close()
            time.sleep(0.3)
    for n in idle:
        line(f"p99 of point reads, {n} connections: idle, beside a long query, ms",
             f"{min(idle[n]):.2f} {min(busy[n]):.2f}" + ("" if still else " (it ended early)"))
        at_most("p99 beside a long query over idle", min(busy[n]) / min(idle[n]), 2)
    line("requests/s, 4 connections: idle, beside a long query", f"{max(rates['idle']):.0f} {max(rates['busy']):.0f}")


def sqlite_writes(db, tag):
    t, k = time.monotonic(), 0
    while time.monotonic() - t < SECONDS:
        db.execute("insert into item values (?, null)", (f"{tag}-{k}",))
        k += 1
    return k / (time.monotonic() - t)


def fsyncs():
    fd = os.open(f"{TMP}/fsync", os.O_CREAT | os.O_RDWR)
    t, k = time.monotonic(), 0
    while time.monotonic() - t < 1:
        os.pwrite(fd, b"x" * 4096, 0)
        os.fdatasync(fd)
        k += 1
    os.close(fd)
    return k / (time.monotonic() - t)


def bench_write():
    g = f"{TMP}/writes"
    open(f"{TMP}/w.pg", "w").write("node Item { key: String @key  n: I64? }\n")
    run(OG, "init", "--schema", f"{TMP}/w.pg", g, cwd=TMP)
    db = sqlite3.connect(f"{TMP}/w.db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("create table item(key text primary key, n int)")
    one, many, lite = [], [], []
    with serving(g) as s:
        for i in range(ROUNDS):
            one.append(wrk(s.url + "/mutate", 1, benchlib.INSERTS % f"a{i}")[0])
            many.append(wrk(s.url + "/mutate", 64, benchlib.INSERTS % f"b{i}")[0])
            lite.append(sqlite_writes(db, i))
        rows = next(t["row_count"] for t in s.get("/snapshot")["tables"] if t["table_key"] == "node:Item")
        rss = [int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{p}/status").read()).group(1)) for p in s.pids("storaged")]
    line("one-row mutations/s: 1 writer, 64 writers", f"{max(one):.0f} {max(many):.0f}")
    line("SQLite WAL synchronous=FULL inserts/s; fdatasyncs/s of the disk", f"{max(lite):.0f} {fsyncs():.0f}")
    at_least("1 writer over SQLite", max(one) / max(lite), 0.5)
    at_least("64 writers over SQLite", max(many) / max(lite), 3)
    line(f"RSS of og-storaged after {rows} commits, KiB", f"{rss[0]}")


def smaps(pids, field):
    total = 0
    for p in pids:
        total += int(re.search(rf"^{field}:\s*(\d+)", open(f"/proc/{p}/smaps_rollup").read(), re.M).group(1))
    return total


def ask_everywhere(s, q):
    """Until each worker has answered each query: a connection stays with the worker that accepted it, so many are opened."""
    workers = s.pids("worker")
    seen = {w: set() for w in workers}
    for _ in range(400):
        conns = [s.connect() for _ in range(2 * len(workers))]
        for name, params in DEMO:
            for c in conns:
                before = {w: cpu_ns(w) for w in workers}
                s.ask(q, name, params, c)
                busiest = max(workers, key=lambda w: cpu_ns(w) - before[w])
                seen[busiest].add(name)
        for c in conns:
            c.close()
        if all(len(x) == len(DEMO) for x in seen.values()):
            return True
    return False


def bench_memory():
    q = open(f"{ROOT}/contrib/demo/debian.gq").read()
    sizes, private, whole, idle = {}, {}, {}, 0
    for n in (1, 8):
        with serving(GRAPH, n) as s:
            workers = s.pids("worker")
            idle = smaps(workers, "Private_Dirty") / n
            if not ask_everywhere(s, q):
                line("  NOT EVERY WORKER HAS ANSWERED", n)
            time.sleep(0.5)
            sizes[n] = smaps(workers, "Pss")
            private[n] = smaps(workers, "Private_Dirty")
            if n == 1:
                adjacency(s)
            if not export_everywhere(s, workers):
                line("  NOT EVERY WORKER HAS EXPORTED", n)
            time.sleep(0.5)
            whole[n] = smaps(workers, "Pss")
    line("PSS over the workers after the demo queries, KiB: 1, 8 workers", f"{sizes[1]} {sizes[8]}")
    line("8 workers over 1", f"{sizes[8] / sizes[1]:.2f}")
    line("PSS with the whole graph mapped and read, KiB: 1, 8 workers", f"{whole[1]} {whole[8]}")
    at_most("8 workers over 1", whole[8] / whole[1], 1.2)
    line("private memory of a worker, KiB: just started, of 8 after all queries", f"{idle:.0f} {private[8] / 8:.0f}")


def export_everywhere(s, workers):
    """Whole exports, each on a connection of its own, until every worker has every page of every image."""
    for _ in range(12 * len(workers)):
        c = s.connect()
        c.request("POST", "/export", b"{}", {"Content-Type": "application/json"})
        r = c.getresponse()
        while r.read(1 << 20):
            pass
        c.close()
        rss = [smaps([w], "Rss") for w in workers]
        if min(rss) > 0.8 * max(rss):
            return len(workers) == 1 or min(rss) > 40000
    return False


def adjacency(s):
    """Bytes of the adjacency images that og-storaged holds (lib/image/layout.h: kind 4) over their edges."""
    size = edges = 0
    for pid in s.pids("storaged"):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{fd}"
            if "memfd:og-image" not in os.readlink(path):
                continue
            with open(path, "rb") as f:
                magic, _, _, what = struct.unpack("<8sIII", f.read(20))
                if magic == b"OGIMG1\r\n" and what == 4:
                    f.seek(76)  # behind the key
                    edges += struct.unpack("<Q", f.read(8))[0]
                    size += os.stat(path).st_size
    if edges:
        at_most(f"bytes of memory an edge, both directions ({edges} edges)", size / edges, 12)
    else:
        line("  no adjacency image found", "?")


def main():
    try:
        machine()
        python = peers() if ONLY & {"load", "expand"} else None
        if "load" in ONLY:
            bench_load(python)
        else:
            load_once()
        for name, call in (("start", bench_start), ("http", bench_http), ("expand", lambda: bench_expand(python)), ("p99", bench_p99), ("write", bench_write),
                           ("memory", bench_memory)):
            if name not in ONLY:
                continue
            try:
                call()
            except (RuntimeError, OSError) as e:
                line(f"  {name} FAILED", str(e))
    finally:
        for p in list(started):
            finish(p, signal.SIGKILL)
        shutil.rmtree(TMP, ignore_errors=True)


main()
