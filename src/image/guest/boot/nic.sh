# shellcheck shell=sh disable=SC2034,SC2154,SC2015
# Brings up the network card that the node booted from: of several, the one whose address the loader told.

# The address that BOOTIF (01-52-54-00-...) names, else the one that the head knows.
boot_mac() {
	case ${BOOTIF:-} in
	??-??-??-??-??-??-??) mac=${BOOTIF#*-} ;;
	*) mac=${KICKCTL_MAC:-} ;;
	esac
	echo "$mac" | tr 'A-F-' 'a-f:'
}

# nic_of MAC: the card's name; nothing if it is not there (yet).
nic_of() {
	for card in "$SYS"/class/net/*; do
		[ -r "$card/address" ] && [ -e "$card/device" ] || continue
		if [ "$(cat "$card/address")" = "$1" ]; then
			echo "${card##*/}"
			return
		fi
	done
	return 1
}

# ip_for CARD IP: the argument for ipconfig. IP is the kernel's own syntax, CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:HOW:DNS:DNS, or a word.
# Whatever card it names: the one that the node booted from is meant.
ip_for() {
	case $2 in
	*:*:*:*) ;;
	*)
		echo "$1"
		return
		;;
	esac
	echo "$2" | {
		IFS=: read -r client server gateway mask host _ how rest
		case $client in
		'') echo "$1" ;;
		*) echo "$client:$server:$gateway:$mask:$host:$1:${how:-none}${rest:+:$rest}" ;;
		esac
	}
}

# address CARD IP: one try. What it learnt is left in /run/net-CARD.conf, whether by ipconfig of initramfs-tools or by what dracut's images have.
address() {
	if ! command -v ipconfig >/dev/null; then
		address_without_ipconfig "$@"
		return
	fi
	case $2 in
	*:*) ipconfig -t 30 -d "$2" ;;
	*) ipconfig -t 30 -c dhcp -d "$2" ;;
	esac
}

address_without_ipconfig() {
	case $2 in
	*:*) fixed_address "$1" "$2" ;;
	*)
		command -v busybox >/dev/null ||
			fail 'this node has no fixed address, and nothing in its image asks DHCP: give it one (kickctl node set NODE --address ADDRESS), or add busybox to the recipe'
		ip link set "$1" up
		busybox udhcpc -i "$1" -n -q -t 10 -T 3 -s "$BOOT_SCRIPTS/lease.sh"
		;;
	esac
}

# fixed_address CARD CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:HOW:DNS:DNS
fixed_address() {
	echo "$2" | {
		IFS=: read -r client _ gateway mask _ _ _ first second
		ip link set "$1" up
		ip address replace "$client/${mask:-255.255.255.0}" dev "$1" || return 1
		[ -z "$gateway" ] || ip route replace default via "$gateway" dev "$1" || return 1
		printf '%s=%s\n' IPV4ADDR "$client" IPV4DNS0 "$first" IPV4DNS1 "$second" >"$RUN/net-$1.conf"
	}
}

nic_up() {
	NIC_MAC=$(boot_mac)
	[ -n "$NIC_MAC" ] || fail 'neither BOOTIF on the kernel command line nor KICKCTL_MAC says which network card to use'
	waited=0
	until NIC=$(nic_of "$NIC_MAC"); do
		waiting "no network card has the address $NIC_MAC (is its driver in the image?)"
		sleep 1
	done
	ip=$(ip_for "$NIC" "${IP:-dhcp}")
	waited=0
	until address "$NIC" "$ip" >"$STATE/ipconfig.log" 2>&1 && [ -s "$RUN/net-$NIC.conf" ]; do
		waiting "no address for $NIC ($NIC_MAC): $(tail -n 1 "$STATE/ipconfig.log" | printable)"
		sleep 2
	done
	# shellcheck source=/dev/null
	. "$RUN/net-$NIC.conf"
	say "$NIC ($NIC_MAC) is ${IPV4ADDR:-up}"
	# The card is up for good: initramfs-tools shall not try it again.
	IP=none
}
