# shellcheck shell=sh disable=SC2034,SC2154,SC2015
# What is this node's own: files and secrets from the head, services, mounts. No process of the new system runs yet.

# take_over_once: asks the head for the report token and the secrets. After that the boot token opens nothing any more.
take_over_once() {
	(umask 077 && : >"$STATE/takeover")
	ask "$KICKCTL_TAKEOVER" "$STATE/takeover" --post-data '' || return 1
	rm -rf "$STATE/given"
	mkdir -m 700 "$STATE/given"
	(cd "$STATE/given" && cpio -i -d <"$STATE/takeover" 2>"$STATE/http.log") || return 1
	rm -f "$STATE/takeover"
	[ -s "$STATE/given/token" ] || return 1
	chmod 600 "$STATE/given/token"
	mv "$STATE/given/token" "$STATE/token"
}

take_over() {
	waited=0
	until take_over_once; do
		! final || fail "the head does not let this node take over ($(why)): its boot was given up, or somebody else took over"
		waiting "the head has not given the node's secrets yet ($(why))"
		sleep 5
	done
	say 'taken over'
}

# enter_root, leave_root: programs of the new root (chroot) need the device nodes and what the kernel tells.
enter_root() {
	for folder in dev proc sys run; do
		mkdir -p "$ROOT/$folder"
		mount -o bind "/$folder" "$ROOT/$folder" || fail "/$folder cannot be mounted in the root"
	done
}

leave_root() {
	for folder in run sys proc dev; do
		umount "$ROOT/$folder"
	done
}

in_root() {
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$ROOT" "$@"
}

# lay_over FOLDER: copies what is below FOLDER over the root. The root's own tar, inside it: links in the root lead where they lead there.
lay_over() {
	[ -d "$1" ] || return 0
	if [ "$KICKCTL_KIND" = nfs-rw ]; then
		bind_over "$1"
		return
	fi
	tar -C "$1" -c -f - . | in_root tar -x -p -f - --no-overwrite-dir --keep-directory-symlink --warning=no-timestamp ||
		fail 'the files of this node cannot be written to the root'
}

# bind_over FOLDER: the same for a root that becomes an image: each file is mounted over its place, so that nothing of it stays behind
# but an empty file where there was none.
bind_over() {
	(cd "$1" && find . -type f) >"$STATE/list"
	while read -r file; do
		file=${file#./}
		mkdir -p "$ROOT/$(dirname "$file")"
		[ ! -L "$ROOT/$file" ] || rm -f "$ROOT/$file"
		[ -e "$ROOT/$file" ] || (umask 077 && : >"$ROOT/$file")
		mount -o bind "$1/$file" "$ROOT/$file" || fail "/$file cannot be mounted"
	done <"$STATE/list"
}

# The files the head gave, kept where a bind mount can have them, and secrets over them.
own_files() {
	mkdir -p "$STATE/given/files" "$STATE/files/etc"
	[ ! -d "$HERE/files" ] || cp -a "$HERE/files/." "$STATE/files/"
	cp -a "$STATE/given/files/." "$STATE/files/"
	fstab >"$STATE/files/etc/fstab"
	[ -e "$STATE/files/etc/resolv.conf" ] || resolv_conf "$STATE/files/etc/resolv.conf"
	lay_over "$STATE/files"
	if [ "$KICKCTL_KIND" != nfs-rw ]; then
		rm -rf "$STATE/files" "$STATE/given"
	fi
}

# The root and what this script mounted need no line: they are mounted.
fstab() {
	echo '# Written at each boot from what the head tells of this node.'
	[ -z "${KICKCTL_MOUNTS:-}" ] || echo "$KICKCTL_MOUNTS"
}

# What DHCP told, if the head sent no file of its own.
resolv_conf() {
	for server in "${IPV4DNS0:-}" "${IPV4DNS1:-}"; do
		case $server in
		'' | 0.0.0.0) ;;
		*) echo "nameserver $server" ;;
		esac
	done >"$1"
	if [ -n "${DNSDOMAIN:-}" ]; then echo "search $DNSDOMAIN" >>"$1"; fi
	[ -s "$1" ] || rm -f "$1"
}

mount_points() {
	[ -n "${KICKCTL_MOUNTS:-}" ] || return 0
	echo "$KICKCTL_MOUNTS" | while read -r _ point _; do
		case $point in
		/*) in_root mkdir -p "$point" ;;
		esac
	done
}

# Services for this boot only, below /run: the shared root and its links stay as they are. system.control goes before /etc.
services() {
	units=/run/systemd/system
	mkdir -p "$units/multi-user.target.wants" /run/systemd/system.control
	for unit in kickctl-agent.service kickctl-log.service; do
		ln -sf "/usr/lib/systemd/system/$unit" "$units/multi-user.target.wants/$unit"
	done
	for unit in ${KICKCTL_SERVICES_DISABLE:-}; do
		ln -sf /dev/null "/run/systemd/system.control/$unit"
	done
	for unit in ${KICKCTL_SERVICES_ENABLE:-}; do
		in_root systemctl --runtime --quiet enable "$unit" || hint "the image has no unit $unit that could be enabled"
	done
}

# Nobody may take down the card that the root hangs on.
leave_card_alone() {
	mkdir -p /run/systemd/network /run/NetworkManager/conf.d
	printf '[Match]\nMACAddress=%s\n\n[Link]\nUnmanaged=yes\n' "$NIC_MAC" >/run/systemd/network/00-kickctl.network
	printf '[keyfile]\nunmanaged-devices=mac:%s\n' "$NIC_MAC" >/run/NetworkManager/conf.d/00-kickctl.conf
}
