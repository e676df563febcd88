# shellcheck shell=sh disable=SC2034,SC2015
# Sourced by everything that boots a diskless node. busybox ash, dash or bash.
HERE=${KICKCTL_HERE:-/kickctl}         # what the head put into the node's own archive
STATE=${KICKCTL_STATE:-/run/kickctl}   # root's alone; the running system finds it at the same place
RUN=${KICKCTL_RUN:-/run}               # what is known of network cards: net-CARD.conf
CONSOLE=${KICKCTL_CONSOLE:-/dev/console}
KMSG=${KICKCTL_KMSG:-/dev/kmsg}
SYS=${KICKCTL_SYS:-/sys}
DEV=${KICKCTL_DEV:-/dev}
HTTP=${HTTP:-wget}                     # which program fetches: busybox wget, or curl
TIMEOUT='-T 30'

# Tells whoever watches the console, and the kernel's log, which the running system passes on to the head.
say() {
	{ echo "kickctl: $*" >>"$CONSOLE"; } 2>/dev/null || :
	{ echo "<7>kickctl: $*" >>"$KMSG"; } 2>/dev/null || :
}

# One line of printable text.
printable() {
	tr '\t\n' '  ' | tr -cd ' -~' | sed 's/  */ /g; s/^ //; s/ $//' | cut -c 1-500
}

read_env() {
	[ -r "$HERE/env" ] || fail "there is no $HERE/env: the loader did not append the node's archive (node.cpio) to the initial RAM disk"
	# shellcheck source=/dev/null
	. "$HERE/env"
	for name in NODE KIND HEAD TAKEOVER; do
		eval "[ -n \"\${KICKCTL_$name:-}\" ]" || fail "$HERE/env does not set KICKCTL_$name"
	done
	(umask 077 && cp "$HERE/env" "$STATE/env")
}

# ask URL FILE [OPTION...]: true if the whole answer came. CODE is the HTTP status, 000 if there was none. Options: `--header TEXT`,
# `--post-data TEXT`, and `-c` to go on with a file that came in part.
ask() {
	url=$1 out=$2
	shift 2
	"ask_$HTTP" "$@"
}

ask_wget() {
	# shellcheck disable=SC2086 # none or two words
	wget -q $TIMEOUT "$@" -O "$out" "$url" 2>"$STATE/http.log"
	ended=$?
	if [ "$ended" = 0 ]; then
		CODE=200
		return 0
	fi
	if [ "$ended" = 139 ] && [ -n "$TIMEOUT" ]; then
		# busybox 1.35 (Debian 12) dies of -T.
		TIMEOUT=
		ask_wget "$@"
		return
	fi
	CODE=$(sed -n 's|.*HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p' "$STATE/http.log" | tail -n 1)
	CODE=${CODE:-000}
	return 1
}

ask_curl() {
	for word in "$@"; do
		shift
		case $word in
		-c) set -- "$@" --continue-at - ;;
		--post-data) set -- "$@" --data-raw ;;
		*) set -- "$@" "$word" ;;
		esac
	done
	CODE=$(curl --silent --show-error --fail --connect-timeout 30 --speed-time 30 --speed-limit 1 --write-out '%{http_code}' "$@" \
		--output "$out" "$url" 2>"$STATE/http.log")
	ended=$?
	[ "$ended" = 0 ] || case ${CODE:-000} in
	[123]*) CODE=000 ;; # the answer broke off
	esac
	CODE=${CODE:-000}
	return "$ended"
}

# True if asking again cannot help.
final() {
	case $CODE in
	408 | 425 | 429) return 1 ;;
	4*) return 0 ;;
	*) return 1 ;;
	esac
}

# Why the last request had no answer, for a message.
why() {
	if [ "$CODE" = 000 ]; then printable <"$STATE/http.log"; else echo "status $CODE"; fi
}

# report EVENT TEXT: under the report token; only root is on this machine yet, so it may stand in a list of processes.
report() {
	[ -s "$STATE/token" ] || return 1
	ask "$KICKCTL_HEAD/report/$1" "$STATE/report.answer" --header "Authorization: Bearer $(cat "$STATE/token")" --post-data "$2"
}

# hint TEXT: something is not as it was asked for, and the node goes on without.
hint() {
	say "$1"
	report logs "kickctl: $1" || :
}

# Each turn of a loop that waits: tells of it at first, and then now and again. The loop sets waited=0 before.
waiting() {
	waited=$((waited + 1))
	[ $((waited % 15)) != 1 ] || say "$*; trying again"
}

# fail TEXT: tells the console and the head, and reboots or stops. Never a shell: whoever sits at the console is not root for that.
fail() {
	why_not=$1
	say "THIS NODE CANNOT START: $why_not"
	if [ -n "${KICKCTL_HEAD:-}" ]; then
		[ -s "$STATE/token" ] || take_over_once || :
		tries=0
		until report failed "$why_not" || final || [ "$tries" -ge 5 ]; do
			tries=$((tries + 1))
			sleep 5
		done
	fi
	if [ "${KICKCTL_ON_FAILURE:-reboot}" = hang ]; then
		while :; do
			sleep 300
			say "THIS NODE CANNOT START: $why_not"
		done
	fi
	say 'rebooting in a minute'
	sleep "${KICKCTL_FAILURE_DELAY:-60}"
	reboot -f
	while :; do sleep 3600; done
}
