#!/usr/bin/env python3
"""3-hop reverse expansion in LadybugDB; prints seconds for all names. usage: peer_expand.py DB NAME..."""
import sys, time
import real_ladybug as lb

c = lb.Connection(lb.Database(sys.argv[1]))
q = "MATCH (p:Package {name: $n})<-[:Depends*SHORTEST 1..3]-(q:Package) RETURN count(DISTINCT q)"
for n in sys.argv[2:]:
    c.execute(q, {"n": n}).get_next()
t = time.time()
for n in sys.argv[2:]:
    c.execute(q, {"n": n}).get_next()
print(time.time() - t)
