#!/bin/sh
# dracut's hook `mount`: it is sourced until something is mounted at $NEWROOT. In a shell of its own, for the names that it defines.
# shellcheck disable=SC2034 # for the boot scripts
if [ "$(getarg boot=)" = kickctl ]; then
	(
		ROOT=$NEWROOT
		HTTP=curl
		IP=$(getarg ip=)
		BOOTIF=$(getarg BOOTIF=)
		modprobe -q -a af_packet nfs nfsv3
		. /usr/lib/kickctl/boot/main.sh
		kickctl_boot
	)
fi
