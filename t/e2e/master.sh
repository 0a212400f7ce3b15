#!/bin/bash
# og-master with children that only play their parts (testchild): start, wiring, restart, drain, refusals, admin socket.
set -u
top=$(cd "${builddir:-.}" && pwd)
master=$top/og-master/og-master
ask=$top/t/e2e/adminask
child=$top/t/e2e/testchild
tmp=$(mktemp -d) || exit 99
server=
trap 'test -n "$server" && kill -9 "$server" 2>/dev/null; rm -rf "$tmp"' EXIT
"$top/t/e2e/launch" "$child" || { echo "FAIL: direct start"; exit 1; }
mkdir "$tmp/lib" && ln "$child" "$tmp/lib/og-worker" 2>/dev/null || cp "$child" "$tmp/lib/og-worker"
cp "$tmp/lib/og-worker" "$tmp/lib/og-storaged"
cd "$tmp" || exit 99

fail() { echo "FAIL: $*"; echo "--- stderr"; cat "$tmp/err"; exit 1; }

# until_ok SECONDS COMMAND...: polls, up to a deadline.
until_ok() {
	local end=$(($(date +%s) + $1)); shift
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# serve HOW [OPTION...]: starts and waits for the listen line; sets $server, $port.
serve() {
	local how=$1; shift
	: >"$tmp/out" # the line of the server before must not be taken for this one's
	"$master" "/x/$how" --unauthenticated --bind 127.0.0.1:0 --workers 2 --libexec-dir "$tmp/lib" \
		--admin-socket "$tmp/admin" "$@" >"$tmp/out" 2>"$tmp/err" &
	server=$!
	until_ok 20 grep -q OMNIGRAPH_LISTEN_ADDR "$tmp/out" || fail "no listen line"
	port=$(sed -n 's/^OMNIGRAPH_LISTEN_ADDR=127.0.0.1://p' "$tmp/out")
}

# The line that a worker says: index, pid, og-storaged's pid.
talk() { exec 5<>"/dev/tcp/127.0.0.1/$port" && cat <&5 && exec 5>&-; }
stopped() { ! kill -0 "$server" 2>/dev/null; }
# stop SIGNAL: ends the server; its exit code must be 0.
stop() {
	kill "-$1" "$server"
	until_ok 15 stopped || fail "does not stop"
	wait "$server"; local rc=$?
	server=
	[ $rc -eq 0 ] || fail "exit code $rc"
	[ ! -e "$tmp/admin" ] || fail "the admin socket stays"
}
status() { "$ask" "$tmp/admin" status; }
pid_of() { status | tr '{' '\n' | sed -n "s/.*\"name\":\"$1\".*\"pid\":\([0-9]*\).*/\1/p"; }

# --- serves, with every child wired and locked
AWS_PROBE=12345 serve good
[ "$(wc -l <"$tmp/out")" -eq 1 ] || fail "stdout has more than the listen line"
grep -q 'storaged secret length=5' "$tmp/err" || fail "og-storaged does not have the secret"
grep -q AWS_PROBE "/proc/$server/environ" && fail "the secret is still in the environment block"
for name in worker.0 storaged builder; do
	pid=$(pid_of $name)
	[ -n "$pid" ] || fail "no $name in the status"
	# An undumpable process hides this from others than root.
	[ -r "/proc/$pid/environ" ] && [ -s "/proc/$pid/environ" ] && [ "$(wc -c <"/proc/$pid/environ")" -ne 0 ] && fail "$name has an environment"
	grep -q 'Seccomp:.2' "/proc/$pid/status" || fail "$name has no filter"
	grep -q 'NoNewPrivs:.1' "/proc/$pid/status" || fail "$name may gain privileges"
	grep -q '^CapEff:.0000000000000000' "/proc/$pid/status" || fail "$name has capabilities"
done
line=$(talk) || fail "no connection"
[ "${line##* }" = "$(pid_of storaged)" ] || fail "the worker knows another og-storaged: $line"
status >"$tmp/status" || fail "no status"
for text in '"state":"serving"' '"protections":["no-new-privs"' '"seccomp"' '"commits":7' '"branch":"main"' '"seq":42' \
 '"restarts":0' '"rss_bytes":'; do
	grep -qF "$text" "$tmp/status" || fail "status lacks $text: $(cat "$tmp/status")"
done
"$ask" "$tmp/admin" dance 2>"$tmp/dance" && fail "an unknown verb is taken"
grep -q "does not know the command 'dance'" "$tmp/dance" || fail "unknown verb: $(cat "$tmp/dance")"

# --- a worker killed: another one in its place
old=$(pid_of worker.0)
kill -9 "$old"
worker_again() { p=$(pid_of worker.0); [ -n "$p" ] && [ "$p" != "$old" ] && status | grep -q '"name":"worker.0"[^}]*"state":"ready"[^}]*"restarts":1'; }
until_ok 10 worker_again || fail "the worker is not started again"
grep -q "child.exit child=worker.0 role=worker pid=$old signal=9" "$tmp/err" || fail "its end is not logged"

# --- og-storaged killed: workers get a channel to the new one, and go on
old=$(pid_of storaged)
kill -9 "$old"
storaged_again() { l=$(talk); [ "${l##* }" != "$old" ] && [ "${l##* }" = "$(pid_of storaged)" ]; }
until_ok 10 storaged_again || fail "workers do not reach the new og-storaged"
kill -HUP "$server"
until_ok 5 grep -q 'reloading is not available' "$tmp/err" || fail "SIGHUP says nothing"
stop TERM
pgrep -f "$tmp/lib" >/dev/null && fail "processes are left"

# --- drain: a request under way is finished, by SIGINT too
serve slow
talk >"$tmp/line" & client=$!
until_ok 5 grep -q ' accepted ' "$tmp/err" || fail "no connection"
stop INT
wait $client
grep -q '^[01] ' "$tmp/line" || fail "the request under way was lost"

# --- a second signal, and the drain's deadline, do not wait
serve slow --drain-timeout 20
talk >/dev/null 2>&1 & client=$!
until_ok 5 grep -q ' accepted ' "$tmp/err" || fail "no connection"
kill -TERM "$server"
until_ok 5 grep -q ' drain seconds=20' "$tmp/err" || fail "no drain"
before=$(date +%s)
stop TERM
[ $(($(date +%s) - before)) -le 5 ] || fail "the second signal waited"
wait $client

# --- refusals: exit code 1, the reason on stderr, nothing on stdout
refuse() {
	local text=$1; shift
	timeout 20 "$master" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	local rc=$?
	[ $rc -eq 1 ] || fail "exit code $rc instead of 1: $*"
	grep -q "^Error: .*$text" "$tmp/err" || fail "no '$text': $*"
	[ ! -s "$tmp/out" ] || fail "stdout: $(cat "$tmp/out")"
}
opts="--unauthenticated --bind 127.0.0.1:0 --workers 2 --libexec-dir $tmp/lib --admin-socket $tmp/admin"
refuse '/x/reject: there is no graph' /x/reject $opts
refuse 'worker.[01] ended before it was ready (signal=9)' /x/crash $opts
refuse 'server has no bearer tokens and no policy file configured.*--unauthenticated' /x/good --libexec-dir "$tmp/lib"
OMNIGRAPH_SERVER_BEARER_TOKEN=t refuse 'OMNIGRAPH_SERVER_BEARER_TOKEN' /x/good $opts
OMNIGRAPH_SERVER_BEARER_TOKENS_AWS_SECRET=s refuse 'OMNIGRAPH_SERVER_BEARER_TOKENS_AWS_SECRET' /x/good $opts
refuse 'no graph to serve'
refuse 'is an exclusive boot source' --cluster c /x/good
refuse 'invalid socket address' /x/good --unauthenticated --libexec-dir "$tmp/lib" --bind 127.0.0.1
refuse 'invalid port value' /x/good --unauthenticated --libexec-dir "$tmp/lib" --bind 127.0.0.1:99999
refuse 'os error 99' /x/good --unauthenticated --libexec-dir "$tmp/lib" --bind 192.0.2.1:80

# --- omnigraph.yaml: which graph, and what this version does not serve
# config TEXT: it lies in the working directory.
config() { printf '%s\n' "$1" >"$tmp/omnigraph.yaml"; }
config 'graphs: { quay: { uri: /x/good } }'
refuse 'no graph to serve: pass a URI' $opts
refuse "graph 'fleet' not found in omnigraph.yaml" --target fleet $opts
config 'server: { graph: fleet }'
refuse "graph 'fleet' not found in omnigraph.yaml" $opts
config 'graphs: [1]'
refuse 'omnigraph.yaml: graphs: invalid type:.*at line 1 column 9' /x/good $opts
config 'policy: { file: p.yaml }'
refuse 'policy file is configured but no bearer tokens — every request would 401' /x/good $opts
OMNIGRAPH_SERVER_BEARER_TOKEN=t refuse 'policy files .* are not available in this version' /x/good $opts
config 'queries: { berth: { file: b.gq } }'
refuse "stored queries ('berth', file 'b.gq') are not available" /x/good $opts
config 'graphs: { quay: { uri: /x/good, policy: { file: p.yaml } } }'
refuse 'policy file is configured but no bearer tokens' --target quay $opts
config '{ graphs: { quay: { uri: /x/good } }, policy: { file: p.yaml } }'
refuse "named graph 'quay' uses its own .*policy.file is set.*graphs.quay" --target quay $opts
refuse 'multi-graph mode: top-level policy.file is not honored.*graphs.<graph_id>.*server.policy.file' --config omnigraph.yaml $opts
config '{ graphs: { quay: { uri: /x/good } }, queries: { berth: { file: b.gq } }, policy: { file: p.yaml } }'
refuse 'top-level policy.file and queries are not honored' --config omnigraph.yaml $opts
config 'graphs: { a_b: { uri: /x/good } }'
refuse "invalid graph id 'a_b' in omnigraph.yaml: graph_id 'a_b' must match" --config omnigraph.yaml $opts
config 'graphs: { openapi: { uri: /x/good } }'
refuse "graph_id 'openapi' is reserved" --config omnigraph.yaml $opts
config 'graphs: { a: { uri: /x/good }, b: { uri: "file:///x/good/" } }'
refuse "URI '/x/good' is already registered as another graph" --config omnigraph.yaml $opts
config '{ graphs: { a: { uri: /x/good } }, server: { policy: { file: s.yaml } } }'
refuse 'policy file is configured but no bearer tokens' --config omnigraph.yaml $opts
config 'graphs: { a: { uri: /x/good } }'
refuse 'serving several graphs is not available in this version' --config omnigraph.yaml $opts
refuse 'none.yaml: No such file or directory' --config none.yaml $opts
refuse 'serving a cluster is not available in this version' --cluster "$tmp" $opts
# What `init` leaves beside a graph does not stand in the way of a URI; server.graph alone is enough, server.bind counts.
config '{ graphs: { local: { uri: /x/good } }, server: { graph: local, bind: "127.0.0.2:0" } }'
serve good
grep -q ' serving mode=single graphs=1 uri=/x/good ' "$tmp/err" || fail "not served"
stop TERM
: >"$tmp/out"
"$master" --unauthenticated --workers 2 --libexec-dir "$tmp/lib" --admin-socket "$tmp/admin" >"$tmp/out" 2>"$tmp/err" &
server=$!
until_ok 20 grep -q '^OMNIGRAPH_LISTEN_ADDR=127.0.0.2:' "$tmp/out" || fail "server.graph and server.bind do not serve"
stop TERM
rm omnigraph.yaml

# --- a process that stands still is replaced, by one who does not
serve good --stuck-timeout 3
old=$(pid_of worker.1)
kill -STOP "$old"
worker_again() { p=$(pid_of worker.1); [ -n "$p" ] && [ "$p" != "$old" ]; }
until_ok 20 worker_again || fail "a stuck worker is not replaced"
grep -q "child.stuck child=worker.1 pid=$old seconds=3" "$tmp/err" || fail "the stuck worker is not logged"
status | grep -q '"name":"worker.1"[^}]*its loop stood still for 3 s' || fail "status does not say why"
stop TERM

# --- a port that another server has
serve good
refuse 'os error 98' /x/good --unauthenticated --libexec-dir "$tmp/lib" --bind "127.0.0.1:$port" --admin-socket "$tmp/admin2"
stop TERM
echo "all good"
