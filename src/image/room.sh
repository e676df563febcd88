# Runs a program in mount and process namespaces of its own: nothing here is ever mounted on the head, and when it ends, however it ends,
# mounts and processes are gone. Arguments: where it runs, the build's folder, the snapshot's tree or "", then the program.
#   outside       a program of the head
#   beside        one that works on the image: what programs of the image need is mounted there
#   inside        a program of the image
#   /mnt/build    the build's folder, with root/ in it
#   /mnt/mirror   the snapshot's tree, read-only; inside the image it is /run/kickctl/mirror
set -eu
how=$1 build=$2 tree=$3
shift 3
# Assembled here and bound to /mnt in one go: the data folder may itself lie below /mnt.
mount -t tmpfs -o mode=0755 room "$build/room"
mkdir "$build/room/build" "$build/room/mirror"
mount --bind "$build" "$build/room/build"
if [ -n "$tree" ]; then
    mount --bind "$tree" "$build/room/mirror"
    mount -o remount,bind,ro "$build/room/mirror"
fi
mount --rbind "$build/room" /mnt
mount -t tmpfs -o mode=1777 tmp /tmp
cd /
if [ "$how" = outside ]; then
    "$@"
    exit
fi

root=/mnt/build/root
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sys "$root/sys"
mount -t tmpfs -o mode=0755,nosuid dev "$root/dev"
# The head's disks are not among them.
for node in null zero full random urandom tty ptmx; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount --bind /dev/pts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%:*}" "$root/dev/${number#*:}"
done
mount -t tmpfs -o mode=0755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir -p "$root/run/lock" "$root/run/kickctl/mirror"
mount --rbind /mnt/mirror "$root/run/kickctl/mirror"
if [ -f "$root/etc/resolv.conf" ] && [ -f /etc/resolv.conf ]; then
    mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
fi

if [ "$how" = beside ]; then
    "$@"
    exit
fi

# Packages that are installed by hand must not start their daemons: Debian asks this script.
policy=
if [ -d "$root/var/lib/dpkg" ] && [ -d "$root/usr/sbin" ] && ! [ -e "$root/usr/sbin/policy-rc.d" ]; then
    policy="$root/usr/sbin/policy-rc.d"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
status=0
# Not by exec: as process 1 with the image for its root, programs would take it for a booted system.
chroot "$root" "$@" || status=$?
if [ -n "$policy" ]; then
    rm -f "$policy"
fi
exit "$status"
