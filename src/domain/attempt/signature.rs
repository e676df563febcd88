//! What a failure is: whether trying again can help, and by what to know it when it comes again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::state::{Class, Failure};
use crate::domain::checksum::Sha256;

/// Equal for failures at the same stage, of the same class and for the same reason, whatever numbers, addresses or names of devices the
/// reason holds: `installing/transient/3f9a2c41`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(String);

impl Signature {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Failure {
    /// The failure's signature.
    pub fn signature(&self) -> Signature {
        let digest = Sha256::of(normal(&self.reason).as_bytes()).to_string();
        Signature(format!("{}/{}/{}", self.stage, self.class, digest.get(..8).unwrap_or_default()))
    }
}

/// The reason without what differs from one time to the next: words that hold a digit become `#`, the rest is lower case and single-spaced.
fn normal(reason: &str) -> String {
    let word = |word: &str| if word.chars().any(|c| c.is_ascii_digit()) { "#".to_owned() } else { word.to_lowercase() };
    reason
        .split(|c: char| c.is_whitespace() || "/:,;()[]'\"`=".contains(c))
        .filter(|part| !part.is_empty())
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What an installer says when the network or the mirror let it down: words of curl, wget, apt, anaconda and the Debian installer.
const PASSING: [&str; 22] = [
    "timed out",
    "time-out",
    "timeout",
    "connection refused",
    "connection reset",
    "connection closed",
    "could not connect",
    "cannot connect",
    "couldn't connect",
    "failed to connect",
    "no route to host",
    "network is unreachable",
    "network is down",
    "temporary failure",
    "could not resolve",
    "couldn't resolve",
    "name or service not known",
    "service unavailable",
    "bad gateway",
    "gateway timeout",
    "internal server error",
    "link is down",
];

/// Tells from an installer's own words whether another try may succeed. What is not known to pass by itself will happen again.
pub fn classify(reason: &str) -> Class {
    let text = reason.to_lowercase();
    let status = |word: &str| matches!(word, "500" | "502" | "503" | "504");
    let answered = (text.contains("http") || text.contains("mirror") || text.contains("status"))
        && text.split(|c: char| !c.is_ascii_digit()).any(status);
    if answered || PASSING.iter().any(|words| text.contains(words)) { Class::Transient } else { Class::Deterministic }
}

#[cfg(test)]
mod tests {
    use super::super::state::Stage;
    use super::*;

    fn signature(stage: Stage, class: Class, reason: &str) -> Signature {
        Failure { stage, class, reason: reason.into(), wrote: false, evidence: vec![] }.signature()
    }

    #[test]
    fn numbers_addresses_and_devices_do_not_matter_stage_class_and_words_do() {
        let of = |reason| signature(Stage::Installing, Class::Transient, reason);
        let first = of("http://10.0.0.1:8080/mirror/x.deb: Connection  refused after 3 s on /dev/sda1");
        assert_eq!(first, of("http://10.0.9.7:80/mirror/x.deb: connection refused after 30 s on /dev/nvme0n1"));
        assert_ne!(first, of("the installation made no progress for 600 s"));
        assert_ne!(of("x"), signature(Stage::Booting, Class::Transient, "x"));
        assert_ne!(of("x"), signature(Stage::Installing, Class::Deterministic, "x"));
        assert_eq!(of("x").as_str(), "installing/transient/2d711642");
    }

    #[test]
    fn what_passes_by_itself_is_told_from_what_happens_again() {
        for passing in [
            "wget: http://h/p.deb: HTTP 503",
            "the mirror answered 502",
            "curl: (28) Operation timed out",
            "Temporary failure resolving 'head'",
            "curl: (7) Failed to connect to 10.0.0.1 port 80",
            "its step download-installer: anna: http://10.77.0.1:8080/x.udeb:; anna: 2026-11-29 12:16:39 ERROR 503: Service Unavailable.",
            "the installer's step pkgsel failed: in-target: E: Failed to fetch http://10.77.0.1/x.deb  503  Service Unavailable [IP: 10.77.0.1 80]",
        ] {
            assert_eq!(classify(passing), Class::Transient, "{passing}");
        }
        for lasting in [
            "no disk matches",
            "package nosuch is not available",
            "http://h/x.deb: 404",
            "line 503 of the kickstart",
            "its step download-installer: anna: http://10.77.0.1:8080/x.udeb:; anna: 2026-11-29 12:16:39 ERROR 404: Not Found.",
            "the installer's step pkgsel failed: in-target: E: Unable to locate package nosuch",
            "",
        ] {
            assert_eq!(classify(lasting), Class::Deterministic, "{lasting}");
        }
    }
}
