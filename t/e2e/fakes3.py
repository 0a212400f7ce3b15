#!/usr/bin/env python3
"""fakes3.py DIR [--port N] [--host ADDRESS] [--cert FILE --key FILE]: an S3 server that errs as it is told, on loopback.

Prints its port. Objects are kept in DIR/objects between runs. DIR/mode is read at each request; its words, none of them at first:
  bucket=NAME            the bucket's name is in the host's; the path is the key alone
  under=/PATH            everything lies under this path
  missing                there is no such bucket
  key=ID                 another key id is not known
  deny, deny-write       403 for all, for what writes
  expired                the keys have expired
  skew=SECONDS           its clock is ahead by so much
  region=NAME            the bucket is there; elsewhere a redirect, and an unsigned HEAD tells it
  busy, busy-write       503 with Retry-After: 1
  broken                 500 without a body
  html                   200 with a web page
  ignore, ignore-match   If-None-Match and If-Match are ignored, If-Match alone
  unsupported            501 for conditions
  creds=ID               GET /creds gives this key
DIR/log has a line for each request: method, host, path, key id, region, status. A CONNECT is answered by itself, with TLS if there is
a certificate, whatever the host.
"""
import argparse, calendar, email.utils, hashlib, http.server, os, pickle, re, signal, socket, ssl, threading, time, urllib.parse
from xml.sax.saxutils import escape

args = argparse.ArgumentParser()
args.add_argument("dir")
args.add_argument("--port", type=int, default=0)
args.add_argument("--host", default="127.0.0.1")
args.add_argument("--cert")
args.add_argument("--key")
args = args.parse_args()
objects, lock = {}, threading.Lock()
kept = os.path.join(args.dir, "objects")
if os.path.exists(kept):
    objects = pickle.load(open(kept, "rb"))
tls = None
if args.cert:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(args.cert, args.key)


def modes():
    try:
        words = open(os.path.join(args.dir, "mode")).read().split()
    except FileNotFoundError:
        words = []
    return {w.partition("=")[0]: w.partition("=")[2] or True for w in words}


class Answer(Exception):
    def __init__(self, status, code="", message="", headers=None, body=b""):
        self.status, self.headers, self.body = status, headers or {}, body
        if code:
            self.body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{escape(message)}</Message><RequestId>FAKE1</RequestId></Error>".encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def handle_one_request(self):
        self.key_id = self.scope = "-"
        super().handle_one_request()

    def do_CONNECT(self):
        self.note(200)
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        if tls:
            try:
                Handler(tls.wrap_socket(self.connection, server_side=True), self.client_address, self.server)
            except OSError:
                pass
        self.close_connection = True

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(time.time() + int(modes().get("skew", 0)), usegmt=True)

    def note(self, status):
        with lock, open(os.path.join(args.dir, "log"), "a") as f:
            f.write(f"{self.command} {self.headers.get('Host')} {self.path} {self.key_id} {self.scope} {status}\n")

    def do(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.check(modes())
            with lock:
                self.carry_out(modes(), body)
            raise Answer(500, "InternalError", "not written yet")
        except Answer as a:
            self.note(a.status)
            self.send_response(a.status)
            self.send_header("x-amz-request-id", "FAKE1")
            for k, v in a.headers.items():
                self.send_header(k, v)
            if "Content-Length" not in a.headers and a.status != 204:
                self.send_header("Content-Length", str(len(a.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(a.body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = do

    def check(self, m):
        got = re.search(r"Credential=([^/]*)/[^/]*/([^/]*)/s3/", self.headers.get("Authorization", ""))
        self.key_id, self.scope = got.groups() if got else ("-", "-")
        if self.path == "/creds" and "creds" in m:
            raise Answer(200, body=f'{{"AccessKeyId":"{m["creds"]}","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}}'.encode())
        writes = self.command in ("PUT", "POST", "DELETE")
        if "html" in m:
            raise Answer(200, headers={"Content-Type": "text/html"}, body=b"<html><body>Welcome to nginx!<br></body></html>")
        if "broken" in m:
            raise Answer(500)
        if "busy" in m or ("busy-write" in m and writes):
            raise Answer(503, "SlowDown", "Please reduce your request rate.", {"Retry-After": "1"})
        if "region" in m and self.scope != m["region"]:
            raise Answer(301 if got else 403, "PermanentRedirect", "elsewhere", {"x-amz-bucket-region": m["region"], "Location": "http://127.0.0.1:1/"})
        if "skew" in m and got:
            at = time.strptime(self.headers.get("x-amz-date"), "%Y%m%dT%H%M%SZ")
            if abs(time.time() + int(m["skew"]) - calendar.timegm(at)) > 900:
                raise Answer(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
        if "key" in m and self.key_id != m["key"]:
            raise Answer(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        if "expired" in m:
            raise Answer(400, "ExpiredToken", "The provided token has expired.")
        if "deny" in m or ("deny-write" in m and writes):
            raise Answer(403, "AccessDenied", "Access Denied")
        if "missing" in m:
            raise Answer(404, "NoSuchBucket", "The specified bucket does not exist")
        if "unsupported" in m and (self.headers.get("If-None-Match") or self.headers.get("If-Match")):
            raise Answer(501, "NotImplemented", "A header you provided implies functionality that is not implemented")

    def carry_out(self, m, body):
        path, _, query = re.sub("^http://[^/]*", "", self.path).partition("?")
        if "under" in m:
            if not path.startswith(m["under"] + "/"):
                raise Answer(404, "NoSuchKey", "not under here")
            path = path[len(m["under"]):]
        query = {k: v[0] for k, v in urllib.parse.parse_qs(query, keep_blank_values=True).items()}
        key = urllib.parse.unquote(path[1:] if "bucket" in m else path[1:].partition("/")[2])
        if not key and self.command == "GET":
            raise self.listing(query)
        if not key and self.command == "POST" and "delete" in query:
            for k in re.findall(rb"<Key>(.*?)</Key>", body):
                objects.pop(k.decode(), None)
            raise Answer(200, body=b"<DeleteResult/>")
        if not key and self.command == "HEAD":
            raise Answer(200)
        raise getattr(self, "of_" + self.command)(m, key, body)

    def of_PUT(self, m, key, body):
        have = objects.get(key)
        tag = '"%s"' % hashlib.md5(have).hexdigest() if have is not None else None
        if "ignore" not in m:
            if self.headers.get("If-None-Match") == "*" and have is not None:
                return Answer(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
            if "ignore-match" not in m and self.headers.get("If-Match") not in (None, tag):
                return Answer(412 if have is not None else 404, "PreconditionFailed" if have is not None else "NoSuchKey", "no match")
        objects[key] = body
        return Answer(200, headers={"ETag": '"%s"' % hashlib.md5(body).hexdigest()})

    def of_GET(self, m, key, body):
        have = objects.get(key)
        if have is None:
            return Answer(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"ETag": '"%s"' % hashlib.md5(have).hexdigest()}
        got = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not got:
            return Answer(200, headers=headers, body=have)
        first, last = int(got[1]), min(int(got[2] or len(have)), len(have) - 1)
        if first >= len(have):
            return Answer(416, "InvalidRange", "no such range", {"Content-Range": f"bytes */{len(have)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(have)}"
        return Answer(206, headers=headers, body=have[first:last + 1])

    def of_HEAD(self, m, key, body):
        have = objects.get(key)
        if have is None:
            return Answer(404)
        return Answer(200, headers={"ETag": '"%s"' % hashlib.md5(have).hexdigest(), "Content-Length": str(len(have))})

    def of_DELETE(self, m, key, body):
        objects.pop(key, None)
        return Answer(204)

    def listing(self, query):
        keys = sorted(k for k in objects if k.startswith(query.get("prefix", "")))
        after = query.get("continuation-token", query.get("start-after", ""))
        n = int(query.get("max-keys", 1000))
        keys = [k for k in keys if k > after]
        more = len(keys) > n
        text = "".join(f"<Contents><Key>{escape(k)}</Key><Size>{len(objects[k])}</Size></Contents>" for k in keys[:n])
        if more:
            text += f"<NextContinuationToken>{escape(keys[n - 1])}</NextContinuationToken>"
        return Answer(200, body=f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{text}</ListBucketResult>".encode())


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    daemon_threads = True

    def get_request(self):
        s, a = super().get_request()
        s.settimeout(60)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s, a

    def finish_request(self, request, address):
        # With a certificate both are spoken: TLS, and plain HTTP for whoever takes this for a proxy.
        try:
            if tls and request.recv(1, socket.MSG_PEEK) == b"\x16":
                request = tls.wrap_socket(request, server_side=True)
            super().finish_request(request, address)
        except OSError:
            pass


def stop(*_):
    with lock:
        pickle.dump(objects, open(kept, "wb"))
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
server = Server((args.host, args.port), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
