#!/usr/bin/env bash
# The PXE path in QEMU, up to the installer fetching its preseed and first udebs: a BIOS machine that is a plain PXE client (so the
# loader must come from kickctl's TFTP server, and has a second card that leads nowhere) and a UEFI machine with its firmware's own PXE stack. The evidence is what the nodes
# asked for on the wire, one step after the other, not the log of kickctl.
#
# BOOT_ONLY=bios|uefi runs one; BOOT_SECONDS=600 is the limit of each.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"

limit="${BOOT_SECONDS:-600}"
lab_use boot
work="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-boot.XXXXXX")"
KICK_DATA="$work/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || show_ends >&2; lab_down; rm -rf "$work"; exit $status' EXIT

show_ends() {
    local serial
    tail -n 25 "$LAB_DIR/kickctl.log"
    for serial in "$LAB_DIR"/nodes/*/serial.log; do echo "--- the end of $serial" && lab_screen "$serial" 25; done
}

# boots NAME FIRMWARE MAC ADDRESS LOADER [OPTION...]: arm the node, start it, and wait for every request of the path, in their order.
boots() {
    local name="$1" firmware="$2" mac="$3" address="$4" loader="$5" began=$SECONDS step
    shift 5
    kick_arm "$name" "$mac" "$address" debian-13 >/dev/null
    truncate -s 8G "$work/$name.raw"
    : >"$LAB_DIR/wire.log"
    node_start "$name" --mac "$mac" "--$firmware" --disk "$work/$name.raw" "$@"
    # The plain client and the firmware name no iPXE class (option 77, length 4, "iPXE"); the loader that came by TFTP does.
    for step in "RRQ \"[^\"]*$loader\"" 'M.iPXE' 'GET [^ ]*(linux|vmlinuz)' 'GET [^ ]*initrd' 'GET [^ ]*preseed' 'GET [^ ]*\.udeb'; do
        lab_wait $((limit - SECONDS + began)) "$LAB_DIR/wire.log" "$step" >/dev/null
        printf '  %-7s %4d s  %s\n' "$name" $((SECONDS - began)) "$step"
    done
    in_order "$loader"
    node_stop "$name"
    [ "$(stat -c %b "$work/$name.raw")" -eq 0 ] || { echo "$name: something was written to the disk without the write gate" >&2 && return 1; }
}

# in_order LOADER: the loader was asked for by TFTP before anything called itself iPXE.
in_order() {
    local tftp ipxe
    tftp="$(grep -anEm1 "RRQ \"[^\"]*$1\"" "$LAB_DIR/wire.log" | cut -d: -f1)"
    ipxe="$(grep -anEm1 'M.iPXE' "$LAB_DIR/wire.log" | cut -d: -f1)"
    [ "$tftp" -lt "$ipxe" ] || { echo "iPXE ran before $1 was asked for by TFTP: the loader was not ours" >&2 && return 1; }
}

kick_build
lab_up boot 10.77.1.0/24
kick_init 10.77.1.0/24 >/dev/null
kick_mirror debian-13
lab_wire "$KICK_PORT"
kick_serve
[ "${BOOT_ONLY:-bios}" != bios ] || boots node01 pxe-loader 52:54:00:00:01:01 10.77.1.101 undionly.kpxe --nic2 52:54:00:00:01:f1
[ "${BOOT_ONLY:-uefi}" != uefi ] || boots node02 uefi 52:54:00:00:01:02 10.77.1.102 snponly.efi
echo "both boot paths reached the installer's udebs"
