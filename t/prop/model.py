#!/usr/bin/env python3
"""A typed property graph in plain Python: the answers that the real one must give.

Slow and plain on purpose: every answer is computed from its definition, by trying all assignments of
the variables. Values: str, bool, int, float; Date = days and DateTime = milliseconds since 1970, as int;
lists as Python lists; null as None. An entity whose id the server invents has the id None until the
model has seen an export (`State.sync`).

Run as a program it checks itself (the evaluator against a second, cruder one; texts; the id matching).
"""
import copy
import datetime
import functools
import itertools
import json
import re
import struct

INTS = {"I32": (-2**31, 2**31 - 1), "I64": (-2**63, 2**63 - 1), "U32": (0, 2**32 - 1), "U64": (0, 2**63 - 1)}
FLOATS = ("F32", "F64")
NUMBERS = tuple(INTS) + FLOATS


def single(x):
    """x rounded to the nearest single, as a double."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


class Prop:
    def __init__(self, name, kind, nullable=False, many=False, enum=None, span=None, check=None):
        self.name, self.kind, self.nullable, self.many = name, kind, nullable, many
        self.enum, self.span, self.check = sorted(enum) if enum else None, span, check

    def text(self):
        base = "enum(%s)" % ", ".join(self.enum) if self.enum else self.kind
        return ("[%s]" % base if self.many else base) + ("?" if self.nullable else "")


class NodeType:
    def __init__(self, name, props, key=(), unique=(), index=()):
        self.name, self.props = name, {p.name: p for p in props}
        self.key, self.unique, self.index = tuple(sorted(key)), [tuple(u) for u in unique], list(index)


class EdgeType:
    def __init__(self, name, src, dst, props=(), card=None, unique=()):
        self.name, self.src, self.dst = name, src, dst
        self.props, self.card, self.unique = {p.name: p for p in props}, card, [tuple(u) for u in unique]


class Schema:
    def __init__(self, nodes, edges):
        self.nodes, self.edges = {t.name: t for t in nodes}, {t.name: t for t in edges}

    def type(self, name):
        return self.nodes.get(name) or self.edges[name]

    def text(self):
        out = []
        for t in self.nodes.values():
            out.append("node %s {" % t.name)
            for p in t.props.values():
                out.append("    %s: %s%s" % (p.name, p.text(), " @key" if t.key == (p.name,) else ""))
            if len(t.key) > 1:
                out.append("    @key(%s)" % ", ".join(t.key))
            out += ["    @unique(%s)" % ", ".join(u) for u in t.unique]
            out += ["    @index(%s)" % i for i in t.index]
            for p in t.props.values():
                if p.span:
                    out.append("    @range(%s, %s..%s)" % (p.name, p.span[0], p.span[1]))
                if p.check:
                    out.append('    @check(%s, "%s")' % (p.name, p.check))
            out.append("}")
        for t in self.edges.values():
            card = ""
            if t.card:
                card = " @card(%d..%s)" % (t.card[0], "" if t.card[1] is None else t.card[1])
            out.append("edge %s: %s -> %s%s {" % (t.name, t.src, t.dst, card))
            out += ["    %s: %s" % (p.name, p.text()) for p in t.props.values()]
            out += ["    @unique(%s)" % ", ".join(u) for u in t.unique]
            out.append("}")
        return "\n".join(out) + "\n"


class Node:
    __slots__ = ("type", "id", "props")

    def __init__(self, type, id, props):
        self.type, self.id, self.props = type, id, props

    def get(self, name):
        return self.props[name]


class Edge:
    __slots__ = ("type", "id", "src", "dst", "props")

    def __init__(self, type, id, src, dst, props):
        self.type, self.id, self.src, self.dst, self.props = type, id, src, dst, props

    def get(self, name):
        return self.src if name in ("from", "src") else self.dst if name in ("to", "dst") else self.props[name]


class Refused(Exception):
    """The write must be refused with one of `status`, its message holding one of `texts`."""

    def __init__(self, texts, status=(400,)):
        super().__init__("; ".join(texts))
        self.texts, self.status = texts, status


class Ambiguous(Exception):
    """The rules leave it open; whoever generated this drops it."""


# --- texts

def number_text(x):
    """A float as JSON prints it: plain from 1e-5 to 1e16, else with an exponent without padding."""
    text = repr(x)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    exponent = int(exponent)
    if exponent == -5:
        digits = mantissa.replace(".", "").replace("-", "").rstrip("0") or "0"
        return ("-" if x < 0 else "") + "0.0000" + digits
    return "%se%s%d" % (mantissa, "+" if exponent > 0 else "-", abs(exponent))


def date_text(days):
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days)).isoformat()


def datetime_text(ms, zone=True):
    t = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    text = t.strftime("%Y-%m-%dT%H:%M:%S")
    if zone:
        return text + ".%03dZ" % (ms % 1000)
    return text + (".%03d" % (ms % 1000) if ms % 1000 else "")


def json_text(v):
    if isinstance(v, float):
        return number_text(v)
    if isinstance(v, list):
        return "[%s]" % ",".join(json_text(x) for x in v)
    if isinstance(v, dict):
        return "{%s}" % ",".join("%s:%s" % (json_text(k), json_text(x)) for k, x in v.items())
    return json.dumps(v, ensure_ascii=False)


def row_value(kind, v):
    """A stored value as a query row shows it."""
    if v is None:
        return None
    if isinstance(v, list):
        return [row_value(kind, x) for x in v]
    return date_text(v) if kind == "Date" else datetime_text(v) if kind == "DateTime" else v


def export_value(kind, v):
    if isinstance(v, list):
        return [export_value(kind, x) for x in v]
    return datetime_text(v, False) if kind == "DateTime" and v is not None else v


def key_text(schema_type, props):
    """The id that a key gives a node."""
    def one(name):
        v = props[name]
        return v if isinstance(v, str) else "true" if v is True else "false" if v is False else str(v)
    if len(schema_type.key) == 1:
        return one(schema_type.key[0])
    return json.dumps([one(k) for k in schema_type.key], ensure_ascii=False, separators=(",", ":"))


# --- comparison

def compare(op, a, b):
    """False also where a null makes it unknown."""
    if a is None or b is None:
        return False
    if op == "contains":
        return b in a if isinstance(a, str) else any(x is not None and x == b for x in a)
    if op == "starts_with":
        return a.startswith(b)
    return {"=": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def order_values(a, b):
    """-1, 0, 1; null first; lists element by element, then by length."""
    if a is None or b is None:
        return (a is not None) - (b is not None)
    if isinstance(a, list):
        for x, y in zip(a, b):
            c = order_values(x, y)
            if c:
                return c
        return (len(a) > len(b)) - (len(a) < len(b))
    return (a > b) - (a < b)


def same(a, b):
    """Equal with equal types: 1, 1.0 and true are three things."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


# --- state and writes

class State:
    def __init__(self, schema):
        self.schema = schema
        self.nodes = {t: [] for t in schema.nodes}
        self.edges = {t: [] for t in schema.edges}
        self.version = None         # the graph's, once seen

    def copy(self):
        other = State(self.schema)
        other.version = self.version
        other.nodes = {t: [Node(n.type, n.id, dict(n.props)) for n in l] for t, l in self.nodes.items()}
        other.edges = {t: [Edge(e.type, e.id, e.src, e.dst, dict(e.props)) for e in l]
                       for t, l in self.edges.items()}
        return other

    def node(self, type, id):
        return next((n for n in self.nodes[type] if n.id == id and id is not None), None)

    def counts(self):
        out = {"edge:" + t: len(l) for t, l in self.edges.items()}
        out.update({"node:" + t: len(l) for t, l in self.nodes.items()})
        return dict(sorted(out.items()))

    def ids(self, type):
        return [n.id for n in self.nodes[type] if n.id is not None]

    # --- whole-image constraints

    def violations(self):
        out = []
        for t in list(self.schema.nodes.values()) + list(self.schema.edges.values()):
            rows = self.nodes[t.name] if t.name in self.nodes else self.edges[t.name]
            for e in rows:
                out += value_errors(t, e.props)
            for cols in t.unique:
                seen = {}
                for e in rows:
                    v = tuple(e.get(c) for c in cols)
                    if None in v:
                        continue
                    if v in seen:
                        out.append("@unique violation on %s." % t.name)
                    seen[v] = e
        for t in self.schema.edges.values():
            src, dst = set(self.ids(t.src)), set(self.ids(t.dst))
            degree = {}
            for e in self.edges[t.name]:
                if e.src not in src:
                    out.append("src '%s' not found in %s" % (e.src, t.src))
                if e.dst not in dst:
                    out.append("dst '%s' not found in %s" % (e.dst, t.dst))
                degree[e.src] = degree.get(e.src, 0) + 1
            for s, n in degree.items():
                if t.card and t.card[1] is not None and n > t.card[1]:
                    out.append("@card violation on edge %s: source '%s' has %d edges (max %d)" % (t.name, s, n, t.card[1]))
                if t.card and n < t.card[0] and s in src:
                    out.append("@card violation on edge %s: source '%s' has %d edges (min %d)" % (t.name, s, n, t.card[0]))
        return out

    # --- exports

    def export_text(self):
        out = []
        for key in self.counts():
            kind, name = key.split(":")
            t = self.schema.type(name)
            for e in sorted(self.nodes[name] if kind == "node" else self.edges[name], key=lambda e: e.id):
                data = {"id": e.id}
                data.update({p: export_value(t.props[p].kind, e.props[p]) for p in sorted(t.props)})
                record = {"type": name, "data": data} if kind == "node" else \
                    {"edge": name, "from": e.src, "to": e.dst, "data": data}
                out.append(json_text(record) + "\n")
        return "".join(out)

    def sync(self, text):
        """Learns invented ids from an export, then wants its bytes; a text that says what differs, or None."""
        seen = {}
        for line in text.splitlines() if "\u2028" not in text else text.split("\n"):
            if line:
                r = json.loads(line)
                seen.setdefault(r.get("type") or r.get("edge"), []).append(r)
        for name in list(self.nodes) + list(self.edges):
            rows = self.nodes[name] if name in self.nodes else self.edges[name]
            known = {e.id for e in rows if e.id is not None}
            fresh = {}
            for r in seen.get(name, []):
                if r["data"]["id"] not in known:
                    mark = json_text({"f": r.get("from"), "t": r.get("to"),
                                      "d": {k: r["data"][k] for k in sorted(r["data"]) if k != "id"}})
                    fresh.setdefault(mark, []).append(r["data"]["id"])
            t = self.schema.type(name)
            for e in rows:
                if e.id is None:
                    data = {p: export_value(t.props[p].kind, e.props[p]) for p in sorted(t.props)}
                    ends = (e.src, e.dst) if isinstance(e, Edge) else (None, None)
                    mark = json_text({"f": ends[0], "t": ends[1], "d": data})
                    if not fresh.get(mark):
                        return "%s: not in the export: %s" % (name, mark)
                    e.id = fresh[mark].pop()
        mine = self.export_text()
        if mine == text:
            return None
        for a, b in itertools.zip_longest(mine.split("\n"), text.split("\n")):
            if a != b:
                return "export differs:\n   model: %s\n   graph: %s" % (a, b)
        return "export differs"


def value_errors(t, props):
    out = []
    for name, v in props.items():
        p = t.props[name]
        if v is None:
            if not p.nullable:
                out.append("non-nullable")
            continue
        for x in v if isinstance(v, list) else [v]:
            if p.enum and x is not None and x not in p.enum:
                out += ["invalid enum value '%s' for %s.%s" % (x, t.name, name), "property `%s` expects one of" % name]
        if p.span and not p.many and v < p.span[0]:
            out.append("@range violation on %s.%s" % (t.name, name))
        if p.span and not p.many and v > p.span[1]:
            out.append("@range violation on %s.%s" % (t.name, name))
        if p.check and not p.many and not re.search(p.check, v):
            out.append("@check violation on %s.%s" % (t.name, name))
        if p.kind in INTS and not p.many and not INTS[p.kind][0] <= v <= INTS[p.kind][1]:
            out.append("exceeds")
    return out


class Insert:
    def __init__(self, type, values, src=None, dst=None):
        self.type, self.values, self.src, self.dst = type, values, src, dst


class Update:
    def __init__(self, type, values, where):
        self.type, self.values, self.where = type, values, where


class Delete:
    def __init__(self, type, where):
        self.type, self.where = type, where


def stored(p, v):
    """v as property p keeps it."""
    if v is None:
        return None
    if isinstance(v, list):
        return [stored(p, x) for x in v]
    if p.kind == "F32":
        return single(float(v))
    return float(v) if p.kind == "F64" else v


def where_operand(p, v):
    return single(v) if p is not None and p.kind == "F32" and isinstance(v, (int, float)) and not isinstance(v, bool) else v


def mutate(state, statements):
    """(new state, nodes, edges), or Refused."""
    s, nodes, edges, errors = state.copy(), 0, 0, []
    kinds = {type(x) is Delete for x in statements}
    if len(kinds) > 1:
        raise Refused(["on the same query mixes inserts/updates and deletes", "type error: T3"])
    for x in statements:
        t = s.schema.type(x.type)
        is_node = x.type in s.nodes
        if isinstance(x, Insert):
            missing = [p for p in t.props if p not in x.values and not t.props[p].nullable]
            if missing:
                raise Refused(["must provide non-nullable property"])
            props = {p: stored(t.props[p], x.values.get(p)) for p in t.props}
            null_key = [k for k in (t.key if is_node else ()) if props[k] is None]
            errors += ["cannot contain null"] if null_key else value_errors(t, props)
            if is_node:
                nodes += 1
                new_id = key_text(t, props) if t.key and not null_key else None
                old = s.node(x.type, new_id)
                if old:
                    old.props = props
                else:
                    s.nodes[x.type].append(Node(x.type, new_id, props))
            else:
                edges += 1
                if x.src is None or x.dst is None:
                    raise Refused(["endpoint must be a string id, got NULL"])
                s.edges[x.type].append(Edge(x.type, None, x.src, x.dst, props))
            continue
        name, op, value = x.where
        value = where_operand(t.props.get(name), value)
        rows = s.nodes[x.type] if is_node else s.edges[x.type]
        hits = [e for e in rows if compare(op, e.get(name), value)]
        if isinstance(x, Update):
            if any(k in x.values for k in t.key):
                raise Refused(["cannot update @key property"])
            for e in hits:
                e.props.update({p: stored(t.props[p], v) for p, v in x.values.items()})
                errors += value_errors(t, e.props)
            nodes += len(hits)
            if not hits and value_errors(t, {p: stored(t.props[p], v) for p, v in x.values.items()}):
                raise Ambiguous()
        elif is_node:
            gone = {id(e) for e in hits}
            s.nodes[x.type] = [e for e in rows if id(e) not in gone]
            ids = {e.id for e in hits}
            nodes += len(hits)
            for et in s.schema.edges.values():
                keep = [e for e in s.edges[et.name] if not (et.src == x.type and e.src in ids or
                                                            et.dst == x.type and e.dst in ids)]
                edges += len(s.edges[et.name]) - len(keep)
                s.edges[et.name] = keep
        else:
            gone = {id(e) for e in hits}
            s.edges[x.type] = [e for e in rows if id(e) not in gone]
            edges += len(hits)
    final = s.violations()
    if errors and not final and "cannot contain null" not in errors:
        raise Ambiguous()           # a later statement mended it
    if errors or final:
        raise Refused(errors + final)
    return s, nodes, edges


def load(state, records, mode):
    """Records: (type, id or None, src, dst, values). (new state, {table key: records}), or Refused."""
    s, seen, touched = state.copy(), set(), {}
    key_of, bad, taken = {}, False, False
    for type, id, src, dst, values in records:
        t = s.schema.type(type)
        is_node = type in s.nodes
        table = ("node:" if is_node else "edge:") + type
        touched[table] = touched.get(table, 0) + 1
        props = {p: stored(t.props[p], values.get(p)) for p in t.props}
        bad = bad or bool(value_errors(t, props))
        if is_node and t.key:
            id = key_text(t, props)
        if id is not None and (table, id) in seen:
            # A repeated key is refused in every mode; of a repeated explicit id a merge takes the last.
            if (is_node and t.key) or mode != "merge":
                bad = True
            else:
                key_of[table] = [e for e in key_of[table] if e.id != id]
        seen.add((table, id))
        key_of.setdefault(table, []).append(Node(type, id, props) if is_node else Edge(type, id, src, dst, props))
    for table, rows in key_of.items():
        kind, name = table.split(":")
        all = s.nodes if kind == "node" else s.edges
        ids = {e.id for e in rows if e.id is not None}
        old = {e.id for e in all[name]}
        taken = taken or (mode == "append" and bool(ids & old))
        all[name] = ([] if mode == "overwrite" else [e for e in all[name] if e.id not in ids]) + rows
    # Which of several faults is told is free, and so is the order of a load's checks.
    bad = bad or bool(s.violations())
    if bad or taken:
        raise Refused(["already has"] if not bad and taken else [""], (409,) if taken and not bad else (400, 409) if taken else (400,))
    return s, dict(sorted(touched.items()))


# --- reads

class Lit:
    def __init__(self, kind, value, text):
        self.kind, self.value, self.text = kind, value, text


class Param:
    def __init__(self, name, kind, value):
        self.name, self.kind, self.value, self.text = name, kind, value, "$" + name


class Field:
    def __init__(self, var, prop):
        self.var, self.prop, self.kind = var, prop, prop.kind
        self.text = "$%s.%s" % (var, prop.name)


class Bind:
    def __init__(self, var, type, match=()):
        self.var, self.type, self.match = var, type, match

    def text(self):
        m = ", ".join("%s: %s" % (p.name, v.text) for p, v in self.match)
        return "$%s: %s%s" % (self.var, self.type, " { %s }" % m if m else "")


class Walk:
    """left, right: as written; source, target: what they mean. Names beginning `_#` are anonymous."""

    def __init__(self, left, right, edge, source, target, word, bounds=None, both=False, var=None):
        self.left, self.right, self.edge, self.source, self.target = left, right, edge, source, target
        self.word, self.bounds, self.both, self.var = word, bounds, both, var

    def text(self):
        def name(v):
            return "$_" if v.startswith("_#") else "$" + v
        word = "<%s>" % self.word if self.both else self.word
        if self.var:
            word = name(self.var) + ":" + word
        if self.bounds:
            word += "{%d,%d}" % self.bounds
        return "%s %s %s" % (name(self.left), word, name(self.right))


class Filter:
    def __init__(self, left, op, right):
        self.left, self.op, self.right = left, op, right

    def text(self):
        return "%s %s %s" % (self.left.text, self.op, self.right.text)


class Not:
    def __init__(self, clauses):
        self.clauses = clauses

    def text(self):
        return "not { %s }" % "  ".join(c.text() for c in self.clauses)


class Item:
    """what: Field, Param, Lit or a variable's name; agg: function or None."""

    def __init__(self, what, agg=None, alias=None):
        self.what, self.agg, self.alias = what, agg, alias

    def column(self):
        w = self.what
        if self.alias:
            return self.alias
        if isinstance(w, Field):
            return "%s.%s" % (w.var, w.prop.name)
        return w if isinstance(w, str) else w.name if isinstance(w, Param) else "literal"

    def text(self):
        w = "$" + self.what if isinstance(self.what, str) else self.what.text
        w = "%s(%s)" % (self.agg, w) if self.agg else w
        return w + (" as " + self.alias if self.alias else "")


class Query:
    def __init__(self, clauses, items, order=(), limit=None, params=()):
        self.clauses, self.items, self.order, self.limit = clauses, items, list(order), limit
        self.params = list(params)  # Param, in order of declaration

    def text(self):
        args = ", ".join("$%s: %s" % (p.name, p.kind) for p in self.params)
        t = "query q(%s) {\n  match {\n    %s\n  }\n  return { %s }\n" % (
            args, "\n    ".join(c.text() for c in self.clauses), ", ".join(i.text() for i in self.items))
        if self.order:
            t += "  order { %s }\n" % ", ".join(
                (k if isinstance(k, str) else k.text) + d for k, d in self.order)
        if self.limit is not None:
            t += "  limit %d\n" % self.limit
        return t + "}\n"


class TooMuch(Exception):
    """More rows than the naive way is worth."""


def operand(x, env, beside=None):
    if isinstance(x, Field):
        return env[x.var].get(x.prop.name)
    v = x.value
    if isinstance(beside, Field) and beside.kind == "F32" and isinstance(v, (int, float)) and not isinstance(v, bool):
        return single(v)
    return v


def match_holds(p, stored_value, v):
    if v is None or stored_value is None:
        return False
    if p.kind == "F32":
        v = single(v)
    return any(x is not None and x == v for x in stored_value) if p.many else stored_value == v


def neighbours(state, walk, id, forward):
    out = set()
    for e in state.edges[walk.edge]:
        if (e.src if forward else e.dst) == id:
            out.add(e.dst if forward else e.src)
        if walk.both and (e.dst if forward else e.src) == id:
            out.add(e.src if forward else e.dst)
    return out


def reach(state, walk, id, forward):
    """Ids that one end leads to."""
    if not walk.bounds:
        return neighbours(state, walk, id, forward)
    lo, hi = walk.bounds
    t = state.schema.edges[walk.edge]
    if t.src != t.dst:
        return neighbours(state, walk, id, forward) if lo <= 1 <= hi else set()
    dist, frontier, d = {id: 0}, {id}, 0
    while frontier and d < hi:
        d += 1
        frontier = {y for x in frontier for y in neighbours(state, walk, x, forward)} - set(dist)
        dist.update({x: d for x in frontier})
    return {x for x, n in dist.items() if n and lo <= n <= hi}


def walk_rows(state, walk, env):
    t = state.schema.edges[walk.edge]
    s, d = env.get(walk.source), env.get(walk.target)
    if walk.var:
        for e in state.edges[walk.edge]:
            ways = [(e.src, e.dst)]
            if walk.both and e.src != e.dst:
                ways.append((e.dst, e.src))
            for a, b in ways:
                if (s is None or s.id == a) and (d is None or d.id == b) and (walk.source != walk.target or a == b):
                    yield {walk.source: state.node(t.src, a), walk.target: state.node(t.dst, b), walk.var: e}
        return
    if s is None and d is not None:
        for id in reach(state, walk, d.id, False):
            if walk.source != walk.target or id == d.id:
                yield {walk.source: state.node(t.src, id), walk.target: d}
        return
    for start in [s] if s is not None else list(state.nodes[t.src]):
        for id in reach(state, walk, start.id, True):
            if (d is None or d.id == id) and (walk.source != walk.target or id == start.id):
                yield {walk.source: start, walk.target: state.node(t.dst, id)}


def rows_of(state, clauses, env, budget):
    """All assignments that satisfy the clauses and agree with env."""
    if not clauses:
        yield env
        return
    c, rest = clauses[0], clauses[1:]
    budget[0] -= 1
    if budget[0] < 0:
        raise TooMuch()
    if isinstance(c, Bind):
        for n in [env[c.var]] if c.var in env else state.nodes[c.type]:
            if n.type == c.type and all(match_holds(p, n.props[p.name], v.value) for p, v in c.match):
                yield from rows_of(state, rest, {**env, c.var: n}, budget)
    elif isinstance(c, Walk):
        for more in walk_rows(state, c, env):
            yield from rows_of(state, rest, {**env, **more}, budget)
    elif isinstance(c, Filter):
        if compare(c.op, operand(c.left, env, c.right), operand(c.right, env, c.left)):
            yield from rows_of(state, rest, env, budget)
    elif next(rows_of(state, c.clauses, env, budget), None) is None:
        yield from rows_of(state, rest, env, budget)


def item_value(item, env):
    w = item.what
    if isinstance(w, str):
        return env[w].id
    return operand(w, env)


def aggregate(item, rows):
    values = [v for v in (item_value(item, env) for env in rows) if v is not None]
    if item.agg == "count":
        return len(values)
    if not values:
        return None
    if item.agg == "sum":
        return float(sum(float(v) for v in values))
    if item.agg == "avg":
        return float(sum(float(v) for v in values)) / len(values)
    return min(values) if item.agg == "min" else max(values)


def kind_of(item):
    return item.what.kind.rstrip("?") if isinstance(item.what, (Field, Param, Lit)) else "String"


def shown(items, values):
    out = {}
    for i, v in zip(items, values):
        out[i.column()] = v if i.agg in ("count", "sum", "avg") else row_value(kind_of(i), v)
    return out


def freeze(v):
    return tuple(freeze(x) for x in v) if isinstance(v, list) else v


def visible(env):
    """The variables that break ties, in their order. `$_:` binds nothing: rows of parallel edges are alike."""
    names = [v for v in env if not (v.startswith("_#") and isinstance(env[v], Edge))]
    return sorted(names, key=lambda v: ("_", int(v[2:])) if v.startswith("_#") else (v, 0))


def answer(state, q, budget=200000):
    """(rows as shown, exact): exact when their order is determined. TooMuch when too long."""
    rows = list(rows_of(state, q.clauses, {}, [budget]))
    aliases = {i.alias: n for n, i in enumerate(q.items) if i.alias}
    if any(i.agg for i in q.items):
        keys = [n for n, i in enumerate(q.items) if not i.agg]
        groups = {}
        for env in rows:
            groups.setdefault(tuple(freeze(item_value(q.items[n], env)) for n in keys), []).append(env)
        if not keys and not groups:
            groups[()] = []
        out = [[aggregate(i, g) if i.agg else item_value(i, g[0]) for i in q.items] for g in groups.values()]
        columns = {i.column(): n for n, i in enumerate(q.items)}

        def place(k):
            return aliases[k] if isinstance(k, str) else columns["%s.%s" % (k.var, k.prop.name)]
        order = [(place(k), d == " desc") for k, d in q.order]

        def before(a, b):
            for n, desc in order:
                c = order_values(a[n], b[n])
                if c:
                    return -c if desc else c
            for n in keys:
                c = order_values(a[n], b[n])
                if c:
                    return c
            return 0
        if order:
            out.sort(key=functools.cmp_to_key(before))
    else:
        def key_value(k, env):
            return item_value(q.items[aliases[k]], env) if isinstance(k, str) else operand(k, env)

        def before(a, b):
            for k, d in q.order:
                c = order_values(key_value(k, a), key_value(k, b))
                if c:
                    return -c if d == " desc" else c
            for v in visible(a):
                c = order_values(a[v].id, b[v].id)
                if c:
                    return c
            return 0
        if q.order:
            rows.sort(key=functools.cmp_to_key(before))
        out = [[item_value(i, env) for i in q.items] for env in rows]
    return [shown(q.items, v) for v in out], bool(q.order)


def check_rows(expected, exact, limit, got):
    """None, or what is wrong with the rows of an answer."""
    want = len(expected) if limit is None else min(limit, len(expected))
    if len(got) != want:
        return "%d rows instead of %d" % (len(got), want)
    if exact:
        for n, (a, b) in enumerate(zip(expected, got)):
            if not same(a, b):
                return "row %d: expected %s, got %s" % (n, json_text(a), json_text(b))
        return None
    left = {}
    for r in expected:
        left[json_text(r)] = left.get(json_text(r), 0) + 1
    for r in got:
        text = json_text(r)
        if not left.get(text):
            return "a row that should not be there (as often): %s" % text
        left[text] -= 1
    return None


# --- self-test

def crude(state, q):
    """Rows of a query without `not`: all assignments of all node variables, each clause tried on each."""
    types = {}
    for c in q.clauses:
        if isinstance(c, Bind):
            types[c.var] = c.type
        elif isinstance(c, Walk):
            types[c.source], types[c.target] = state.schema.edges[c.edge].src, state.schema.edges[c.edge].dst
    n = 0
    for pick in itertools.product(*[state.nodes[t] for t in types.values()]):
        env = dict(zip(types, pick))
        ok = True
        for c in q.clauses:
            if isinstance(c, Bind):
                ok = all(match_holds(p, env[c.var].props[p.name], v.value) for p, v in c.match)
            elif isinstance(c, Walk):
                ok = env[c.target].id in reach(state, c, env[c.source].id, True) and \
                    env[c.source].id in reach(state, c, env[c.target].id, False)
            elif isinstance(c, Filter):
                ok = compare(c.op, operand(c.left, env, c.right), operand(c.right, env, c.left))
            if not ok:
                break
        n += ok
    return n


def self_test():
    import random
    import generate
    assert number_text(1e16) == "1e+16" and number_text(1.5e20) == "1.5e+20" and number_text(9.9e-6) == "9.9e-6"
    assert number_text(3.0) == "3.0" and number_text(1e-5) == "0.00001" and number_text(2.5e-5) == "0.000025"
    assert number_text(0.0001) == "0.0001" and number_text(-1e-5) == "-0.00001"
    assert json_text({"a": [1, 1.0, None, True, "ü\n"]}) == '{"a":[1,1.0,null,true,"ü\\n"]}'
    assert date_text(19723) == "2024-01-01" and datetime_text(1777624200000) == "2026-05-01T08:30:00.000Z"
    assert datetime_text(-1, False) == "1969-12-31T23:59:59.999"
    assert not same(1, 1.0) and not same(1, True) and same([1, None], [1, None])
    compared = refused = done = 0
    for seed in range(60):
        rng = random.Random(seed)
        schema = generate.schema(rng)
        state = twin = State(schema)
        fresh = itertools.count()
        for _ in range(25):
            m = generate.mutation(rng, state)
            try:
                state, _, _ = mutate(state, m.statements)
                done += 1
            except Refused:
                refused += 1
                continue
            except Ambiguous:
                continue
            assert not state.violations(), state.violations()
            twin = state.copy()
            for l in list(twin.nodes.values()) + list(twin.edges.values()):
                for e in l:
                    e.id = e.id if e.id is not None else "N%d" % next(fresh)
            assert state.sync(twin.export_text()) is None
        text = twin.export_text()
        lines = text.splitlines(True)
        if lines:
            # Whatever is lost, doubled or changed is noticed.
            at = rng.randrange(len(lines))
            assert twin.copy().sync("".join(lines[:at] + lines[at + 1:]))
            assert twin.copy().sync("".join(lines[:at] + lines[at:at + 1] + lines[at:]))
            assert twin.copy().sync(text.replace('"id":"', '"id":"x', 1))
        for _ in range(20):
            q = generate.query(rng, state)
            try:
                rows, exact = answer(state, q, 20000)
                if rows:
                    assert check_rows(rows, exact, None, rows) is None
                    assert check_rows(rows, exact, None, rows[1:]) and check_rows(rows, exact, None, rows + rows[:1])
                    assert check_rows(rows, exact, len(rows), rows[1:] + [{"x": 1}])
            except TooMuch:
                continue
            if any(isinstance(c, Not) for c in q.clauses) or any(isinstance(c, Walk) and c.var for c in q.clauses):
                continue
            try:
                rows, _ = answer(state, Query(q.clauses, q.items, [], None, q.params), 20000)
                n = len(list(rows_of(state, q.clauses, {}, [20000])))
            except TooMuch:
                continue
            size = 1
            for c in q.clauses:
                for v in ([c.var] if isinstance(c, Bind) else [c.source, c.target] if isinstance(c, Walk) else []):
                    size *= 20
            if size <= 8000:
                assert crude(state, q) == n, q.text()
                compared += 1
    assert compared > 200 and refused > 50 and done > 300, (compared, refused, done)
    print("model: %d writes, %d refusals, %d queries computed in two ways" % (done, refused, compared))


if __name__ == "__main__":
    import sys
    sys.dont_write_bytecode = True
    import model                    # not __main__: the generator's classes are that module's
    model.self_test()
