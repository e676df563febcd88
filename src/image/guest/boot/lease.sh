#!/bin/sh
# What `busybox udhcpc` runs with what it was told: the address goes to the card, and all of it to the file that ipconfig would write.
[ "$1" = bound ] || exit 0
# shellcheck disable=SC2154 # interface, ip, subnet and the rest are udhcpc's
{
	ip link set "$interface" up
	ip address add "$ip/${subnet:-255.255.255.0}" dev "$interface"
	for gateway in $router; do
		ip route add default via "$gateway" dev "$interface" && break
	done
	# shellcheck disable=SC2086 # several
	set -- $dns
	printf '%s=%s\n' IPV4ADDR "$ip" IPV4DNS0 "$1" IPV4DNS1 "$2" DNSDOMAIN "$domain" >"${KICKCTL_RUN:-/run}/net-$interface.conf"
}
