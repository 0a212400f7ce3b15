"""A real S3 server for the tests (t/s3-server), and a proxy that stands before it, counts requests and does damage.

A test without it ends with 77, and says so. OG_TEST_S3_DIR names the folder of one that runs already.
"""
import atexit
import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "s3-server")


def start(what, options=()):
    """Starts the server, puts what leads to it into our environment; the bucket's URI. Exits with 77 where there can be none."""
    d = os.environ.get("OG_TEST_S3_DIR")
    if not d:
        d = tempfile.mkdtemp(prefix="og-s3-")
        atexit.register(stop, d)
        for n in (signal.SIGTERM, signal.SIGHUP):       # it would stay behind
            signal.signal(n, lambda *_: sys.exit(1))
        r = subprocess.run([TOOL, "start", "--dir", os.path.join(d, "s3"), "--port", "any"] + list(options), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        if r.returncode == 77:
            print("SKIPPED: no S3 server can be had here; %s is NOT tested: %s" % (what, r.stdout.decode("utf-8", "replace").strip()[-300:]))
            sys.exit(77)
        if r.returncode:
            print("FAIL: s3-server: %s" % r.stdout.decode("utf-8", "replace"))
            sys.exit(1)
        d = os.path.join(d, "s3")
    out = subprocess.run([TOOL, "env", "--dir", d], stdout=subprocess.PIPE, check=True).stdout.decode()
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(re.findall(r"(\w+)=(\S+)", out))
    os.environ.pop("AWS_ENDPOINT_URL", None)
    return "s3://" + os.environ["OMNIGRAPH_S3_TEST_BUCKET"]


def stop(d):
    subprocess.run([TOOL, "stop", "--dir", os.path.join(d, "s3")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", d])


ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>'


class Proxy:
    """Between the programs and S3: `environ` leads there. choose(method, path, headers) names a fault or None."""

    FAULTS = ("refuse", "reset_before", "reset_after", "500", "500_after", "503", "412", "412_after", "truncate", "stall", "etag", "403")

    def __init__(self, choose=None):
        self.choose = choose or (lambda *_: None)
        self.upstream = re.sub("^http://", "", os.environ["AWS_ENDPOINT_URL_S3"])
        self.lock = threading.Lock()
        self.log, self.done = [], {}
        self.stall = 1.5        # seconds
        self.delay = 0.0        # of every answer
        self.listener = self.listen(0)
        self.port = self.listener.getsockname()[1]
        self.environ = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:%d" % self.port}
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def listen(port):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen(128)
        return s

    def close(self):
        s, self.listener = self.listener, None
        # A thread in accept() would keep the port.
        s.shutdown(socket.SHUT_RDWR)
        s.close()

    def accept(self):
        while self.listener:
            try:
                c, _ = self.listener.accept()
            except OSError:
                time.sleep(0.01)
                continue
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def refuse(self, seconds=0.2):
        """Nobody listens for a while."""
        with self.lock:
            s = self.listener
            if not s:
                return
            s.shutdown(socket.SHUT_RDWR)
            s.close()
            time.sleep(seconds)
            self.listener = self.listen(self.port)

    def serve(self, c):
        f = c.makefile("rb")
        up = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            while self.one(c, f, up):
                pass
        except (OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            up.close()
            f.close()
            c.close()

    def one(self, c, f, up):
        """One request. False: the connection is to end."""
        line = f.readline().decode("latin-1").split()
        if len(line) != 3:
            return False
        method, path = line[0], line[1]
        headers = []
        while True:
            h = f.readline().decode("latin-1").rstrip("\r\n")
            if not h:
                break
            name, _, value = h.partition(":")
            headers.append((name, value.strip()))
        low = {n.lower(): v for n, v in headers}
        if low.get("expect"):
            c.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            headers = [(n, v) for n, v in headers if n.lower() != "expect"]
        body = f.read(int(low.get("content-length", 0)))
        fault = self.choose(method, path, low)
        with self.lock:
            self.log.append((method, path, "if-none-match" in low))
            if fault:
                self.done[fault] = self.done.get(fault, 0) + 1
        return self.answer(c, up, method, path, headers, body, fault)

    @staticmethod
    def reset(c):
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    @staticmethod
    def say(c, method, status, reason, headers, body, cut=None):
        length = [] if any(n.lower() == "content-length" for n, _ in headers) else [("Content-Length", str(len(body)))]
        head = "HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, "".join("%s: %s\r\n" % h for h in headers + length))
        c.sendall(head.encode("latin-1") + (b"" if method == "HEAD" else body if cut is None else body[:cut]))
        return cut is None

    def error(self, c, method, status, code):
        return self.say(c, method, status, code, [("Content-Type", "application/xml")], (ERROR % (code, "a fault of the test")).encode())

    def answer(self, c, up, method, path, headers, body, fault):
        if fault == "refuse":
            threading.Thread(target=self.refuse, daemon=True).start()
            return self.reset(c)
        if fault == "reset_before":
            return self.reset(c)
        if fault in ("500", "503", "403", "412"):
            return self.error(c, method, int(fault), {"500": "InternalError", "503": "SlowDown", "403": "ExpiredToken",
                                                      "412": "PreconditionFailed"}[fault])
        up.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for n, v in headers:
            up.putheader(n, v)
        up.endheaders(body or None)
        r = up.getresponse()
        data = r.read()
        time.sleep(self.delay)
        out = [(n, v) for n, v in r.getheaders() if n.lower() not in ("connection", "transfer-encoding", "keep-alive")]
        if fault == "reset_after":
            return self.reset(c)
        if fault in ("500_after", "412_after"):
            return self.error(c, method, int(fault[:3]), "InternalError" if fault[0] == "5" else "PreconditionFailed")
        if fault == "etag":
            out = [(n, '"00000000000000000000000000000000"' if n.lower() == "etag" else v) for n, v in out]
        cut = None
        if fault in ("truncate", "stall") and data and method != "HEAD":
            cut = len(data) // 2
        alive = self.say(c, method, r.status, r.reason, out, data, cut)
        if cut is not None and fault == "stall":
            time.sleep(self.stall)
            return self.reset(c)
        return alive
