//! Telling another service by HTTP.

use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;

const LIMIT: Duration = Duration::from_secs(20);

/// Posts JSON. With a key, the header `X-Kickctl-Signature` is `sha256=` and the HMAC (RFC 2104) of the body in hexadecimal.
///
/// # Errors
/// A sentence: the service could not be reached, or answered other than 2xx. What was posted may have arrived all the same.
pub async fn post(url: &str, key: Option<&[u8]>, body: Vec<u8>) -> Result<(), String> {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(LIMIT).build().map_err(|error| format!("no HTTP client: {error}"))?;
    let mut request = client.post(url).header("Content-Type", "application/json");
    if let Some(key) = key {
        request = request.header("X-Kickctl-Signature", format!("sha256={}", signature(key, &body)?));
    }
    let answer = request.body(body).send().await.map_err(|error| format!("{url}: {}", error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("{url}: answered {}", answer.status())) }
}

fn signature(key: &[u8], body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
    mac.update(body);
    Ok(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_hmac_sha256() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?").unwrap(), expected);
    }
}
