#!/usr/bin/env bash
# A diskless node whose image dnf made of RPM packages: from kickctl's own servers, by dracut's initial RAM disk, over NFS to its login prompt. The
# packages are this machine's own Debian programs, converted (rpm-from-debs.sh): it is what dnf, rpm and dracut do that is tried, not a distribution.
#
# DISKLESS_SECONDS=900 is the limit of one boot; DISKLESS_RPM_SEED=DIR keeps mirror and image between runs.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"
# shellcheck source=tests/lab/diskless.sh
source "$here/diskless.sh"

lab_use rpm
LAB_WORK="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-rpm.XXXXXX")"
KICK_DATA="$LAB_WORK/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || diskless_show_ends >&2; lab_down; rm -rf "$LAB_WORK"; exit $status' EXIT

# image_of_rpms: the mirror `site` and the image `worker` of it, below DATA.
image_of_rpms() {
    "$here/rpm-from-debs.sh" "$LAB_WORK/converted" bash coreutils cpio curl dbus dracut dracut-network e2fsprogs findutils grep gzip hostname iproute2 \
        kmod libpam-systemd login mount openssh-server passwd procps rpm sed systemd systemd-sysv tar udev util-linux zstd
    "$KICKCTL" --data "$1" mirror add site --path "$LAB_WORK/converted/rpms" --packages rpm
    "$KICKCTL" --data "$1" mirror sync site
    cat >"$LAB_WORK/recipe.toml" <<'RECIPE'
mirror = "site"
packages = ["dbus", "e2fsprogs", "hostname", "libpam-systemd", "login", "openssh-server", "procps"]
time_zone = "Etc/UTC"
[services]
enable = ["ssh.service"]
[[file]]
path = "/usr/share/zoneinfo/Etc/UTC"
source = "/usr/share/zoneinfo/Etc/UTC"
RECIPE
    "$KICKCTL" --data "$1" image build worker --recipe "$LAB_WORK/recipe.toml"
}

kick_build
lab_up rpm 10.77.7.0/24
ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB_WORK/key"
seed="${DISKLESS_RPM_SEED:-$LAB_WORK/seed}"
[ -d "$seed/images/worker/current" ] || image_of_rpms "$seed"
cp -a "$seed" "$KICK_DATA"
rm -f "$KICK_DATA/kickctl.toml"
kick_init 10.77.7.0/24 >/dev/null
kick_serve

diskless_node node01 debian-13-nfs 41
diskless_start node01 41
diskless_verified node01 1
says node01 'cat /proc/sys/kernel/hostname' node01
says node01 'findmnt -no FSTYPE / /run/kickctl/lower' $'overlay\nnfs'
held "its root is the NFS export, with memory over it"
says node01 'rpm -q --qf "%{NAME}\n" filesystem systemd' $'filesystem\nsystemd'
# shellcheck disable=SC2016 # for the node's shell
says node01 '. /run/kickctl/env && curl -s -o /dev/null -w "%{http_code}" -X POST "$KICKCTL_TAKEOVER"' 403
on node01 'grep -q "^baseurl=http://10.77.7.1:8080/mirror/site$" /etc/yum.repos.d/kickctl.repo'
# Empty: which unit failed is told otherwise.
says node01 'systemctl is-system-running --wait >/dev/null; systemctl --failed --no-legend --plain' ''
held "rpm knows its packages, its repository is the head, and no unit of it failed"
[ "$(kick_attempt node01 .home.packages)" -gt 100 ]
held "the head has heard of $(kick_attempt node01 .home.packages) packages"
on node01 'systemctl reboot' || true
date +%s >"$LAB_WORK/node01.began"
diskless_verified node01 2
held "after a reboot ssh found the same host key"
echo "a node boots from an image that dnf made"
