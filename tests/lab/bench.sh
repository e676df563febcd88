#!/usr/bin/env bash
# Measures kickctl and its peers side by side and writes target/bench.json: a list of
# {bench, unit, kickctl, peer, peer_value, ratio, goal, holds}; a ratio above 1 favours kickctl.
#
# BENCH_ROWS="deb_index rpm_meta_small": only these rows (names and globs; see the files in bench/ for all). BENCH_ROUNDS=5: the tools take
# turns; the median counts. BENCH_ONLY=aptly measures the peer of the sync rows alone and writes no file.
# The sync rows fetch from the upstream that this machine's own apt sources name.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"
# shellcheck source=tests/lab/debs.sh
source "$here/debs.sh"
# shellcheck source=tests/lab/diskless.sh
source "$here/diskless.sh"
for part in measure sync refresh serve storm rpm deb nfs diskless; do
    # shellcheck source=/dev/null # shellcheck reads them by themselves
    source "$here/bench/$part.sh"
done

BENCH_ROUNDS="${BENCH_ROUNDS:-5}"
BENCH_WORK="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-bench.XXXXXX")"
lab_use bench
trap 'lab_down; rm -rf "$BENCH_WORK"' EXIT

"$here/setup.sh" bench
if [ "${BENCH_ONLY:-}" = aptly ]; then
    sync_peer_alone
    exit
fi
kick_build
out="$(repository_root)/target/bench.json"
mkdir -p "$(dirname "$out")"
echo "load before: $(cut -d' ' -f1-3 /proc/loadavg) on $(nproc) cores"
for part in sync refresh serve storm rpm deb nfs diskless; do "${part}_rows"; done
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
[ -s "$BENCH_WORK/rows" ] || { echo "bench: no row is called ${BENCH_ROWS:-}" >&2 && exit 1; }
jq -s . "$BENCH_WORK/rows" >"$out"
jq -r '.[] | "\(.bench): kickctl \(.kickctl) \(.unit), \(.peer // "limit") \(.peer_value // .goal), ratio \(.ratio) (goal \(.goal)): \(if .holds then "holds" else "MISSED" end)"' "$out"
echo "written to $out"
