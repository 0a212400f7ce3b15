"""A graph with every type there is, written the ways there are, and what each of its versions holds: for the tests that read it with other programs.

A row is a dict: id, src and dst of edges, properties. Values have one form for every reader: Date days and DateTime milliseconds since 1970 as
integers, Blob the hexadecimal of what the file has (a tag and bytes), the rest as JSON has it.
"""
import datetime as dt
import json
import math
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../prop"))
import harness  # noqa: E402

SCALARS = ["String", "Bool", "I32", "I64", "U32", "U64", "F32", "F64", "Date", "DateTime"]
THING = {s.lower(): s for s in SCALARS}
THING.update({"list_" + s.lower(): "[%s]" % s for s in SCALARS})
THING.update(code="String", color="enum", vec="Vector", empty_vec="Vector", file="Blob", never="String", never_list="[I64]", must="I64",
             must_list="[String]", must_vec="Vector")
TABLES = {
    "node:Thing": THING,
    "node:Count": {"nr": "U64", "note": "String"},
    "node:Pair": {"a": "String", "b": "I64", "day": "Date"},
    "node:Loose": {"x": "F64"},
    "node:Nobody": {"x": "I32"},
    "edge:Links": {"src": "String", "dst": "String", "weight": "F64", "since": "Date", "tags": "[String]"},
    "edge:Counts": {"src": "String", "dst": "String"},
    "edge:Nowhere": {"src": "String", "dst": "String"},
}
SCHEMA = """
node Thing {
    code: String @key
    color: enum(red, deep-blue, GREEN)?
    vec: Vector(3)?
    empty_vec: Vector(2)?
    file: Blob?
    never: String?
    never_list: [I64]?
    must: I64
    must_list: [String]
    must_vec: Vector(2)
    %s
}
node Count { nr: U64 @key  note: String? }
node Pair { a: String  b: I64  day: Date?  @key(a, b) }
node Loose { x: F64? }
node Nobody { x: I32? }
edge Links: Thing -> Thing { weight: F64?  since: Date?  tags: [String]? }
edge Counts: Thing -> Count
edge Nowhere: Nobody -> Thing
""" % "\n    ".join("%s: %s?\n    list_%s: [%s]?" % (s.lower(), s, s.lower(), s) for s in SCALARS)

TEXTS = ["", "a", "ä", "naïve", "東京", "🦊🦊", "e\u0301", "\u00e9", "line\nbreak", "tab\t\"quoted\" \\ '", "\u0000nul", "\uffff", "\U0010ffff", "a" * 70, "a" * 70 + "b",
         "é" * 40, "NULL", "null", "{}", "1", "-0.0", " leading", "trailing ", "{a,b}", "x" * 3000]
VALUES = {
    "String": TEXTS,
    "Bool": [True, False],
    "I32": [0, 1, -1, 2**31 - 1, -2**31, 42],
    "I64": [0, 1, -1, 2**63 - 1, -2**63, 2**53 + 1, 10**15],
    "U32": [0, 1, 2**32 - 1, 2**31, 7],
    "U64": [0, 1, 2**64 - 1, 2**63, 2**63 - 1, 2**53 + 1],
    "F32": [0.0, -0.0, 1.5, -1.5, 3.4028234663852886e38, 1.401298464324817e-45, 0.1, 16777216.0],
    "F64": [0.0, -0.0, 1.5, 1e308, -1e308, 5e-324, 0.1, 1 / 3, 123456789.125],
    # Before and after the calendars changed, the ends of four-digit years, leap days.
    "Date": [0, -1, 1, 19782, "1582-10-04", "1582-10-15", "1500-02-28", "0001-01-01", "9999-12-31", "2024-02-29", "1899-12-31"],
    "DateTime": [0, -1, 1, "2026-05-01T08:30:00", "2026-05-01T08:30:00.007", "1899-12-31T23:59:59.999", "1582-10-04T12:00:00", "0001-01-01T00:00:00",
                 "9999-12-31T23:59:59.999", "2026-11-01T05:59:59.999", "1969-12-31T23:59:59.999", "2024-10-27T01:30:00"],
}


def canonical(kind, v):
    """The one form of a value as an export writes it."""
    if v is None:
        return None
    if kind.startswith("["):
        return [canonical(kind[1:-1], x) for x in v]
    if kind == "F32":
        return struct.unpack("f", struct.pack("f", v))[0]
    if kind == "Date" and isinstance(v, str):
        return (dt.date.fromisoformat(v) - dt.date(1970, 1, 1)).days
    if kind == "DateTime" and isinstance(v, str):
        t = dt.datetime.fromisoformat(v) - dt.datetime(1970, 1, 1)
        return t // dt.timedelta(milliseconds=1)
    if kind == "Blob":
        import base64
        return (b"b" + base64.b64decode(v[7:]) if v.startswith("base64:") else b"u" + v.encode()).hex()
    return v


def tables_of(export):
    """{table: {id: row}} of an export."""
    out = {name: {} for name in TABLES}
    for line in export.splitlines():
        r = json.loads(line)
        name = "edge:" + r["edge"] if "edge" in r else "node:" + r["type"]
        row = dict(r["data"], **({"src": r["from"], "dst": r["to"]} if "edge" in r else {}))
        out[name][row["id"]] = {k: canonical(TABLES[name].get(k, "String"), v) for k, v in row.items()}
    return out


def differ(a, b):
    """Of two values; NaN is itself, the zeroes are two."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) != len(b) or any(differ(x, y) for x, y in zip(a, b))
    if isinstance(a, float) or isinstance(b, float):
        if not isinstance(a, float) or not isinstance(b, float):
            return True
        return not (a == b and math.copysign(1, a) == math.copysign(1, b) or a != a and b != b)
    return type(a) is not type(b) or a != b


def compare(where, want, rows):
    """rows: dicts as a reader gave them, in any order. Fails with the first few differences."""
    have, wrong = {}, []
    for r in rows:
        harness.check(r["id"] not in have, "%s: id %r twice" % (where, r["id"]))
        have[r["id"]] = r
    for i in sorted(set(want) | set(have)):
        if i not in have or i not in want:
            wrong.append("%r is %s" % (i, "missing" if i not in have else "too many"))
            continue
        harness.check(set(want[i]) == set(have[i]), "%s: columns" % where, sorted(set(want[i]) ^ set(have[i])))
        wrong += ["%r: %s is %r, not %r" % (i, k, have[i][k], v) for k, v in want[i].items() if differ(v, have[i][k])]
    harness.check(not wrong, "%s: %d differences in %d rows" % (where, len(wrong), len(want)), *wrong[:8])


class History:
    """Writes to a graph, step by step; knows what each version holds."""

    def __init__(self, graph, seed=1, options=(), environ=None):
        self.graph, self.rng, self.expected = graph, random.Random(seed), {}
        self.environ = environ
        self.codes = []

    def cli(self, *args, text=None):
        return harness.cli(*args, text=text)

    def keep(self):
        """Remembers what the newest version holds."""
        version = json.loads(self.cli("snapshot", self.graph, "--json"))["manifest_version"]
        self.expected[version] = tables_of(self.cli("export", self.graph))

    def optimize(self):
        self.keep()
        self.cli("optimize", self.graph)

    def load(self, mode, records):
        self.cli("load", self.graph, "--data", "-", "--mode", mode, text="\n".join(json.dumps(r) for r in records))

    def mutate(self, text):
        self.cli("mutate", self.graph, "-e", text)

    # --- records

    def value(self, kind):
        if kind == "enum":
            return self.rng.choice(["red", "deep-blue", "GREEN"])
        if kind == "Blob":
            return self.rng.choice(["base64:", "base64:AAECAw==", "base64:/w==", "https://example.org/ä?x=1", "s3://bucket/key"])
        if kind.startswith("["):
            return [self.rng.choice(VALUES[kind[1:-1]] + [None]) for _ in range(self.rng.choice([0, 0, 1, 2, 3, 7]))]
        return self.rng.choice(VALUES[kind])

    def thing(self, code, sparse=0.3):
        data = {"code": code, "must": self.rng.randrange(-5, 5), "must_list": self.value("[String]") or [None], "must_vec": [0.5, -0.0]}
        for name, kind in THING.items():
            if name in data or name.startswith("never") or self.rng.random() < sparse:
                continue
            n = 2 if name == "empty_vec" else 3
            data[name] = [self.rng.choice(VALUES["F32"]) for _ in range(n)] if kind == "Vector" else self.value(kind)
        return {"type": "Thing", "data": data}

    def things(self, n, prefix, sparse=0.3):
        codes = ["%s%d" % (prefix, i) for i in range(n)]
        self.codes += codes
        return [self.thing(c, sparse) for c in codes]

    def links(self, n):
        for i in range(n):
            data = {"weight": self.rng.choice([None, 0.5, -1e9]), "since": self.value("Date"), "tags": self.value("[String]")}
            yield {"edge": "Links", "from": self.rng.choice(self.codes), "to": self.rng.choice(self.codes), "data": data}

    def rest(self):
        for v in VALUES["U64"]:
            yield {"type": "Count", "data": {"nr": v, "note": self.rng.choice(TEXTS)}}
            yield {"edge": "Counts", "from": self.rng.choice(self.codes), "to": str(v)}
        for i, t in enumerate(TEXTS):
            yield {"type": "Pair", "data": {"a": t, "b": VALUES["I64"][i % 5], "day": self.rng.choice(VALUES["Date"])}}
        yield {"type": "Loose", "data": {}}
        yield {"type": "Loose", "data": {"x": 1e-7}}

    # --- the history

    def write(self, more):
        """more: rows of the largest load."""
        # Nothing; one row of each kind; every value in its place.
        self.optimize()
        records = self.things(3, "first") + list(self.links(4)) + list(self.rest())
        self.load("append", records)
        self.optimize()
        texts = [self.thing("text%d" % i, 0) for i in range(len(TEXTS))]
        for i, t in enumerate(texts):
            for name, kind in THING.items():
                if kind in VALUES and name not in ("code", "must", "never"):
                    t["data"][name] = VALUES[kind][i % len(VALUES[kind])]
                elif kind[1:-1] in VALUES and name != "never_list":
                    t["data"][name] = VALUES[kind[1:-1]][:i] + [None] * (i % 3)
        self.codes += [t["data"]["code"] for t in texts]
        self.load("append", texts)
        self.optimize()
        # So much that it comes as segments; what follows lies above them.
        self.load("append", self.things(more, "bulk") + list(self.links(more)))
        self.optimize()
        self.load("append", self.things(20, "after", 0.8))
        self.optimize()
        # Rows replaced as a whole, and in part.
        some = self.rng.sample(self.codes, 30)
        self.load("merge", [self.thing(c, 0.5) for c in some] + self.things(3, "merged"))
        self.optimize()
        self.mutate('query q() { update Thing set { string: "changed 🦊", u32: 4294967295 } where code = "first1" }')
        self.mutate('query q() { update Thing set { must: 77 } where must = 3 }')
        self.optimize()
        # Nodes go, and their edges with them; a type is emptied, and filled again.
        self.mutate('query q() { delete Thing where code = "%s" }' % self.codes[7])
        self.mutate('query q() { delete Links where from = "%s" }' % self.codes[3])
        self.mutate('query q() { delete Count where nr = 1 }')
        self.optimize()
        self.load("overwrite", [{"type": "Loose", "data": {"id": "one", "x": 2.5}}])
        self.optimize()
        self.mutate('query q() { delete Loose where x = 2.5 }')
        self.optimize()
        self.load("merge", [{"type": "Loose", "data": {"id": "two"}}])
        self.optimize()


def logs(graph):
    """(folder, name, [main's version that version 0, 1, ... of the Delta table shows]) of every type that has a log."""
    out = []
    for n in sorted(map(int, os.listdir(os.path.join(graph, "data")))):
        folder = os.path.join(graph, "data", str(n))
        shown, name = [], None
        while os.path.exists(os.path.join(folder, "_delta_log", "%020d.json" % len(shown))):
            with open(os.path.join(folder, "_delta_log", "%020d.json" % len(shown))) as f:
                for action in map(json.loads, f):
                    if "commitInfo" in action:
                        shown.append(action["commitInfo"]["omnigraph"]["version"])
                    name = action.get("metaData", {}).get("name", name)
        if shown:
            out.append((folder, name, shown))
    return out


def plain(v):
    """A value of a reader's in the one form."""
    import decimal
    if isinstance(v, dt.datetime):
        return (v.replace(tzinfo=None) - dt.datetime(1970, 1, 1)) // dt.timedelta(milliseconds=1)
    if isinstance(v, dt.date):
        return (v - dt.date(1970, 1, 1)).days
    if isinstance(v, decimal.Decimal):
        return int(v)
    if isinstance(v, (bytes, bytearray)):
        return bytes(v).hex()
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    return v
