# shellcheck shell=bash
# What goes wrong on the wire between the head and one node: rules of nftables in the head's namespace. One thing at a time; wire_well ends it.
# Sourced after cluster.sh and kick.sh. ADDRESS is the node's; only new connections are touched.

WIRE_BUSY_PORT=8503

# wire_busy ADDRESS: whatever the node asks over HTTP is answered 503, by a server that knows nothing else.
wire_busy() {
    lab_start busy python3 -c '
import http.server, sys
class Busy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503)
    do_HEAD = do_POST = do_PUT = do_GET
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Busy).serve_forever()' "$WIRE_BUSY_PORT"
    wire "chain arrived { type nat hook prerouting priority dstnat; ip saddr $1 tcp dport $KICK_PORT redirect to :$WIRE_BUSY_PORT; }"
}

# wire_lost ADDRESS: nothing of the node's arrives; it is told so at once. wire_count counts what it tried.
wire_lost() {
    wire "chain arrived { type filter hook input priority filter; ip saddr $1 tcp dport $KICK_PORT tcp flags syn / syn,ack counter reject with tcp reset; }"
}

# wire_deaf ADDRESS: what the node says arrives, and no answer comes back. wire_count counts what arrived.
wire_deaf() {
    wire "chain arrived { type filter hook input priority filter; ip saddr $1 tcp dport $KICK_PORT tcp flags syn / syn,ack counter; }
        chain sent { type filter hook output priority filter; ip daddr $1 tcp sport $KICK_PORT tcp flags & psh != 0 drop; }"
}

wire_count() { lab_run nft -j list table ip lab_wire | jq '[.. | .counter? // empty | .packets] | add // 0'; }
wire_well() { lab_run nft delete table ip lab_wire; }
wire() { printf 'table ip lab_wire {\n%s\n}\n' "$1" | lab_run nft -f -; }
