"""A floor for S3 benchmarks: signed requests over plain sockets, made up before the clock starts."""
import datetime, hashlib, hmac, os, socket, threading, urllib.parse, xml.etree.ElementTree as ET

KEY, SECRET = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", "")
REGION = os.environ.get("AWS_REGION", "us-east-1")
ENDPOINT = urllib.parse.urlparse(os.environ.get("AWS_ENDPOINT_URL_S3", ""))


def request(method, path, query="", body=b"", headers=()):
    """The bytes of a request with a version 4 signature."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    fields = {"host": ENDPOINT.netloc, "x-amz-content-sha256": digest, "x-amz-date": now, **dict(headers)}
    names = ";".join(sorted(fields))
    canonical = "\n".join([method, urllib.parse.quote(path, "/-_.~"), query, "".join(f"{k}:{fields[k]}\n" for k in sorted(fields)), names, digest])
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    key = ("AWS4" + SECRET).encode()
    for part in (now[:8], REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    fields["authorization"] = (f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature="
                               + hmac.new(key, text.encode(), hashlib.sha256).hexdigest())
    if body or method == "PUT":
        fields["content-length"] = str(len(body))
    target = urllib.parse.quote(path, "/-_.~") + ("?" + query if query else "")
    return (f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n").encode() + body


class Connection:
    """To the store, or to any HTTP server whose answers have a length: the client costs both sides of a comparison the same."""

    def __init__(self, address=None):
        self.sock = socket.create_connection(address or (ENDPOINT.hostname, ENDPOINT.port or 80))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = bytearray(1 << 20)

    def send(self, req, keep=False):
        """-> status, length of the body (keep: the body). The whole body is read."""
        self.sock.sendall(req)
        head = b""
        while b"\r\n\r\n" not in head:
            got = self.sock.recv(65536)
            if not got:
                raise OSError("the store closed the connection")
            head += got
        head, rest = head.split(b"\r\n\r\n", 1)
        status = int(head.split(b" ", 2)[1])
        length = chunked = None
        for field in head.split(b"\r\n")[1:]:
            name, value = field.split(b":", 1)
            length = int(value) if name.lower() == b"content-length" else length
            chunked = chunked or (name.lower() == b"transfer-encoding")
        if chunked:
            while not rest.endswith(b"0\r\n\r\n"):
                rest += self.sock.recv(65536)
            return status, self.dechunk(rest) if keep else len(rest)
        left = (length or 0) - len(rest)
        while left > 0:
            n = self.sock.recv_into(self.buf, min(left, len(self.buf)))
            if not n:
                raise OSError("the store cut a body short")
            if keep:
                rest += self.buf[:n]
            left -= n
        return status, rest if keep else length

    @staticmethod
    def dechunk(data):
        out = b""
        while data:
            size, data = data.split(b"\r\n", 1)
            out, data = out + data[:int(size, 16)], data[int(size, 16) + 2:]
        return out

    def close(self):
        self.sock.close()


def objects(bucket, prefix):
    """-> [(key, size)] under the prefix."""
    out, token, conn = [], "", Connection()
    while True:
        query = "&".join(f"{k}={urllib.parse.quote(v, '-_.~')}" for k, v in
                         sorted([("list-type", "2"), ("prefix", prefix)] + ([("continuation-token", token)] if token else [])))
        status, body = conn.send(request("GET", f"/{bucket}", query), keep=True)
        if status != 200:
            raise OSError(f"LIST: {status} {body[:300]}")
        root = ET.fromstring(body)
        ns = root.tag[:root.tag.index("}") + 1] if root.tag.startswith("{") else ""
        out += [(c.find(ns + "Key").text, int(c.find(ns + "Size").text)) for c in root.iter(ns + "Contents")]
        token = root.findtext(ns + "NextContinuationToken") or ""
        if root.findtext(ns + "IsTruncated") != "true":
            conn.close()
            return out


def get_all(bucket, keys, connections, part):
    """Reads the objects in ranges of `part` bytes over so many connections; -> bytes."""
    jobs = []
    for key, size in keys:
        for at in range(0, size, part):
            end = min(at + part, size) - 1
            jobs.append((request("GET", f"/{bucket}/{key}", headers=[("range", f"bytes={at}-{end}")]), end - at + 1))
    jobs.reverse()
    lock, total, wrong = threading.Lock(), [0], []

    def work():
        conn = Connection()
        while True:
            with lock:
                if not jobs:
                    break
                req, want = jobs.pop()
            status, n = conn.send(req)
            if status not in (200, 206) or n != want:
                wrong.append((status, n, want))
            with lock:
                total[0] += n
        conn.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if wrong:
        raise OSError(f"ranged GET: {wrong[:3]}")
    return total[0]
