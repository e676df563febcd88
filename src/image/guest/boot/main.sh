# shellcheck shell=sh
# From a kernel and two initial RAM disks to a root that is ready to run. Sourced with ROOT set; comes back when it is mounted there.
BOOT_SCRIPTS=${BOOT_SCRIPTS:-/usr/lib/kickctl/boot}
# shellcheck source=src/image/guest/boot/lib.sh
. "$BOOT_SCRIPTS/lib.sh"
# shellcheck source=src/image/guest/boot/nic.sh
. "$BOOT_SCRIPTS/nic.sh"
# shellcheck source=src/image/guest/boot/root.sh
. "$BOOT_SCRIPTS/root.sh"
# shellcheck source=src/image/guest/boot/own.sh
. "$BOOT_SCRIPTS/own.sh"
# shellcheck source=src/image/guest/boot/disks.sh
. "$BOOT_SCRIPTS/disks.sh"
# shellcheck source=src/image/guest/boot/local.sh
. "$BOOT_SCRIPTS/local.sh"

kickctl_boot() {
	mkdir -p "$STATE"
	chmod 700 "$STATE"
	read_env
	say "$KICKCTL_NODE boots ${KICKCTL_VERSION:-} as $KICKCTL_KIND"
	nic_up
	mount_root
	take_over
	enter_root
	own_files
	mount_points
	services
	local_storage
	leave_root
	leave_card_alone
	say "$KICKCTL_NODE enters its root"
}
