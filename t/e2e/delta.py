#!/usr/bin/env python3
"""delta.py GRAPH EXPORT PQROWS [COMMIT]: the Delta logs of a graph hold exactly the rows of an export of main.

Walks each log from its first version, as the Delta protocol says it: every version there, every removed file live before, every added one not, present
and of the size stated; the counts and bounds stated are those of the rows. Rows are read by PQROWS. With COMMIT every last version names a commit
that is it or older (by id). Prints a line for each type: name, versions, live files.
"""
import glob
import json
import os
import subprocess
import sys

graph, export, pqrows = sys.argv[1:4]
newest = sys.argv[4] if len(sys.argv) > 4 else None


def die(text):
    sys.exit(f'FAIL: {text}')


def rows_of(path):
    out = subprocess.run([pqrows, path], capture_output=True, text=True)
    if out.returncode:
        die(out.stderr)
    return [json.loads(line) for line in out.stdout.splitlines()]


def check_stats(path, stats, rows, names):
    if stats['numRecords'] != len(rows):
        die(f'{path}: {len(rows)} rows, stated {stats["numRecords"]}')
    for name, low in stats.get('minValues', {}).items():
        if name not in names:
            die(f'{path}: bounds of {name}, which is in no schema')
        high = stats['maxValues'][name]
        values = [r[name] for r in rows if name in r]
        if isinstance(low, str):
            low, high, values = low.encode(), high.encode(), [v.encode() for v in values]
        if not values or min(values) < low or max(values) > high:
            die(f'{path}: {name} goes from {min(values)} to {max(values)}, stated {low} to {high}')
    for name, n in stats.get('nullCount', {}).items():
        if n != sum(name not in r for r in rows):
            die(f'{path}: nulls of {name}')


def walk(log):
    files, meta, info, version = {}, None, None, -1
    for path in sorted(p for p in glob.glob(log + '/*.json')):
        version += 1
        if os.path.basename(path) != f'{version:020}.json':
            die(f'{path} where version {version} belongs')
        seen, change = set(), None
        for line in open(path):
            (kind, a), = json.loads(line).items()
            if kind == 'protocol':
                if version or a != {'minReaderVersion': 1, 'minWriterVersion': 7, 'writerFeatures': ['omnigraph']}:
                    die(f'{path}: protocol {a}')
            elif kind == 'metaData':
                meta = a
            elif kind == 'commitInfo':
                info = a
            elif kind == 'remove':
                if files.pop(a['path'], None) is None:
                    die(f'{path}: removes {a["path"]}, which is not there')
            elif kind == 'add':
                if a['path'] in files:
                    die(f'{path}: adds {a["path"]} again')
                files[a['path']] = a
            else:
                die(f'{path}: {kind}')
            if kind in ('add', 'remove'):
                if a['path'] in seen or change not in (None, a['dataChange']):
                    die(f'{path}: {a}')
                seen.add(a['path'])
                change = a['dataChange']
        if not version and not meta:
            die(f'{path}: no metaData')
        named = sorted(f + '.parquet' for f in info['omnigraph']['files'])
        if named != sorted(files):
            die(f'{path}: names {named} as live, which are {sorted(files)}')
    return files, meta, info, version + 1


want = {}
for line in open(export):
    r = json.loads(line)
    row = {k: v for k, v in r['data'].items() if v is not None}
    if 'edge' in r:
        row.update(src=r['from'], dst=r['to'])
    want.setdefault('edge:' + r['edge'] if 'edge' in r else 'node:' + r['type'], []).append(row)

have = {}
for log in sorted(glob.glob(graph + '/data/*/_delta_log')):
    files, meta, info, versions = walk(log)
    names = [f['name'] for f in json.loads(meta['schemaString'])['fields']]
    rows = []
    for path, add in files.items():
        path = os.path.join(os.path.dirname(log), path)
        if os.path.getsize(path) != add['size']:
            die(f'{path}: {os.path.getsize(path)} bytes, stated {add["size"]}')
        mine = rows_of(path)
        for r in mine:
            for name in r:
                if name not in names:
                    die(f'{path}: column {name} is in no schema')
        check_stats(path, json.loads(add['stats']), mine, names)
        rows += mine
    if newest and info['omnigraph']['commit'] > newest:
        die(f'{log} shows {info["omnigraph"]["commit"]}, newer than {newest}')
    have[meta['name']] = rows
    print(meta['name'], versions, len(files))

for name in sorted(set(want) | set(have)):
    a, b = (sorted(json.dumps(r, sort_keys=True) for r in x.get(name, [])) for x in (want, have))
    if a != b:
        die(f'{name}: {len(b)} rows in the Delta table, {len(a)} in the graph; only there: {sorted(set(b) - set(a))[:3]}, '
            f'only here: {sorted(set(a) - set(b))[:3]}')
