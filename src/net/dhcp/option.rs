//! DHCP option codes by name, each with its source.

/// Subnet mask, 4 bytes (RFC 2132 section 3.3).
pub const SUBNET_MASK: u8 = 1;
/// Routers, 4 bytes each (RFC 2132 section 3.5).
pub const ROUTER: u8 = 3;
/// Name servers, 4 bytes each (RFC 2132 section 3.8).
pub const DNS: u8 = 6;
/// Host name (RFC 2132 section 3.14).
pub const HOST_NAME: u8 = 12;
/// Domain name (RFC 2132 section 3.17).
pub const DOMAIN: u8 = 15;
/// Broadcast address, 4 bytes (RFC 2132 section 5.3).
pub const BROADCAST: u8 = 28;
/// NTP servers, 4 bytes each (RFC 2132 section 8.3).
pub const NTP: u8 = 42;
/// Vendor-specific information (RFC 2132 section 8.4); for PXE its own options, PXE 2.1 section 2.2.3.
pub const VENDOR: u8 = 43;
/// Requested address, 4 bytes (RFC 2132 section 9.1).
pub const REQUESTED_ADDRESS: u8 = 50;
/// Lease time in seconds, 4 bytes (RFC 2132 section 9.2).
pub const LEASE: u8 = 51;
/// Message type, 1 byte (RFC 2132 section 9.6).
pub const MESSAGE_TYPE: u8 = 53;
/// Server identifier, 4 bytes (RFC 2132 section 9.7).
pub const SERVER: u8 = 54;
/// Parameter request list, one code a byte (RFC 2132 section 9.8).
pub const PARAMETERS: u8 = 55;
/// Text of a NAK (RFC 2132 section 9.9).
pub const MESSAGE: u8 = 56;
/// Largest message the client takes, IP header included, 2 bytes (RFC 2132 section 9.10).
pub const MAX_SIZE: u8 = 57;
/// Renewal time T1 in seconds, 4 bytes (RFC 2132 section 9.11).
pub const RENEWAL: u8 = 58;
/// Rebinding time T2 in seconds, 4 bytes (RFC 2132 section 9.12).
pub const REBINDING: u8 = 59;
/// Vendor class: `PXEClient:Arch:…`, `HTTPClient:Arch:…` (RFC 2132 section 9.13, PXE 2.1 section 2.2.3).
pub const VENDOR_CLASS: u8 = 60;
/// Client identifier (RFC 2132 section 9.14), echoed (RFC 6842).
pub const CLIENT_ID: u8 = 61;
/// TFTP server name (RFC 2132 section 9.4).
pub const TFTP_SERVER: u8 = 66;
/// Boot file name (RFC 2132 section 9.5).
pub const BOOT_FILE: u8 = 67;
/// User class (RFC 3004).
pub const USER_CLASS: u8 = 77;
/// Relay agent information, echoed as the last option (RFC 3046 section 2.2).
pub const RELAY: u8 = 82;
/// Client system architecture, 2 bytes each (RFC 4578 section 2.1).
pub const ARCH: u8 = 93;
/// Client machine identifier: type 0 and a 16-byte UUID (RFC 4578 section 2.3).
pub const UUID: u8 = 97;
/// iPXE's encapsulated options: its features (ipxe.org/howto/dhcpd).
pub const IPXE: u8 = 175;
