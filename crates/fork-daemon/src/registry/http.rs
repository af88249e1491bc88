//! Requests to one registry: deadlines, credentials, repetitions, limits.
//!
//! Bodies of answers are never read without a limit, also those of errors and of token services;
//! credentials go to the registry itself and to the token service it names, over TLS, and never along
//! with a redirect or an upload location elsewhere.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Deserialize;
use url::Url;

use super::access::Access;
use super::challenge::{self, Challenge};
use super::error::{RegistryError, RegistryTrouble};
use super::options::{RegistryOptions, is_loopback};
use super::reference::api_host;
use crate::runtime::runtime;
use crate::store::Cause;
use crate::store::secrets::Secrets;

/// Redirects followed; registries send to a bucket, which may send once more.
const REDIRECTS_MAX: usize = 5;
/// Largest body of an error, in bytes; more of it is not read.
const ERROR_BYTES_MAX: u64 = 16 << 10;
/// Largest answer of a token service, in bytes. Tokens have a few kilobytes.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// Bytes of a file that are read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What a request needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Pull,
    Push,
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) trouble: RegistryTrouble,
    /// Whether the same request may succeed later.
    pub(super) passing: bool,
    pub(super) cause: String,
}

impl Failure {
    pub(super) fn new(trouble: RegistryTrouble, cause: impl Into<String>) -> Self {
        Self {
            trouble,
            passing: trouble == RegistryTrouble::Unreachable,
            cause: cause.into(),
        }
    }

    pub(super) fn malformed(cause: impl Into<String>) -> Self {
        Self::new(RegistryTrouble::Malformed, cause)
    }
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Load<'a> {
    Nothing,
    Bytes(Bytes),
    File { path: &'a Path, bytes: u64 },
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) repository: &'a str,
    pub(super) right: Right,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) load: Load<'a>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, url: Url, repository: &'a str, right: Right) -> Self {
        Self {
            method,
            url,
            repository,
            right,
            headers: Vec::new(),
            load: Load::Nothing,
        }
    }

    pub(super) fn accept(mut self, types: &str) -> Self {
        self.headers.push((ACCEPT, types.to_owned()));
        self
    }
}

/// A registry, as far as requests go.
pub(super) struct Connection {
    client: Client,
    pub(super) name: String,
    base: Url,
    access: Access,
    pub(super) options: RegistryOptions,
    secrets: Secrets,
    /// `Authorization` headers by scope.
    tokens: Mutex<BTreeMap<String, HeaderValue>>,
}

impl Connection {
    pub(super) fn open(
        registry: &str,
        access: Access,
        options: RegistryOptions,
    ) -> Result<Self, RegistryError> {
        runtime().map_err(|error| RegistryError::Setup(error.to_string()))?;
        let plain = options.is_plain(registry);
        let scheme = if plain { "http" } else { "https" };
        let base = format!("{scheme}://{}/", api_host(registry));
        let base = Url::parse(&base).map_err(|error| RegistryError::Setup(error.to_string()))?;
        let follow = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS_MAX {
                attempt.error("it redirects in circles")
            } else if !(attempt.url().scheme() == "https"
                || plain && attempt.url().scheme() == "http")
            {
                attempt.error("it redirects to an address without TLS")
            } else {
                attempt.follow()
            }
        });
        let mut builder = Client::builder()
            .connect_timeout(options.connect_timeout)
            .redirect(follow)
            .referer(false)
            .user_agent(concat!("forkpack/", env!("CARGO_PKG_VERSION")));
        if plain {
            // Machines that only talk to themselves need no certificates.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(registry) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| RegistryError::Setup(deepest(&error)))?;
        Ok(Self {
            client,
            name: registry.to_owned(),
            base,
            secrets: access.secrets(),
            access,
            options,
            tokens: Mutex::default(),
        })
    }

    /// Address of something in a repository. Repositories, tags and digests are plain names.
    pub(super) fn url(&self, repository: &str, rest: &str) -> Result<Url, Failure> {
        self.base
            .join(&format!("v2/{repository}/{rest}"))
            .map_err(|error| Failure::malformed(error.to_string()))
    }

    /// Address of a `Location`, which may be relative or on another host.
    pub(super) fn location(&self, response: &Response) -> Result<Url, Failure> {
        let header = response.headers().get(reqwest::header::LOCATION);
        let text = header.and_then(|value| value.to_str().ok());
        let url = text.and_then(|text| response.url().join(text).ok());
        let url = url.ok_or_else(|| Failure::malformed("it names no place to upload to"))?;
        let right_scheme = match self.base.scheme() {
            "https" => url.scheme() == "https",
            _ => matches!(url.scheme(), "http" | "https"),
        };
        if !right_scheme {
            return Err(Failure::malformed("its place to upload to is without TLS"));
        }
        Ok(url)
    }

    pub(super) fn error(&self, action: String, attempts: u32, failure: Failure) -> RegistryError {
        RegistryError::Service {
            action,
            trouble: failure.trouble,
            attempts,
            source: Cause(self.secrets.clean(&failure.cause)),
        }
    }

    /// Sends a request until it is answered, cannot be, or may not be sent again. Any status but
    /// those that say "try again" and 401 is an answer.
    pub(super) async fn answer(&self, call: &Call<'_>) -> Result<Response, (u32, Failure)> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.once(call).await {
                Ok(response) if is_passing(response.status()) => refusal(response).await,
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            if !failure.passing || attempts >= self.options.attempts_max {
                return Err((attempts, failure));
            }
            tokio::time::sleep(self.options.pause(attempts)).await;
        }
    }

    /// Sends a request once, and once more when the registry wants to know who is asking.
    pub(super) async fn once(&self, call: &Call<'_>) -> Result<Response, Failure> {
        let response = self.send(call).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.authorize(&response, call).await?;
        let response = self.send(call).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(refusal(response).await);
        }
        Ok(response)
    }

    async fn send(&self, call: &Call<'_>) -> Result<Response, Failure> {
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if self.is_own(&call.url)
            && let Some(token) = self.token(&scope(call))
        {
            request = request.header(AUTHORIZATION, token);
        }
        match &call.load {
            Load::Nothing => {
                if call.method == Method::POST {
                    // Some registries want it said that there is nothing.
                    request = request.header(CONTENT_LENGTH, "0");
                }
                self.header_within(request).await
            }
            Load::Bytes(bytes) => self.header_within(request.body(bytes.clone())).await,
            Load::File { path, bytes } => self.upload(request, path, *bytes).await,
        }
    }

    /// The header of an answer, within the deadline of a request.
    async fn header_within(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let deadline = self.options.request_timeout;
        match tokio::time::timeout(deadline, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unanswered(error)),
            Err(_) => Err(silent(deadline)),
        }
    }

    /// Streams a file. Ends when nothing moves, and when the whole takes too long.
    async fn upload(
        &self,
        request: RequestBuilder,
        path: &Path,
        bytes: u64,
    ) -> Result<Response, Failure> {
        // What is wrong with the disk is no trouble of the registry, but as final as any.
        let file = fork_fs::open(path)
            .map_err(|error| Failure::new(RegistryTrouble::Refused, error.to_string()))?;
        let sent = Arc::new(AtomicU64::new(0));
        let frames = FileFrames {
            file: file.take(bytes),
            sent: Arc::clone(&sent),
        };
        let body = Body::wrap(StreamBody::new(futures_util::stream::iter(frames)));
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, bytes)
            .body(body);
        let started = Instant::now();
        let deadline = self.options.deadline(bytes);
        let mut answer = std::pin::pin!(request.send());
        let (mut seen, mut idle_since) = (0, started);
        loop {
            match tokio::time::timeout(self.options.idle_timeout / 4, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(unanswered(error)),
                Err(_) => {}
            }
            let now = sent.load(Ordering::Relaxed);
            if now != seen {
                (seen, idle_since) = (now, Instant::now());
            }
            // When all is sent, the registry may have to hash and move it.
            let patience = if now == bytes {
                self.options.store_deadline(bytes)
            } else {
                self.options.idle_timeout
            };
            if idle_since.elapsed() >= patience {
                return Err(silent(patience));
            }
            if started.elapsed() >= deadline.saturating_mul(2) {
                return Err(silent(deadline.saturating_mul(2)));
            }
        }
    }

    /// Whether an address is the registry's own: only there go credentials (CVE-2020-15157).
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    fn token(&self, scope: &str) -> Option<HeaderValue> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(scope).cloned()
    }

    /// Gets what the registry wants to see.
    async fn authorize(&self, response: &Response, call: &Call<'_>) -> Result<(), Failure> {
        let denied = |cause: &str| Failure::new(RegistryTrouble::Denied, cause);
        if !self.is_own(response.url()) {
            return Err(denied(
                "another host, to which it redirects, wants credentials",
            ));
        }
        let challenges = response.headers().get_all(WWW_AUTHENTICATE);
        let challenge = challenges
            .iter()
            .filter_map(|value| challenge::parse(value.to_str().ok()?))
            .next();
        let Some(challenge) = challenge else {
            return Err(denied("it wants credentials and does not say which"));
        };
        let token = match (&self.access, challenge) {
            (Access::Token(token), _) => format!("Bearer {token}"),
            (Access::Password { user, password }, Challenge::Basic) => basic(user, password),
            (Access::Anonymous, Challenge::Basic) => {
                return Err(denied("it wants a user and a password"));
            }
            (access, Challenge::Bearer { realm, service }) => {
                let token = self.fetch_token(access, &realm, service, call).await?;
                format!("Bearer {token}")
            }
        };
        let mut value = HeaderValue::from_str(&token)
            .map_err(|_| denied("the credentials cannot be sent in a header"))?;
        value.set_sensitive(true);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(scope(call), value);
        Ok(())
    }

    /// Asks a registry's token service.
    async fn fetch_token(
        &self,
        access: &Access,
        realm: &str,
        service: Option<String>,
        call: &Call<'_>,
    ) -> Result<String, Failure> {
        let mut url = Url::parse(realm)
            .map_err(|_| Failure::malformed("the address of its token service is none"))?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        };
        let plain = url.scheme() == "http" && self.options.is_plain(&host);
        if url.scheme() != "https" && !plain {
            return Err(Failure::malformed("its token service is without TLS"));
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &service {
                query.append_pair("service", service);
            }
            query.append_pair("scope", &scope(call));
        }
        let mut request = self.client.get(url);
        if let Access::Password { user, password } = access {
            let mut value = HeaderValue::from_str(&basic(user, password))
                .map_err(|_| Failure::malformed("the credentials cannot be sent in a header"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let response = self.header_within(request).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let body = self.body(response, TOKEN_BYTES_MAX).await?;
        // A JSON error would quote parts of the token.
        let none = || Failure::malformed("its token service gives no token");
        let token: Token = serde_json::from_slice(&body).map_err(|_| none())?;
        token.token.or(token.access_token).ok_or_else(none)
    }

    /// A body of at most `bytes_max` bytes.
    pub(super) async fn body(
        &self,
        mut response: Response,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Failure> {
        let deadline = self.options.request_timeout;
        let reading = async {
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
                if body.len() as u64 + chunk.len() as u64 > bytes_max {
                    let problem = format!("it has more than {bytes_max} bytes");
                    return Err(Failure::malformed(problem));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        };
        match tokio::time::timeout(deadline, reading).await {
            Ok(outcome) => outcome,
            Err(_) => Err(silent(deadline)),
        }
    }
}

/// Answer of a token service: both names are in use.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What a token is for.
fn scope(call: &Call<'_>) -> String {
    let rights = match call.right {
        Right::Pull => "pull",
        Right::Push => "pull,push",
    };
    format!("repository:{}:{rights}", call.repository)
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}

/// The chunks of a file. They are read where they are sent: the disk is quicker than the line, and
/// these threads do nothing else.
struct FileFrames {
    file: std::io::Take<File>,
    sent: Arc<AtomicU64>,
}

impl Iterator for FileFrames {
    type Item = std::io::Result<Frame<Bytes>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match (&mut self.file)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)
        {
            Ok(0) => None,
            Ok(count) => {
                self.sent.fetch_add(count as u64, Ordering::Relaxed);
                Some(Ok(Frame::data(Bytes::from(chunk))))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..=599)
}

fn silent(deadline: std::time::Duration) -> Failure {
    let cause = format!("no answer within {deadline:?}");
    Failure::new(RegistryTrouble::Unreachable, cause)
}

/// A request or a body that did not come through.
pub(super) fn unanswered(error: reqwest::Error) -> Failure {
    // Addresses may be signed.
    let error = error.without_url();
    let trouble = if error.is_redirect() {
        RegistryTrouble::Malformed
    } else {
        RegistryTrouble::Unreachable
    };
    Failure::new(trouble, deepest(&error))
}

/// The innermost cause: the library's messages repeat theirs.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let said = cause.to_string();
    if error.source().is_none() || said.contains("connection") {
        said
    } else {
        format!("{}: {said}", error.to_string().trim_end_matches('.'))
    }
}

/// What a registry says when it refuses (distribution specification, "Error codes").
#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    code: String,
    #[serde(default)]
    message: String,
}

/// An answer that is not the one that was hoped for.
pub(super) async fn refusal(mut response: Response) -> Failure {
    let status = response.status();
    let trouble = match status.as_u16() {
        401 | 403 => RegistryTrouble::Denied,
        404 => RegistryTrouble::Missing,
        _ if is_passing(status) => RegistryTrouble::Unreachable,
        200..=399 => RegistryTrouble::Malformed,
        _ => RegistryTrouble::Refused,
    };
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > ERROR_BYTES_MAX {
                break;
            }
        }
    };
    // What it says is only a help: it is not waited for long.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), reading).await;
    let mut cause = format!("the registry answered {status}");
    if let Ok(errors) = serde_json::from_slice::<Errors>(&body)
        && let Some(first) = errors.errors.first()
    {
        cause.push_str(&format!(" ({}: {})", first.code, first.message));
    }
    Failure::new(trouble, cause)
}
