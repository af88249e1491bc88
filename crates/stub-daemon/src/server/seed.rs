//! A seed node on a socket.

use std::fmt;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use super::connection::{Broken, Connection, HttpRequest, NoRequest};
use super::{CONNECTIONS_MAX, PATH, POLL, listen};
use crate::body::{Body, PIECE_BYTES};
use crate::clock::Clock;
use crate::error::StubError;
use crate::graphql::{Request, SeedAsked, errors};
use crate::seed::Seed;

/// When a seed node wakes.
#[derive(Clone, Debug)]
pub struct SeedTime {
    /// Counts milliseconds since the start, in place of slots.
    pub clock: Clock,
    /// Milliseconds on the clock at which the genesis is.
    pub genesis_ms: u32,
    /// Whether the clock begins with the first request, so that whoever asks sees the sleep.
    pub from_first_request: bool,
}

/// A seed node that sleeps until its clock reaches the genesis time, and serves until dropped.
#[derive(Debug)]
pub struct SeedDaemon {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    seed: Seed,
    time: SeedTime,
    /// Whether the clock goes.
    begun: AtomicBool,
    started: Instant,
    stopped: AtomicBool,
    connections: AtomicUsize,
    requests: AtomicU64,
    hook: OnceLock<Hook>,
}

/// Called with the number of a request.
type RequestHook = dyn Fn(u64) + Send + Sync;

/// Who is told of requests.
struct Hook(Box<RequestHook>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl SeedDaemon {
    /// Starts listening on `address`.
    ///
    /// # Errors
    ///
    /// Fails when the address cannot be listened on.
    pub fn start(seed: Seed, address: SocketAddr, time: SeedTime) -> Result<Self, StubError> {
        let error = |source| StubError::Listen { address, source };
        let listener = listen(address).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        let shared = Arc::new(Shared {
            seed,
            begun: AtomicBool::new(!time.from_first_request),
            time,
            started: Instant::now(),
            stopped: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            hook: OnceLock::new(),
        });
        let supervised = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("stub-seed".to_owned())
            .spawn(move || accept(&supervised, &listener))
            .map_err(error)?;
        Ok(Self {
            shared,
            address,
            thread: Some(thread),
        })
    }

    /// Where to send queries.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Calls `hook` with the number of each request, from 1, before it is answered. There is one
    /// hook; a second one is not taken.
    pub fn on_request(&self, hook: impl Fn(u64) + Send + Sync + 'static) {
        let _ = self.shared.hook.set(Hook(Box::new(hook)));
    }

    /// Whether its genesis time has come and it woke.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.shared.is_awake()
    }
}

impl Drop for SeedDaemon {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn is_awake(&self) -> bool {
        !self.seed.never_wakes()
            && self.begun.load(Ordering::SeqCst)
            && self.time.clock.slot() >= self.time.genesis_ms
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    while !shared.stopped.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let count = shared.connections.fetch_add(1, Ordering::SeqCst);
                let place = Place(Arc::clone(shared));
                if count >= CONNECTIONS_MAX {
                    continue;
                }
                let spawned = std::thread::Builder::new()
                    .name("stub-connection".to_owned())
                    .spawn(move || serve(&place.0, stream));
                // The place goes with the closure that could not be run.
                drop(spawned);
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
    while shared.connections.load(Ordering::SeqCst) > 0 {
        std::thread::sleep(POLL);
    }
}

/// One of the connections there may be, until dropped.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

fn serve(shared: &Shared, stream: TcpStream) {
    let alive = || !shared.stopped.load(Ordering::SeqCst);
    let Ok(mut connection) = Connection::new(stream, &alive) else {
        return;
    };
    loop {
        let sent = match connection.request() {
            Ok(request) => {
                let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
                if number == 1 && shared.time.from_first_request {
                    shared.time.clock.set(0);
                    shared.begun.store(true, Ordering::SeqCst);
                }
                if let Some(Hook(hook)) = shared.hook.get() {
                    hook(number);
                }
                let (status, body) = answer(shared, &request);
                send(&mut connection, status, &body, request.keep_alive)
                    .map(|()| request.keep_alive)
            }
            Err(NoRequest::Status(status)) => {
                send(&mut connection, status, &Body::default(), false).map(|()| false)
            }
            Err(NoRequest::Ended | NoRequest::Stopped) => Ok(false),
        };
        match sent {
            Ok(true) => {}
            Ok(false) => return connection.close(),
            Err(Broken) => return,
        }
    }
}

fn answer(shared: &Shared, http: &HttpRequest) -> (u16, Body) {
    match (http.path.as_str(), http.method.as_str()) {
        (PATH, "POST") => {}
        (PATH, _) => return (405, Body::default()),
        _ => return (404, Body::default()),
    }
    let body = match Request::parse(&http.body) {
        Ok(request) => {
            let asked = SeedAsked {
                seed: &shared.seed,
                awake: shared.is_awake(),
                uptime_seconds: shared.started.elapsed().as_secs(),
            };
            request.answer_by(|field| asked.resolve(field))
        }
        Err(error) => errors(&error.0, None),
    };
    (200, body)
}

fn send(
    connection: &mut Connection<'_>,
    status: u16,
    body: &Body,
    keep_alive: bool,
) -> Result<(), Broken> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: {}\r\n\r\n",
        if status == 200 { "OK" } else { "Error" },
        body.len(),
        if keep_alive { "keep-alive" } else { "close" }
    );
    connection.send(head.as_bytes())?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut position = 0;
    loop {
        let count = body.read_at(position, &mut piece).map_err(|_| Broken)?;
        if count == 0 {
            return Ok(());
        }
        connection.send(&piece[..count])?;
        position += count as u64;
    }
}
