# shellcheck shell=bash
# Rows serve_start, serve_idle, binary_size: figures without a peer.

serve_rows() {
    limit_row binary_size MiB "$(stat -c %s "$KICKCTL" | awk '{ printf "%.1f", $1 / 1048576 }')" null
    wanted serve_start serve_idle || return 0
    # shellcheck disable=SC2034 # read by kick.sh
    KICK_DATA="$BENCH_WORK/serve"
    lab_up bench 10.77.9.0/24
    kick_init 10.77.9.0/24 >/dev/null
    local began pid
    began="$(date +%s%N)"
    KICK_POLL=0.005 kick_serve
    limit_row serve_start ms $((($(date +%s%N) - began) / 1000000)) 200
    sleep 5
    read -r pid _ <"$LAB_DIR/pids/kickctl"
    limit_row serve_idle MiB "$(awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status")" 50
    lab_down
}
