#!/bin/bash
# dracut's module for diskless nodes: kickctl's boot scripts, the programs they run, the drivers of network cards.
# shellcheck disable=SC2154 # moddir and initdir are dracut's

# Only where it is asked for, in /etc/dracut.conf.d/kickctl.conf.
check() { return 255; }

depends() { echo kernel-network-modules; }

installkernel() { instmods af_packet nfs nfsv3 overlay squashfs loop; }

install() {
	local program
	local programs=(basename cat chmod chroot cp cpio curl cut dirname find grep head ip losetup ls mkdir modprobe mount mv readlink reboot rm
		sed sha256sum sleep sort tail tar tr udevadm umount)
	for program in "${programs[@]}"; do
		if ! command -v "$program" >/dev/null; then
			dfatal "kickctl: the image has no program $program, which diskless nodes boot with: add its package to the recipe"
			exit 1
		fi
	done
	inst_multiple "${programs[@]}"
	# Asks DHCP for nodes without an address of their own.
	inst_multiple -o busybox
	inst_multiple /usr/lib/kickctl/boot/*.sh
	# Never a root shell for whoever sits at the console.
	mkdir -p "$initdir/etc/cmdline.d"
	echo 'rd.shell=0 rd.emergency=reboot' >"$initdir/etc/cmdline.d/90-kickctl.conf"
	inst_hook cmdline 90 "$moddir/cmdline.sh"
	inst_hook mount 10 "$moddir/mount.sh"
}
