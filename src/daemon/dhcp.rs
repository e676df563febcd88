//! Translates between the DHCP protocol and the use case that answers it.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::app::Head;
use crate::app::answer_dhcp::{Ask, BootFile, Program, Reply, answer_dhcp, release_address};
use crate::domain::mac::MacAddr;
use crate::domain::node::Uuid;
use crate::net::dhcp::{Answer, Boot, Handler, Reply as Message, Request, RequestKind};

pub(super) struct Answers(pub(super) Head);

#[async_trait]
impl Handler for Answers {
    async fn answer(&self, request: &Request) -> Answer {
        let mac = MacAddr::new(request.mac);
        if matches!(request.kind, RequestKind::Release | RequestKind::Decline { .. }) {
            if let Err(error) = release_address(&self.0, mac).await {
                tracing::error!(%mac, %error, "an address could not be released");
            }
            return Answer::Silence;
        }
        match answer_dhcp(&self.0, &ask(request), OffsetDateTime::now_utc()).await {
            Ok(Reply::Silence) => Answer::Silence,
            Ok(Reply::Refuse { why }) => {
                tracing::info!(%mac, "DHCP request refused: {why}");
                Answer::Nak(why)
            }
            Ok(Reply::Lease { address, name, boot }) => {
                tracing::debug!(%mac, %address, ?boot, "DHCP");
                let config = &self.0.config;
                Message {
                    address,
                    mask: config.subnet.netmask(),
                    router: config.dhcp.gateway,
                    dns: config.dhcp.dns.clone(),
                    ntp: config.dhcp.ntp.clone(),
                    domain: Some(config.domain.clone()),
                    host_name: name.map(String::from),
                    lease: config.dhcp.lease,
                    boot: boot.map(|boot| Boot {
                        next_server: config.address,
                        file: match boot {
                            BootFile::Tftp(file) => file.to_owned(),
                            BootFile::Url(url) => url,
                        },
                    }),
                }
                .into()
            }
            Err(error) => {
                tracing::error!(%mac, %error, "a DHCP request could not be answered");
                Answer::Silence
            }
        }
    }
}

fn ask(request: &Request) -> Ask {
    let wants = match request.kind {
        RequestKind::Request { requested, .. } => requested.or((!request.ciaddr.is_unspecified()).then_some(request.ciaddr)),
        _ => None,
    };
    Ask {
        mac: MacAddr::new(request.mac),
        program: if request.is_ipxe() {
            Program::Loader
        } else if request.is_pxe() {
            Program::Firmware
        } else {
            Program::System
        },
        client_type: request.arch,
        uuid: request.uuid.map(Uuid::from_wire),
        wants,
        takes: matches!(request.kind, RequestKind::Request { .. }),
    }
}
