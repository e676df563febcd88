# shellcheck shell=bash
# Rows serve_start, serve_idle, binary_size: figures without a peer.

# From its start until it answers, ms; its memory five seconds later, MiB.
serve_start() {
    local began took pid
    began="$(date +%s%N)"
    KICK_POLL=0.005 kick_serve
    took=$((($(date +%s%N) - began) / 1000000))
    sleep 5
    read -r pid _ <"$LAB_DIR/pids/kickctl"
    awk -v took="$took" '/^VmRSS/ { printf "%d %.1f\n", took, $2 / 1024 }' "/proc/$pid/status" >>"$BENCH_WORK/serve_start.figures"
    lab_stop kickctl
}

serve_rows() {
    limit_row binary_size MiB "$(stat -c %s "$KICKCTL" | awk '{ printf "%.1f", $1 / 1048576 }')" null
    wanted serve_start serve_idle || return 0
    # shellcheck disable=SC2034 # read by kick.sh
    KICK_DATA="$BENCH_WORK/serve"
    lab_up bench 10.77.9.0/24
    kick_init 10.77.9.0/24 >/dev/null
    in_turns serve_start
    limit_row serve_start ms "$(median serve_start 1)" 200
    limit_row serve_idle MiB "$(median serve_start 2)" 50
    lab_down
}
