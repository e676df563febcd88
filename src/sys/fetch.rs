//! Fetching over HTTP (or from `file:` addresses): in parallel, resuming, hashing on the way, within the sizes that were promised.
//!
//! What a fetch is to become is known beforehand by size and SHA-256, so that a partial file can be continued by anyone at any time: if
//! upstream changed in between, the digest tells, and the file is fetched once more from its start.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256 as Hasher};

use super::objects::{ObjectStore, Partial};
use crate::domain::checksum::Sha256;

/// Fetches at a time unless told otherwise: what a keep-alive connection waits for is mostly the server's answer, eight hide it.
pub const PARALLEL: usize = 8;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection may stay silent.
const READ_LIMIT: Duration = Duration::from_secs(30);
const RETRIES: usize = 4;

/// A file to fetch into the object store.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where it is; the next is asked when one does not have it, has something else, or does not answer.
    pub urls: Vec<String>,
    /// Bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// How one file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the store.
    Done,
    /// The server does not have it (404).
    Missing,
    /// The server has something else under that name.
    Wrong {
        /// Size or digest that was promised.
        expected: String,
        /// What came.
        got: String,
    },
    /// It could not be had, after all retries.
    Failed(String),
}

/// Hears of every chunk and every file.
pub trait Watch: Send + Sync {
    /// So many bytes came; fewer than none when what had come must be fetched again.
    fn received(&self, bytes: i64);
    /// A file ended, however.
    fn finished(&self, job: &Job, outcome: &Outcome);
}

/// Why a document was not had.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The server does not have it (404).
    #[error("{0}: the server does not have it (404)")]
    Missing(String),
    /// It is larger than a file of its kind may be.
    #[error("{url}: larger than the {limit} bytes allowed: refused")]
    TooLarge {
        /// Its address.
        url: String,
        /// Bytes.
        limit: u64,
    },
    /// The server could not be reached or did not answer well, after all retries.
    #[error("{url}: {problem}")]
    Failed {
        /// Its address.
        url: String,
        /// Why.
        problem: String,
    },
}

/// Fetches. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    parallel: usize,
    backoff: ExponentialBuilder,
}

/// Why one attempt ended.
#[derive(Debug)]
enum Trouble {
    Missing,
    Wrong {
        expected: String,
        got: String,
    },
    /// Worth another attempt.
    Transient(String),
    /// Not worth one.
    Permanent(String),
    TooLarge,
    /// Our own disk: no other file will fare better.
    Disk(io::Error),
}

impl Fetcher {
    /// A fetcher that honours the system's proxy settings. `parallel`: fetches at a time.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(parallel: usize) -> Result<Self, reqwest::Error> {
        // An error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("kickctl/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(READ_LIMIT)
            .pool_max_idle_per_host(parallel)
            .build()?;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(RETRIES)
            .with_jitter();
        Ok(Self { client, parallel: parallel.max(1), backoff })
    }

    /// A small document of at most `limit` bytes.
    ///
    /// # Errors
    /// [`GetError`], naming the address.
    pub async fn get(&self, url: &str, limit: u64) -> Result<Vec<u8>, GetError> {
        let attempt = || self.get_once(url, limit);
        let outcome = attempt.retry(self.backoff).when(|trouble| matches!(trouble, Trouble::Transient(_))).await;
        outcome.map_err(|trouble| get_error(trouble, url, limit))
    }

    async fn get_once(&self, url: &str, limit: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        if let Some(path) = url.strip_prefix("file://") {
            open_local(path)?.take(limit + 1).read_to_end(&mut bytes).map_err(|error| Trouble::Permanent(error.to_string()))?;
        } else {
            let mut response = self.client.get(url).send().await.map_err(|error| trouble(&error))?;
            accept(response.status())?;
            while bytes.len() as u64 <= limit {
                match response.chunk().await.map_err(|error| trouble(&error))? {
                    Some(chunk) => bytes.extend_from_slice(&chunk),
                    None => break,
                }
            }
        }
        if bytes.len() as u64 > limit { Err(Trouble::TooLarge) } else { Ok(bytes) }
    }

    /// The size that the server tells of a file, bytes.
    ///
    /// # Errors
    /// [`GetError`], naming the address.
    pub async fn length(&self, url: &str) -> Result<u64, GetError> {
        let failed = |problem: String| GetError::Failed { url: url.to_owned(), problem };
        if let Some(path) = url.strip_prefix("file://") {
            return match std::fs::metadata(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(GetError::Missing(url.to_owned())),
                other => other.map(|metadata| metadata.len()).map_err(|error| failed(error.to_string())),
            };
        }
        let response = self.client.head(url).send().await.map_err(|error| failed(format!("{:?}", trouble(&error))))?;
        match accept(response.status()) {
            Err(Trouble::Missing) => return Err(GetError::Missing(url.to_owned())),
            Err(_) => return Err(failed(format!("the server answers {}", response.status()))),
            Ok(()) => {}
        }
        // `content_length` tells the body's, which a HEAD has none of.
        let length = response.headers().get(reqwest::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        length.ok_or_else(|| failed("the server does not tell its size".to_owned()))
    }

    /// Fetches a file into the store of which nothing but its largest size is known: in one go, without resuming.
    ///
    /// # Errors
    /// [`GetError`], naming the address; a full disk too.
    pub async fn take(&self, url: &str, store: &ObjectStore, limit: u64) -> Result<(Sha256, u64), GetError> {
        let failed = |problem: String| GetError::Failed { url: url.to_owned(), problem };
        let mut scratch = store.scratch().map_err(|error| failed(error.to_string()))?;
        if let Some(path) = url.strip_prefix("file://") {
            let file = open_local(path).map_err(|trouble| get_error(trouble, url, limit))?;
            let copied = io::copy(&mut file.take(limit + 1), &mut scratch).map_err(|error| failed(error.to_string()))?;
            if copied > limit {
                return Err(GetError::TooLarge { url: url.to_owned(), limit });
            }
        } else {
            let mut response = self.client.get(url).send().await.map_err(|error| get_error(trouble(&error), url, limit))?;
            accept(response.status()).map_err(|trouble| get_error(trouble, url, limit))?;
            let mut size = 0;
            while let Some(chunk) = response.chunk().await.map_err(|error| get_error(trouble(&error), url, limit))? {
                size += chunk.len() as u64;
                if size > limit {
                    return Err(GetError::TooLarge { url: url.to_owned(), limit });
                }
                scratch.write_all(&chunk).map_err(|error| failed(error.to_string()))?;
            }
        }
        store.import_scratch(scratch).map_err(|error| failed(error.to_string()))
    }

    /// Fetches all jobs into the store, several at a time; one that fails stops no other. Outcomes are in the order of the jobs.
    ///
    /// # Errors
    /// Only what concerns all files alike: the disk is full or failing.
    pub async fn fetch_all(&self, store: &ObjectStore, jobs: Vec<Job>, watch: Arc<dyn Watch>) -> io::Result<Vec<Outcome>> {
        let fetches = jobs.into_iter().enumerate().map(|(number, job)| {
            let (fetcher, store, watch) = (self.clone(), store.clone(), Arc::clone(&watch));
            // A task each, so that hashing uses all processors.
            let task = async move { Ok((number, fetcher.fetch(&store, &job, &*watch).await?)) };
            async move { AbortOnDrop(tokio::spawn(task)).wait().await }
        });
        let mut outcomes: Vec<(usize, Outcome)> = stream::iter(fetches).buffer_unordered(self.parallel).try_collect().await?;
        outcomes.sort_by_key(|(number, _)| *number);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Fetches one file into the store.
    ///
    /// # Errors
    /// As [`Fetcher::fetch_all`].
    pub async fn fetch(&self, store: &ObjectStore, job: &Job, watch: &dyn Watch) -> io::Result<Outcome> {
        let mut outcome = Outcome::Missing;
        for url in &job.urls {
            match self.fetch_from(url, store, job, watch).await? {
                Outcome::Done => {
                    outcome = Outcome::Done;
                    break;
                }
                // What one server says beyond "not here" is the better explanation.
                Outcome::Missing => {}
                worse => outcome = worse,
            }
        }
        watch.finished(job, &outcome);
        Ok(outcome)
    }

    async fn fetch_from(&self, url: &str, store: &ObjectStore, job: &Job, watch: &dyn Watch) -> io::Result<Outcome> {
        let validator = std::sync::Mutex::new(None);
        let attempt = || self.fetch_once(url, store, job, watch, &validator);
        match attempt.retry(self.backoff).when(|trouble| matches!(trouble, Trouble::Transient(_))).await {
            Ok(()) => Ok(Outcome::Done),
            Err(Trouble::Missing) => Ok(Outcome::Missing),
            Err(Trouble::Wrong { expected, got }) => Ok(Outcome::Wrong { expected, got }),
            Err(Trouble::TooLarge) => Ok(Outcome::Wrong { expected: format!("{} bytes", job.size), got: "more".to_owned() }),
            Err(Trouble::Transient(problem) | Trouble::Permanent(problem)) => Ok(Outcome::Failed(problem)),
            Err(Trouble::Disk(error)) => Err(error),
        }
    }

    /// One attempt, going on where an earlier one was cut off. `validator`: what the server called the version that the partial file is of.
    async fn fetch_once(
        &self,
        url: &str,
        store: &ObjectStore,
        job: &Job,
        watch: &dyn Watch,
        validator: &std::sync::Mutex<Option<HeaderValue>>,
    ) -> Result<(), Trouble> {
        let Some(mut sink) = Sink::open(store, job, watch).await? else { return Ok(()) };
        if sink.offset == job.size && sink.is_right() {
            return sink.finish(store);
        }
        if sink.offset >= job.size {
            sink.restart()?;
        }
        if let Some(path) = url.strip_prefix("file://") {
            sink.restart()?;
            return sink.copy(open_local(path)?, store);
        }
        let mut request = self.client.get(url);
        if sink.offset > 0 {
            request = request.header(RANGE, format!("bytes={}-", sink.offset));
            if let Some(validator) = validator.lock().ok().and_then(|held| held.clone()) {
                request = request.header(IF_RANGE, validator);
            }
        }
        let response = request.send().await.map_err(|error| trouble(&error))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            sink.restart()?;
            return Err(Trouble::Transient("the server has no such range".to_owned()));
        }
        accept(response.status())?;
        if sink.offset > 0 && !continues_at(&response, sink.offset) {
            sink.restart()?;
        }
        if let Ok(mut held) = validator.lock() {
            *held = strong_validator(&response);
        }
        sink.receive(response, store).await
    }
}

/// The text form of an address: the archive's root and a path below it, with what an address may not hold escaped. `+` too: some object
/// stores behind mirrors read it as a blank.
pub fn address(root: &str, path: &str) -> String {
    let mut url = String::with_capacity(root.len() + path.len() + 1);
    url.push_str(root);
    url.push('/');
    let plain = root.starts_with("file:");
    for byte in path.bytes() {
        if plain || byte.is_ascii_alphanumeric() || b"-._~/:@=,".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// A partial object being filled.
struct Sink<'a> {
    partial: Partial,
    hasher: Hasher,
    offset: u64,
    resumed: bool,
    job: &'a Job,
    watch: &'a dyn Watch,
}

impl<'a> Sink<'a> {
    /// `None`: another process has just stored it.
    async fn open(store: &ObjectStore, job: &'a Job, watch: &'a dyn Watch) -> Result<Option<Self>, Trouble> {
        let mut partial = loop {
            if store.contains(job.sha256, job.size) {
                return Ok(None);
            }
            match store.partial(job.sha256).map_err(Trouble::Disk)? {
                Some(partial) => break partial,
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let (hasher, offset) = partial.resume().map_err(Trouble::Disk)?;
        Ok(Some(Self { partial, hasher, offset, resumed: offset > 0, job, watch }))
    }

    fn restart(&mut self) -> Result<(), Trouble> {
        self.hasher = self.partial.restart().map_err(Trouble::Disk)?;
        self.watch.received(-i64::try_from(self.offset).unwrap_or(0));
        self.offset = 0;
        self.resumed = false;
        Ok(())
    }

    async fn receive(mut self, mut response: Response, store: &ObjectStore) -> Result<(), Trouble> {
        let expected = self.job.size - self.offset;
        if let Some(length) = response.content_length().filter(|length| *length != expected) {
            return Err(self.wrong_size(self.offset + length));
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            self.push(&chunk)?;
        }
        self.finish(store)
    }

    fn copy(mut self, mut file: impl Read, store: &ObjectStore) -> Result<(), Trouble> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer).map_err(|error| Trouble::Permanent(error.to_string()))? {
                0 => break,
                got => self.push(&buffer[..got])?,
            }
        }
        if self.offset < self.job.size {
            return Err(self.wrong_size(self.offset));
        }
        self.finish(store)
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), Trouble> {
        if self.offset + chunk.len() as u64 > self.job.size {
            return Err(Trouble::TooLarge);
        }
        self.hasher.update(chunk);
        self.partial.file.write_all(chunk).map_err(|error| Trouble::Disk(super::atomic::named(error, "store", self.partial.path())))?;
        self.offset += chunk.len() as u64;
        self.watch.received(i64::try_from(chunk.len()).unwrap_or(0));
        Ok(())
    }

    fn digest(&self) -> Sha256 {
        Sha256::new(self.hasher.clone().finalize().into())
    }

    fn is_right(&self) -> bool {
        self.digest() == self.job.sha256
    }

    fn finish(self, store: &ObjectStore) -> Result<(), Trouble> {
        if self.offset < self.job.size {
            // What came is kept: the next attempt goes on there.
            return Err(Trouble::Transient(format!("cut off after {} of {} bytes", self.offset, self.job.size)));
        }
        let got = self.digest();
        if got == self.job.sha256 {
            return store.commit(self.partial).map_err(Trouble::Disk);
        }
        let (expected, resumed) = (self.job.sha256, self.resumed);
        self.watch.received(-i64::try_from(self.offset).unwrap_or(0));
        self.partial.discard();
        if resumed {
            return Err(Trouble::Transient(format!("continuing a partial file gave SHA-256 {got} instead of {expected}")));
        }
        Err(Trouble::Wrong { expected: format!("SHA-256 {expected}"), got: got.to_string() })
    }

    fn wrong_size(&self, got: u64) -> Trouble {
        Trouble::Wrong { expected: format!("{} bytes", self.job.size), got: format!("{got}") }
    }
}

fn get_error(trouble: Trouble, url: &str, limit: u64) -> GetError {
    let url = url.to_owned();
    match trouble {
        Trouble::Missing => GetError::Missing(url),
        Trouble::TooLarge => GetError::TooLarge { url, limit },
        Trouble::Wrong { expected, got } => GetError::Failed { url, problem: format!("expected {expected}, got {got}") },
        Trouble::Transient(problem) | Trouble::Permanent(problem) => GetError::Failed { url, problem },
        Trouble::Disk(error) => GetError::Failed { url, problem: error.to_string() },
    }
}

fn open_local(path: &str) -> Result<File, Trouble> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        _ => Trouble::Permanent(error.to_string()),
    })
}

fn accept(status: StatusCode) -> Result<(), Trouble> {
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Trouble::Missing),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Trouble::Transient(format!("the server answers {status}"))),
        status if status.is_server_error() => Err(Trouble::Transient(format!("the server answers {status}"))),
        status => Err(Trouble::Permanent(format!("the server answers {status}"))),
    }
}

/// True if this is the rest that was asked for, not the whole once more.
fn continues_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::PARTIAL_CONTENT && range.starts_with(&format!("bytes {offset}-"))
}

/// RFC 9110 section 13.1.5: If-Range takes a strong entity tag or a date.
fn strong_validator(response: &Response) -> Option<HeaderValue> {
    let tag = response.headers().get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    tag.or_else(|| response.headers().get(LAST_MODIFIED)).cloned()
}

/// What a request failed with, without the address, which the caller names.
fn trouble(error: &reqwest::Error) -> Trouble {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    if text.is_empty() {
        text = error.to_string();
    }
    if error.is_timeout() {
        text = format!("no answer in time ({text})");
    }
    if error.is_builder() || error.is_redirect() { Trouble::Permanent(text) } else { Trouble::Transient(text) }
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<io::Result<T>>);

impl<T> AbortOnDrop<T> {
    async fn wait(mut self) -> io::Result<T> {
        (&mut self.0).await.map_err(io::Error::other)?
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
