# shellcheck shell=sh disable=SC2034,SC2154,SC2015
# Which local disk is meant, and whether it may be written to. Reads only.

# first_of FILE...: the first that says anything, as one line.
first_of() {
	for file in "$@"; do
		[ -r "$file" ] || continue
		text=$(printable <"$file")
		if [ -n "$text" ]; then
			echo "$text"
			return
		fi
	done
}

# Kernel names of whole disks. The kernel writes cciss!c0d0 for /dev/cciss/c0d0.
local_disks() {
	for block in "$SYS"/block/*; do
		case ${block##*/} in
		loop* | ram* | sr* | fd* | zram* | md* | dm-* | nbd* | mtdblock* | mmcblk*boot* | mmcblk*rpmb) continue ;;
		esac
		[ "$(cat "$block/size" 2>/dev/null || echo 0)" -gt 0 ] && echo "${block##*/}"
	done
}

device_of() { echo "$DEV/$(echo "$1" | tr '!' /)"; }
size_of() { echo $(($(cat "$SYS/block/$1/size") * 512)); }
wwn_of() { first_of "$SYS/block/$1/wwid" "$SYS/block/$1/device/wwid"; }

serial_of() {
	text=$(first_of "$SYS/block/$1/serial" "$SYS/block/$1/device/serial")
	[ -n "$text" ] || text=$(udevadm info --query=property --name="$(device_of "$1")" 2>/dev/null | sed -n 's/^ID_SERIAL_SHORT=//p' | printable)
	echo "$text"
}

bus_of() {
	case $1 in
	nvme*) echo nvme ;;
	vd*) echo virtio ;;
	*)
		case $(readlink -f "$SYS/block/$1") in
		*/usb*) echo usb ;;
		*/ata*) echo ata ;;
		*/host*) echo scsi ;;
		*) echo other ;;
		esac
		;;
	esac
}

# is_id NAME ID: one of its names under /dev/disk/by-id.
is_id() { [ "$2" = "${2##*/}" ] && [ -e "$DEV/disk/by-id/$2" ] && [ "$(readlink -f "$DEV/disk/by-id/$2")" = "$(readlink -f "$(device_of "$1")")" ]; }

is_called() {
	called=${2#/dev/}
	called=${called#disk/by-id/}
	[ -n "$called" ] || return 1
	[ "$(echo "$1" | tr '!' /)" = "$called" ] || [ "$(serial_of "$1")" = "$called" ] || [ "$(wwn_of "$1")" = "$called" ] || is_id "$1" "$called"
}

# fits NAME WORDS: the rules of domain::disk. Removable and USB disks only when they are named.
fits() {
	for word in $2; do
		value=${word#*=}
		case $word in
		id=*) is_id "$1" "$value" ;;
		wwn=*) [ "$(wwn_of "$1")" = "$value" ] ;;
		serial=*) [ "$(serial_of "$1")" = "$value" ] ;;
		min_size=*) [ "$(size_of "$1")" -ge "$value" ] ;;
		max_size=*) [ "$(size_of "$1")" -le "$value" ] ;;
		bus=*) [ "$(bus_of "$1")" = "$value" ] ;;
		rotational=*) [ "$(first_of "$SYS/block/$1/queue/rotational")" = "$(case $value in true) echo 1 ;; *) echo 0 ;; esac)" ] ;;
		never=*) ! is_called "$1" "$value" ;;
		pick=smallest | pick=largest) ;;
		# An image older than the head: a rule it does not know is a rule that does not hold.
		*) false ;;
		esac || return 1
	done
	case " $2" in
	*' id='* | *' wwn='* | *' serial='* | *' bus='*) return 0 ;;
	esac
	[ "$(first_of "$SYS/block/$1/removable")" != 1 ] && [ "$(bus_of "$1")" != usb ]
}

# choose WORDS: the kernel name of the one disk that is meant. False with the reason if there is none, or no telling between several.
choose() {
	found=$(for name in $(local_disks); do
		if fits "$name" "$1"; then echo "$(size_of "$name") $name"; fi
	done)
	case " $1 " in
	*' pick=smallest '*) wanted=$(echo "$found" | sort -n | head -n 1) ;;
	*' pick=largest '*) wanted=$(echo "$found" | sort -rn | head -n 1) ;;
	*) wanted= ;;
	esac
	[ -z "$wanted" ] || found=$(echo "$found" | grep "^${wanted%% *} ")
	case $(echo "$found" | grep -c .) in
	1) echo "${found#* }" ;;
	0) echo "no disk here fits \"$1\"" && return 1 ;;
	*) echo "several disks fit \"$1\": $(echo "$found" | cut -d ' ' -f 2 | printable)" && return 1 ;;
	esac
}

# judge DEVICE TYPE LABEL: prints `blank`, or `ours` for a file system of this type and label that fills it. Anything else is the reason
# to keep hands off: what cannot be proved blank may be somebody's data.
judge() {
	name=$(basename "$1")
	for part in "$SYS/class/block/$name/$name"*; do
		if [ -e "$part/partition" ]; then
			echo 'it has partitions'
			return
		fi
	done
	if [ -n "$(ls "$SYS/class/block/$name/holders" 2>/dev/null)" ] || grep -q "^$1 " /proc/mounts /proc/swaps; then
		echo 'it is in use'
		return
	fi
	if ! signatures=$(in_root wipefs --noheadings --output TYPE,LABEL "$1" 2>&1 </dev/null); then
		echo "it cannot be examined: $(echo "$signatures" | printable)"
		return
	fi
	case $(echo "$signatures" | printable) in
	"$2 $3") echo ours ;;
	'') if is_zero "$1"; then echo blank; else echo 'it holds data without a known signature'; fi ;;
	*) echo "it holds: $(echo "$signatures" | printable)" ;;
	esac
}

# is_zero DEVICE: its first and last 16 MiB, and a MiB at each sixteenth in between.
is_zero() {
	mib=$(($(in_root blockdev --getsize64 "$1") >> 20)) || return 1
	[ "$mib" -ge 16 ] || return 1
	zeros "$1" 0 16 && zeros "$1" $((mib - 16)) 17 || return 1
	part=1
	while [ "$part" -lt 16 ]; do
		zeros "$1" $((mib * part / 16)) 1 || return 1
		part=$((part + 1))
	done
}

# zeros DEVICE FIRST COUNT, in MiB: true if all of it was read and is nothing but zeros.
zeros() {
	in_root dd if="$1" bs=1M skip="$2" count="$3" 2>"$STATE/dd.log" | tr -d '\000' | head -c 1 >"$STATE/nonzero"
	[ ! -s "$STATE/nonzero" ] && grep -q copied "$STATE/dd.log" && ! grep -qi error "$STATE/dd.log"
}
