#!/bin/bash
# A limit on the size of files (LimitFSIZE=, ulimit -f) refuses what is larger with a clear error; it kills nobody.
. "${srcdir:-.}/t/e2e/lib.sh"

command -v prlimit >/dev/null || skip "no prlimit"
new_graph "$tmp/g" 'node Person { name: String @key  text: String? }'
printf '{"type":"Person","data":{"name":"loaded"}}\n' | "$cli" load --data - --mode append "$tmp/g" >"$tmp/cli" 2>&1 || fail "$(cat "$tmp/cli")"
serve "$tmp/g" --workers 1
pids="$(pid_of storaged) $(pid_of builder) $(pid_of worker.0)"
limit() {
	for pid in $pids; do prlimit --fsize="$1:unlimited" --pid "$pid"; done
}
limit 2048
# Images are files, too, of memory.
request POST /query '{"query":"query all() { match { $p: Person } return { $p.name } }"}'
case $code in 500 | 503) ;; *) fail "an image over the limit: $code $(answer)" ;; esac
has 'File too large'
text=$(head -c 30000 /dev/urandom | base64 -w 0)
request POST /mutate "{\"query\":\"query add(\$t: String) { insert Person { name: \\\"big\\\", text: \$t } }\",\"params\":{\"t\":\"$text\"}}"
case $code in 500 | 503 | 507) ;; *) fail "a write over the limit: $code $(answer)" ;; esac
has 'File too large'
limit unlimited
expect 200 POST /mutate "$(add_person another)"
[ "$(names | sort | tr '\n' ' ')" = 'another loaded ' ] || fail "not what was written: $(answer)"
[ "$pids" = "$(pid_of storaged) $(pid_of builder) $(pid_of worker.0)" ] || fail "somebody died of SIGXFSZ"
stop
echo "a limit on files kills nobody"
