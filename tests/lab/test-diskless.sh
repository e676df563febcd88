#!/usr/bin/env bash
# A node of each diskless kind in QEMU, from kickctl's own DHCP, TFTP, HTTP, NFS and syslog servers to its login prompt, and then by ssh:
# what it is called, what it can write and where that goes, what it was given, what it must not touch, and what is left after a reboot.
#
# DISKLESS_SECONDS=900 is the limit of one boot.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"
# shellcheck source=tests/lab/diskless.sh
source "$here/diskless.sh"

lab_use diskless
LAB_WORK="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-diskless.XXXXXX")"
KICK_DATA="$LAB_WORK/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || diskless_show_ends >&2; lab_down; rm -rf "$LAB_WORK"; exit $status' EXIT

# disks: one with somebody's data, and a blank one.
disks() {
    truncate -s 64M "$LAB_WORK/data.raw" && mkfs.ext4 -q -L precious "$LAB_WORK/data.raw"
    truncate -s 256M "$LAB_WORK/scratch.raw"
    sha256sum "$LAB_WORK/data.raw" >"$LAB_WORK/data.sum"
}

# every NAME ROOT WRITE: what holds for each kind. ROOT is the type of its root file system.
every() {
    local name="$1" root="$2"
    says "$name" 'cat /proc/sys/kernel/hostname' "$name"
    on "$name" 'grep -qw node01 /etc/hosts && grep -qw node04 /etc/hosts'
    says "$name" 'findmnt -no FSTYPE /' "$root"
    held "$name is called so, knows the others, and has its root on $root"
    # shellcheck disable=SC2016 # for the node's shell
    {
        says "$name" 'echo written >/etc/lab-was-here && cat /etc/lab-was-here' written
        [ ! -e "$(diskless_image)/root/etc/lab-was-here" ] || { echo "$name wrote to the image" >&2 && return 1; }
        held "it writes to its root, and nothing of it reaches the image"
        on "$name" 'logger -t lab "a word from $(hostname)"'
        log_has "$name" "a word from $name"
        held "its log is at the head"
        says "$name" '. /run/kickctl/env && curl -s -o /dev/null -w "%{http_code}" -X POST "$KICKCTL_TAKEOVER"' 403
        refuses "$name" 'runuser -u nobody -- cat /run/kickctl/token' 'Permission denied'
        refuses "$name" 'runuser -u nobody -- cat /etc/ssh/ssh_host_ed25519_key' 'Permission denied'
        says "$name" 'grep -c /boot/ /proc/cmdline' 0
        held "its secrets were given once, and are root's alone"
        says "$name" 'systemctl is-active kickctl-agent' active
        says "$name" 'systemctl is-system-running --wait' running
    }
    kick_head status -o json | jq -e --arg node "$name" '.running[] | select(.node == $node)' >/dev/null
    held "no unit of it failed, and it gives signs of life"
}

# log_has NAME TEXT: within a minute.
log_has() {
    local tries
    for tries in {1..60}; do
        ! kick_head logs "$1" | grep -F "$2" >/dev/null || return 0
        sleep 1
    done
    echo "$1: its log at the head has no \"$2\" (try $tries)" >&2
    return 1
}

# A read-only NFS root with a tmpfs over it, two network cards, a scratch disk, and a disk with data.
nfs_ro() {
    every node01 overlay
    refuses node01 'touch /run/kickctl/lower/etc/x' 'Read-only file system'
    says node01 'findmnt -no FSTYPE /run/kickctl/lower' nfs
    held "what lies below is the NFS export, and cannot be written to by root either"
    says node01 "ip -o -4 address | grep -c ' ${LAB_HEAD%.*}.11/24 '" 1
    says node01 "cat /sys/class/net/\$(ip -o -4 address | awk '/ ${LAB_HEAD%.*}.11\\/24 / { print \$2 }')/address" 52:54:00:00:02:11
    held "of its two cards it uses the one that it booted from"
    says node01 'findmnt -no FSTYPE,LABEL /scratch' 'ext4 kickctl-scratch'
    on node01 'echo kept >/scratch/kept && hostname >/var/lib/lab/own && sync'
    says node01 'cat /scratch/.kickctl/paths/*/own' node01
    held "its blank disk became scratch, and a folder is written there"
    says node01 'swapon --show --noheadings | wc -l' 0
    log_has node01 'hands off /dev/'
    sha256sum --quiet -c "$LAB_WORK/data.sum"
    held "the disk with data that it was told to swap to is untouched, and the log says why"
    on node01 'cat /etc/machine-id' >"$LAB_WORK/machine-id"
}

# after_reboot: the node shuts down and boots again by itself.
reboot_nfs_ro() {
    on node01 'systemctl reboot' || true
    date +%s >"$LAB_WORK/node01.began"
    diskless_verified node01 2
    says node01 'cat /etc/machine-id' "$(cat "$LAB_WORK/machine-id")"
    held "ssh found the same host key, and the machine-id is the same"
    refuses node01 'cat /etc/lab-was-here' 'No such file'
    says node01 'cat /scratch/kept /var/lib/lab/own' $'kept\nnode01'
    held "what was written to the root is gone, what was written to the scratch disk is there"
    sha256sum --quiet -c "$LAB_WORK/data.sum"
}

# The root in memory: the head may go away.
ram() {
    every node03 overlay
    says node03 'findmnt -no FSTYPE /run/kickctl/lower' squashfs
    lab_stop kickctl
    on node03 'find /usr -xdev -type f -exec cat {} + | wc -c' >/dev/null
    says node03 'hostname' node03
    kick_serve
    held "every file of its root is read while the head is away"
}

ram_usr() {
    every node04 overlay
    says node04 'findmnt -no FSTYPE /usr' nfs
    says node04 'findmnt -no FSTYPE /run/kickctl/lower' squashfs
    refuses node04 'touch /usr/x' 'Read-only file system'
    held "its /usr is the shared one, read-only"
}

# The root that one node may write to becomes a version.
nfs_rw() {
    local was
    was="$(kick_head image show worker -o json | jq -r .published.version)"
    every node02 nfs
    refuses node02 'command -v rsync' ''
    on node02 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install rsync' >"$LAB_WORK/apt.log" 2>&1 || { cat "$LAB_WORK/apt.log" >&2 && return 1; }
    says node02 'rsync --version | head -c 5' rsync
    held "it installs a package from the head's mirror"
    on node02 'systemctl poweroff' || true
    node_wait_off node02 "$DISKLESS_LIMIT"
    kick_head image commit worker node02 --publish >/dev/null
    kick_head image diff "worker@$was" worker >"$LAB_WORK/diff"
    grep -q rsync "$LAB_WORK/diff"
    local private
    for private in etc/hostname etc/machine-id etc/ssh/ssh_host_ed25519_key root/.ssh/authorized_keys; do
        [ ! -s "$(diskless_image)/root/$private" ] || { echo "/$private of node02 is in the new version" >&2 && return 1; }
    done
    [ -e "$(diskless_image)/root/usr/bin/rsync" ] && [ -e "$(diskless_image)/root/etc/lab-was-here" ]
    held "which is in the new version, and nothing of the node itself is"
}

kick_build
lab_up diskless 10.77.2.0/24
diskless_head 10.77.2.0/24
disks
diskless_node node01 debian-13-nfs 11 --set 'scratch.disk.serial=node01-2' --set 'swap_disk.serial=node01' \
    --set 'writable=[{"path": "/var/lib/lab", "on": "disk"}]'
diskless_node node02 debian-13-nfs-rw 12
diskless_node node03 debian-13-ram 13
diskless_node node04 debian-13-ram-usr 14

# Two at a time: as many as the machine has processors.
diskless_start node01 11 --nic2 52:54:00:00:02:f1 --disk "$LAB_WORK/data.raw" --disk2 "$LAB_WORK/scratch.raw"
diskless_start node03 13
diskless_verified node01 1
nfs_ro
diskless_verified node03 1
ram
node_stop node03
diskless_start node02 12
diskless_start node04 14
diskless_verified node04 1
ram_usr
node_stop node04
reboot_nfs_ro
diskless_verified node02 1
nfs_rw
echo "all four kinds of diskless nodes boot, and are what they should be"
