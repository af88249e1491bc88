//! A storage service on this machine, with faults to order.
//!
//! [`S3Server`] is an S3-compatible server (`s3s-fs`: it checks every signature) over a temporary
//! directory. In front of it sits a layer that counts requests and breaks those it is told to break.
//! That layer also makes up for where the server behind is not like Amazon's:
//!
//! * Conditional writes are let through one at a time. The server behind looks and then writes, so
//!   two of them at once would both succeed.
//! * A request about an upload that the server does not know is answered with 404 `NoSuchUpload`.
//!   The server behind answers 403.
//! * A directory of objects is no object. The server behind fails to open it, with 500.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Sleep;

/// The bucket that is there from the start.
pub const BUCKET: &str = "forks";

/// The access key that is accepted.
pub const ACCESS_KEY: &str = "AKIAFORKPACKEXAMPLE";

/// Its secret.
pub const SECRET_KEY: &str = "secret-that-no-message-may-contain";

/// Time between the last byte of a body that is cut and the end of its connection.
const CLOSE_PAUSE: Duration = Duration::from_millis(100);

/// What is done to a request instead of just answering it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this status and never carried out.
    Status(u16),
    /// The connection is closed without an answer, and the request never carried out.
    Reset,
    /// The request is carried out, and the connection closed without an answer.
    ResetAfter,
    /// The connection is closed after this many bytes of the answer's body.
    Cut(usize),
    /// No further byte comes after this many bytes of the answer's body.
    Stall(usize),
    /// Carried out after a pause.
    Delay(Duration),
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which one it is, from 1.
    pub number: usize,
    /// Its method.
    pub method: String,
    /// Its path, bucket included.
    pub path: String,
    /// Its query; empty when there is none.
    pub query: String,
    /// Whether it writes only if there is no such object, or only in place of a certain one.
    pub conditional: bool,
    /// First byte it asks for.
    pub range_start: Option<u64>,
}

impl Seen {
    /// What it asks for, in one word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let has = |name: &str| {
            self.query
                .split('&')
                .any(|pair| pair.split('=').next() == Some(name))
        };
        match self.method.as_str() {
            "PUT" if has("partNumber") => "part",
            "PUT" => "put",
            "POST" if has("uploads") => "begin",
            "POST" if has("uploadId") => "complete",
            "DELETE" if has("uploadId") => "abort",
            "DELETE" => "delete",
            "HEAD" => "head",
            "GET" if has("list-type") => "list",
            "GET" => "get",
            _ => "other",
        }
    }
}

type Hook = Box<dyn FnMut(&Seen) -> Option<Fault> + Send>;

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    hook: Option<Hook>,
}

struct Shared {
    root: PathBuf,
    service: S3Service,
    log: Mutex<Log>,
    writes: tokio::sync::Mutex<()>,
    stalled: AtomicBool,
}

/// The server. It runs until it is dropped.
pub struct S3Server {
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
    directory: TempDir,
}

impl S3Server {
    /// Starts a server with one empty bucket.
    ///
    /// # Errors
    ///
    /// Fails when there is no room, no thread or no port.
    pub fn start() -> io::Result<Self> {
        let directory = TempDir::new()?;
        let root = directory.path().canonicalize()?;
        std::fs::DirBuilder::new().create(root.join(BUCKET))?;
        let files = s3s_fs::FileSystem::new(&root)
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let shared = Arc::new(Shared {
            root,
            service: builder.build(),
            log: Mutex::new(Log::default()),
            writes: tokio::sync::Mutex::new(()),
            stalled: AtomicBool::new(false),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let mut server = Self {
            runtime: Some(runtime),
            shared,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            accepting: None,
            directory,
        };
        server.restart()?;
        Ok(server)
    }

    /// Listens again after [`Self::stop`], on the same port.
    ///
    /// # Errors
    ///
    /// Fails when somebody else took the port.
    pub fn restart(&mut self) -> io::Result<()> {
        self.stop();
        let Some(runtime) = &self.runtime else {
            return Ok(());
        };
        let listener = runtime.block_on(TcpListener::bind(self.address))?;
        self.address = listener.local_addr()?;
        self.accepting = Some(runtime.spawn(accept(listener, self.shared.clone())));
        Ok(())
    }

    /// Stops listening and closes every connection, whatever is going on in it.
    pub fn stop(&mut self) {
        if let (Some(accepting), Some(runtime)) = (self.accepting.take(), &self.runtime) {
            accepting.abort();
            // It is aborted: that it did not end well is known.
            let _ = runtime.block_on(accepting);
        }
    }

    /// Where it listens, also after [`Self::stop`].
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment in which a program finds it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL", &self.endpoint()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// The URL of a store in it.
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// The file that holds an object; `key` begins with the store's prefix.
    #[must_use]
    pub fn object_path(&self, key: &str) -> PathBuf {
        self.shared.root.join(BUCKET).join(key)
    }

    /// Asks `hook` about every request from now on. It sees the request before it is carried out.
    pub fn hook(&self, hook: impl FnMut(&Seen) -> Option<Fault> + Send + 'static) {
        self.log().hook = Some(Box::new(hook));
    }

    /// Breaks the requests of a kind (see [`Seen::kind`]; `*` is any): lets `skipped` of them pass,
    /// and does `fault` to the next `count`.
    pub fn break_requests(&self, kind: &'static str, skipped: usize, count: usize, fault: Fault) {
        let mut met = 0;
        self.hook(move |seen| {
            if kind != "*" && seen.kind() != kind {
                return None;
            }
            met += 1;
            (met > skipped && met <= skipped.saturating_add(count)).then_some(fault)
        });
    }

    /// Asks nobody any more.
    pub fn unhook(&self) {
        self.log().hook = None;
    }

    /// The requests since the start or the last [`Self::forget`], broken ones included.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.log().seen.clone()
    }

    /// How many requests of a kind there were; see [`Seen::kind`].
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        let log = self.log();
        log.seen.iter().filter(|seen| seen.kind() == kind).count()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.log().seen.clear();
    }

    /// Whether a [`Fault::Stall`] was met.
    #[must_use]
    pub fn stalled(&self) -> bool {
        self.shared.stalled.load(Ordering::Relaxed)
    }

    /// Names of the uploads that were begun and neither completed nor aborted.
    ///
    /// # Errors
    ///
    /// Fails when the server's directory cannot be read.
    pub fn unfinished_uploads(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.directory.path().read_dir()? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let upload = name
                .strip_prefix(".upload-")
                .and_then(|name| name.strip_suffix(".json"));
            names.extend(upload.map(str::to_owned));
        }
        Ok(names)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A test that failed while holding it has failed already.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a request down and asks the hook about it.
    fn note(&self, request: &Request<Incoming>) -> (Seen, Option<Fault>) {
        let mut log = self.log();
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        let seen = Seen {
            number: log.seen.len() + 1,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            conditional: header("if-none-match").is_some() || header("if-match").is_some(),
            range_start: header("range")
                .and_then(|range| range.strip_prefix("bytes="))
                .and_then(|range| range.split('-').next())
                .and_then(|start| start.parse().ok()),
        };
        log.seen.push(seen.clone());
        let fault = log.hook.as_mut().and_then(|hook| hook(&seen));
        (seen, fault)
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Answer>> {
        let (seen, fault) = self.note(&request);
        match fault {
            Some(Fault::Status(status)) => {
                // Taken in whole, so that the client gets to reading the answer.
                collect(request.into_body()).await?;
                return Ok(refusal(status, "Ordered"));
            }
            Some(Fault::Reset) => return Err(closed()),
            Some(Fault::Delay(pause)) => tokio::time::sleep(pause).await,
            Some(Fault::ResetAfter | Fault::Cut(_) | Fault::Stall(_)) | None => {}
        }
        if let Some(code) = self.nowhere(&seen) {
            collect(request.into_body()).await?;
            return Ok(refusal(404, code));
        }
        let one_at_a_time = if seen.conditional {
            Some(self.writes.lock().await)
        } else {
            None
        };
        let response = self
            .service
            .call(request.map(s3s::Body::from))
            .await
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
        let (mut head, body) = response.into_parts();
        let body = collect(body).await?;
        let length = body.len();
        drop(one_at_a_time);
        let answer = match fault {
            Some(Fault::ResetAfter) => return Err(closed()),
            Some(Fault::Cut(at)) => Answer::cut(&body, at, End::Closed),
            Some(Fault::Stall(at)) => {
                self.stalled.store(true, Ordering::Relaxed);
                Answer::cut(&body, at, End::Stalled)
            }
            _ => Answer::whole(body),
        };
        if seen.method != "HEAD" && head.status != StatusCode::NO_CONTENT {
            // A body that is cut announces all of itself.
            head.headers.insert("content-length", length.into());
            head.headers.remove("transfer-encoding");
        }
        Ok(Response::from_parts(head, answer))
    }

    /// Why there is nothing where a request goes, if the server behind would not say so.
    fn nowhere(&self, seen: &Seen) -> Option<&'static str> {
        let upload = seen
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("uploadId="));
        if let Some(upload) = upload {
            let known = self.root.join(format!(".upload-{upload}.json")).exists();
            return (!known).then_some("NoSuchUpload");
        }
        let is_directory = self.root.join(seen.path.trim_start_matches('/')).is_dir();
        (matches!(seen.kind(), "get" | "head") && is_directory).then_some("NoSuchKey")
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set, when this task is aborted, closes the connections.
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, shared.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let answer = service_fn(move |request| {
        let shared = shared.clone();
        async move { shared.answer(request).await }
    });
    // Closing connections is what it does on purpose.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

fn refusal(status: u16, code: &str) -> Response<Answer> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as ordered</Message></Error>"
    );
    let mut response = Response::new(Answer::whole(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    response
}

async fn collect<B>(body: B) -> io::Result<Bytes>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(|error| io::Error::other(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Bytes::from(bytes))
}

/// How a body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Closed,
    Stalled,
}

/// The body of an answer.
struct Answer {
    /// Given out once, then empty.
    bytes: Bytes,
    end: End,
    /// Before the connection is closed: what was given out must have left by then.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    fn whole(bytes: Bytes) -> Self {
        Self {
            bytes,
            end: End::Whole,
            pause: None,
        }
    }

    fn cut(bytes: &Bytes, at: usize, end: End) -> Self {
        Self {
            bytes: bytes.slice(..at.min(bytes.len())),
            end,
            pause: None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::Closed => {
                let pause = self
                    .pause
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_PAUSE)));
                pause.as_mut().poll(context).map(|()| Some(Err(closed())))
            }
            // Nobody wakes it: the connection ends when the client or the server goes away.
            End::Stalled => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.end == End::Whole
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Whole => SizeHint::with_exact(self.bytes.len() as u64),
            End::Closed | End::Stalled => SizeHint::default(),
        }
    }
}
