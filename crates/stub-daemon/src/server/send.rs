//! Sending an answer, with what happens at certain bytes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Broken, Connection, LOOK};
use super::hooks::HookEvent;
use super::state::{Heavy, Shared};
use crate::body::{Body, PIECE_BYTES};
use crate::scenario::KillAction;

/// Pieces per second of a slow answer.
const SLOW_PIECES_PER_SECOND: u64 = 20;

/// An answer and what is to happen to it.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// Further header lines, each with its line end.
    pub(super) header: String,
    pub(super) body: Body,
    pub(super) chunked: bool,
    pub(super) keep_alive: bool,
    /// What happens at which byte of the body.
    pub(super) events: Vec<(u64, Event)>,
    pub(super) corrupt: Option<(u64, u8)>,
    pub(super) bytes_per_second: Option<u64>,
}

/// Something that happens when a number of bytes has been sent.
pub(super) enum Event {
    Hook(Arc<dyn Fn(&HookEvent) + Send + Sync>, HookEvent),
    Stall(Option<Duration>),
    Reset,
    Truncate,
    Kill(KillAction),
}

/// How sending ended.
pub(super) struct Sent {
    pub(super) body_bytes: u64,
    pub(super) end: End,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything was sent.
    Complete,
    /// Reset it.
    Reset,
    /// End it in order.
    Close,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &'static str, body: Body) -> Self {
        Self {
            status,
            content_type,
            header: String::new(),
            body,
            chunked: false,
            keep_alive: true,
            events: Vec::new(),
            corrupt: None,
            bytes_per_second: None,
        }
    }

    pub(super) fn json(body: Body) -> Self {
        Self::new(200, "application/json", body)
    }

    /// An answer that says nothing but its status.
    pub(super) fn status(status: u16) -> Self {
        let text = format!("{status} {}\n", reason(status));
        Self::new(status, "text/plain", Body::from_bytes(text))
    }

    fn head(&self) -> String {
        let Self {
            status,
            content_type,
            header,
            ..
        } = self;
        let length = if self.chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", self.body.len())
        };
        let connection = if self.keep_alive {
            "keep-alive"
        } else {
            "close"
        };
        format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\n{length}\r\n{header}\
             Connection: {connection}\r\n\r\n",
            reason(*status)
        )
    }

    /// Sends it; memory does not grow with the body. `heavy` ends before the last bytes go out: who
    /// has them may ask again at once.
    pub(super) fn send(
        mut self,
        connection: &mut Connection<'_>,
        shared: &Shared,
        mut heavy: Option<Heavy<'_>>,
    ) -> Sent {
        let mut position = 0;
        let end = self.send_counted(connection, shared, &mut position, &mut heavy);
        Sent {
            body_bytes: position,
            end: end.unwrap_or(End::Reset),
        }
    }

    fn send_counted(
        &mut self,
        connection: &mut Connection<'_>,
        shared: &Shared,
        position: &mut u64,
        heavy: &mut Option<Heavy<'_>>,
    ) -> Result<End, Broken> {
        let total = self.body.len();
        // What is to happen after the end happens at the end.
        for (at, event) in &mut self.events {
            *at = total.min(*at);
            if let Event::Hook(_, event) = event {
                event.body_bytes = *at;
            }
        }
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|(at, _)| *at);
        let mut events = events.into_iter().peekable();
        connection.send(self.head().as_bytes())?;
        let mut piece = vec![0; PIECE_BYTES];
        let piece_max = match self.bytes_per_second {
            Some(rate) => (rate / SLOW_PIECES_PER_SECOND).max(1),
            None => PIECE_BYTES as u64,
        };
        loop {
            while let Some((_, event)) = events.next_if(|(at, _)| *at == *position) {
                if let Some(end) = happen(event, connection, shared) {
                    return Ok(end);
                }
            }
            if *position == total {
                break;
            }
            let next = events.peek().map_or(total, |(at, _)| *at);
            let wanted = (next - *position).min(piece_max).min(PIECE_BYTES as u64);
            // At most the length of a piece, so it fits.
            let wanted = usize::try_from(wanted).unwrap_or(PIECE_BYTES);
            let count = self
                .body
                .read_at(*position, &mut piece[..wanted])
                .map_err(|_| Broken)?;
            let bytes = &mut piece[..count];
            self.damage(*position, bytes);
            if *position + count as u64 == total {
                *heavy = None;
            }
            if self.chunked {
                connection.send(format!("{count:x}\r\n").as_bytes())?;
            }
            connection.send(bytes)?;
            if self.chunked {
                connection.send(b"\r\n")?;
            }
            *position += count as u64;
            if let Some(rate) = self.bytes_per_second {
                let time = Duration::from_secs_f64(count as f64 / rate as f64);
                pause(time, connection)?;
            }
        }
        if self.chunked {
            connection.send(b"0\r\n\r\n")?;
        }
        Ok(End::Complete)
    }

    /// Turns over the bits of the one byte that is to be wrong.
    fn damage(&self, position: u64, bytes: &mut [u8]) {
        if let Some((at, mask)) = self.corrupt
            && let Some(offset) = at.checked_sub(position)
            && let Ok(offset) = usize::try_from(offset)
            && let Some(byte) = bytes.get_mut(offset)
        {
            *byte ^= mask;
        }
    }
}

fn happen(event: Event, connection: &Connection<'_>, shared: &Shared) -> Option<End> {
    match event {
        Event::Hook(hook, event) => {
            hook(&event);
            None
        }
        Event::Stall(time) => {
            shared.stall(time, connection);
            (!connection.is_wanted()).then_some(End::Reset)
        }
        Event::Reset => Some(End::Reset),
        Event::Truncate => Some(End::Close),
        Event::Kill(kill) => {
            shared.kill(kill.restart_after.map(Duration::from_secs));
            Some(End::Reset)
        }
    }
}

/// Sleeps, but not through the end of the daemon.
fn pause(time: Duration, connection: &Connection<'_>) -> Result<(), Broken> {
    let since = Instant::now();
    while let Some(rest) = time.checked_sub(since.elapsed()) {
        if !connection.is_alive() {
            return Err(Broken);
        }
        std::thread::sleep(rest.min(LOOK));
    }
    Ok(())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}
