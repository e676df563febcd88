# shellcheck shell=sh disable=SC2034,SC2154,SC2015
# Mounts the root, by kind, at $ROOT. What lies below it is kept at $STATE/lower, what is written at $STATE/rw.

# nfs SERVER PATH FOLDER OPTIONS: waits for the server as long as it takes.
nfs() {
	mkdir -p "$3"
	waited=0
	until nfs_once "$@" 2>"$STATE/mount.log"; do
		waiting "cannot mount $1:$2 ($(printable <"$STATE/mount.log"))"
		sleep 2
	done
	read_ahead "$3"
	say "$1:$2 is mounted"
}

# The kernel speaks to portmapper, mount server and NFS server by itself, from a reserved port.
nfs_once() {
	mount -t nfs -o "$4,vers=3,proto=tcp,nolock,hard,timeo=600,retrans=2,addr=$1${KICKCTL_NFS_OPTIONS:+,$KICKCTL_NFS_OPTIONS}" "$1:$2" "$3"
}

# read_ahead FOLDER: Linux reads 128 KiB ahead on NFS, which one connection over a real network cannot fill.
read_ahead() {
	while read -r _ _ device _ at _; do
		[ "$at" != "$1" ] || { echo 1024 >"$SYS/class/bdi/$device/read_ahead_kb"; } 2>/dev/null || :
	done </proc/self/mountinfo
}

# A version never changes, so what was once seen of it holds.
IMMUTABLE=ro,nocto,actimeo=3600,noatime

mount_root() {
	case $KICKCTL_KIND in
	nfs-ro)
		nfs "$KICKCTL_NFS_SERVER" "$KICKCTL_NFS_PATH" "$STATE/lower" "$IMMUTABLE"
		overlay
		;;
	nfs-rw)
		nfs "$KICKCTL_NFS_SERVER" "$KICKCTL_NFS_PATH" "$ROOT" rw
		;;
	ram)
		squashfs
		overlay
		;;
	ram-usr)
		squashfs
		overlay
		nfs "$KICKCTL_NFS_SERVER" "$KICKCTL_NFS_PATH" "$STATE/shared" "$IMMUTABLE"
		mount -o bind "$STATE/shared/usr" "$ROOT/usr" || fail 'the /usr of the shared root cannot be mounted'
		;;
	*) fail "the kind \"$KICKCTL_KIND\" is not known to this image: build it anew" ;;
	esac
}

# Lays a tmpfs over $STATE/lower, at $ROOT.
overlay() {
	mkdir -p "$STATE/rw"
	mount -t tmpfs -o "mode=0755,size=${KICKCTL_OVERLAY_SIZE:-50%}" kickctl "$STATE/rw" || fail 'no tmpfs for what is written'
	mkdir -m 755 "$STATE/rw/upper" "$STATE/rw/work"
	modprobe -q overlay || :
	mount -t overlay -o "lowerdir=$STATE/lower,upperdir=$STATE/rw/upper,workdir=$STATE/rw/work" kickctl "$ROOT" ||
		fail 'the overlay cannot be mounted (is the overlay module in the image?)'
}

# Fetches the compressed root into memory, and mounts it once its digest is right.
squashfs() {
	need=$((KICKCTL_ROOT_SIZE / 1024 + 1024))
	free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
	[ "${free:-0}" -gt $((need + 65536)) ] || fail "the root takes $((need / 1024)) MiB of memory, and $((${free:-0} / 1024)) MiB are free"
	mkdir -p "$STATE/image" "$STATE/lower"
	# Not on the first file system, which is emptied when the root is entered.
	mount -t tmpfs -o "mode=0700,size=${need}k" kickctl "$STATE/image" || fail 'no tmpfs for the root'
	fetch_root "$STATE/image/root.squashfs"
	mount -o remount,ro "$STATE/image" || :
	modprobe -q -a loop squashfs || :
	device=$(losetup -f) && losetup -r "$device" "$STATE/image/root.squashfs" && mount -t squashfs -o ro "$device" "$STATE/lower" ||
		fail 'the root cannot be mounted from memory (are the modules loop and squashfs in the image?)'
}

# fetch_root FILE: tries again for as long as the head does not refuse. A wrong digest is forgiven twice.
fetch_root() {
	waited=0 wrong=0
	while :; do
		# Carries on where a broken line left off.
		if ask "$KICKCTL_ROOT_URL" "$1" -c; then
			if [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$KICKCTL_ROOT_SHA256" ]; then
				say "the root is in memory ($((KICKCTL_ROOT_SIZE >> 20)) MiB), its digest is right"
				return
			fi
			rm -f "$1"
			wrong=$((wrong + 1))
			[ "$wrong" -lt 3 ] || fail "$KICKCTL_ROOT_URL has another SHA-256 than the head told ($KICKCTL_ROOT_SHA256)"
			say 'the root came with a wrong digest, fetching it again'
		elif final; then
			fail "the head does not give $KICKCTL_ROOT_URL ($(why))"
		else
			waiting "the root did not come whole ($(why))"
		fi
		sleep 2
	done
}
