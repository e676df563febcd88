//! A head that says what a test wants, for scripts that speak to one, and programs that end with the test.

#![allow(dead_code, reason = "each test uses a part")]

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};

/// A head that answers the same to everything, and remembers what it was asked.
#[derive(Clone)]
pub struct Head {
    said: Arc<Mutex<(StatusCode, String)>>,
    heard: Arc<Mutex<Vec<(String, String, String)>>>,
    pub address: SocketAddr,
}

impl Head {
    pub async fn start(status: u16, body: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let head = Self { said: Arc::default(), heard: Arc::default(), address: listener.local_addr().unwrap() };
        head.say(status, body);
        let router = Router::new().fallback(answer).with_state(head.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        head
    }

    pub fn say(&self, status: u16, body: &str) {
        *self.said.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body.to_owned());
    }

    pub fn heard(&self) -> Vec<(String, String, String)> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until something was heard that fits.
    pub async fn hears(&self, fits: impl Fn(&(String, String, String)) -> bool) -> (String, String, String) {
        for _ in 0..600 {
            if let Some(found) = self.heard().into_iter().find(&fits) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never heard; but {:?}", self.heard());
    }
}

async fn answer(State(head): State<Head>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    head.heard.lock().unwrap().push((uri.path().to_owned(), token, String::from_utf8_lossy(&body).into_owned()));
    head.said.lock().unwrap().clone()
}

/// A script that is ended with the test, and with it what it has started: a `sleep` that outlives it would hold on to what the test's caller
/// has open, such as a lock.
pub struct Running(Child);

impl Running {
    /// Starts a program in a process group of its own.
    pub fn start(command: &mut Command) -> Self {
        Self(command.process_group(0).spawn().unwrap())
    }

    pub async fn ended(&mut self) -> bool {
        for _ in 0..600 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("still running");
    }

    /// Waits for its end, which has to be a good one.
    pub fn succeeds(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }

    pub fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}
