"""
The clients of image-memory.sh.

  image_memory.py rows                                    a graph's rows on stdout
  image_memory.py ask URL COMMIT FILE                     every question once, answers into FILE
  image_memory.py press URL COMMIT FILE LIMIT ADMIN ASK [kill]
      the same questions from 8 connections, answers compared with FILE, while the bytes of all images that any process of the server holds are counted;
      they must not exceed LIMIT. With `kill` workers and og-storaged are killed meanwhile; 503 and lost connections are then tried again.
"""
import http.client, json, os, random, re, signal, subprocess, sys, threading, time

TYPES = "ABCDEF"
ROWS, EDGES = 5000, 6000
ROUNDS = 20     # questions a connection
JSON = {"Content-Type": "application/json"}


def rows():
    rnd = random.Random(7)
    out = []
    for t in TYPES:
        for i in range(ROWS):
            data = {"key": f"{t}{i}", "text": f"{t} {i % 97} " + "%0500x" % rnd.getrandbits(2000), "n": i * 7919 % 1000, "x": i / 8}
            out.append(json.dumps({"type": t, "data": data}))
    for i, t in enumerate(TYPES):
        u = TYPES[(i + 1) % len(TYPES)]
        for k in range(EDGES):
            out.append(json.dumps({"edge": t + "to" + u, "from": f"{t}{k % ROWS}", "to": f"{u}{rnd.randrange(ROWS)}", "data": {"w": k % 50}}))
    print("\n".join(out))


def questions():
    q = []
    for i, t in enumerate(TYPES):
        u, v, w = (TYPES[(i + k) % len(TYPES)] for k in (1, 2, 3))
        tu, uv, vw = f"{t.lower()}to{u}", f"{u.lower()}to{v}", f"{v.lower()}to{w}"
        for k in (5, ROWS - 1):
            q.append(f'match {{ $a: {t} {{ key: "{t}{k}" }} }} return {{ $a.text, $a.n, $a.x }}')
        q.append(f'match {{ $a: {t} }} return {{ count($a) as c, sum($a.n) as s, max($a.text) as m, avg($a.x) as x }}')
        q.append(f'match {{ $a: {t} $a.text contains "abc" }} return {{ $a.key, $a.text }} order {{ $a.key }}')
        q.append(f'match {{ $a: {t} }} return {{ $a.n, count($a) as c }} order {{ $a.n }} limit 50')
        q.append(f'match {{ $a: {t} {{ key: "{t}77" }} $a {tu} $b $b {uv} $c $c {vw} $d }} return {{ $d.key, $d.n }} order {{ $d.key }}')
        q.append(f'match {{ $a: {t} $a {tu} $b $b {uv} $c $c.n < 20 }} return {{ count($a) as c, sum($c.n) as s }}')
        q.append(f'match {{ $a: {t} $a $e: {tu} $b $e.w = 3 }} return {{ count($e.w) as c, sum($b.n) as s }}')
    return ["query q() { " + x + " }" for x in q]


class Client:
    def __init__(self, url):
        self.addr = url.removeprefix("http://")
        self.conn = None

    def ask(self, query, commit, patient=False):
        end = time.monotonic() + 60
        while True:
            try:
                self.conn = self.conn or http.client.HTTPConnection(self.addr, timeout=30)
                body = {"query": query}
                if commit:
                    body["snapshot"] = commit
                self.conn.request("POST", "/query", json.dumps(body), JSON)
                r = self.conn.getresponse()
                text = r.read()
                if r.status == 200:
                    return json.loads(text)["rows"]
                why = f"{r.status} {text[:300]}"
                again = r.status == 503
            except (OSError, http.client.HTTPException) as e:
                why, again = repr(e), True
                self.conn = None
            if not (patient and again and time.monotonic() < end):
                raise SystemExit(f"{query}: {why}")
            time.sleep(0.05)


def asks(commit):
    return [(q, c) for c in (None, commit) for q in questions()]


def ask(url, commit, file):
    c = Client(url)
    with open(file, "w") as f:
        json.dump([c.ask(q, at) for q, at in asks(commit)], f)


def processes(admin, askprog):
    text = subprocess.run([askprog, admin, "status"], capture_output=True, text=True).stdout
    found = {}
    for part in text.split("{"):
        name, pid = re.search(r'"name":"([^"]*)"', part), re.search(r'"pid":(\d+)', part)
        if name and pid:
            found[name.group(1)] = int(pid.group(1))
    return found


def held(pids):
    """The images that these processes have mapped or open, with the bytes that they have at least."""
    sizes = {}
    for pid in pids:
        try:
            for line in open(f"/proc/{pid}/maps"):
                if "/memfd:og-image" in line:
                    span, _, _, dev, inode = line.split()[:5]
                    lo, hi = (int(x, 16) for x in span.split("-"))
                    # In pages; it ends somewhere in the last.
                    sizes[inode] = max(sizes.get(inode, 0), hi - lo - 4095)
            for fd in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{fd}"
                try:
                    if "memfd:og-image" in os.readlink(path):
                        st = os.stat(path)
                        sizes[str(st.st_ino)] = max(sizes.get(str(st.st_ino), 0), st.st_size)
                except OSError:
                    pass
        except OSError:
            pass
    return sizes


class Watch(threading.Thread):
    """The greatest sum of image bytes over the server's processes. A look takes a while: what two in a row have seen was there between them."""

    def __init__(self, admin, askprog):
        super().__init__(daemon=True)
        self.admin, self.askprog, self.most, self.looks, self.halt = admin, askprog, 0, 0, False

    def run(self):
        before = {}
        while not self.halt:
            pids = processes(self.admin, self.askprog).values()
            for _ in range(20):
                now = held(pids)
                self.most = max(self.most, sum(size for inode, size in now.items() if inode in before))
                before = now
                self.looks += 1
                time.sleep(0.002)


def press(url, commit, file, limit, admin, askprog, kill=False):
    todo = list(zip(asks(commit), json.load(open(file))))
    wrong, done, lock = [], [0], threading.Lock()

    def client(seed):
        rnd, c = random.Random(seed), Client(url)
        for _ in range(ROUNDS):
            (q, at), want = rnd.choice(todo)
            try:
                have = c.ask(q, at, kill)
            except SystemExit as e:
                wrong.append(str(e))
                return
            if have != want:
                wrong.append(f"{q} at {at}: {str(have)[:200]} instead of {str(want)[:200]}")
                return
            with lock:
                done[0] += 1

    begin = time.monotonic()
    watch = Watch(admin, askprog)
    watch.start()
    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for i, name in enumerate(("worker.0", "storaged", "worker.1", "builder", "storaged") if kill else ()):
        while done[0] < (i + 1) * 8 * ROUNDS // 8 and not wrong and any(t.is_alive() for t in threads):
            time.sleep(0.01)
        pid = processes(admin, askprog).get(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
    for t in threads:
        t.join()
    watch.halt = True
    watch.join()
    print(f"{done[0]} answers in {time.monotonic() - begin:.1f} s, {watch.looks} looks, most bytes held {watch.most}, limit {limit}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    if done[0] != 8 * ROUNDS or not watch.most:
        raise SystemExit("nothing was tested")
    if watch.most > limit:
        raise SystemExit(f"{watch.most} bytes of images were held, {limit} are allowed")


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    if what == "rows":
        rows()
    elif what == "ask":
        ask(*args)
    else:
        url, commit, file, limit, admin, askprog, *kill = args
        press(url, commit, file, int(limit), admin, askprog, bool(kill))
