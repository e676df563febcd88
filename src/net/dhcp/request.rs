//! Reading what a client sent.

use std::net::Ipv4Addr;

use dhcproto::v4::{MAGIC, borrowed::Message};

use super::option;

/// One message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub kind: RequestKind,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Transaction number.
    pub xid: u32,
    /// Seconds since it began asking, as it says.
    pub seconds: u16,
    /// The address it uses now: set when it renews, informs or releases, else 0.0.0.0.
    pub ciaddr: Ipv4Addr,
    /// The relay it came through, else 0.0.0.0.
    pub giaddr: Ipv4Addr,
    /// It wants the reply as a broadcast.
    pub broadcast: bool,
    /// Option 60: `PXEClient:Arch:00007:UNDI:003016`.
    pub vendor_class: Option<String>,
    /// Option 77, with or without the length octets of RFC 3004.
    pub user_classes: Vec<Vec<u8>>,
    /// Option 93, the first value: 0 BIOS, 6 and 7 UEFI (IA32, x64), 9 UEFI x64, 11 UEFI arm64, 15 and 16 UEFI HTTP (IANA processor architecture types).
    pub arch: Option<u16>,
    /// Option 97 in the order of the bytes sent. Firmware sends the first three fields of the SMBIOS UUID little-endian or not, as it pleases.
    pub uuid: Option<[u8; 16]>,
    /// Option 12.
    pub host_name: Option<String>,
    /// Option 61 as it came. Firmware, loader and system each send another one: no key for a lease.
    pub client_id: Option<Vec<u8>>,
    /// Option 175 is there: iPXE tells its features. Not a proof of iPXE: see [`Request::is_ipxe`].
    pub ipxe_features: bool,
    /// Option 55, the codes it asks for.
    pub parameters: Vec<u8>,
    /// Option 51, the lease it would like, in seconds.
    pub lease: Option<u32>,
    /// Option 57, the largest message it takes.
    pub(super) max_size: u16,
    /// Option 82 as it came, to be echoed.
    pub(super) relay: Option<Vec<u8>>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Who has an address for me?
    Discover,
    /// I take or keep this address.
    Request {
        /// Option 50: set by a client that takes an offer or starts with an address it remembers; one that renews has `ciaddr` instead.
        requested: Option<Ipv4Addr>,
        /// Option 54: the server whose offer it takes. The server loop lets only its own through.
        server: Option<Ipv4Addr>,
    },
    /// I have an address and want the rest.
    Inform,
    /// I give `ciaddr` back.
    Release,
    /// Somebody else uses this address.
    Decline {
        /// Option 50: the address in use.
        address: Option<Ipv4Addr>,
    },
}

/// Why bytes are not a request that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Too short for the fixed header.
    #[error("{0} bytes are too short for a DHCP message, which has at least 240")]
    Short(usize),
    /// A reply of a server.
    #[error("not a request")]
    NotRequest,
    /// The magic cookie is missing: BOOTP, or not DHCP at all.
    #[error("no DHCP magic cookie")]
    NoCookie,
    /// Not Ethernet.
    #[error("hardware type {0} with address length {1}: only Ethernet (1, 6) is served")]
    Hardware(u8, u8),
    /// No message type, or none that a client sends.
    #[error("message type {0:?} is not one of a client")]
    Type(Option<u8>),
}

impl Request {
    /// Reads one datagram. Options that are too short for their meaning count as absent; a truncated option ends the list.
    ///
    /// # Errors
    /// [`Malformed`] if it cannot be answered.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let message = Message::new(bytes).map_err(|_| Malformed::Short(bytes.len()))?;
        if bytes[0] != 1 {
            return Err(Malformed::NotRequest);
        }
        if bytes[236..240] != MAGIC {
            return Err(Malformed::NoCookie);
        }
        // `chaddr()` panics for lengths beyond the buffer, and 16 is all the field holds.
        let mac = match (bytes[1], message.hlen()) {
            (1, 6) => array(message.chaddr()).ok_or(Malformed::Short(bytes.len()))?,
            (kind, length) => return Err(Malformed::Hardware(kind, length)),
        };
        let options = Options::read(&message);
        Ok(Self {
            kind: options.kind()?,
            mac,
            xid: message.xid(),
            seconds: message.secs(),
            ciaddr: message.ciaddr(),
            giaddr: message.giaddr(),
            broadcast: message.flags().broadcast(),
            vendor_class: options.text(option::VENDOR_CLASS),
            user_classes: options.get(option::USER_CLASS).map(user_classes).unwrap_or_default(),
            arch: options.get(option::ARCH).and_then(|data| data.first_chunk()).map(|arch| u16::from_be_bytes(*arch)),
            uuid: options.get(option::UUID).and_then(|data| array(data.strip_prefix(&[0])?)),
            host_name: options.text(option::HOST_NAME),
            client_id: options.get(option::CLIENT_ID).map(<[u8]>::to_vec),
            ipxe_features: options.get(option::IPXE).is_some(),
            parameters: options.get(option::PARAMETERS).unwrap_or_default().to_vec(),
            lease: options.get(option::LEASE).and_then(array).map(u32::from_be_bytes),
            max_size: options.get(option::MAX_SIZE).and_then(array).map_or(0, u16::from_be_bytes),
            relay: options.get(option::RELAY).map(<[u8]>::to_vec),
        })
    }

    /// Network-boot firmware or a loader that boots by TFTP (iPXE says so too).
    pub fn is_pxe(&self) -> bool {
        self.vendor_class.as_deref().is_some_and(|class| class.starts_with("PXEClient"))
    }

    /// UEFI firmware that boots by HTTP.
    pub fn is_http_boot(&self) -> bool {
        self.vendor_class.as_deref().is_some_and(|class| class.starts_with("HTTPClient"))
    }

    /// iPXE, by its user class. Option 175 alone proves nothing: iPXE as UEFI driver sends it on behalf of the firmware's own PXE stack.
    pub fn is_ipxe(&self) -> bool {
        self.user_classes.iter().any(|class| class == b"iPXE")
    }

    /// True for everything that boots over the network.
    pub fn is_network_boot(&self) -> bool {
        self.is_pxe() || self.is_http_boot() || self.is_ipxe()
    }
}

/// The options of one message; of a repeated one the first counts.
struct Options(Vec<(u8, Vec<u8>)>);

impl Options {
    fn read(message: &Message<'_>) -> Self {
        Self(message.opts().map(|option| (option.code().into(), option.data().to_vec())).collect())
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.iter().find(|option| option.0 == code).map(|option| option.1.as_slice())
    }

    fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.get(code).and_then(array::<4>).map(Ipv4Addr::from)
    }

    /// Some clients count a closing NUL as part of the text.
    fn text(&self, code: u8) -> Option<String> {
        let text = String::from_utf8_lossy(self.get(code)?);
        let text = text.trim_end_matches('\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn kind(&self) -> Result<RequestKind, Malformed> {
        let requested = self.address(option::REQUESTED_ADDRESS);
        match self.get(option::MESSAGE_TYPE).and_then(<[u8]>::first) {
            Some(1) => Ok(RequestKind::Discover),
            Some(3) => Ok(RequestKind::Request { requested, server: self.address(option::SERVER) }),
            Some(4) => Ok(RequestKind::Decline { address: requested }),
            Some(7) => Ok(RequestKind::Release),
            Some(8) => Ok(RequestKind::Inform),
            other => Err(Malformed::Type(other.copied())),
        }
    }
}

/// RFC 3004 puts a length before each class; iPXE and others send one bare class. If the lengths do not add up, it is bare.
fn user_classes(data: &[u8]) -> Vec<Vec<u8>> {
    let mut classes = Vec::new();
    let mut rest = data;
    while let Some((&length, tail)) = rest.split_first() {
        let Some((class, tail)) = tail.split_at_checked(usize::from(length)).filter(|_| length > 0) else {
            return vec![data.to_vec()];
        };
        classes.push(class.to_vec());
        rest = tail;
    }
    classes
}

fn array<const N: usize>(data: &[u8]) -> Option<[u8; N]> {
    data.try_into().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A request as a client would send it.
    pub fn bytes(options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[1, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&0x1234_5678_u32.to_be_bytes());
        bytes[28..34].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 7]);
        bytes.extend(MAGIC);
        for (code, data) in options {
            bytes.extend([*code, u8::try_from(data.len()).unwrap()]);
            bytes.extend(*data);
        }
        bytes.push(255);
        bytes
    }

    #[test]
    fn a_discover_of_uefi_firmware_is_read_whole() {
        let uuid: [u8; 16] = std::array::from_fn(|n| n as u8);
        let identifier = [&[0][..], &uuid].concat();
        let request = Request::parse(&bytes(&[
            (53, &[1]),
            (57, &[5, 192]),
            (55, &[1, 3, 6]),
            (97, &identifier),
            (93, &[0, 7, 0, 6]),
            (60, b"PXEClient:Arch:00007:UNDI:003016"),
            (12, b"node07\0"),
        ]))
        .unwrap();
        assert_eq!(request.kind, RequestKind::Discover);
        assert_eq!((request.mac, request.xid), ([0x52, 0x54, 0, 0, 0, 7], 0x1234_5678));
        assert_eq!((request.arch, request.uuid, request.max_size), (Some(7), Some(uuid), 1472));
        assert_eq!((request.host_name.as_deref(), request.parameters.as_slice()), (Some("node07"), &[1, 3, 6][..]));
        assert!(request.is_pxe() && request.is_network_boot() && !request.is_http_boot() && !request.is_ipxe());
    }

    #[test]
    fn the_user_class_tells_ipxe_with_and_without_length_octets_and_option_175_alone_does_not() {
        let ipxe = |options: &[(u8, &[u8])]| Request::parse(&bytes(options)).unwrap().is_ipxe();
        assert!(ipxe(&[(53, &[1]), (77, b"iPXE"), (175, &[1, 1, 1])]));
        assert!(ipxe(&[(53, &[1]), (77, b"\x03foo\x04iPXE")]));
        assert!(!ipxe(&[(53, &[1]), (175, &[1, 1, 1])]));
        assert!(!ipxe(&[(53, &[1]), (77, b"")]));
    }

    #[test]
    fn a_request_tells_which_address_and_server_it_means() {
        let request = Request::parse(&bytes(&[(53, &[3]), (50, &[10, 0, 0, 7]), (54, &[10, 0, 0, 1])])).unwrap();
        let expected = RequestKind::Request { requested: Some([10, 0, 0, 7].into()), server: Some([10, 0, 0, 1].into()) };
        assert_eq!(request.kind, expected);
        let odd = Request::parse(&bytes(&[(53, &[3]), (50, &[10, 0, 0])])).unwrap();
        assert_eq!(odd.kind, RequestKind::Request { requested: None, server: None });
    }

    #[test]
    fn what_cannot_be_answered_is_told_apart() {
        let good = bytes(&[(53, &[1])]);
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Request::parse(&bytes).unwrap_err()
        };
        assert_eq!(Request::parse(&good[..239]), Err(Malformed::Short(239)));
        assert_eq!(with(0, 2), Malformed::NotRequest);
        assert_eq!(with(2, 255), Malformed::Hardware(1, 255));
        assert_eq!(with(1, 32), Malformed::Hardware(32, 6));
        assert_eq!(with(236, 0), Malformed::NoCookie);
        assert_eq!(with(242, 2), Malformed::Type(Some(2)));
        assert_eq!(Request::parse(&bytes(&[])), Err(Malformed::Type(None)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(noise in prop::collection::vec(any::<u8>(), 0..700)) {
            let _ = Request::parse(&noise);
            let mut framed = bytes(&[(53, &[1])]);
            framed.truncate(243);
            // A truncated second part of the message type itself takes the whole option with it.
            prop_assume!(noise.first() != Some(&53));
            framed.extend(noise);
            let request = Request::parse(&framed).unwrap();
            prop_assert_eq!(request.mac, [0x52, 0x54, 0, 0, 0, 7]);
        }
    }
}
