#!/usr/bin/env bash
# The real Anaconda in QEMU, for whoever has its image: `ISO=/path/Rocky-9.5-x86_64-dvd.iso tests/lab/test-anaconda.sh`, or make test-anaconda.
# It was written without such an image at hand and has not been run: see docs/profiles.md.
#
# The image is mounted and mirrored, a BIOS machine (ANACONDA_FIRMWARE=uefi for the other kind) boots over the network, installs itself and
# boots its disk. ANACONDA_PROFILE=rocky-9 names the profile (fedora for Fedora's), ANACONDA_SECONDS=14400 the limit under emulation;
# ANACONDA_MEMORY=4096 MiB is what its installer asks for.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"

[ -r "${ISO:-}" ] || { echo "test-anaconda: say ISO=FILE, the image of an installation DVD (the boot image alone has no packages)" >&2 && exit 2; }
profile="${ANACONDA_PROFILE:-rocky-9}"
firmware="${ANACONDA_FIRMWARE:-bios}"
limit="${ANACONDA_SECONDS:-14400}"
lab_use anaconda
work="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-anaconda.XXXXXX")"
KICK_DATA="$work/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || show_ends >&2; lab_down; umount "$work/iso" || true; rm -rf "$work"; exit $status' EXIT

show_ends() {
    tail -n 25 "$LAB_DIR/kickctl.log"
    lab_screen "$LAB_DIR/nodes/node01/serial.log" 40
    kick_head logs node01 | tail -n 40
}

# mirror: what is on the image, copied.
mirror() {
    mkdir -p "$work/iso"
    mount -o loop,ro "$ISO" "$work/iso"
    kick mirror add "$profile" --path "$work/iso"
    kick mirror sync "$profile"
}

kick_build
lab_up anaconda 10.77.5.0/24
kick_init 10.77.5.0/24 >/dev/null
mirror
kick_serve
kick_arm node01 52:54:00:00:05:01 10.77.5.101 "$profile"
truncate -s 20G "$work/node01.raw"
node_start node01 --mac 52:54:00:00:05:01 "--$firmware" --disk "$work/node01.raw" --memory "${ANACONDA_MEMORY:-4096}"
said=""
until [ "$(kick_attempt node01 .over)" = true ]; do
    [ "$SECONDS" -lt "$limit" ] || { echo "test-anaconda: $(kick_attempt node01 .state) after $limit s" >&2 && exit 1; }
    now="$(kick_attempt node01 .state)"
    [ "$now" = "$said" ] || printf '  %5d s  %s\n' "$SECONDS" "$now"
    said="$now"
    sleep 5
done
kick_stages node01
[ "$(kick_attempt node01 .state)" = verified ] || { kick_attempt node01 .why >&2 && exit 1; }
echo "the real Anaconda installed node01 from $(basename "$ISO"), and its system called home"
