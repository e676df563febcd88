#!/usr/bin/env bash
# Kickstart profiles in QEMU with a STAND-IN for the installer (tests/lab/standin-anaconda/README.md): no image of Anaconda is on a test
# machine. Three BIOS machines boot over the network: one has no disk that fits; then one meets a package that cannot be installed, and one is
# installed. The evidence is what the nodes asked for on the wire, in Anaconda's order, what the head made of it, and the disks.
#
# KICKSTART_SECONDS=300 is the limit of each; KICKSTART_AT_ONCE=1 runs one machine at a time; KICKSTART_KEEP=1 leaves the folder of the run.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"

limit="${KICKSTART_SECONDS:-300}"
at_once="${KICKSTART_AT_ONCE:-2}"
declare -A began
lab_use kickstart
work="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-kickstart.XXXXXX")"
KICK_DATA="$work/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || show_ends >&2; lab_down; [ -n "${KICKSTART_KEEP:-}" ] || rm -rf "$work"; exit $status' EXIT

show_ends() {
    local node
    tail -n 15 "$LAB_DIR/kickctl.log"
    for node in node01 node02 node03; do
        echo "--- the end of $node" && lab_screen "$LAB_DIR/nodes/$node/serial.log" 25
        kick_attempt "$node" '"\(.state) \(.why)"' || true
    done
}

fail() { echo "test-kickstart: $*" >&2 && exit 1; }

# begin NODE LAST OPTION...: arm the node with the address that ends so, and switch it on with an empty disk. Without no_timer_check a kernel on
# a busy test machine was seen to panic: emulation had lost its timer interrupts.
begin() {
    local node="$1" last="$2" other
    shift 2
    for other in "$LAB_DIR"/nodes/*; do
        [ "$at_once" -gt 1 ] || ! [ -e "$other" ] || node_wait_off "${other##*/}" "$limit"
    done
    kick_arm "$node" "52:54:00:00:04:$last" "10.77.4.1$last" rocky-9 --set filesystem=ext4 --set ntp=[] --set installer_args=no_timer_check "$@" >/dev/null
    truncate -s 8G "$work/$node.raw"
    began[$node]=$SECONDS
    node_start "$node" --mac "52:54:00:00:04:$last" --ipxe --disk "$work/$node.raw"
}

# ends NODE STATE: wait for the attempt's end, which must be this one. `failed` is none: what follows is decided within seconds.
ends() {
    until [ "$(kick_attempt "$1" '.over and .state != "failed"')" = true ]; do
        [ $((SECONDS - began[$1])) -lt "$limit" ] || fail "$1 is still $(kick_attempt "$1" .state) after $limit s"
        sleep 1
    done
    printf '  %-7s %4d s  %s\n' "$1" $((SECONDS - began[$1])) "$(kick_attempt "$1" '"\(.state) \(.why // "")"')"
    [ "$(kick_attempt "$1" .state)" = "$2" ] || fail "$1 is $(kick_attempt "$1" '"\(.state): \(.why)"'), not $2"
}

# asked ADDRESS: the requests that came from this address, in their order, without those that tell how far it is.
asked() {
    tr -d '\r' <"$LAB_DIR/wire.log" | awk -v from="$1." '/^ +[0-9]+(\.[0-9]+)+ > / { mine = index($1, from) == 1 } mine && match($0, /(GET|POST) [^ ]+ HTTP/) { print substr($0, RSTART, RLENGTH - 5) }' |
        grep -v '/report/\(step\|heartbeat\)'
}

# in_order ADDRESS PATTERN...: each was asked for, and after the one before.
in_order() {
    local address="$1" last=0 line
    shift
    asked "$address" >"$work/asked"
    for pattern; do
        line="$(tail -n "+$((last + 1))" "$work/asked" | grep -nEm1 -- "$pattern" | cut -d: -f1)" || true
        [ -n "$line" ] || { cat "$work/asked" >&2 && fail "$address did not ask for $pattern in its place"; }
        last=$((last + line))
        printf '  %s\n' "$(sed -n "${last}p" "$work/asked" | sed 's|/boot/[^/]*/|/boot/TOKEN/|')"
    done
}

kick_build
lab_up kickstart 10.77.4.0/24
kick_init 10.77.4.0/24 >/dev/null
kick_mirror_standin "$work"
lab_wire "$KICK_PORT"
kick_serve
echo "  mirrored and serving after $SECONDS s"

# What the snapshot does not hold is told before anything boots.
kick_head node add node04 --mac 52:54:00:00:04:04 --address 10.77.4.104 --set ntp=[] --set 'packages=["nowhere","@nothing","htop"]' >/dev/null
! kick_head profile assign node04 rocky-9 >"$work/checked" 2>&1 || fail "node04 was assigned packages that the snapshot does not hold"
for name in nowhere @nothing; do grep -q "no package \`$name\`" "$work/checked" || { cat "$work/checked" >&2 && fail "node04: $name was not told"; }; done
! grep -q htop "$work/checked" || fail "node04: htop is there"

begin node03 03 --set disk.min_size=100GiB
ends node03 held
[[ "$(kick_attempt node03 .why)" == *disk* ]] || fail "node03's reason does not speak of the disk"
lab_alive "$LAB_DIR/nodes/node03/pid" || fail "node03 did not stay with its message"
node_stop node03
[ "$(stat -c %b "$work/node03.raw")" -eq 0 ] || fail "node03's disk was written to without a yes"

begin node02 02 --set 'packages=["brittle"]'
begin node01 01 --set swap=ram/4 --set 'packages=["openssh-server","htop"]' --set 'partitions=[{"mount":"/scratch","size":"1 GiB"}]' \
    --set 'users={"ada":{"sudo":true,"groups":["video","lab"],"ssh_keys":["ssh-ed25519 AAAA ada"]}}' --set 'post_install=["echo done >/root/proof"]'
ends node02 held
node_wait_off node02 60
[[ "$(kick_attempt node02 .why)" == *brittle* ]] || fail "node02's reason does not name the package"
kick_head logs node02 | grep -q 'the end of program.log' || fail "%onerror did not bring node02's logs home"
in_order 10.77.4.102 'POST /report/gate' 'POST /report/logs' 'POST /report/failed' >/dev/null

ends node01 verified
node_wait_off node01 60
echo '  node01 asked, in this order, for'
in_order 10.77.4.101 '/boot/[^/]*/linux' '/boot/[^/]*/initrd' '/boot/[^/]*/ks.cfg' '/\.treeinfo' '/images/install.img' '/images/updates.img' \
    '/boot/[^/]*/takeover.sh' 'POST /report/gate' '/\.treeinfo' '/repodata/repomd.xml' 'userland.*\.rpm' '/report/late.sh' '/key.asc' 'POST /report/done' 'POST /report/home'
for header in 'X-RHN-Provisioning-MAC-0: [a-z0-9]* 52:54:00:00:04:01' 'X-System-Serial-Number: node01' 'X-Anaconda-Architecture: x86_64'; do
    grep -aq "$header" "$LAB_DIR/wire.log" || fail "no request had the header $header"
done
kick_head logs node01 >"$work/node01.log"
grep -q 'anaconda.*the tree is Rocky Linux 9.9' "$work/node01.log" || fail "the installer's syslog did not reach the attempt's log"
sfdisk --dump "$work/node01.raw" | sed -n 's/^.*: start/  start/p'
[ "$(sfdisk --dump "$work/node01.raw" | grep -c '^/')" = 4 ] || fail "node01's disk has not the four partitions that were asked for"

echo "a stand-in for Anaconda was installed from, failed, and was refused a disk, each as it should ($SECONDS s)"
