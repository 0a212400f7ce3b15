"""What the benchmarks share: figures beside their goals, child processes, a server of ours."""
import contextlib, http.client, json, os, re, signal, socket, subprocess, time

JSON = {"Content-Type": "application/json"}
PREFIX = TMP = OG = SERVER = None


def setup(prefix, tmp):
    global PREFIX, TMP, OG, SERVER
    PREFIX, TMP = os.path.abspath(prefix), tmp
    OG, SERVER = f"{PREFIX}/bin/omnigraph", f"{PREFIX}/bin/omnigraph-server"


started = []  # processes to end, whatever happens


def line(what, value, met=None, goal=""):
    mark = "" if met is None else "   met" if met else "   MISSED"
    print(f"{what:<66} {value:>16}{('   goal ' + goal) if goal else ''}{mark}", flush=True)


def at_least(what, value, goal):
    line(what, f"{value:.2f}", value >= goal, f">= {goal}")


def at_most(what, value, goal):
    line(what, f"{value:.2f}", value <= goal, f"<= {goal}")


def run(*argv, **kw):
    p = subprocess.run(argv, capture_output=True, text=True, **kw)
    if p.returncode:
        raise RuntimeError(f"{argv[0]}: exit {p.returncode}: {p.stderr.strip()[-400:]}")
    return p.stdout


def clock(call, *argv):
    t = time.monotonic()
    call(*argv)
    return time.monotonic() - t


def start(argv, cpus=None, **kw):
    p = subprocess.Popen(argv, preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None, **kw)
    started.append(p)
    return p


def finish(p, sig=signal.SIGTERM):
    p.send_signal(sig)
    try:
        p.wait(40)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
    started.remove(p)


def children(pid):
    return [int(x) for x in open(f"/proc/{pid}/task/{pid}/children").read().split()]


def cpu_ns(pid):
    return sum(int(open(f"/proc/{pid}/task/{t}/schedstat").read().split()[0]) for t in os.listdir(f"/proc/{pid}/task"))


def cpu_seconds(pids):
    return sum(cpu_ns(p) for p in pids) / 1e9


class Server:
    def __init__(self, graph, workers=2, cpus=None, extra=()):
        t = time.monotonic()
        self.log = open(f"{TMP}/server.log", "w")
        self.p = start([SERVER, graph, "--bind", "127.0.0.1:0", "--unauthenticated", "--workers", str(workers), "--admin-socket", f"{TMP}/admin", *extra],
                       cpus, stdout=subprocess.PIPE, stderr=self.log, text=True)
        m = None
        while not m:
            text = self.p.stdout.readline()
            if not text:
                raise RuntimeError("the server did not start: " + open(f"{TMP}/server.log").read()[-1000:])
            m = re.search(r"OMNIGRAPH_LISTEN_ADDR=(\S+)", text)
        self.start_s = time.monotonic() - t
        self.addr = m.group(1)
        self.url = "http://" + self.addr
        self.conn = self.connect()

    def connect(self):
        return http.client.HTTPConnection(self.addr, timeout=120)

    def ask(self, query, name=None, params=None, conn=None, path="/query"):
        conn = conn or self.conn
        conn.request("POST", path, json.dumps({"query": query, "name": name, "params": params or {}}), JSON)
        r = conn.getresponse()
        body = json.load(r)
        if r.status != 200:
            raise RuntimeError(f"{path}: {r.status}: {body}")
        return body["rows"] if path == "/query" else body

    def get(self, path):
        self.conn.request("GET", path)
        return json.load(self.conn.getresponse())

    def pids(self, what):
        return [p for p in children(self.p.pid) if what.encode() in open(f"/proc/{p}/cmdline", "rb").read().split(b"\0")]

    def stop(self):
        self.conn.close()
        finish(self.p)


@contextlib.contextmanager
def serving(*argv, **kw):
    s = Server(*argv, **kw)
    try:
        yield s
    finally:
        s.stop()


def wrk(url, connections=16, script=None, seconds=3, cpus=None):
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if script:
        path = f"{TMP}/wrk.lua"
        open(path, "w").write(script)
        argv += ["-s", path]
    out = run(*argv, url, preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None)
    rps = float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1))
    p99 = re.search(r"99%\s*([\d.]+)(us|ms|s)", out)
    ms = float(p99.group(1)) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99.group(2)]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors:.*", out)
    if bad:
        raise RuntimeError(f"{url}: {bad.group(0)}")
    return rps, ms


# For wrk: one Item a request, under keys that begin with what takes the place of %s.
INSERTS = """
local id = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  id = id + 1
  return wrk.format(nil, nil, nil, '{"query":"query a($k: String) { insert Item { key: $k } }","params":{"k":"%s-' .. id .. '"}}')
end
"""
