//! Writing what a client is told.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dhcproto::v4::{CLIENT_PORT, Encodable, Encoder, Flags, Message, Opcode, SERVER_PORT};

use super::{Answer, Request, RequestKind, option};

/// Older firmware drops shorter messages (BOOTP's size, RFC 1542 section 2.1).
const SHORTEST: usize = 300;
/// Every client takes this much, IP and UDP headers included (RFC 2131 section 2).
const ALWAYS_TAKEN: u16 = 576;
/// More would be fragmented, which firmware does not reassemble.
const NEVER_MORE: u16 = 1500;
const HEADERS: u16 = 28;
/// Length of the `file` field, closing NUL included.
const FILE_FIELD: usize = 128;
const PXE_CLASS: &[u8] = b"PXEClient";
const HTTP_CLASS: &[u8] = b"HTTPClient";
/// `PXE_DISCOVERY_CONTROL` = 8: take the boot file of this offer, neither ask a boot server nor show a menu (PXE 2.1, table 2-1). Ends with 255.
const PXE_USE_THIS_FILE: &[u8] = &[6, 1, 8, 255];

/// `no-pxedhcp` = 1 (ipxe.org/howto/dhcpd): without it iPXE holds back its REQUEST for seconds, in case a proxyDHCP server turns up.
const IPXE_USE_THIS_FILE: &[u8] = &[176, 1, 1];

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its address.
    pub address: Ipv4Addr,
    /// Mask of the subnet.
    pub mask: Ipv4Addr,
    /// Default gateway.
    pub router: Option<Ipv4Addr>,
    /// Name servers. Give at least one: the Debian installer stops and asks if there is none.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers.
    pub ntp: Vec<Ipv4Addr>,
    /// Domain name.
    pub domain: Option<String>,
    /// Host name without domain.
    pub host_name: Option<String>,
    /// How long the address is the client's; renewal is asked for after half of it, rebinding after seven eighths.
    pub lease: Duration,
    /// What to boot.
    pub boot: Option<Boot>,
}

/// What to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The TFTP server.
    pub next_server: Ipv4Addr,
    /// Name of the file on it; a URL for HTTP boot and iPXE. At most 255 bytes.
    pub file: String,
}

/// The datagram that carries `answer`, and where it goes. None if nothing is to be sent.
pub(super) fn encode(request: &Request, answer: &Answer, server: Ipv4Addr) -> Option<(Vec<u8>, SocketAddrV4)> {
    let asked = matches!(request.kind, RequestKind::Request { .. });
    match (answer, request.kind) {
        (Answer::Silence, _) | (_, RequestKind::Release | RequestKind::Decline { .. }) => None,
        (Answer::Nak(_), _) if !asked => None,
        (Answer::Nak(why), _) => Some((nak(request, why, server)?, destination(request, true))),
        (Answer::Reply(reply), kind) => Some((offer_or_ack(request, reply, kind, server)?, destination(request, false))),
    }
}

/// RFC 2131 section 4.1. A client without an address cannot be reached by unicast from an ordinary socket, so it gets a broadcast whatever it asked for.
fn destination(request: &Request, nak: bool) -> SocketAddrV4 {
    let addressable = !(request.ciaddr.is_unspecified() || request.ciaddr.is_broadcast() || request.ciaddr.is_multicast());
    if !request.giaddr.is_unspecified() {
        SocketAddrV4::new(request.giaddr, SERVER_PORT)
    } else if addressable && !nak {
        SocketAddrV4::new(request.ciaddr, CLIENT_PORT)
    } else {
        SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
    }
}

fn nak(request: &Request, why: &str, server: Ipv4Addr) -> Option<Vec<u8>> {
    let mut options = Options::for_client(request);
    options.put(option::MESSAGE_TYPE, &[6]);
    options.address(option::SERVER, server);
    options.put(option::MESSAGE, cut(why, 255).as_bytes());
    options.echo(option::CLIENT_ID, request.client_id.as_deref());
    let mut message = header(request);
    if !request.giaddr.is_unspecified() {
        // RFC 2131 section 4.3.2: so that the relay broadcasts it to a client whose address is wrong there.
        message.set_flags(Flags::default().set_broadcast());
    }
    options.close(&message, request)
}

fn offer_or_ack(request: &Request, reply: &Reply, kind: RequestKind, server: Ipv4Addr) -> Option<Vec<u8>> {
    let mut message = header(request);
    if kind == RequestKind::Inform {
        message.set_ciaddr(request.ciaddr);
    } else {
        message.set_yiaddr(reply.address);
        if kind != RequestKind::Discover {
            message.set_ciaddr(request.ciaddr);
        }
    }
    // What a client cannot do without comes first: what does not fit any more is left out.
    let mut options = Options::for_client(request);
    options.put(option::MESSAGE_TYPE, &[if kind == RequestKind::Discover { 2 } else { 5 }]);
    options.address(option::SERVER, server);
    if kind != RequestKind::Inform {
        lease(&mut options, reply.lease);
    }
    options.address(option::SUBNET_MASK, reply.mask);
    options.addresses(option::ROUTER, reply.router.as_slice());
    options.addresses(option::DNS, &reply.dns);
    if let Some(target) = &reply.boot {
        boot(&mut message, &mut options, request, target);
    }
    options.text(option::HOST_NAME, reply.host_name.as_deref());
    options.text(option::DOMAIN, reply.domain.as_deref());
    options.addresses(option::NTP, &reply.ntp);
    options.address(option::BROADCAST, reply.address | !reply.mask);
    options.echo(option::CLIENT_ID, request.client_id.as_deref());
    options.close(&message, request)
}

fn lease(options: &mut Options, lease: Duration) {
    let seconds = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
    options.put(option::LEASE, &seconds.to_be_bytes());
    options.put(option::RENEWAL, &(seconds / 2).to_be_bytes());
    options.put(option::REBINDING, &(seconds - seconds / 8).to_be_bytes());
}

fn boot(message: &mut Message, options: &mut Options, request: &Request, boot: &Boot) {
    message.set_siaddr(boot.next_server);
    // The field needs its closing NUL; a longer URL is in option 67 alone.
    if boot.file.len() < FILE_FIELD {
        message.set_fname(boot.file.as_bytes());
    }
    options.text(option::BOOT_FILE, Some(&boot.file));
    options.text(option::TFTP_SERVER, Some(&boot.next_server.to_string()));
    if request.is_http_boot() {
        // UEFI 2.10 section 24.7.3.1: an answer without it is not for HTTP boot.
        options.put(option::VENDOR_CLASS, HTTP_CLASS);
    } else if request.is_ipxe() {
        options.put(option::IPXE, IPXE_USE_THIS_FILE);
    } else if request.is_pxe() {
        options.put(option::VENDOR_CLASS, PXE_CLASS);
        options.put(option::VENDOR, PXE_USE_THIS_FILE);
    }
    if let Some(uuid) = &request.uuid {
        options.put(option::UUID, &[&[0], &uuid[..]].concat());
    }
}

fn header(request: &Request) -> Message {
    let mut message = Message::default();
    let flags = if request.broadcast { Flags::default().set_broadcast() } else { Flags::default() };
    message.set_opcode(Opcode::BootReply).set_xid(request.xid).set_flags(flags).set_giaddr(request.giaddr).set_chaddr(&request.mac);
    message
}

/// The options of a reply, in the order they were put, as far as they fit.
struct Options {
    bytes: Vec<u8>,
    room: usize,
}

impl Options {
    fn for_client(request: &Request) -> Self {
        let most = request.max_size.clamp(ALWAYS_TAKEN, NEVER_MORE) - HEADERS;
        let relay = request.relay.as_ref().map_or(0, |relay| relay.len() + 2);
        Self { bytes: Vec::new(), room: usize::from(most).saturating_sub(240 + relay + 1) }
    }

    fn put(&mut self, code: u8, data: &[u8]) {
        match u8::try_from(data.len()) {
            Ok(length) if self.bytes.len() + 2 + data.len() <= self.room => {
                self.bytes.extend([code, length]);
                self.bytes.extend(data);
            }
            _ => tracing::debug!(code, length = data.len(), "option does not fit into the DHCP reply and is left out"),
        }
    }

    fn address(&mut self, code: u8, address: Ipv4Addr) {
        self.put(code, &address.octets());
    }

    fn addresses(&mut self, code: u8, addresses: &[Ipv4Addr]) {
        if !addresses.is_empty() {
            self.put(code, &addresses.iter().flat_map(Ipv4Addr::octets).collect::<Vec<_>>());
        }
    }

    fn text(&mut self, code: u8, text: Option<&str>) {
        self.echo(code, text.map(str::as_bytes));
    }

    fn echo(&mut self, code: u8, data: Option<&[u8]>) {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            self.put(code, data);
        }
    }

    /// Header, options, relay information last (RFC 3046 section 2.2), end, padding.
    fn close(mut self, message: &Message, request: &Request) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(576);
        if let Err(cause) = message.encode(&mut Encoder::new(&mut bytes)) {
            tracing::debug!(%cause, "DHCP reply cannot be written");
            return None;
        }
        self.room = usize::MAX;
        self.echo(option::RELAY, request.relay.as_deref());
        bytes.extend(self.bytes);
        bytes.push(255);
        bytes.resize(bytes.len().max(SHORTEST), 0);
        Some(bytes)
    }
}

fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use dhcproto::v4::{Decodable, Decoder, DhcpOption, MessageType, OptionCode};
    use proptest::prelude::*;

    use super::super::request::tests::bytes;
    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn reply() -> Reply {
        Reply {
            address: Ipv4Addr::new(10, 0, 0, 7),
            mask: Ipv4Addr::new(255, 255, 255, 0),
            router: Some(SERVER),
            dns: vec![SERVER],
            ntp: vec![SERVER],
            domain: Some("cluster".into()),
            host_name: Some("node07".into()),
            lease: Duration::from_secs(3600),
            boot: Some(Boot { next_server: SERVER, file: "snponly.efi".into() }),
        }
    }

    fn answer(options: &[(u8, &[u8])], answer: impl Into<Answer>) -> Option<(Message, Vec<u8>, SocketAddrV4)> {
        let request = Request::parse(&bytes(options)).unwrap();
        let (bytes, to) = encode(&request, &answer.into(), SERVER)?;
        Some((Message::decode(&mut Decoder::new(&bytes)).unwrap(), bytes, to))
    }

    fn raw(message: &Message, code: u8) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        message.opts().get(OptionCode::from(code))?.encode(&mut Encoder::new(&mut bytes)).unwrap();
        Some(bytes[2..].to_vec())
    }

    #[test]
    fn a_discover_of_plain_firmware_gets_an_offer_with_its_boot_file_and_no_menu() {
        let uuid = [&[0][..], &[9; 16]].concat();
        let (message, bytes, to) = answer(&[(53, &[1]), (60, b"PXEClient:Arch:00007"), (97, &uuid)], reply()).unwrap();
        assert_eq!(to.to_string(), "255.255.255.255:68");
        assert!(bytes.len() >= 300);
        assert_eq!(&bytes[240..243], &[53, 1, 2], "the message type is the first option");
        assert_eq!(message.opts().msg_type(), Some(MessageType::Offer));
        assert_eq!((message.yiaddr(), message.siaddr(), message.xid()), (reply().address, SERVER, 0x1234_5678));
        assert_eq!(&bytes[108..120], b"snponly.efi\0");
        assert_eq!(raw(&message, 67).as_deref(), Some(&b"snponly.efi"[..]));
        assert_eq!(raw(&message, 66).as_deref(), Some(&b"10.0.0.1"[..]));
        assert_eq!((raw(&message, 60), raw(&message, 43)), (Some(b"PXEClient".to_vec()), Some(vec![6, 1, 8, 255])));
        assert_eq!(raw(&message, 97), Some(uuid));
        assert_eq!(message.opts().get(OptionCode::Renewal), Some(&DhcpOption::Renewal(1800)));
        assert_eq!(message.opts().get(OptionCode::Rebinding), Some(&DhcpOption::Rebinding(3150)));
        assert_eq!(message.opts().get(OptionCode::BroadcastAddr), Some(&DhcpOption::BroadcastAddr([10, 0, 0, 255].into())));
    }

    #[test]
    fn http_boot_gets_its_class_and_ipxe_its_own_option() {
        let (http, ..) = answer(&[(53, &[1]), (60, b"HTTPClient:Arch:00016")], reply()).unwrap();
        assert_eq!((raw(&http, 60), raw(&http, 43)), (Some(b"HTTPClient".to_vec()), None));
        let (ipxe, ..) = answer(&[(53, &[1]), (60, b"PXEClient:Arch:00000"), (77, b"iPXE")], reply()).unwrap();
        assert_eq!((raw(&ipxe, 60), raw(&ipxe, 43), raw(&ipxe, 175)), (None, None, Some(vec![176, 1, 1])));
    }

    #[test]
    fn a_long_url_is_in_option_67_alone() {
        let url = format!("http://10.0.0.1/{}", "x".repeat(150));
        let long = Reply { boot: Some(Boot { next_server: SERVER, file: url.clone() }), ..reply() };
        let (message, ..) = answer(&[(53, &[1])], long).unwrap();
        assert_eq!((message.fname(), raw(&message, 67)), (None, Some(url.into_bytes())));
    }

    #[test]
    fn an_inform_gets_an_ack_without_address_and_lease() {
        let (message, ..) = answer(&[(53, &[8])], reply()).unwrap();
        assert_eq!(message.opts().msg_type(), Some(MessageType::Ack));
        assert_eq!(message.yiaddr(), Ipv4Addr::UNSPECIFIED);
        assert!([51, 58, 59].iter().all(|code| raw(&message, *code).is_none()));
        assert!(raw(&message, 6).is_some());
    }

    #[test]
    fn a_nak_answers_a_request_only_and_nothing_answers_release_and_decline() {
        let nak = || Answer::Nak("that address is not yours".into());
        let (message, ..) = answer(&[(53, &[3])], nak()).unwrap();
        assert_eq!(message.opts().msg_type(), Some(MessageType::Nak));
        assert_eq!(raw(&message, 56), Some(b"that address is not yours".to_vec()));
        assert!(answer(&[(53, &[1])], nak()).is_none());
        assert!(answer(&[(53, &[7])], reply()).is_none());
        assert!(answer(&[(53, &[4])], reply()).is_none());
        assert!(answer(&[(53, &[1])], Answer::Silence).is_none());
    }

    #[test]
    fn a_reply_goes_to_the_relay_or_to_the_address_in_use_or_to_everybody() {
        let mut request = Request::parse(&bytes(&[(53, &[3]), (82, &[1, 1, 9])])).unwrap();
        let send = |request: &Request, answer: Answer| encode(request, &answer, SERVER).unwrap();
        assert_eq!(send(&request, reply().into()).1.to_string(), "255.255.255.255:68");
        request.ciaddr = [10, 0, 0, 7].into();
        assert_eq!(send(&request, reply().into()).1.to_string(), "10.0.0.7:68");
        assert_eq!(send(&request, Answer::Nak("no".into())).1.to_string(), "255.255.255.255:68");
        request.giaddr = [10, 9, 0, 1].into();
        let (bytes, to) = send(&request, reply().into());
        assert_eq!(to.to_string(), "10.9.0.1:67");
        let relayed = bytes.windows(6).position(|window| window == [82, 3, 1, 1, 9, 255]);
        assert!(relayed.is_some(), "relay information is echoed as the last option");
    }

    proptest! {
        #[test]
        fn a_reply_never_outgrows_what_the_client_takes(
            file in "[a-z/é]{0,300}", domain in "[a-z.]{0,300}", servers in 0usize..90, size: u16, why in "\\PC{0,300}"
        ) {
            let size_option = size.to_be_bytes();
            let full = Reply {
                boot: Some(Boot { next_server: SERVER, file }), domain: Some(domain), dns: vec![SERVER; servers], ntp: vec![SERVER; servers], ..reply()
            };
            let (message, bytes, _) = answer(&[(53, &[3]), (57, &size_option), (82, &[7; 40])], full).unwrap();
            prop_assert!(bytes.len() + 28 <= usize::from(size.clamp(576, 1500)));
            prop_assert_eq!(message.opts().msg_type(), Some(MessageType::Ack));
            prop_assert!(raw(&message, 51).is_some() && raw(&message, 1).is_some());
            prop_assert!(answer(&[(53, &[3])], Answer::Nak(why)).is_some());
        }
    }
}
