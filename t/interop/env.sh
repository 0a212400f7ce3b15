#!/bin/sh
# The programs of others that t/interop reads our data with: a Python environment with pinned versions of DuckDB (and its extensions for Delta
# Lake and S3), Arrow, deltalake and pandas; with "spark" also Apache Spark and the jars of Delta Lake.
#
#   env.sh [--fetch] readers|spark      prints the environment's folder: bin/python is the interpreter, jars/*.jar are for spark.jars
#
# They lie in $OG_TEST_CACHE (default: $XDG_CACHE_HOME or ~/.cache, then /omnigraph-test) and serve every later run: readers 650 MB, Spark 450 MB
# more. Only --fetch downloads, from PyPI and Maven Central, with pip and mvn; without it, what is being fetched is waited for. Ends with 77 and the
# reason where something is missing or cannot be had.
set -eu

readers='duckdb==1.5.5 duckdb-extensions==1.5.5 duckdb-extension-delta==1.5.5 duckdb-extension-httpfs==1.5.5
pyarrow==26.0.1 deltalake==1.6.6 pandas==3.1.1 pytz==2026.6'
spark='pyspark==4.0.1 py4j==0.10.9.9'
jars='io.delta:delta-spark_2.13:4.0.0 io.delta:delta-storage:4.0.0'

usage() { echo "usage: env.sh [--fetch] readers|spark" >&2; exit 2; }
missing() { echo "SKIPPED: $*" >&2; exit 77; }

fetch=no
if [ "${1:-}" = --fetch ]; then
	fetch=yes
	shift
fi
[ $# -eq 1 ] || usage
case $1 in readers | spark) part=$1 ;; *) usage ;; esac

[ -n "${OG_TEST_CACHE:-}${XDG_CACHE_HOME:-}${HOME:-}" ] || missing "no HOME for a cache; OG_TEST_CACHE names a folder"
cache=${OG_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/omnigraph-test}
# Other versions, or another Python, make another environment beside it.
python=$(command -v python3) || missing "no python3"
key=$({ echo "$readers" "$spark" "$jars"; "$python" -VV; } | cksum | cut -d ' ' -f 1)
env=$cache/interop-$key

have() { [ -e "$env/$1.complete" ]; }

# run WHAT COMMAND...: quiet unless it fails.
run() {
	what=$1
	shift
	if ! "$@" >"$env/fetch.log" 2>&1 </dev/null; then
		tail -n 5 "$env/fetch.log" >&2
		missing "$what cannot be fetched here"
	fi
}

# Few of their modules are ever read: not worth compiling them all.
install() {
	# shellcheck disable=SC2086
	run "$*" "$env/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile $1
}

# Spark brings all that Delta Lake needs but these.
fetch_jars() {
	command -v java >/dev/null || missing "no java: apt-get install openjdk-17-jre-headless"
	command -v mvn >/dev/null || missing "no mvn to fetch jars with: apt-get install maven"
	mkdir -p "$env/jars"
	for jar in $jars; do
		name=$(echo "$jar" | cut -d : -f 2)-${jar##*:}.jar
		run "$jar" mvn -B -q dependency:get -Dtransitive=false -Dmaven.repo.local="$env/maven" -Dartifact="$jar"
		find "$env/maven" -name "$name" -exec cp {} "$env/jars/$name" \;
		[ -f "$env/jars/$name" ] || missing "$name was not fetched"
	done
	rm -rf "$env/maven"
}

if ! have "$part" && [ $fetch = no ] && [ -e "$env/lock" ]; then
	exec 9>"$env/lock"
	until have "$part" || flock -n 9; do sleep 0.5; done
fi
if ! have "$part"; then
	[ $fetch = yes ] || missing "the programs of others are not here; t/interop/env.sh --fetch $part downloads them"
	mkdir -p "$env" 2>/dev/null || missing "cannot write to $cache; OG_TEST_CACHE names another folder"
	# One at a time; who had to wait finds the work done.
	exec 9>"$env/lock"
	flock 9
	if ! have readers; then
		run "venv (apt-get install python3-venv)" "$python" -m venv "$env"
		install "$readers"
		: >"$env/readers.complete"
	fi
	if [ "$part" = spark ] && ! have spark; then
		fetch_jars
		install "$spark"
		: >"$env/spark.complete"
	fi
fi
echo "$env"
