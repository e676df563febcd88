#!/usr/bin/env bash
# Two nodes on one NFS root, and what happens to it and to the head while they run: a new version is published, rolled back, the head's
# servers are restarted, and are away for a minute. The nodes go on, and read every file of /usr as the version's list has it.
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

lab_use life
LAB_WORK="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-life.XXXXXX")"
KICK_DATA="$LAB_WORK/data"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || diskless_show_ends >&2; lab_down; rm -rf "$LAB_WORK"; exit $status' EXIT

version() { kick_head image show worker -o json | jq -r .published.version; }
running() { kick_head status -o json | jq -r --arg node "$1" '.running[] | select(.node == $node) | .version'; }

# reads_all NAME: every file of /usr, with the digest that the list of the version it runs has. The node does the reading and the hashing.
reads_all() {
    local list="$KICK_DATA/images/worker/versions/$2/files.list"
    awk '$2 == "-" && $1 ~ /^\/usr\// && $1 !~ /%/ { print $6 "  " $1 }' "$list" | sort -k 2 >"$LAB_WORK/expected"
    on "$1" 'find /usr -xdev -type f -exec sha256sum {} +' | LC_ALL=C grep -a '^[ -~]*$' | grep -v '^[\\]' | sort -k 2 >"$LAB_WORK/$1.read"
    diff "$LAB_WORK/expected" "$LAB_WORK/$1.read" >&2 || { echo "$1 does not read what version $2 holds" >&2 && return 1; }
    echo "    ok  $1 reads all $(wc -l <"$LAB_WORK/expected") files of /usr as version $2 has them"
}

# reboots NAME NUMBER: it shuts down and boots again by itself.
reboots() {
    on "$1" 'systemctl reboot' || true
    date +%s >"$LAB_WORK/$1.began"
    diskless_verified "$1" "$2"
}

kick_build
lab_up life 10.77.4.0/24
diskless_head 10.77.4.0/24
diskless_node node01 debian-13-nfs 21
diskless_node node02 debian-13-nfs 22
old="$(version)"
diskless_start node01 21
diskless_start node02 22
diskless_verified node01 1
diskless_verified node02 1

kick_head image shell worker --publish -- sh -c 'echo two >/usr/lib/lab-version && rm /usr/bin/less' >/dev/null
new="$(version)"
[ "$new" != "$old" ]
[ "$(running node01) $(running node02)" = "$old $old" ]
kick_head drift -o json | jq -e --arg new "$new" '.[] | select(.nodes == "node[01-02]" and .next == $new)' >/dev/null
held "a new version is published, drift says that both nodes would get it at their next boot"
reads_all node01 "$old"
reads_all node02 "$old"

reboots node01 2
says node01 'cat /usr/lib/lab-version' two
[ "$(running node01) $(running node02)" = "$new $old" ]
held "a reboot brings the new version, and the other node keeps the old one"
kick_head image rollback worker >/dev/null
reboots node01 3
refuses node01 'cat /usr/lib/lab-version' 'No such file'
[ "$(running node01)" = "$old" ]
held "a rollback and a reboot bring the old one"

lab_stop kickctl
kick_serve
says node02 'cat /etc/hostname && ls /usr/share/doc | wc -l | grep -c .' $'node02\n1'
held "a restart of kickctl serve goes unnoticed"

# A minute without a head, in the middle of reading.
on node02 'echo 3 >/proc/sys/vm/drop_caches; find /usr -xdev -type f -exec cat {} + | sha256sum; echo done' >"$LAB_WORK/away" 2>&1 &
reading=$!
sleep 5
lab_stop kickctl
sleep 60
kill -0 "$reading" 2>/dev/null || { echo "node02 was through before the head went away" >&2 && exit 1; }
kick_serve
wait "$reading"
grep -q '^done' "$LAB_WORK/away"
held "after a minute without its head node02 goes on where it had to wait"
reads_all node02 "$old"
echo "diskless nodes run on, whatever is published and whoever is restarted"
