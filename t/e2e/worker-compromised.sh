#!/bin/bash
# A worker that is made to open a file, make a socket, connect, execute, trace, fork or mount dies on the spot, and the service goes on.
. "${srcdir:-.}/t/e2e/lib.sh"

[ "$(id -u)" = 0 ] || skip "only root may trace a process that is not dumpable"
grep -q '^#define OG_SANITIZED' "$top/config.h" && skip "the filter of a sanitizer build lets more through"
inject=$top/t/sandbox/inject

new_graph "$tmp/g"
serve "$tmp/g" --workers 2
expect 200 POST /mutate '{"query":"query m() { insert Person { name: \"Ada\" } }"}'
# In turns, since whoever dies often is started again ever later.
set -- worker.0 worker.1 builder
for call in open openat socket connect execve ptrace fork clone mount unlink kill; do
	name=$1
	shift
	set -- "$@" "$name"
	until_ok 20 is_ready $name || fail "$name is not ready"
	old=$(pid_of $name)
	said=$("$inject" "$old" $call)
	rc=$?
	[ $rc -ne 77 ] || skip "$said"
	[ $rc -eq 0 ] || fail "$name made to call $call: $said"
	until_ok 20 grep -q "child.exit child=$name .*pid=$old signal=31" "$tmp/err" || fail "$name lives on after $call ($said)"
	expect 200 POST /query '{"query":"query q() { match { $p: Person } return { $p.name } }"}'
done
for name in worker.0 worker.1 builder; do
	until_ok 40 is_ready $name || fail "$name is not started again"
done
# What the log says of these deaths is what this test wants.
sed -i 's/signal=31$/signal=31 (wanted)/' "$tmp/err"
stop
echo "all good"
