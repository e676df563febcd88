//! Files over HTTP: packages, kernels, metadata. Our own, because resumed downloads stand or fall with `If-Range`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::range::{Part, if_range_holds, none_match_hits, part};

/// Up to this size a file is read in one go, which is much cheaper than a stream: most of a repository's files are small.
const AT_ONCE: u64 = 256 * 1024;
/// How much is read at a time beyond that.
const CHUNK: usize = 256 * 1024;

const HTTP_DATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Answers GET or HEAD with a regular file; anything else at `path` is 404.
pub async fn serve(path: PathBuf, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let head = method == Method::HEAD;
    let asked = Asked::from(headers);
    let opened = tokio::task::spawn_blocking(move || open(&path, &asked, head)).await;
    match opened.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(reply) => reply.into_response(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            plain(StatusCode::NOT_FOUND, "not found\n")
        }
        Err(error) => {
            tracing::warn!(%error, "a file could not be served");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the head could not read this file; its log says why\n")
        }
    }
}

/// A short plain text answer.
pub fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A small archive that was made for this answer.
pub fn archive(bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Asked {
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
}

impl From<&HeaderMap> for Asked {
    fn from(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        Self {
            range: text(header::RANGE),
            if_range: text(header::IF_RANGE),
            if_none_match: text(header::IF_NONE_MATCH),
            if_modified_since: text(header::IF_MODIFIED_SINCE),
        }
    }
}

enum Content {
    None,
    Bytes(Vec<u8>),
    Stream(File, u64),
}

struct Reply {
    status: StatusCode,
    size: u64,
    part: Part,
    etag: String,
    last_modified: String,
    content: Content,
}

fn open(path: &Path, asked: &Asked, head: bool) -> io::Result<Reply> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let size = about.len();
    let etag = format!("\"{:x}-{:x}-{:x}\"", about.ino(), size, i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec()));
    let last_modified =
        OffsetDateTime::from_unix_timestamp(about.mtime()).ok().and_then(|time| time.format(HTTP_DATE).ok()).unwrap_or_default();
    let unchanged = match (&asked.if_none_match, &asked.if_modified_since) {
        (Some(tags), _) => none_match_hits(tags, &etag),
        // Equal, not older: a rolled back file has an older date and is another one all the same.
        (None, Some(date)) => *date == last_modified,
        (None, None) => false,
    };
    if unchanged {
        return Ok(Reply { status: StatusCode::NOT_MODIFIED, size, part: Part::Whole, etag, last_modified, content: Content::None });
    }
    let range = asked.range.as_deref().filter(|_| if_range_holds(asked.if_range.as_deref(), &etag, &last_modified));
    let part = part(range, size);
    let (status, start, length) = match part {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Slice { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Part::Outside => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let content = if head || length == 0 {
        Content::None
    } else {
        if start > 0 {
            file.seek(SeekFrom::Start(start))?;
        }
        if length <= AT_ONCE {
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
            file.take(length).read_to_end(&mut bytes)?;
            Content::Bytes(bytes)
        } else {
            Content::Stream(file, length)
        }
    };
    Ok(Reply { status, size, part, etag, last_modified, content })
}

impl Reply {
    fn into_response(self) -> Response<Body> {
        let (length, range) = match self.part {
            Part::Whole => (self.size, None),
            Part::Slice { start, length } => (length, Some(format!("bytes {start}-{}/{}", start + length - 1, self.size))),
            Part::Outside => (0, Some(format!("bytes */{}", self.size))),
        };
        let body = match self.content {
            Content::None => Body::empty(),
            Content::Bytes(bytes) => Body::from(bytes),
            Content::Stream(file, length) => {
                Body::from_stream(ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(length), CHUNK))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut set = |name, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        set(header::ACCEPT_RANGES, "bytes".into());
        set(header::ETAG, self.etag);
        set(header::LAST_MODIFIED, self.last_modified);
        if self.status != StatusCode::NOT_MODIFIED {
            set(header::CONTENT_LENGTH, length.to_string());
            set(header::CONTENT_TYPE, "application/octet-stream".into());
        }
        if let Some(range) = range {
            set(header::CONTENT_RANGE, range);
        }
        response
    }
}
