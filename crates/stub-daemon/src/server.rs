//! A daemon on a socket.

mod connection;
mod hooks;
mod peer;
mod seed;
mod send;
mod state;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::body::Body;
use crate::clock::Clock;
use crate::error::StubError;
use crate::graphql::{Asked, Request, errors};
use crate::scenario::{Action, ChosenFault, Faults};
use crate::world::World;
use connection::{Connection, HttpRequest, NoRequest};
use hooks::Hook;
pub use hooks::{HookEvent, RequestLog};
pub use seed::{SeedDaemon, SeedTime};
use send::{End, Event, Reply};
use state::{Shared, Wanted};

/// The only path there is.
const PATH: &str = "/graphql";

/// Most connections at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 64;

/// How often the listener looks for connections and orders.
const POLL: Duration = Duration::from_millis(2);

/// How long [`StubDaemon::kill`] and [`StubDaemon::restart`] wait for the listener.
const CONTROL_TIME: Duration = Duration::from_secs(10);

/// A daemon on a socket, until dropped.
#[derive(Debug)]
pub struct StubDaemon {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl StubDaemon {
    /// Starts the daemon at position `daemon` of the scenario on its address.
    ///
    /// # Errors
    ///
    /// Fails when the scenario has no such daemon, or its address cannot be listened on.
    pub fn start(world: Arc<World>, daemon: usize, clock: Clock) -> Result<Self, StubError> {
        let Some(spec) = world.scenario().daemons.get(daemon) else {
            return Err(StubError::UnknownDaemon {
                name: format!("number {daemon}"),
            });
        };
        let wanted = spec.listen;
        let error = |source| StubError::Listen {
            address: wanted,
            source,
        };
        let listener = listen(wanted).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        let shared = Arc::new(Shared::new(world, daemon, clock, address));
        let supervised = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("stub-daemon".to_owned())
            .spawn(move || supervise(&supervised, listener))
            .map_err(error)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Name in the scenario.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.world.scenario().daemons[self.shared.daemon].name
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Where to send queries.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.shared.address)
    }

    /// Stops listening and resets every connection. New connections are refused when this returns;
    /// open ones end within some milliseconds.
    pub fn kill(&self) {
        self.shared.kill(None);
        self.shared.wait_listening(false, CONTROL_TIME);
    }

    /// Listens again on the same port; says whether that worked.
    pub fn restart(&self) -> bool {
        self.shared.want(Wanted::Up);
        self.shared.wait_listening(true, CONTROL_TIME)
    }

    /// Whether it listens.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.shared.is_listening()
    }

    /// Every request so far with what became of it, in order of arrival; at most the last ten
    /// thousand.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestLog> {
        self.shared.requests()
    }

    /// How many requests so far asked for a field.
    #[must_use]
    pub fn request_count(&self, operation: &str) -> usize {
        let asks = |request: &&RequestLog| request.fields.iter().any(|field| field == operation);
        self.requests().iter().filter(asks).count()
    }

    /// The most `fork_config` requests that were being answered at the same time.
    #[must_use]
    pub fn concurrent_heavy_max(&self) -> usize {
        self.shared.heavy_max()
    }

    /// Calls `hook` while a request for the field `operation` is answered, when the header and
    /// `at_byte` bytes of the body have been handed to the operating system (all of them, if the
    /// body is shorter), and before any fault at the same byte. `nth` counts such requests from 1;
    /// without it every one calls.
    ///
    /// The answer goes on when the hook returns.
    pub fn on_request(
        &self,
        operation: &str,
        nth: Option<u64>,
        at_byte: u64,
        hook: impl Fn(&HookEvent) + Send + Sync + 'static,
    ) {
        self.shared.add_hook(Hook {
            operation: operation.to_owned(),
            nth,
            at_byte,
            call: Arc::new(hook),
        });
    }

    /// Replaces the fault script; its counts begin anew.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.set_faults(ChosenFault::new(faults));
    }

    /// Lets every stalled answer go on.
    pub fn release_stalls(&self) {
        self.shared.release_stalls();
    }
}

impl Drop for StubDaemon {
    fn drop(&mut self) {
        self.shared.want(Wanted::Stop);
        self.shared.release_stalls();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Listens as long as it is wanted, and returns when no connection is left.
fn supervise(shared: &Arc<Shared>, listener: TcpListener) {
    let mut listener = Some(listener);
    loop {
        match (shared.wanted(), listener.take()) {
            (Wanted::Stop, open) => {
                drop(open);
                shared.set_listening(false);
                while shared.connections.load(Ordering::SeqCst) > 0 {
                    std::thread::sleep(POLL);
                }
                return;
            }
            (Wanted::Down(until), open) => {
                if open.is_some() {
                    drop(open);
                    shared.set_listening(false);
                }
                if until.is_some_and(|until| Instant::now() >= until) {
                    shared.want(Wanted::Up);
                } else {
                    std::thread::sleep(POLL);
                }
            }
            (Wanted::Up, None) => match listen(shared.address) {
                Ok(open) => {
                    listener = Some(open);
                    shared.set_listening(true);
                }
                // Somebody else has the port; it may become free.
                Err(_) => std::thread::sleep(POLL),
            },
            (Wanted::Up, Some(open)) => {
                // A kill after this line ends a connection accepted below.
                let life = shared.life();
                match open.accept() {
                    Ok((stream, _)) => begin(shared, stream, life),
                    Err(_) => std::thread::sleep(POLL),
                }
                listener = Some(open);
            }
        }
    }
}

/// One of the connections there may be, until dropped: also when a hook panics.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

fn begin(shared: &Arc<Shared>, stream: TcpStream, life: u64) {
    if shared.connections.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
        shared.connections.fetch_sub(1, Ordering::SeqCst);
        return;
    }
    let place = Place(Arc::clone(shared));
    let spawned = std::thread::Builder::new()
        .name("stub-connection".to_owned())
        .spawn(move || serve(&place.0, stream, life));
    // The place goes with the closure that could not be run.
    drop(spawned);
}

/// Answers the requests of a connection until it ends.
fn serve(shared: &Shared, stream: TcpStream, life: u64) {
    let alive = || shared.life() == life;
    let Ok(mut connection) = Connection::new(stream, &alive) else {
        return;
    };
    loop {
        let request = match connection.request() {
            Ok(request) => request,
            Err(NoRequest::Ended) => return connection.close(),
            Err(NoRequest::Stopped) => return,
            Err(NoRequest::Status(status)) => {
                let mut reply = Reply::status(status);
                reply.keep_alive = false;
                reply.send(&mut connection, shared, None);
                return connection.close();
            }
        };
        let keep_alive = request.keep_alive;
        match answer(shared, &mut connection, &request) {
            End::Complete if keep_alive => {}
            End::Complete | End::Close => return connection.close(),
            End::Reset => return connection.reset(),
        }
    }
}

fn answer(shared: &Shared, connection: &mut Connection<'_>, http: &HttpRequest) -> End {
    let parsed = match (http.path.as_str(), http.method.as_str()) {
        (PATH, "POST") => {
            Request::parse(&http.body).map_err(|error| Reply::json(errors(&error.0, None)))
        }
        (PATH, _) => {
            let mut reply = Reply::status(405);
            reply.header = "Allow: POST\r\n".to_owned();
            Err(reply)
        }
        _ => Err(Reply::status(404)),
    };
    let fields = parsed
        .as_ref()
        .map(Request::field_names)
        .unwrap_or_default();
    let heavy = fields.iter().any(|field| field == "fork_config");
    let heavy = heavy.then(|| shared.enter_heavy(connection.ends()));
    let hooks = shared.count(&fields);
    let fault = shared.next_fault(&fields);
    let slot = shared.clock.slot();
    let mut reply = match &parsed {
        Ok(request) => reply(shared, request, slot, fault.as_ref()),
        Err(_) => None,
    };
    if let Err(refusal) = parsed {
        reply = Some(refusal);
    }
    let number = shared.log(RequestLog {
        fields,
        slot,
        status: reply.as_ref().map_or(0, |reply| reply.status),
        fault: fault.clone(),
        body_bytes: 0,
        complete: false,
    });
    let Some(mut reply) = reply else {
        return End::Reset;
    };
    reply.keep_alive = http.keep_alive;
    reply.events = hooks;
    if let Some(action) = fault {
        happens(&mut reply, &action);
    }
    let sent = reply.send(connection, shared, heavy);
    shared.log_end(number, sent.body_bytes, sent.end == End::Complete);
    sent.end
}

/// The answer, or a lie in its place; `None` is no answer at all.
fn reply(shared: &Shared, request: &Request, slot: u32, fault: Option<&Action>) -> Option<Reply> {
    let asked = Asked {
        world: &shared.world,
        daemon: shared.daemon,
        slot,
        uptime_seconds: shared.started.elapsed().as_secs(),
        view: shared.world.view(shared.daemon, slot),
        wrong_block: fault == Some(&Action::WrongBlock),
        wrong_ledger: fault == Some(&Action::WrongLedger),
    };
    let mut reply = match fault {
        Some(Action::ResetBeforeHeader) => return None,
        Some(Action::Status(status)) => {
            let mut reply = Reply::status(status.code);
            if let Some(seconds) = status.retry_after {
                reply.header = format!("Retry-After: {seconds}\r\n");
            }
            reply
        }
        Some(Action::NullData) => Reply::json(request.answer_with(&Value::Null)),
        Some(Action::ErrorInData(error)) => {
            Reply::json(request.answer_with(&json!({ "error": error.message })))
        }
        Some(Action::GraphqlErrors(error)) => Reply::json(errors(&error.message, None)),
        Some(Action::NotJson) => {
            let page = "<html><body><h1>It works!</h1></body></html>\n";
            Reply::new(200, "text/html", Body::from_bytes(page))
        }
        Some(
            Action::Reset(_)
            | Action::Stall(_)
            | Action::Truncate(_)
            | Action::Corrupt(_)
            | Action::WrongLedger
            | Action::WrongBlock
            | Action::Slow(_)
            | Action::Kill(_),
        )
        | None => Reply::json(request.answer(&asked)),
    };
    reply.chunked = shared.world.scenario().daemons[shared.daemon].chunked;
    Some(reply)
}

/// Plans what a fault does while the answer is sent.
fn happens(reply: &mut Reply, action: &Action) {
    match action {
        Action::Reset(reset) => reply.events.push((reset.after, Event::Reset)),
        Action::Truncate(truncate) => reply.events.push((truncate.after, Event::Truncate)),
        Action::Kill(kill) => reply.events.push((kill.after, Event::Kill(*kill))),
        Action::Stall(stall) => {
            let time = stall.seconds.map(Duration::from_secs);
            reply.events.push((stall.after, Event::Stall(time)));
        }
        Action::Corrupt(corrupt) => reply.corrupt = Some((corrupt.at, corrupt.mask)),
        Action::Slow(slow) => reply.bytes_per_second = Some(slow.bytes_per_second),
        Action::ResetBeforeHeader
        | Action::Status(_)
        | Action::NullData
        | Action::ErrorInData(_)
        | Action::GraphqlErrors(_)
        | Action::NotJson
        | Action::WrongLedger
        | Action::WrongBlock => {}
    }
}
