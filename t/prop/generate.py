"""Random schemas, writes and reads for the model. Everything comes from the generator that is passed in."""
import json

import model
from model import Bind, Delete, EdgeType, Field, Filter, Insert, Item, Lit, NodeType, Not, Param, Prop, Query, Schema, \
    Update, Walk

WORDS = ["oak", "Oak", "elm", "ash", "", "north quay", "quay", "a%_b", "ü", "日本", "😀", 'q"t', "back\\slash",
         "l1\nl2", "tab\t", "é", "e\u0301", "zz", "null", "_x", "x/y"]
ENUM = ["coastal", "deep-sea", "tug", "2fa"]


class Write:
    """Statements with their text and parameters."""

    def __init__(self, statements, text, params):
        self.statements, self.text, self.params = statements, text, params


# --- schemas

def prop(rng, name, edge=False):
    kind = rng.choice(["String", "String", "I32", "I32", "I64", "U32", "U64", "F32", "F64", "Bool", "Date", "DateTime"])
    nullable = rng.random() < 0.6
    many = rng.random() < 0.12 and kind in ("String", "I32", "F64", "Date")
    p = Prop(name, kind, nullable, many)
    if kind == "String" and not many and rng.random() < 0.3:
        p = Prop(name, "String", nullable, False, ENUM[:rng.randint(2, 4)])
    elif not edge and not many and kind in model.NUMBERS and rng.random() < 0.3:
        p.span = (0.5, 90.5) if kind in model.FLOATS else (1, 90)
    elif not edge and kind == "String" and not many and rng.random() < 0.15:
        p.check = "^[a-z]*$"
    return p


def schema(rng):
    nodes, edges = [], []
    for n in range(rng.randint(2, 3)):
        props = [prop(rng, "p%d" % i) for i in range(rng.randint(2, 5))]
        if rng.random() < 0.3:
            props[0].name = "mixedCase"
        how = rng.choice(["string", "string", "string", "int", "date", "pair", "none"])
        key = ()
        if how == "string":
            props.append(Prop("code", "String"))
            key = ("code",)
        elif how in ("int", "date"):
            props.append(Prop("code", "I32" if how == "int" else "Date"))
            key = ("code",)
        elif how == "pair":
            props += [Prop("ka", "String"), Prop("kb", "I32")]
            key = ("ka", "kb")
        singles = [p for p in props if not p.many and p.name not in key and p.kind in ("String", "I32", "Date", "U64")
                   and not p.enum]
        unique = []
        if singles and rng.random() < 0.4:
            unique.append((rng.choice(singles).name,))
        elif len(singles) > 1 and rng.random() < 0.4:
            unique.append((singles[0].name, singles[1].name))
        index = [p.name for p in singles if rng.random() < 0.2 and p.name not in [u for g in unique for u in g]]
        nodes.append(NodeType("N%s" % "abc"[n], props, key, unique, index))
    ends = [t.name for t in nodes]
    for n in range(rng.randint(2, 4)):
        src = rng.choice(ends)
        dst = src if rng.random() < 0.45 else rng.choice(ends)
        props = [prop(rng, "w%d" % i, True) for i in range(rng.randint(0, 2))]
        card = rng.choice([None, None, None, (0, 1), (0, 3), (1, 4), (2, 3), (1, None)])
        unique = []
        if rng.random() < 0.3:
            unique.append(rng.choice([("src", "dst"), ("dst",)]))
        edges.append(EdgeType(["Links", "Tows", "Owns", "DocksAt"][n], src, dst, props, card, unique))
    return Schema(nodes, edges)


# --- values

def value(rng, p, wild=0.03):
    """A value for property p; seldom one that a constraint refuses."""
    if p.nullable and rng.random() < 0.2:
        return None
    if p.many:
        one = Prop(p.name, p.kind, False)
        return [value(rng, one, 0) for _ in range(rng.randint(0, 3))]
    if p.enum:
        return rng.choice(p.enum) if rng.random() >= wild else "elsewhere"
    if p.check:
        return rng.choice(["oak", "elm", "ash", ""]) if rng.random() >= wild else "Oak 1"
    if p.kind == "String":
        return rng.choice(WORDS)
    if p.kind == "Bool":
        return rng.random() < 0.5
    if p.kind == "Date":
        return rng.choice([19000, 19001, 19002, 0, 20000, -400])
    if p.kind == "DateTime":
        return rng.choice([0, 1700000000000, 1700000000123, 1700000060000, -1, 951782400500])
    if p.kind in model.FLOATS:
        if p.span:
            return rng.choice([0.5, 1.25, 2.0, 7.75, 90.5]) if rng.random() >= wild else rng.choice([0.25, 91.0])
        return rng.choice([0.0, 0.25, 1.0, 2.5, -3.75, 100.0, 7.0, 2.0])
    if p.span:
        return rng.choice([1, 2, 3, 7, 90]) if rng.random() >= wild else rng.choice([0, 91])
    low, high = model.INTS[p.kind]
    if rng.random() < 0.05:
        high = min(high, 2**63 - 1)      # what a parameter of U64 may be
        return rng.choice([low, high, high - 1])
    v = rng.choice([0, 1, 2, 3, 5, 7, 10, 100, -1, -7])
    return v if v >= low else -v


def string_literal(s):
    for a, b in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        s = s.replace(a, b)
    return '"%s"' % s


def literal_text(kind, v):
    """The literal of v, or None if it cannot be written."""
    if v is None:
        return None
    if isinstance(v, list):
        parts = [literal_text(kind, x) for x in v]
        return None if None in parts or (not parts and kind != "String") else "[%s]" % ", ".join(parts)
    if kind == "String":
        return string_literal(v)
    if kind == "Bool":
        return "true" if v else "false"
    if kind == "Date":
        return 'date("%s")' % model.date_text(v)
    if kind == "DateTime":
        return 'datetime("%s")' % model.datetime_text(v)
    if v < 0 or (isinstance(v, float) and "e" in repr(v)):
        return None
    return repr(v)


class Params:
    def __init__(self, prefix="a"):
        self.list, self.prefix = [], prefix

    def add(self, kind, v):
        """kind as declared, e.g. `[I32]?`."""
        p = Param("%s%d" % (self.prefix, len(self.list)), kind, v)
        self.list.append(p)
        return p

    def json(self, rng):
        return {p.name: self.wire(rng, p.kind.strip("[]?"), p.value) for p in self.list
                if not (p.value is None and rng.random() < 0.5)}

    def wire(self, rng, kind, v):
        if isinstance(v, list):
            return [self.wire(rng, kind, x) for x in v]
        if v is None or isinstance(v, (bool, str)):
            return v
        if kind == "Date":
            return model.date_text(v)
        if kind == "DateTime":
            return model.datetime_text(v)
        if kind in model.INTS and rng.random() < 0.3:
            return str(v)
        return v


def text_of(rng, params, p, v):
    """The text that gives property p the value v: a literal or a new parameter."""
    lit = literal_text(p.kind, v)
    if lit is not None and rng.random() < 0.5:
        # An enum literal is checked with the types, a string parameter at run time: both refuse.
        return lit
    kind = "[%s]" % p.kind if p.many else p.kind
    return params.add(kind + ("?" if v is None else ""), v).text


# --- writes

def key_values(rng, t):
    out = {}
    for k in t.key:
        p = t.props[k]
        if p.kind == "String":
            out[k] = rng.choice(["k%d" % rng.randint(0, 9), "k%d" % rng.randint(0, 9), rng.choice(WORDS)])
        elif p.kind == "Date":
            out[k] = 19000 + rng.randint(0, 9)
        else:
            out[k] = rng.randint(-3, 9)
    return out


def node_values(rng, t, sparse=True):
    out = {}
    for p in t.props.values():
        if p.name in t.key or (sparse and p.nullable and rng.random() < 0.3):
            continue
        out[p.name] = value(rng, p)
    out.update(key_values(rng, t))
    if not out:                     # the language has no empty insert
        p = next(iter(t.props.values()))
        out[p.name] = value(rng, p)
    return out


def some_id(rng, state, type, extra):
    ids = state.ids(type) + extra.get(type, [])
    if ids and rng.random() < 0.97:
        return rng.choice(ids)
    return "nobody"


def predicate(rng, state, t, is_node):
    """(name, op, value, Prop) for the where of an update or delete."""
    names = [p for p in t.props.values() if not p.many]
    if not is_node and (not names or rng.random() < 0.6):
        end = rng.choice(["from", "to"])
        return end, "=", some_id(rng, state, t.src if end == "from" else t.dst, {}), Prop(end, "String")
    keys = [p for p in names if is_node and p.name in t.key]
    p = rng.choice(keys) if keys and rng.random() < 0.6 else rng.choice(names)
    rows = state.nodes[t.name] if is_node else state.edges[t.name]
    v = rng.choice(rows).get(p.name) if rows and rng.random() < 0.8 else value(rng, p)
    if p.enum and v not in p.enum:
        v = p.enum[0]
    op = "=" if rng.random() < 0.7 else rng.choice(["!=", "<", "<=", ">", ">="])
    return p.name, op, v, p


def assigns(rng, params, t, values):
    out = ["%s: %s" % (n, text_of(rng, params, t.props[n], v)) for n, v in values.items()]
    rng.shuffle(out)
    return (", " if rng.random() < 0.7 else "  ").join(out)


def mutation(rng, state, name="m"):
    sch, params, out, text, extra = state.schema, Params(), [], [], {}
    what = rng.choices(["insert", "delete", "edges", "mixed"], [10, 3, 6, 1])[0]
    nodes, edges = list(sch.nodes.values()), list(sch.edges.values())
    for _ in range(rng.randint(1, 4)):
        roll = rng.random()
        deleting = what == "delete" or (what == "mixed" and roll < 0.5)
        if deleting:
            is_node = rng.random() < 0.5
            t = rng.choice(nodes if is_node else edges)
            n, op, v, p = predicate(rng, state, t, is_node)
            out.append(Delete(t.name, (n, op, v)))
            text.append("delete %s where %s %s %s" % (t.name, n, op, text_of(rng, params, p, v)))
        elif what == "edges" or (roll < 0.3 and edges):
            t = rng.choice(edges)
            src, dst = some_id(rng, state, t.src, extra), some_id(rng, state, t.dst, extra)
            values = {p.name: value(rng, p) for p in t.props.values() if not (p.nullable and rng.random() < 0.3)}
            for _ in range(rng.choice([1, 1, 1, 2])):
                out.append(Insert(t.name, values, src, dst))
                end = Prop("from", "String")
                text.append("insert %s { from: %s, to: %s, %s }" % (
                    t.name, text_of(rng, params, end, src), text_of(rng, params, end, dst),
                    assigns(rng, params, t, values)))
        elif roll < 0.7:
            t = rng.choice(nodes)
            values = node_values(rng, t)
            out.append(Insert(t.name, values))
            text.append("insert %s { %s }" % (t.name, assigns(rng, params, t, values)))
            if t.key:
                extra.setdefault(t.name, []).append(model.key_text(t, values))
        else:
            t = rng.choice(nodes)
            free = [p for p in t.props.values() if p.name not in t.key or rng.random() < 0.02]
            values = {p.name: value(rng, p) for p in rng.sample(free, rng.randint(1, min(2, len(free))))}
            n, op, v, p = predicate(rng, state, t, True)
            out.append(Update(t.name, values, (n, op, v)))
            text.append("update %s set { %s } where %s %s %s" % (
                t.name, assigns(rng, params, t, values), n, op, text_of(rng, params, p, v)))
    args = ", ".join("$%s: %s" % (p.name, p.kind) for p in params.list)
    text = [t.replace(", }", " }").replace(",  }", " }") for t in text]
    return Write(out, "query %s(%s) {\n  %s\n}\n" % (name, args, "\n  ".join(text)), params.json(rng))


def records(rng, state):
    """(records, mode, JSON lines) of a load."""
    sch, out, lines, extra = state.schema, [], [], {}
    mode = rng.choices(["merge", "append", "overwrite"], [6, 3, 1])[0]
    for _ in range(rng.randint(0, 8)):
        if rng.random() < 0.6 or not sch.edges:
            t = rng.choice(list(sch.nodes.values()))
            values, id = node_values(rng, t), None
            if t.key:
                extra.setdefault(t.name, []).append(model.key_text(t, values))
            elif rng.random() < 0.5:
                id = "id%d" % rng.randint(0, 30)
                extra.setdefault(t.name, []).append(id)
            out.append((t.name, id, None, None, values))
            data = wire_record(rng, t, values)
            if id is not None:
                data["id"] = id
            lines.append({"type": t.name, "data": data})
        else:
            t = rng.choice(list(sch.edges.values()))
            src, dst = some_id(rng, state, t.src, extra), some_id(rng, state, t.dst, extra)
            values = {p.name: value(rng, p) for p in t.props.values()}
            id = "e%d" % rng.randint(0, 50) if rng.random() < 0.4 else None
            out.append((t.name, id, src, dst, values))
            data = wire_record(rng, t, values)
            if id is not None:
                data["id"] = id
            lines.append({"edge": t.name, "from": src, "to": dst, "data": data})
    order = list(range(len(out)))
    rng.shuffle(order)
    return [out[i] for i in order], mode, "".join(json.dumps(lines[i]) + "\n" for i in order)


def wire_record(rng, t, values):
    out = {}
    for n, v in values.items():
        kind = t.props[n].kind
        if kind == "Date" and v is not None and not isinstance(v, list) and rng.random() < 0.5:
            v = model.date_text(v)
        elif kind == "DateTime" and v is not None and rng.random() < 0.7:
            v = model.datetime_text(v, rng.random() < 0.5)
        out[n] = v
    return out


# --- reads

class Reader:
    def __init__(self, rng, state):
        self.rng, self.state, self.params = rng, state, Params()
        self.n = self.anonymous = 0
        self.types, self.edge_vars = {}, {}     # of every variable met

    def fresh(self):
        self.n += 1
        return "v%d" % self.n if self.rng.random() < 0.8 else "z%d" % (9 - self.n % 9) + "abcdefgh"[self.n % 8]

    def some_value(self, t, p):
        """Mostly a value that occurs."""
        rng = self.rng
        rows = self.state.nodes.get(t.name) or self.state.edges.get(t.name)
        v = rng.choice(rows).get(p.name) if rows and rng.random() < 0.75 else value(rng, p, 0)
        if isinstance(v, list):
            v = rng.choice(v) if v else value(rng, Prop("x", p.kind), 0)
        if v is None and rng.random() < 0.8:
            v = value(rng, Prop("x", p.kind, enum=p.enum), 0)
        return v

    def constant(self, kind, v):
        """A literal or parameter that is comparable with values of the kind."""
        rng = self.rng
        if kind in model.NUMBERS and v is not None:
            if rng.random() < 0.3:          # another numeric type
                v = rng.choice([float(v), v + 0.5]) if abs(v) < 2**40 else v
            if isinstance(v, float) and v == int(v) and abs(v) < 2**30 and rng.random() < 0.5:
                v = int(v)
            kind = "F64" if isinstance(v, float) else "I64" if v >= -2**63 else "F64"
            if kind == "I64" and abs(v) < 2**31 and rng.random() < 0.3:
                kind = "I32"
        lit = literal_text(kind, v)
        if lit is not None and rng.random() < 0.55:
            return Lit(kind, v, lit)
        return self.params.add(kind + ("?" if v is None or rng.random() < 0.1 else ""), v)

    def inline(self, t):
        rng, out = self.rng, []
        for p in rng.sample(list(t.props.values()), 1):
            v = self.some_value(t, p)
            c = self.constant(p.kind, v)
            if p.enum and isinstance(c, Lit) and c.value not in p.enum:
                continue
            if p.kind in model.NUMBERS and p.many and isinstance(c.value, float) != (p.kind in model.FLOATS):
                continue
            out.append((p, c))
        return out

    def filter(self, scope):
        rng = self.rng
        var = rng.choice(list(scope))
        t = self.state.schema.type(scope[var])
        if not t.props:
            return None
        p = rng.choice(list(t.props.values()))
        f = Field(var, p)
        if p.many:
            return Filter(f, "contains", self.constant(p.kind, self.some_value(t, p)))
        if rng.random() < 0.3:      # against a property of another variable
            others = [Field(v, q) for v, ty in scope.items() for q in self.state.schema.type(ty).props.values()
                      if not q.many and (q.kind == p.kind or {q.kind, p.kind} <= set(model.NUMBERS))]
            other = rng.choice(others)
            ops = ["=", "!=", "<", "<=", ">", ">="] + (["contains", "starts_with"] if p.kind == "String" else [])
            return Filter(f, rng.choice(ops), other)
        v = self.some_value(t, p)
        op = rng.choice(["=", "=", "!=", "<", "<=", ">", ">="])
        if p.kind == "String" and not p.enum and rng.random() < 0.3:
            op = rng.choice(["contains", "starts_with"])
            v = v[:rng.randint(0, 2)] if v else v
        c = self.constant(p.kind, v)
        if rng.random() < 0.15 and op in ("=", "!=", "<", ">"):
            return Filter(c, op, f)
        return Filter(f, op, c)

    def walk(self, scope, local):
        """A traversal from a known variable, or between two new ones; adds what it introduces to local."""
        rng, sch = self.rng, self.state.schema
        t = rng.choice(list(sch.edges.values()))
        node_scope = {v: ty for v, ty in scope.items() if ty in sch.nodes}
        froms = [v for v, ty in node_scope.items() if ty == t.src]
        tos = [v for v, ty in node_scope.items() if ty == t.dst]

        def new(type):
            if rng.random() < 0.15:
                self.anonymous += 1
                return "_#%d" % self.anonymous
            v = self.fresh()
            local[v] = type
            return v
        source = rng.choice(froms) if froms and rng.random() < 0.75 else None
        target = rng.choice(tos) if tos and (rng.random() < (0.3 if source else 0.8)) else None
        if source is None and target is None and node_scope and rng.random() < 0.8:
            return None
        source = source or new(t.src)
        target = target or new(t.dst)
        if t.src == t.dst or not ({source, target} & set(node_scope)):
            left, right = source, target        # the written left one is the source
        else:
            left, right = (source, target) if rng.random() < 0.5 else (target, source)
        word = rng.choice([t.name[0].lower() + t.name[1:], t.name.lower()])
        w = Walk(left, right, t.name, source, target, word)
        if t.src == t.dst and rng.random() < 0.25:
            w.both = True
        if rng.random() < 0.3 and (t.src == t.dst or rng.random() < 0.3):
            lo = rng.randint(1, 2)
            w.bounds = (lo, lo + rng.randint(0, 2))
        elif rng.random() < 0.25:
            if rng.random() < 0.2:
                self.anonymous += 1
                w.var = "_#%d" % self.anonymous
            else:
                w.var = self.fresh()
                local[w.var] = t.name
        return w

    def block(self, outer, depth):
        rng, sch = self.rng, self.state.schema
        clauses, local = [], {}
        tries = 0
        while not clauses or (rng.random() < 0.62 and tries < 7):
            tries += 1
            scope = {**outer, **local}
            roll = rng.random()
            nodes = {v: ty for v, ty in scope.items() if ty in sch.nodes}
            if roll < 0.08 and nodes:           # bind again
                v = rng.choice(list(nodes))
                clauses.append(Bind(v, nodes[v], self.inline(sch.nodes[nodes[v]])))
            elif (not scope and roll < 0.85) or (roll < 0.2 and sum(isinstance(c, Bind) for c in clauses) < 2):
                v, t = self.fresh(), rng.choice(list(sch.nodes.values()))
                clauses.append(Bind(v, t.name, self.inline(t) if rng.random() < 0.3 else []))
                local[v] = t.name
            elif roll < 0.55:
                w = self.walk(scope, local)
                if w:
                    clauses.append(w)
            elif roll < 0.85 and scope:
                f = self.filter(scope)
                if f:
                    clauses.append(f)
            elif scope and depth < 2:
                n = self.negation(scope, depth)
                if n:
                    clauses.append(n)
        return clauses, local

    def negation(self, scope, depth):
        """A block of which some clause of its own names an outer variable."""
        for _ in range(6):
            mark = len(self.params.list)
            clauses, _ = self.block(scope, depth + 1)
            if any(uses(c, scope) for c in clauses if not isinstance(c, Not)):
                return Not(clauses)
            del self.params.list[mark:]
        return None


def uses(c, scope):
    if isinstance(c, Bind):
        return c.var in scope
    if isinstance(c, Walk):
        return c.left in scope or c.right in scope
    return any(isinstance(x, Field) and x.var in scope for x in (c.left, c.right))


def query(rng, state):
    r = Reader(rng, state)
    sch = state.schema
    while True:
        r.params = Params()
        clauses, local = r.block({}, 0)
        if any(ty in sch.nodes for ty in local.values()):
            break
    nodes = {v: ty for v, ty in local.items() if ty in sch.nodes}
    fields = [Field(v, p) for v, ty in local.items() for p in sch.type(ty).props.values()]
    items, columns = [], set()

    def add(what, agg=None):
        i = Item(what, agg)
        if rng.random() < 0.4 or i.column() in columns:
            i.alias = "c%d" % len(items)
        columns.add(i.column())
        items.append(i)
    aggregated = rng.random() < 0.3
    for _ in range(rng.randint(1, 4)):
        roll = rng.random()
        if roll < 0.65 and fields:
            add(rng.choice(fields))
        elif roll < 0.92 or not r.params.list:
            add(rng.choice(list(nodes)))
        else:
            p = rng.choice(r.params.list)
            if not aggregated and (p.kind.rstrip("?") not in ("Date", "DateTime") or True):
                add(p)
    if aggregated:
        if rng.random() < 0.5:
            items, columns = items[:1], {items[0].column()} if items else set()
        if rng.random() < 0.3:
            items, columns = [], set()
        for _ in range(rng.randint(1, 2)):
            numeric = [f for f in fields if f.kind in model.NUMBERS and not f.prop.many]
            texts = [f for f in fields if f.kind == "String" and not f.prop.many and not f.prop.enum]
            f = rng.choice(["count", "count", "sum", "avg", "min", "max"])
            if f == "count":
                add(rng.choice(fields + list(nodes)) if fields else rng.choice(list(nodes)), f)
            elif f in ("sum", "avg") and numeric:
                pick = rng.choice(numeric)
                if pick.kind not in ("I64", "U64"):      # sums stay exact in any order
                    add(pick, f)
            elif f in ("min", "max") and numeric + texts:
                add(rng.choice(numeric + texts), f)
        if not any(i.agg for i in items):
            add(rng.choice(list(nodes)), "count")
    if not items:
        add(rng.choice(list(nodes)))
    order = []
    if rng.random() < 0.55:
        if any(i.agg for i in items):
            keys = [i.alias for i in items if i.alias] + [i.what for i in items if not i.agg and not i.alias
                                                          and isinstance(i.what, Field)]
        else:
            keys = list(fields) + [i.alias for i in items if i.alias and not isinstance(i.what, (Param, Lit))]
        for k in rng.sample(keys, min(len(keys), rng.randint(1, 2))):
            order.append((k, rng.choice(["", " asc", " desc"])))
    limit = rng.choice([0, 1, 2, 3, 5, 10]) if rng.random() < 0.3 else None
    params = r.params.list[:]
    rng.shuffle(params)
    q = Query(clauses, items, order, limit, params)
    q.json = r.params.json(rng)
    return q
