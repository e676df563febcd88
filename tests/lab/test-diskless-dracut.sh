#!/usr/bin/env bash
# Two diskless nodes whose image has dracut instead of initramfs-tools: one with its root over NFS, one with its root in memory, from kickctl's
# own servers to their login prompts, and what they are then.
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

lab_use dracut
LAB_WORK="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-dracut.XXXXXX")"
KICK_DATA="$LAB_WORK/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || diskless_show_ends >&2; lab_down; rm -rf "$LAB_WORK"; exit $status' EXIT

# image_with_dracut: the next version of the image `worker`, and the mirror it needs for that.
image_with_dracut() {
    local definition="$KICK_DATA/mirrors/debian-13/definition.toml"
    if ! grep -q '"dracut-network"' "$definition"; then
        sed -i 's/^    "initramfs-tools",$/&\n    "dracut",\n    "dracut-network",/' "$definition"
        # The lab has no way out.
        "$KICKCTL" --data "$KICK_DATA" mirror sync debian-13 >/dev/null
    fi
    kick_head image build worker --packages dracut >/dev/null
    kick_head image show worker -o json | jq -e '[.published.details.packages[].name] | index("dracut") and (index("initramfs-tools") | not)' >/dev/null
    held "the image is made with dracut, and has no initramfs-tools"
}

# every NAME LOWER: what holds whatever made its initial RAM disk. LOWER is the type of what lies below its overlay.
every() {
    local name="$1"
    says "$name" 'cat /proc/sys/kernel/hostname' "$name"
    says "$name" 'findmnt -no FSTYPE /' overlay
    says "$name" 'findmnt -no FSTYPE /run/kickctl/lower' "$2"
    says "$name" 'echo written >/etc/lab-was-here && cat /etc/lab-was-here' written
    [ ! -e "$(diskless_image)/root/etc/lab-was-here" ] || { echo "$name wrote to the image" >&2 && return 1; }
    held "$name is called so, has its root on $2, and writes to memory"
    # shellcheck disable=SC2016 # for the node's shell
    says "$name" '. /run/kickctl/env && curl -s -o /dev/null -w "%{http_code}" -X POST "$KICKCTL_TAKEOVER"' 403
    refuses "$name" 'runuser -u nobody -- cat /run/kickctl/token' 'Permission denied'
    # Empty: which unit failed is told otherwise.
    says "$name" 'systemctl is-system-running --wait >/dev/null; systemctl --failed --no-legend --plain' ''
    held "its secrets were given once, and no unit of it failed"
}

kick_build
lab_up dracut 10.77.6.0/24
diskless_head 10.77.6.0/24
image_with_dracut
truncate -s 256M "$LAB_WORK/scratch.raw"
diskless_node node01 debian-13-nfs 31 --set 'scratch.disk.serial=node01' --set 'writable=[{"path": "/var/lib/lab", "on": "disk"}]'
diskless_node node02 debian-13-ram 32
diskless_start node01 31 --nic2 52:54:00:00:02:f3 --disk "$LAB_WORK/scratch.raw"
diskless_start node02 32
diskless_verified node01 1
every node01 nfs
says node01 'findmnt -no FSTYPE,LABEL /scratch' 'ext4 kickctl-scratch'
held "of its two cards it uses the one that it booted from, and its blank disk became scratch"
diskless_verified node02 1
every node02 squashfs
on node01 'systemctl reboot' || true
date +%s >"$LAB_WORK/node01.began"
diskless_verified node01 2
held "after a reboot ssh found the same host key"
echo "diskless nodes boot by dracut's initial RAM disk, from NFS and from memory"
