"""What the property and fault tests share: options, a temporary folder, servers, the command line, HTTP.

Programs come from the build tree ($builddir, else the current folder). Every process started here is ended
here; a failure prints the seed that repeats it. OG_TEST_TIME=FACTOR: all go on so many times as long as they would.
"""
import argparse
import atexit
import http.client
import json
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.path.abspath(os.environ.get("builddir") or ".")
MASTER = os.environ.get("OG_MASTER") or os.path.join(BUILD, "og-master", "og-master")
CLI = os.environ.get("OG_CLI") or os.path.join(BUILD, "og-cli", "og-cli")
PATIENCE = 60           # seconds until a hang is a failure




def identity():
    """As root on a machine where Omnigraph is installed its servers take the identities of the package's users, who
    cannot enter a test's folders: then the programs run as nobody from the start."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("omnigraph-storage")
            return {"user": 65534, "group": 65534, "extra_groups": []}
        except KeyError:
            pass
    return {}


IDENTITY = identity()


class Failed(Exception):
    pass


def check(ok, what, *more):
    if not ok:
        raise Failed("\n   ".join([what] + [str(m) for m in more]))


class Test:
    """with Test("name", seconds, runs) as t: options, t.tmp, t.seed; the exit code is main()'s. `more` adds options of its own."""

    def __init__(self, name, seconds, runs=10**6, more=None):
        seconds *= float(os.environ.get("OG_TEST_TIME") or 1)
        p = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
        p.add_argument("--seed", type=int, default=None, help="first seed (default: by the clock)")
        p.add_argument("--runs", type=int, default=runs, help="at most so many runs")
        p.add_argument("--seconds", type=float, default=None, help="no new run after so many (default %g here; OG_TEST_TIME is a factor)" % seconds)
        p.add_argument("--keep", action="store_true", help="leave the temporary folder")
        p.add_argument("--verbose", action="store_true")
        if more:
            more(p)
        self.options = p.parse_args()
        self.name = name
        # A run that is asked for by its seed is made whole, however long it takes.
        self.seconds = self.options.seconds or (10**9 if self.options.seed is not None else seconds)
        if self.options.seed is not None and self.options.seconds is None and self.options.runs == runs:
            self.options.runs = 1
        self.first = self.options.seed if self.options.seed is not None else int(time.time() * 1000) % 10**9
        self.tmp = tempfile.mkdtemp(prefix="og-%s-" % name)
        hand_over(self.tmp)
        os.environ["OMNIGRAPH_CACHE_DIR"] = os.path.join(self.tmp, "cache")     # not this machine's
        self.servers = []
        self.trail = []         # what was done in this run, for the report
        atexit.register(self.end)

    def end(self):
        for s in self.servers:
            s.kill()
        self.servers = []
        if not self.options.keep:
            shutil.rmtree(self.tmp, ignore_errors=True)

    def note(self, *words):
        text = "%s %s" % (time.strftime("%H:%M:%S"), " ".join(str(w) for w in words))
        self.trail.append(text)
        if self.options.verbose:
            print(text, flush=True)

    def folder(self, seed):
        d = os.path.join(self.tmp, str(seed))
        os.mkdir(d)
        hand_over(d)
        return d

    def read_logs(self):
        """No process of a server may have complained, or crashed."""
        for f in os.listdir(self.tmp):
            if not f.startswith("server-"):
                continue
            path = os.path.join(self.tmp, f)
            if f.endswith(".err"):
                with open(path, errors="replace") as log:
                    text = log.read()
                complained(text, f)
                check(not crashed(text), "a process of the server died", text[-6000:])
                if not any(s.log == path for s in self.servers):
                    os.unlink(path)

    def main(self, run):
        """run(test, rng, folder) for seed after seed. 0, or 1 with a report."""
        for f in (MASTER, CLI):
            if not os.access(f, os.X_OK):
                print("FAIL: %s is not built" % f)
                return 1
        start, done, seed = time.monotonic(), 0, self.first
        while done < self.options.runs and (done == 0 or time.monotonic() - start < self.seconds):
            self.trail = []
            d = self.folder(seed)
            try:
                run(self, random.Random(seed), d)
                self.read_logs()
            except (Failed, OSError, http.client.HTTPException, subprocess.TimeoutExpired, ValueError, KeyError,
                    AttributeError, TypeError, AssertionError) as e:
                import traceback
                for s in self.servers:
                    s.report()
                print("--- last steps\n%s" % "\n".join(self.trail[-12:]))
                if not isinstance(e, Failed):
                    traceback.print_exc(file=sys.stdout)
                print("FAIL: %s\nrepeat: %s --seed %d" % (e, sys.argv[0], seed))
                self.end()
                return 1
            for s in self.servers:
                s.kill()
            self.servers = []
            if not self.options.keep:
                shutil.rmtree(d, ignore_errors=True)
            done, seed = done + 1, seed + 1
        print("%s: %d runs from seed %d in %.0f s" % (self.name, done, self.first, time.monotonic() - start))
        return 0


def complained(text, who):
    """A sanitizer's word is a failure, wherever it stands."""
    m = re.search(r"(ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|Assertion `)", text)
    check(not m, "%s complains" % who, text[max(0, m.start() - 500):m.start() + 6000] if m else "")


def crashed(text):
    """A fault of a child's own in og-master's log: ILL, ABRT, BUS, FPE, SEGV, SYS."""
    return re.search(r"child\.exit .* signal=(4|6|7|8|11|31)\b", text)


def hand_over(path):
    """Gives a folder, with what is in it, to whom the programs run as."""
    if not IDENTITY:
        return
    for d, _, files in os.walk(path):
        for f in [d] + [os.path.join(d, f) for f in files]:
            os.chown(f, IDENTITY["user"], IDENTITY["group"])


def until(what, ok, seconds=PATIENCE, pause=0.02):
    """Polls; the value when it is true, else fails."""
    end = time.monotonic() + seconds
    while True:
        v = ok()
        if v:
            return v
        check(time.monotonic() < end, "waited %d s in vain: %s" % (seconds, what))
        time.sleep(pause)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        try:
            return self.json["error"]
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace")

    def __str__(self):
        return "%d %s" % (self.status, self.body[:1500].decode("utf-8", "replace"))


class Server:
    def __init__(self, test, graph, workers=2, options=(), environ=None):
        self.test, self.graph, self.workers = test, graph, workers
        self.options, self.environ = list(options), environ or {}
        self.local = threading.local()
        self.process = None
        self.n = 0
        self.log = os.path.join(test.tmp, "server-%d-%d.err" % (os.getpid(), len(os.listdir(test.tmp))))
        open(self.log, "w").close()
        self.start()
        test.servers.append(self)

    def start(self):
        """Starts and waits for the listen line. Failed with the log if it ends first."""
        self.n += 1
        self.process = subprocess.Popen(
            [MASTER, self.graph, "--unauthenticated", "--bind", "127.0.0.1:0", "--workers", str(self.workers),
             "--admin-socket", self.log[:-4] + ".sock"] + self.options, stdout=subprocess.PIPE, stderr=open(self.log, "a"), stdin=subprocess.DEVNULL,
            start_new_session=True, env=dict(os.environ, **self.environ), **IDENTITY)
        box = []

        def listen():
            box.append(self.process.stdout.readline().decode())
        t = threading.Thread(target=listen, daemon=True)
        t.start()
        t.join(PATIENCE)
        m = re.match(r"OMNIGRAPH_LISTEN_ADDR=(.*):(\d+)\n", box[0] if box else "")
        if not m:
            text = self.tail()
            self.kill()
            raise Failed("og-master does not serve %s:\n%s" % (self.graph, text))
        self.port = int(m.group(2))

    def tail(self, lines=25):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def report(self):
        print("--- log of the server on %s\n%s" % (self.graph, self.tail()))

    def stop(self):
        """SIGTERM; the exit code must be 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            rc = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.report()
            self.kill()
            raise Failed("og-master does not stop on SIGTERM")
        check(rc == 0, "og-master ends with %d" % rc)
        self.kill()

    def kill(self):
        """kill -9 for og-master and whatever is left of its session."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        end = time.monotonic() + 5
        while time.monotonic() < end and session(self.process.pid):
            for pid in session(self.process.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        self.process.stdout.close()
        self.process = None

    def children(self):
        """(pid, name) of og-master's children."""
        out = []
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open("/proc/%s/stat" % pid) as f:
                        text = f.read()
                except OSError:
                    continue
                fields = text[text.rindex(")") + 2:].split()
                if int(fields[1]) == self.process.pid and fields[0] != "Z":
                    out.append((int(pid), text[text.index("(") + 1:text.rindex(")")]))
        return sorted(out)

    def victims(self, kind):
        """Children of one kind: worker, builder, storaged. The builder is og-worker under another name."""
        out = []
        for pid, name in self.children():
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    words = f.read().decode("utf-8", "replace").split("\0")
            except OSError:
                continue
            if kind == ("storaged" if "storaged" in name + words[0] else "builder" if "builder" in words else "worker"):
                out.append(pid)
        return out

    # --- HTTP; one kept connection a thread

    def connection(self):
        c = getattr(self.local, "c", None)
        if c is None or self.local.port != self.port:
            c = self.local.c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            self.local.port = self.port
        return c

    def ask(self, method, path, body=None, headers=None):
        """An Answer. Raises OSError or HTTPException when there was none: then nobody knows."""
        c = self.connection()
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            c.request(method, path, data, dict({"Content-Type": "application/json"} if data is not None else {},
                                               **(headers or {})))
            r = c.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        except (OSError, http.client.HTTPException):
            c.close()
            self.local.c = None
            raise

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, body):
        return self.ask("POST", path, body)

    def query(self, text, params=None, **more):
        return self.post("/query", dict(query=text, params=params, **more))

    def mutate(self, text, params=None, **more):
        return self.post("/mutate", dict(query=text, params=params, **more))

    def rows(self, text, params=None, **more):
        a = self.query(text, params, **more)
        check(a.status == 200, "a read fails: %s" % a, text, params)
        return a.json["rows"]

    def export(self, **body):
        a = self.post("/export", body)
        check(a.status == 200, "export fails: %s" % a)
        return a.body.decode()

    def snapshot(self):
        a = self.get("/snapshot")
        check(a.status == 200, "snapshot fails: %s" % a)
        return a.json

    def version(self):
        return self.snapshot()["manifest_version"]

    def commits(self):
        """The list, or None from a server without that route."""
        a = self.get("/commits")
        if a.status == 404 and not a.body:
            return None
        check(a.status == 200, "commits fails: %s" % a)
        return a.json["commits"]


def session(sid):
    """Living processes of a session that started with process sid."""
    out = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open("/proc/%s/stat" % pid) as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == sid and fields[0] != "Z":
                out.append(int(pid))
    return out


def cli(*args, expect=0, text=None):
    """stdout of og-cli; Failed unless it exits with `expect` (None: (rc, out, err))."""
    r = subprocess.run([CLI] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                       input=text.encode() if text is not None else b"", cwd="/", **IDENTITY)
    out, err = r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace")
    complained(err, "og-cli")
    if expect is None:
        return r.returncode, out, err
    check(r.returncode == expect, "og-cli %s exits with %d instead of %d" % (" ".join(args), r.returncode, expect), out, err)
    return out


def write_file(path, text):
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)
    return path


def init(folder, schema_text, name="g"):
    """A fresh graph; its path."""
    graph = os.path.join(folder, name)
    cli("init", graph, "--schema", write_file(os.path.join(folder, name + ".pg"), schema_text))
    return graph


def verify(graph):
    out = cli("verify", graph)
    return out
