#!/usr/bin/env bash
# The whole path, live: mirror a Debian, boot an empty virtual machine over the network, install it, boot it from its disk, hear it call home.
#
# DEMO_LAB=NAME (several at a time)   DEMO_FIRMWARE=bios|uefi   LOCAL_PACKAGES=DIR (what the upstream lacks)
# DEMO_MINUTES=90 (give up after; by emulation a slow machine takes more than 45)
# DEMO_AGAIN=1 (then a newer snapshot, which `drift` shows, and the node reinstalled)
# DEMO_PULL=1 (by BIOS: the node has a controller, its plug is pulled in the middle, and the head mends that without a hand)
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"
# shellcheck source=tests/lab/bmc.sh
source "$here/bmc.sh"

firmware="${DEMO_FIRMWARE:-bios}"
[ -z "${DEMO_PULL:-}" ] || firmware=bios KICK_STALL="${KICK_STALL:-10min}"
limit=$((${DEMO_MINUTES:-90} * 60))
say() { printf '\n== %s\n' "$*"; }

if [ -z "${DEMO_READY:-}" ]; then
    say "setting up this machine"
    "$here/setup.sh" demo ${DEMO_PULL:+test}
    say "building kickctl"
    kick_build
    export KICKCTL DEMO_READY=1
    # Network namespaces need root; the build does not.
    [ "$EUID" -eq 0 ] || exec sudo -E "$0" "$@"
fi
lab="${DEMO_LAB:-demo}"
work="$(repository_root)/target/$lab"
KICK_DATA="$work/data"

# The log stays in target/demo after the lab is gone; a data folder made through sudo goes back to the user.
finish() {
    local status=$?
    cp "$LAB_DIR"/*.log "$work/" 2>/dev/null || true
    cp "$LAB_DIR/nodes/node07/serial.log" "$work/serial.log" 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        say "FAILED; the ends of the server's log and of the node's screen (all of it in $work):"
        tail -n 25 "$work/kickctl.log" 2>/dev/null || true
        lab_screen "$work/serial.log" 15
    fi
    lab_down
    [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:" "$work"
    exit "$status"
}

# follow NODE: print each stage as it passes; returns when the attempt is verified, fails when it cannot be any more.
follow() {
    local began=$SECONDS seen=0 stages state
    while true; do
        mapfile -t stages < <(kick_stages "$1")
        for ((; seen < ${#stages[@]}; seen++)); do printf '  %5d s  %s\n' "${stages[seen]%% *}" "${stages[seen]#* }"; done
        state="$(kick_attempt "$1" '"\(.over) \(.state)"')"
        case "$state" in
        "true verified") return 0 ;;
        true*) kick_attempt "$1" '"the attempt is \(.state): \(.why)"' >&2 && return 1 ;;
        esac
        [ $((SECONDS - began)) -lt "$limit" ] || { echo "not verified after $((limit / 60)) minutes" >&2 && return 1; }
        lab_alive "$LAB_DIR/nodes/$1/pid" || { echo "the virtual machine of $1 is off" >&2 && return 1; }
        sleep 2
    done
}

# site_package VERSION: a package of the site's own. Its priority brings it into the mirror, and into the base system.
site_package() {
    local tree="$work/site-package"
    mkdir -p "$tree/DEBIAN" "$work/site"
    printf '%s\n' 'Package: site-notes' "Version: $1" 'Architecture: all' 'Priority: important' 'Section: admin' \
        'Maintainer: Site <site@example.org>' 'Description: what the site wants on every node' >"$tree/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$tree" "$work/site/site-notes_$1_all.deb" >/dev/null
}

# site_package_set_up NODE VERSION: the installer's own log says that this version was installed, and no other.
site_package_set_up() {
    kick_expect "the log of $1" "Setting up site-notes ($2) ..." "$(kick_head logs "$1" | grep -oE 'Setting up site-notes .*' | sort -u)"
}
# published: the mirror's snapshot. drifted NODE: what `drift` says of it, or nothing.
published() { kick_head mirror show debian-13 -o json | jq -r .published.snapshot; }
drifted() { kick_head drift "$1" -o json | jq -r '.[] | "\(.nodes) \(.packages) \(.changes | length) \(.running) \(.next) \(.by) \(.reported)"'; }

# no_drift NODE
no_drift() {
    local told
    told="$(drifted "$1")" # not as an argument: that it failed would be lost
    kick_expect "drift of $1" "" "$told"
}

# drift_appears NODE: the mirror gets a newer snapshot, in which one package of the node is newer; drift says so by the node's own report.
drift_appears() {
    local before waited told=""
    site_package_set_up "$1" 1
    no_drift "$1"
    before="$(published)"
    site_package 2
    kick mirror refresh debian-13 -o json >"$work/refresh.json"
    kick_expect "the refresh brought (if it is more: upstream has changed meanwhile, try again)" "site-notes 1 2" \
        "$(jq -r '.[].packages[] | "\(.name) \(.before) \(.after)"' "$work/refresh.json")"
    for waited in {1..120}; do
        told="$(drifted "$1")"
        [[ "$told" != *" true" ]] || break
        sleep 5
    done
    kick_expect "drift of $1, try $waited: packages behind, other changes, from, to, by, reported" "$1 1 0 $before $(published) reinstall true" "$told"
}

# is_at NODE NUMBER STATES: its last attempt has that number and is in one of these states (a pattern).
is_at() {
    # shellcheck disable=SC2053 # a pattern
    [[ "$(kick_attempt "$1" '"\(.number) \(.state)"')" == "$2 "$3 ]]
}

# reaches NODE NUMBER STATES
reaches() {
    local began=$SECONDS
    lab_until "$limit" "$1 at attempt $2, $3" is_at "$@" || { kick_attempt "$1" '"it is at \(.number) \(.state)"' >&2 && return 1; }
    printf '  %5d s  attempt %s: %s\n' $((SECONDS - began)) "$2" "$(kick_attempt "$1" .state)"
}

# pull_the_plug NODE: ordered and switched on by the head, it loses its power in the middle of its installation; the head notices, and tries once more.
pull_the_plug() {
    kick_head reinstall "$1" --yes=1
    reaches "$1" 1 installing/base-system
    node_stop "$1"
    say "$1's plug is pulled while its base system is being installed; from here on nobody lays a hand on it"
    reaches "$1" 2 'booting/*'
}

# stage_table NODE: each stage of its last attempt, when it began since the node was armed, and how long it took.
stage_table() {
    printf '  %-28s %10s %10s\n' stage began took
    kick_stages "$1" | awk 'NR > 1 { line($1 - began) } { began = $1; stage = $2 } END { line("") }
        function line(took) { printf "  %-28s %8d s %10s\n", stage, began, took == "" ? "" : took " s" }'
}

lab_use "$lab"
trap finish EXIT
rm -rf "$work"
mkdir -p "$work"
lab_up "$lab" 10.77.0.0/24

say "init: one head, one bridge, no way out"
kick_init 10.77.0.0/24
say "mirror: Debian 13 from this machine's own upstream"
[ -z "${DEMO_AGAIN:-}" ] || site_package 1
kick_mirror debian-13 ${DEMO_AGAIN:+"$work/site"}
say "serve: DHCP, TFTP, HTTP and syslog inside the namespace"
kick_serve
say "node07: an empty 8 GiB disk ($firmware)"
# The kernel for virtual machines: a quarter of the size, and quicker to unpack and to make an initial RAM disk for.
kick_node node07 52:54:00:00:00:07 10.77.0.107 debian-13 --set kernel=linux-image-cloud-amd64
qemu-img create -q -f qcow2 "$work/node07.qcow2" 8G
if [ -n "${DEMO_PULL:-}" ]; then
    bmc_machine node07 --mac 52:54:00:00:00:07 --disk "$work/node07.qcow2"
    bmc_controlled node07 ipmi 6231
    pull_the_plug node07
else
    kick_head reinstall node07 --yes=1
    node_start node07 --mac 52:54:00:00:00:07 "--$firmware" --disk "$work/node07.qcow2" --vars "$work/node07.vars"
fi
follow node07
[ -z "${DEMO_PULL:-}" ] || kick_expect "attempts, and what the controller did" "2: on, pxe on, pxe" "$(kick_attempt node07 .number): $(bmc_switched node07)"
if [ -n "${DEMO_AGAIN:-}" ]; then
    say "a newer snapshot: what node07 lacks"
    drift_appears node07
    say "node07 again: reinstalled, the same disk and firmware variables"
    kick_head reinstall node07 --yes=1
    node_reset node07
    follow node07
    site_package_set_up node07 2
    no_drift node07
fi
say "node07 is verified: installed over the network, booted from its own disk"
stage_table node07
echo "  it called home with: $(kick_attempt node07 '.home | tojson')"
