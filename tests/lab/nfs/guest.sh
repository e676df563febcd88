#!/bin/busybox sh
# The first process of the guest of test-nfs.sh: mounts what the head exports as Debian's kernel does, and tells on the console what holds.
# shellcheck shell=dash disable=SC2016
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp

check() {
    local name="$1" outcome=FAIL
    shift
    "$@" >/tmp/out 2>&1 && outcome=OK
    echo "$outcome $name"
    [ "$outcome" = OK ] || sed 's/^/     /' /tmp/out
}
no() { ! "$@"; }
says() {
    local expected="$1" got
    shift
    got="$("$@" 2>&1)"
    [ "$got" = "$expected" ] || { echo "not '$expected' but '$got'" && false; }
}
fails_with() {
    local expected="$1" got
    shift
    if got="$("$@" 2>&1)"; then echo "went through" && false; fi
    case "$got" in *"$expected"*) ;; *) echo "not '$expected' but '$got'" && false ;; esac
}

for module in virtio_pci virtio_net nfsv3 nfs overlay; do modprobe -q $module; done
ip link set lo up
ip link set eth0 up
ip addr add 10.77.3.7/24 dev eth0
mkdir -p /ro /rw
head=10.77.3.1
options="vers=3,proto=tcp,mountproto=tcp,nolock,hard,addr=$head"
check "mounts the read-only export" mount -t nfs -o "ro,$options" "$head:/ro" /ro
check "mounts the writable export" mount -t nfs -o "rw,$options,actimeo=1" "$head:/rw" /rw
check "another path is refused" no mount -t nfs -o "$options" "$head:/etc" /mnt
grep ' /ro ' /proc/mounts

# ---- reading

check "32 MB read back with their checksum" sh -c 'cd /ro && sha256sum -c sums'
check "a directory of 20,000 entries lists" says 20000 sh -c 'ls /ro/many | wc -l'
check "a file of 6 GiB has its size" says 6442450950 stat -c %s /ro/sparse
check "what lies beyond 4 GiB is read" says "beyond" dd if=/ro/sparse bs=1M skip=6144 status=none
check "root reads a 0600 file" says secret cat /ro/shadow
check "a user does not" fails_with "Permission denied" as 1000 cat /ro/shadow
check "nor by a directory that he may not enter" fails_with "Permission denied" as 1000 cat /ro/private/inside
check "a user reads a public file" says public as 1000 cat /ro/public
check "the setuid bit is there" says 4755 stat -c %a /ro/su
check "and works: a user becomes root by it" says 0 as 1000 /ro/su
check "without the bit he does not" says 1000 as 1000 /ro/plain
check "a program is run that may only be executed" says 1000 as 1000 /ro/execute-only
check "a symbolic link has its target" says ../public readlink /ro/sub/link
check "and leads there" says public cat /ro/sub/link
check "a character device has its numbers" says "character special file 1 5" sh -c 'stat -c "%F %t %T" /ro/zero'
check "and is the device" says 4096 sh -c 'head -c 4096 /ro/zero | wc -c'
check "a user writes to it on a read-only root" as 1000 sh -c 'echo x >/ro/null'
check "a block device has its numbers" says "block special file fd 1170" sh -c 'stat -c "%F %t %T" /ro/disk'
check "owner and group are the server's" says "1234:5678" stat -c %u:%g /ro/owned
check "nothing is written to a read-only export" fails_with "Read-only file system" touch /ro/new
mount -o remount,rw /ro 2>/dev/null
check "nor when the client believes that it may" fails_with "Read-only file system" touch /ro/new
check "the space is the file system's" sh -c '[ "$(stat -f -c %b /ro)" -gt 1000 ]'

# ---- the root of a diskless node: an overlay, whose every file is asked for its access control list

mkdir -p /upper /over && mount -t tmpfs tmpfs /upper && mkdir /upper/files /upper/work
check "an overlay is laid over it" mount -t overlay -o lowerdir=/ro,upperdir=/upper/files,workdir=/upper/work overlay /over
check "a user runs a program of another owner there" says 1000 as 1000 /over/plain
check "and reads a public file" says public as 1000 cat /over/public
check "but not a 0600 file" fails_with "Permission denied" as 1000 cat /over/shadow
check "root changes a file there" sh -c 'echo more >>/over/public && [ "$(cat /over/public)" = publicmore ] && [ "$(cat /ro/public)" = public ]'

# ---- writing

check "a tree is copied into the writable export" sh -c 'cp -a /ro/sub /ro/public /ro/su /ro/zero /rw/ && cat /rw/sub/link'
check "with its setuid bit" says 4755 stat -c %a /rw/su
check "and its device" says "character special file 1 5" sh -c 'stat -c "%F %t %T" /rw/zero'
check "20 MB are written and safe" sh -c 'dd if=/ro/large of=/rw/large bs=1M count=20 conv=fsync status=none && cmp -n 20971520 /ro/large /rw/large'
check "a file is appended to, renamed, linked and removed" sh -c 'cd /rw && echo a >f && echo b >>f && mv f g && ln g h && rm g && [ "$(cat h)" = "a
b" ]'
check "an open file that is removed stays readable" sh -c 'cd /rw && echo kept >o && exec 4<o && rm o && [ "$(cat <&4)" = kept ]'
check "a thousand files are made and removed" sh -c 'mkdir /rw/d && cd /rw/d && for n in $(seq 300); do echo $n >$n; done && [ "$(ls | wc -l)" = 300 ] && rm -r /rw/d'
check "a user makes a file of his own" sh -c 'as 1000 touch /rw/tmp/mine && [ "$(stat -c %u /rw/tmp/mine)" = 1000 ]'
check "but none in a directory of root" fails_with "Permission denied" as 1000 touch /rw/not
check "nor does he remove another's from a sticky one" fails_with "not permitted" as 1001 rm -f /rw/tmp/mine
check "he gives no file away" fails_with "not permitted" as 1000 chown 0 /rw/tmp/mine
check "root does" sh -c 'chown 7:8 /rw/tmp/mine && [ "$(stat -c %u:%g /rw/tmp/mine)" = 7:8 ]'
check "a copy keeps its permissions where lists are looked at too" sh -c 'mkdir -m 2775 /rw/shared && echo x >/rw/shared/x && [ "$(stat -c %a /rw/shared)" = 2775 ]'
check "a pipe passes what is written to it" sh -c 'mkfifo /rw/pipe && { echo through >/rw/pipe & } && [ "$(cat /rw/pipe)" = through ]'

# ---- the head goes away and comes back

[ -e /ro/large ] || poweroff -f
exec 5</ro/large
head -c 100 <&5 >/dev/null
echo "HOLD the head may restart the server now"
until [ -e /rw/restarted ]; do sleep 1; done
check "an open file is read on after the server's restart" sh -c 'cat <&5 | tail -c 1000 | cmp - /ro/tail'
check "and the mount too" says public cat /ro/public
check "and written to" sh -c 'echo after >/rw/after && sync'
echo "DONE"
poweroff -f
