# shellcheck shell=sh disable=SC2034,SC2154,SC2015
# Scratch and swap on a local disk, and folders that are written elsewhere than in memory. A disk that holds anything else is never touched:
# the node then goes on without, and the head's log says so.

# label_of TYPE: how a scratch file system is marked as kickctl's; XFS has room for 12 characters.
label_of() {
	case $1 in
	swap) echo kickctl-swap ;;
	xfs) echo kickctl-scr ;;
	*) echo kickctl-scratch ;;
	esac
}

# disk_for USE WORDS: the device. Disks may take a while to be found.
disk_for() {
	tries=0
	until chosen=$(choose "$2"); do
		tries=$((tries + 1))
		if [ "$tries" -ge 15 ]; then
			hint "no $1: $chosen"
			return 1
		fi
		sleep 1
	done
	device_of "$chosen"
}

# prepare USE DEVICE TYPE MAKE...: makes it if the disk is blank; leaves what is ours; false if hands off.
prepare() {
	use=$1 disk=$2 type=$3
	shift 3
	verdict=$(judge "$disk" "$type" "$(label_of "$type")")
	case $verdict in
	ours) return 0 ;;
	blank)
		say "$disk is blank: it becomes the $use"
		said=$(in_root "$@" "$disk" 2>&1 </dev/null) && return 0
		hint "no $use: $disk: $(echo "$said" | printable)"
		;;
	*) hint "no $use: hands off $disk: $verdict. To give it to kickctl, blank it by hand: blkdiscard -z, or wipefs -a and dd if=/dev/zero" ;;
	esac
	return 1
}

scratch() {
	type=${KICKCTL_SCRATCH_FILESYSTEM:-ext4}
	point=${KICKCTL_SCRATCH_MOUNT:-/scratch}
	disk=$(disk_for 'scratch disk' "$KICKCTL_SCRATCH") || return 1
	case $type in
	ext4) prepare 'scratch disk' "$disk" ext4 mkfs.ext4 -q -m 0 -L "$(label_of ext4)" ;;
	xfs) prepare 'scratch disk' "$disk" xfs mkfs.xfs -q -L "$(label_of xfs)" ;;
	*) hint "no scratch disk: this image cannot make $type" && return 1 ;;
	esac || return 1
	[ "$type" != ext4 ] || in_root e2fsck -p "$disk" >"$STATE/fsck.log" 2>&1 || say "e2fsck: $(printable <"$STATE/fsck.log")"
	modprobe -q "$type" || :
	in_root mkdir -p "$point"
	said=$(in_root mount -t "$type" -o nosuid,nodev "$disk" "$point" 2>&1) || {
		hint "no scratch disk: $disk cannot be mounted: $(echo "$said" | printable)"
		return 1
	}
	SCRATCH=$point SCRATCH_DISK=$disk
	say "$disk is mounted at $point"
}

swap() {
	disk=$(disk_for 'swap' "$KICKCTL_SWAP") || return 1
	if [ "$disk" = "${SCRATCH_DISK:-}" ]; then
		swap_file "$SCRATCH/.kickctl/swap"
		return
	fi
	prepare 'swap disk' "$disk" swap mkswap -L "$(label_of swap)" || return 1
	in_root swapon "$disk" || hint "no swap: $disk cannot be used"
}

# swap_file FILE: as large as the memory, but a quarter of the free space at most.
swap_file() {
	if ! [ -e "$ROOT$1" ]; then
		in_root mkdir -p -m 700 "$(dirname "$1")"
		memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
		quarter=$(($(in_root df -k --output=avail "$(dirname "$1")" | tail -n 1) / 4))
		[ "$memory" -lt "$quarter" ] || memory=$quarter
		(umask 077 && in_root fallocate -l "${memory}KiB" "$1.new" && in_root mkswap -q "$1.new" && in_root mv "$1.new" "$1")
	fi
	in_root swapon "$1" || hint "no swap: $1 cannot be used"
}

# seed FROM TO: what the image has in a folder, with owners and modes.
seed() {
	in_root cp -a "$1/." "$2/" && in_root chown --reference="$1" "$2" && in_root chmod --reference="$1" "$2"
}

# on_tmpfs PATH SIZE: a memory limit of its own.
on_tmpfs() {
	in_root mkdir -p "$1" /run/kickctl/fresh
	in_root mount -t tmpfs -o "mode=0755,size=${2:-50%}" kickctl /run/kickctl/fresh && seed "$1" /run/kickctl/fresh &&
		in_root mount -o bind /run/kickctl/fresh "$1" || hint "$1 stays in the memory that all of the root shares"
	in_root umount /run/kickctl/fresh
}

# on_disk PATH: what the image has in PATH is copied once; from then on the disk's is what counts.
on_disk() {
	if [ -z "${SCRATCH:-}" ]; then
		hint "$1 is in memory, because there is no scratch disk: what is written there is lost at the next boot"
		return
	fi
	kept=$SCRATCH/.kickctl/paths/$(echo "$1" | tr / %)
	in_root mkdir -p "$1"
	if ! [ -d "$ROOT$kept" ]; then
		# Renamed when it is whole: a boot that is cut off leaves no half copy behind.
		in_root rm -rf "$kept.new"
		in_root mkdir -p "$kept.new"
		seed "$1" "$kept.new" && in_root mv "$kept.new" "$kept" || {
			hint "$1 cannot be copied to the scratch disk; it stays in memory"
			return
		}
	fi
	in_root mount -o bind "$kept" "$1" || hint "$1 cannot be mounted from the scratch disk"
}

writable() {
	echo "${KICKCTL_WRITABLE:-}" >"$STATE/writable"
	while read -r path where what; do
		case $where in
		'') ;;
		tmpfs) on_tmpfs "$path" "$what" ;;
		disk) on_disk "$path" ;;
		nfs)
			in_root mkdir -p "$path"
			(KICKCTL_NFS_OPTIONS='' && nfs "${what%%:*}" "${what#*:}" "$ROOT$path" rw)
			;;
		*) hint "$path: this image does not know \"$where\"" ;;
		esac </dev/null
	done <"$STATE/writable"
}

local_storage() {
	[ -z "${KICKCTL_SCRATCH:-}" ] || scratch
	[ -z "${KICKCTL_SWAP:-}" ] || swap
	writable
}
