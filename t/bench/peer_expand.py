#!/usr/bin/env python3
"""3-hop reverse expansion in LadybugDB: prints the best seconds for all names, and the answers. usage: peer_expand.py DB ROUNDS NAME..."""
import json, sys, time
import real_ladybug as lb

c = lb.Connection(lb.Database(sys.argv[1]))
names = sys.argv[3:]
q = c.prepare("MATCH (p:Package {name: $n})<-[:Depends*SHORTEST 1..3]-(q:Package) WHERE q.name <> $n RETURN count(DISTINCT q)")
best = None
for _ in range(int(sys.argv[2])):
    t = time.monotonic()
    answers = {n: c.execute(q, {"n": n}).get_next()[0] for n in names}
    seconds = time.monotonic() - t
    best = seconds if best is None else min(best, seconds)
print(json.dumps({"seconds": best, "answers": answers}))
