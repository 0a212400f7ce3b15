#!/bin/sh
# Requests a second of lib/http answering a constant, as a share of nginx's `return 200` (one process each). Needs nginx and wrk.
set -eu
builddir=${builddir:-.}
tmp=$(mktemp -d)
trap 'kill $ours $theirs 2>/dev/null || :; rm -rf "$tmp"' EXIT
ours='' theirs=''
seconds=${1:-5} connections=${2:-32}

cat >"$tmp/nginx.conf" <<CONF
worker_processes 1; daemon off; master_process off; pid $tmp/pid; error_log /dev/null;
events { worker_connections 4096; }
http {
	access_log off; keepalive_requests 1000000000;
	client_body_temp_path $tmp/b; proxy_temp_path $tmp/p; fastcgi_temp_path $tmp/f; uwsgi_temp_path $tmp/u; scgi_temp_path $tmp/s;
	server { listen 127.0.0.1:18998; location / { default_type text/plain; return 200 "hello, world\n"; } }
}
CONF
nginx -c "$tmp/nginx.conf" & theirs=$!
"$builddir/t/bench/http_const" 18999 & ours=$!
for port in 18998 18999; do
	n=0
	until curl -fs "http://127.0.0.1:$port/" >/dev/null; do n=$((n + 1)); [ $n -lt 50 ]; sleep 0.1; done
done

rate() { wrk -t1 -c"$connections" -d"${seconds}s" "http://127.0.0.1:$1/" | awk '/^Requests\/sec/ { print $2 }'; }
# In turns, so that a busy machine disturbs both.
n1=$(rate 18998) o1=$(rate 18999) n2=$(rate 18998) o2=$(rate 18999)
awk -v n="$n1 $n2" -v o="$o1 $o2" 'BEGIN { split(n, a); split(o, b); x = a[1] + a[2]; y = b[1] + b[2];
	printf "nginx %.0f/s, ours %.0f/s, share %.2f\n", x / 2, y / 2, y / x }'
