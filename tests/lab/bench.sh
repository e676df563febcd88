#!/usr/bin/env bash
# Measures kickctl against aptly on the same filter, side by side, and writes target/bench.json:
# a list of {bench, unit, kickctl, peer, peer_value, ratio, goal, holds}; a ratio above 1 favours kickctl.
#
# BENCH_ROUNDS=5: the two take turns; the median counts. BENCH_ONLY=aptly measures the peer alone and writes no file.
# Both fetch from the upstream that this machine's own apt sources name.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"

rounds="${BENCH_ROUNDS:-5}"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
work="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-bench.XXXXXX")"
lab_use bench
trap 'lab_down; rm -rf "$work"' EXIT

# upstream: the Debian archive of the machine's own apt sources.
upstream() {
    # shellcheck disable=SC2016 # apt's variable, not the shell's
    list() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1; }
    [ -n "$(list)" ] || apt-get update -qq >&2
    list | sed 's,/$,,' | grep . || { echo "bench: no Debian archive in the apt sources of this machine" >&2 && return 1; }
}

# measure NAME CMD...: append "seconds KiB" (elapsed, largest resident set) to NAME's figures.
measure() {
    local name="$1"
    shift
    command time -f '%e %M' -o "$work/time" "$@" >"$work/out" 2>&1 || { tail -n 20 "$work/out" >&2 && return 1; }
    cat "$work/time" >>"$work/$name.figures"
    printf '  %-22s %s\n' "$name" "$(awk '{ printf "%6.2f s %6.0f MiB", $1, $2 / 1024 }' "$work/time")"
}

aptly_run() { aptly -config="$work/aptly.conf" "$@"; }
aptly_round() {
    rm -rf "$work/aptly"
    echo "{\"rootDir\": \"$work/aptly\", \"architectures\": [\"amd64\"], \"gpgProvider\": \"gpg\"}" >"$work/aptly.conf"
    aptly_run mirror create -keyring="$keyring" -architectures=amd64 -filter-with-deps \
        -filter='Priority (required) | linux-image-amd64 | grub-pc | grub-efi-amd64' bench "$upstream" trixie main >/dev/null 2>&1
    measure aptly_first aptly -config="$work/aptly.conf" mirror update -keyring="$keyring" bench
    measure aptly_noop aptly -config="$work/aptly.conf" mirror update -keyring="$keyring" bench
}

kickctl_round() {
    KICK_DATA="$work/kickctl"
    rm -rf "$KICK_DATA"
    cat >"$work/bench.toml" <<TOML
[[source]]
url = "$upstream"
suites = ["trixie"]
components = ["main"]
architectures = ["amd64"]
keyring = ["$keyring"]

[filter]
priorities = ["required"]
names = ["linux-image-amd64", "grub-pc", "grub-efi-amd64"]
dependencies = true
TOML
    kick mirror add bench --file "$work/bench.toml" >/dev/null
    measure kickctl_first "$KICKCTL" --data "$KICK_DATA" mirror sync bench
    measure kickctl_noop "$KICKCTL" --data "$KICK_DATA" mirror sync bench
}

# median FIGURES COLUMN
median() { awk -v column="$2" '{ print $column }' "$work/$1.figures" | sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

# row BENCH UNIT KICKCTL PEER PEER_VALUE GOAL: one element of bench.json; the ratio is peer / kickctl.
row() {
    jq -n --arg bench "$1" --arg unit "$2" --argjson kickctl "$3" --arg peer "$4" --argjson peer_value "$5" --argjson goal "$6" '
        ($peer_value / $kickctl * 100 | round / 100) as $ratio
        | {$bench, $unit, $kickctl, $peer, $peer_value, $ratio, $goal, holds: ($ratio >= $goal)}'
}
# limit_row BENCH UNIT KICKCTL LIMIT: a figure without a peer; it holds while it is not above the limit (null: it is only told).
limit_row() {
    jq -n --arg bench "$1" --arg unit "$2" --argjson kickctl "$3" --argjson limit "$4" '
        {$bench, $unit, $kickctl, peer: null, peer_value: null, ratio: null, goal: $limit, holds: ($limit == null or $kickctl <= $limit)}'
}

# serve_rows: start-to-serving time and the idle daemon's resident memory, on a lab's bridge.
serve_rows() {
    KICK_DATA="$work/serve"
    lab_up bench 10.77.9.0/24
    kick_init 10.77.9.0/24 >/dev/null
    local began pid
    began="$(date +%s%N)"
    KICK_POLL=0.005 kick_serve
    limit_row serve_start ms $((($(date +%s%N) - began) / 1000000)) 200
    sleep 5
    read -r pid _ <"$LAB_DIR/pids/kickctl"
    limit_row serve_idle MiB "$(awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status")" 50
}

"$here/setup.sh" bench
upstream="$(upstream)"
if [ "${BENCH_ONLY:-}" = aptly ]; then
    for ((round = 1; round <= rounds; round++)); do aptly_round; done
    echo "aptly: first $(median aptly_first 1) s, no-op $(median aptly_noop 1) s, memory $(median aptly_first 2) KiB"
    exit
fi
kick_build
for ((round = 1; round <= rounds; round++)); do
    echo "round $round of $rounds"
    # Not joined by &&, which would hide a failure of the first.
    order=(kickctl_round aptly_round)
    if ((round % 2 == 0)); then order=(aptly_round kickctl_round); fi
    for turn in "${order[@]}"; do "$turn"; done
done
peer="aptly $(aptly version | sed 's/.*: *//')"
out="$(repository_root)/target/bench.json"
mkdir -p "$(dirname "$out")"
{
    row sync_first s "$(median kickctl_first 1)" "$peer" "$(median aptly_first 1)" 2
    row sync_noop s "$(median kickctl_noop 1)" "$peer" "$(median aptly_noop 1)" 10
    row sync_memory KiB "$(median kickctl_first 2)" "$peer" "$(median aptly_first 2)" 4
    serve_rows
    limit_row binary_size MiB "$(stat -c %s "$KICKCTL" | awk '{ printf "%.1f", $1 / 1048576 }')" null
} | jq -s . >"$out"
jq -r '.[] | "\(.bench): kickctl \(.kickctl) \(.unit), \(.peer // "limit") \(.peer_value // .goal), ratio \(.ratio) (goal \(.goal)): \(if .holds then "holds" else "MISSED" end)"' "$out"
echo "written to $out"
