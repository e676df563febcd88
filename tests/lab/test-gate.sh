#!/usr/bin/env bash
# A machine whose disk the write gate refuses: the real installer in QEMU gets its no, stops, and the disk (which holds somebody's
# data) is the same afterwards, byte for byte. GATE_SECONDS=1200 is the limit.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"

limit="${GATE_SECONDS:-1200}"
lab_use gate
work="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-gate.XXXXXX")"
KICK_DATA="$work/data"
disk="$work/node03.raw"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || show_ends >&2; lab_down; rm -rf "$work"; exit $status' EXIT

show_ends() {
    tail -n 25 "$LAB_DIR/kickctl.log"
    lab_screen "$LAB_DIR/nodes/node03/serial.log" 25
}

fail() { echo "test-gate: $*" >&2 && exit 1; }

# A disk that somebody uses: a partition table and a file system with a file.
precious() {
    truncate -s 2G "$disk"
    printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q "$disk"
    mkdir -p "$work/files"
    echo 'do not lose me' >"$work/files/thesis.txt"
    mke2fs -q -t ext4 -d "$work/files" -E offset=$((2048 * 512)) "$disk" 1900m
}

kick_build
lab_up gate 10.77.3.0/24
kick_init 10.77.3.0/24 >/dev/null
kick_mirror debian-13
kick_serve
precious
before="$(sha256sum <"$disk")"
kick_arm node03 52:54:00:00:03:03 10.77.3.103 debian-13 --set disk.min_size=100GiB >/dev/null
node_start node03 --mac 52:54:00:00:03:03 --bios --disk "$disk"
until [ "$(kick_attempt node03 .over)" = true ]; do
    [ "$SECONDS" -lt "$limit" ] || fail "the gate was not asked within $limit s: $(kick_attempt node03 .state)"
    lab_alive "$LAB_DIR/nodes/node03/pid" || fail "the virtual machine is off"
    sleep 2
done
# The installer is given time to do what it must not do.
sleep 60
kick_attempt node03 '"  \(.state): \(.why)"'
[ "$(kick_attempt node03 .state)" = held ] || fail "the attempt is not held"
[[ "$(kick_attempt node03 .why)" == *disk* ]] || fail "the reason does not speak of the disk"
lab_alive "$LAB_DIR/nodes/node03/pid" || fail "the machine did not stay with its message"
node_stop node03
[ "$(sha256sum <"$disk")" = "$before" ] || fail "THE DISK WAS WRITTEN TO"
echo "the write gate said no, and the disk is unchanged (sha256 ${before%% *})"
