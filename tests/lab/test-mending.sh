#!/usr/bin/env bash
# Installations in QEMU that fail and are mended without a hand, by virtual BMCs that really start and stop the machines (tests/lab/bmc.sh):
#   node01 (IPMI)     its plug is pulled in the middle of the installation
#   node02 (Redfish)  it freezes in the middle of the installation, and its controller says that it is on
#   node03 (IPMI)     no disk matches, and none holds a system
#   node04 (by hand)  it restarts before its installer has asked for a disk
#   node05 (IPMI)     the mirror answers 503 for two minutes; and its call home is lost ten times, then arrives twice
# The first two stall, are switched off and on, are installed at the second attempt and call home. The third is not tried again, runs the shared NFS root
# and sends its rescue report; the head is killed while the machine is off for that. The fourth is held. The fifth is installed at the second attempt, and verified once. The installer is the stand-in for Anaconda (tests/lab/standin-anaconda/README.md); the NFS root is a whole Debian.
#
# MENDING_SECONDS=1500 is the limit of each node; MENDING_STALL=4min how long an installation may be without progress; MENDING_KEEP=1 leaves the folder.
# DISKLESS_SEED=DIR keeps the mirror and the image of the NFS root between runs.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"
# shellcheck source=tests/lab/diskless.sh
source "$here/diskless.sh"
# shellcheck source=tests/lab/bmc.sh
source "$here/bmc.sh"
# shellcheck source=tests/lab/wire.sh
source "$here/wire.sh"

limit="${MENDING_SECONDS:-1500}"
KICK_STALL="${MENDING_STALL:-4min}"
declare -A began
lab_use mending
LAB_WORK="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-mending.XXXXXX")"
KICK_DATA="$LAB_WORK/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || show_ends >&2; lab_down; [ -n "${MENDING_KEEP:-}" ] || rm -rf "$LAB_WORK"; exit $status' EXIT

fail() { echo "test-mending: $*" >&2 && exit 1; }

show_ends() {
    diskless_show_ends
    tail -n 8 "$LAB_DIR"/bmc/*/log "$LAB_DIR"/{ipmi,notified}-*.log
    kick_head attempt list
    kick_head events
}

# machine NODE LAST OPTION...: a node with an empty disk, which is to be installed; it is off.
machine() {
    local node="$1" mac="52:54:00:00:06:$2"
    truncate -s 8G "$LAB_WORK/$node.raw"
    bmc_machine "$node" --mac "$mac" --disk "$LAB_WORK/$node.raw"
    kick_head node add "$node" --mac "$mac" --address "${LAB_HEAD%.*}.1$2" --set filesystem=ext4 --set ntp=[] --set installer_args=no_timer_check "${@:3}" >/dev/null
    kick_head profile assign "$node" rocky-9 >/dev/null 2>&1
}

# order NODE: from here on nobody lays a hand on it.
order() {
    kick_head reinstall "$1" --yes=1 >/dev/null 2>&1
    began[$1]=$SECONDS
    tell "$1" "ordered; it is off"
}

tell() { printf '  %-7s %5d s  %s\n' "$1" $((SECONDS - began[$1])) "$2"; }

# earlier NODE NUMBER FILTER: what jq makes of the node's attempt of that number, or nothing.
earlier() { kick_head attempt show "$1" --attempt "$2" -o json 2>/dev/null | jq -r "$3"; }

# is NODE NUMBER STATES: that attempt is in one of these states (a pattern). An end that is another one is the end of the test.
is() {
    local now
    now="$(earlier "$1" "$2" .state)" || true
    # shellcheck disable=SC2053 # a pattern
    [[ "$now" != $3 ]] || return 0
    case "$now $3" in
    "failed fallback" | "failed held") ;; # that is decided within seconds
    failed* | held* | fallback* | verified*) fail "$1: attempt $2 is $now, and not $3: $(earlier "$1" "$2" .why)" ;;
    esac
    return 1
}
# reaches NODE NUMBER STATES
reaches() {
    lab_until "$limit" "$1: attempt $2 is $3" is "$@"
    tell "$1" "attempt $2: $(earlier "$1" "$2" '"\(.state) \(.why // "")"')"
}

# installers NODE: how many installers ran on it, by its own screen.
installers() { grep -ac 'stand-in: running %pre' "$(node_serial "$1")"; }

# strike: whichever is in the middle of its installation. True when both have been struck.
strike() {
    if [ ! -e "$LAB_WORK/pulled" ] && is node01 1 installing/packages; then
        [ "$(stat -c %b "$LAB_WORK/node01.raw")" -gt 0 ] || fail "nothing is on node01's disk yet"
        node_stop node01
        tell node01 "its plug is pulled while packages are being installed"
        touch "$LAB_WORK/pulled"
    fi
    if [ ! -e "$LAB_WORK/frozen" ] && is node02 1 installing/packages; then
        node_monitor node02 stop
        tell node02 "it is frozen while packages are being installed"
        touch "$LAB_WORK/frozen"
    fi
    [ -e "$LAB_WORK/pulled" ] && [ -e "$LAB_WORK/frozen" ]
}
was_switched() { bmc_log "$1" | grep -q " $2\$"; }
# head_dies: by a signal that it cannot catch; and another is started.
head_dies() {
    local pid
    read -r pid _ <"$LAB_DIR/pids/kickctl"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true # or the shell tells of it
    kick_serve
}
# told NODE: the events about it, without those that only switching makes.
told() { kick_head events -o json | jq -r --arg node "$1" '[.[] | select(.node == $node) | .what | select(. != "power")] | join(" ")'; }
# address NODE; tried TIMES: so often has it tried to reach the head since the wire was cut.
address() { kick_head node show "$1" -o json | jq -r .address; }
tried() { [ "$(wire_count)" -ge "$1" ]; }
rescued() { [[ "$(told "$1")" == *rescue* ]]; }
# off_time NODE: the shortest time between off and on, in seconds.
off_time() { bmc_log "$1" | awk '$2 == "off" { off = $1 } $2 == "on," && off { print $1 - off; off = 0 }' | sort -n | head -n 1; }

# mended NODE REASON: what holds of a node whose first attempt stalled and whose second succeeded.
mended() {
    kick_expect "$1's first attempt" "failed transient installing/transient/* true" \
        "$(earlier "$1" 1 '"\(.state) \(.class) \(.signature) \(.why | startswith("the installation made no progress"))"')"
    kick_expect "$1's second order is its first" true "$(earlier "$1" 1 '[.profile, .snapshot]' | jq --argjson second "$(kick_attempt "$1" '[.profile, .snapshot]')" '. == $second')"
    kick_expect "installers that ran on $1" 2 "$(installers "$1")"
    kick_expect "what was told of $1" 'armed failed armed verified' "$(told "$1")"
    kick_expect "$1's call home is that of" 'Rocky Linux 9.9 (stand-in)' "$(kick_attempt "$1" .home.os)"
    sfdisk --dump "$LAB_WORK/$1.raw" | grep -q '^/' || fail "$1's disk has no partitions"
}

kick_build
lab_up mending 10.77.6.0/24
diskless_head 10.77.6.0/24
grep -q rescue "$(diskless_image)/root/usr/lib/kickctl/agent" || fail "the image in DISKLESS_SEED=$DISKLESS_SEED is older than rescue reports: remove that folder"
kick_mirror_standin "$LAB_WORK"
machine node01 01 && bmc_controlled node01 ipmi 6231
machine node02 02 && bmc_controlled node02 redfish 8443
machine node03 03 --set disk.min_size=100GiB --set heartbeat=10 --set "kernel_args=$DISKLESS_ARGS" && bmc_controlled node03 ipmi 6233
machine node04 04 --set fallback=none
machine node05 05 && bmc_controlled node05 ipmi 6235
echo "  mirrored and serving after $SECONDS s; five machines are off, and four controllers answer"

order node01
order node02
lab_until "$limit" "both machines are struck" strike
bmc_says node01 off || fail "node01's controller does not know that it is off"
bmc_says node02 on || fail "node02's controller says that it is off"

# While the head waits for a sign of these two.
order node03
order node04
bmc_switch node04 on
reaches node04 1 installing/started
node_reset node04
tell node04 "it restarts"
reaches node04 1 held
reaches node03 1 fallback
# What is in the middle of being switched when the head dies is switched by the next one.
lab_until "$limit" "node03 is switched off" was_switched node03 off
head_dies
tell node03 "it is off, and the head was killed and started anew"
for node in node01 node02; do reaches "$node" 1 failed; done
kick_expect "node03's first attempt" 'deterministic installing/deterministic/*' "$(earlier node03 1 '"\(.class) \(.signature)"')"
[[ "$(earlier node03 1 .why)" == *disk* ]] || fail "node03's reason does not speak of the disk"

# The boot of a fallback profile is an attempt, which is called so once it has called home.
reaches node03 2 fallback
for node in node01 node02; do reaches "$node" 2 verified; done

mended node01
kick_expect "node01's controller" 'on, pxe on, pxe' "$(bmc_switched node01)"
mended node02
kick_expect "node02's controller" 'on, pxe off on, pxe' "$(bmc_switched node02)"
[ "$(off_time node02)" -ge 6 ] || fail "node02 was off for $(off_time node02) s only"
held "node02 was off for $(off_time node02) s"

kick_expect "node03's controller" 'on, pxe off on, pxe' "$(bmc_switched node03)"
kick_expect "installers that ran on node03" 1 "$(installers node03)"
kick_expect "node03 runs" 'debian-13-nfs nfs-ro' "$(kick_attempt node03 '"\(.profile) \(.home.kind)"')"
lab_until "$limit" "node03's rescue report" rescued node03
kick_expect "what was told of node03" 'armed failed fallback verified rescue' "$(told node03)"
kick_head logs node03 -o json | jq -r '.[] | select(.source == "rescue") | .text' >"$LAB_WORK/rescue"
for word in '== kernel messages' '== disks' 'vda +8G' '== partition table of vda' '== network'; do
    grep -qE -- "$word" "$LAB_WORK/rescue" || { cat "$LAB_WORK/rescue" >&2 && fail "the rescue report has no $word"; }
done
held "its rescue report has $(wc -l <"$LAB_WORK/rescue") lines: $(grep -a '^== ' "$LAB_WORK/rescue" | cut -c4- | paste -sd,)"
kick_expect "blocks of node03's disk" 0 "$(stat -c %b "$LAB_WORK/node03.raw")"

[[ "$(earlier node04 1 .why)" == 'unexpected reboot'* ]] || fail "node04 is held for another reason"
kick_expect "node04's attempts, and installers that ran on it" '1 1' "$(kick_attempt node04 .number) $(installers node04)"
kick_expect "what was told of node04" 'armed failed held' "$(told node04)"
lab_alive "$LAB_DIR/nodes/node04/pid" || fail "node04 is off"
# What its controller cannot mend.
order node05
lab_until "$limit" "node05 has been given its disk" is node05 1 'installing/@(gate|disk*|packages)'
wire_busy "$(address node05)"
tell node05 "whatever it asks is answered 503"
sleep 120
wire_well
tell node05 "the mirror answers again"
reaches node05 1 failed
kick_expect "node05's first attempt" 'failed transient installing/transient/*' "$(earlier node05 1 '"\(.state) \(.class) \(.signature)"')"
reaches node05 2 'finishing*'
wire_lost "$(address node05)"
lab_until "$limit" "ten calls home are lost" tried 10
tell node05 "$(wire_count) calls home were lost"
[[ "$(earlier node05 2 .state)" == finishing* ]] || fail "node05 is $(earlier node05 2 .state), and nothing of its call home has arrived"
wire_well
wire_deaf "$(address node05)"
reaches node05 2 verified
lab_until "$limit" "its call home arrives once more" tried 2
wire_well
kick_expect "what was told of node05" 'armed failed armed verified' "$(told node05)"
# Its installer has switched it off by itself.
kick_expect "node05's controller" 'on, pxe on, pxe' "$(bmc_switched node05)"
kick_expect "installers that ran on node05" 2 "$(installers node05)"
echo "three installations mended themselves, one node fell back, and one was held, without a hand ($SECONDS s)"
