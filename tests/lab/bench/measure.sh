# shellcheck shell=bash
# How the benchmark measures and what it writes. Sourced by bench.sh; $BENCH_WORK is its folder, $BENCH_ROUNDS how often the tools take turns.

# wanted ROW...: true if one of them is to be measured.
wanted() {
    local row pattern
    [ -n "${BENCH_ROWS:-}" ] || return 0
    for row in "$@"; do
        for pattern in $BENCH_ROWS; do
            # shellcheck disable=SC2053 # a glob
            [[ "$row" != $pattern ]] || return 0
        done
    done
    return 1
}

# measure NAME CMD...: append "seconds KiB" (elapsed, largest resident set) to NAME's figures. What others left to be written is on the disk
# before: who waits for his own data shall not wait for theirs.
measure() {
    local name="$1"
    shift
    [ -x "$BENCH_WORK/measure" ] || gcc -O2 -o "$BENCH_WORK/measure" "$(dirname "${BASH_SOURCE[0]}")/measure.c"
    sync -f "$BENCH_WORK"
    "$BENCH_WORK/measure" "$BENCH_WORK/time" "$@" >"$BENCH_WORK/out" 2>&1 || { tail -n 20 "$BENCH_WORK/out" >&2 && return 1; }
    tee -a "$BENCH_WORK/$name.figures" <"$BENCH_WORK/time" | awk -v name="$name" '{ printf "  %-24s %8.4f s %6.0f MiB\n", name, $1, $2 / 1024 }'
}

# in_turns TURN...: every tool's function in every round, the order changing; each gets the round's number.
in_turns() {
    local round turn
    for ((round = 1; round <= BENCH_ROUNDS; round++)); do
        echo "${FUNCNAME[1]}: round $round of $BENCH_ROUNDS"
        # Not joined by &&, which would hide a failure of the first.
        if ((round % 2)); then
            for turn in "$@"; do "$turn" "$round"; done
        else
            for turn in $(printf '%s\n' "$@" | tac); do "$turn" "$round"; done
        fi
    done
}

# median FIGURES COLUMN
median() { awk -v column="$2" '{ print $column }' "$BENCH_WORK/$1.figures" | sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

# row BENCH UNIT KICKCTL PEER PEER_VALUE GOAL: one element of bench.json, if it is wanted; the ratio is peer / kickctl.
row() {
    wanted "$1" || return 0
    jq -n --arg bench "$1" --arg unit "$2" --argjson kickctl "$3" --arg peer "$4" --argjson peer_value "$5" --argjson goal "$6" '
        ($peer_value / $kickctl * 100 | round / 100) as $ratio
        | {$bench, $unit, $kickctl, $peer, $peer_value, $ratio, $goal, holds: ($ratio >= $goal)}' >>"$BENCH_WORK/rows"
}

# limit_row BENCH UNIT KICKCTL LIMIT: a figure without a peer; it holds while it is not above the limit (null: it is only told).
limit_row() {
    wanted "$1" || return 0
    jq -n --arg bench "$1" --arg unit "$2" --argjson kickctl "$3" --argjson limit "$4" '
        {$bench, $unit, $kickctl, peer: null, peer_value: null, ratio: null, goal: $limit, holds: ($limit == null or $kickctl <= $limit)}' >>"$BENCH_WORK/rows"
}

# make_packages rpm|deb DIR COUNT BYTES [FIRST [RELEASE]]: see packages.rs. A file of the last second is not believed to stay as it is.
make_packages() {
    if [ -z "${LAB_PACKAGES:-}" ]; then
        (cd "$(repository_root)" && "$(kick_cargo)" build --release --locked --example lab-packages)
        LAB_PACKAGES="${CARGO_TARGET_DIR:-$(repository_root)/target}/release/examples/lab-packages"
    fi
    "$LAB_PACKAGES" "$@"
    sleep 1.1
}
