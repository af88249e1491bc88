//! A Prometheus text endpoint.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

/// Type of what `/metrics` answers.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Connections served at the same time: a few scrapers and a probe. More are closed unanswered.
const CONNECTIONS_MAX: usize = 32;

/// Time for a request's header to arrive, and for a connection that is kept to ask again.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which a connection is closed whatever it does: one that never takes its answer must
/// not keep its place.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);

/// Largest request header in bytes; the library takes no less.
const HEADER_BYTES_MAX: usize = 8192;

/// Pause after a connection could not be accepted, which is for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

type Text = Arc<dyn Fn() -> String + Send + Sync>;

/// Answers `GET /metrics` on `address` with what `text` gives, until the process ends; returns the
/// address it really listens on (port 0 means any). `GET /healthz` is answered with `ok`.
///
/// `text` is called on a thread of the runtime: it must not block.
///
/// # Errors
///
/// Fails when the address cannot be listened on.
pub fn serve_metrics(address: SocketAddr, text: Text) -> std::io::Result<SocketAddr> {
    let runtime = crate::runtime::runtime()?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let address = listener.local_addr()?;
    runtime.spawn(accept(listener, text));
    Ok(address)
}

async fn accept(listener: TcpListener, text: Text) {
    // Every connection holds one, and so does this function: the count is that of the connections.
    let places = Arc::new(());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if Arc::strong_count(&places) > CONNECTIONS_MAX {
            continue;
        }
        let place = places.clone();
        let text = text.clone();
        tokio::spawn(async move {
            // Whoever closed the connection knows why.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, serve(stream, text)).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, text: Text) -> hyper::Result<()> {
    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
        let response = respond(request.method(), request.uri().path(), &text);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

fn respond(method: &Method, path: &str, text: &Text) -> Response<Full<Bytes>> {
    let (status, content_type, body) = match (path, method) {
        ("/metrics", &Method::GET) => (StatusCode::OK, OPENMETRICS, text()),
        ("/healthz", &Method::GET) => (StatusCode::OK, "text/plain", "ok".to_owned()),
        ("/metrics" | "/healthz", _) => (
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "only GET is answered\n".to_owned(),
        ),
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "there are /metrics and /healthz\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn server() -> SocketAddr {
        let calls = AtomicU64::new(0);
        let text = move || format!("calls {}\n# EOF\n", calls.fetch_add(1, Ordering::Relaxed));
        serve_metrics(([127, 0, 0, 1], 0).into(), Arc::new(text)).unwrap()
    }

    fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn answers_what_it_knows() {
        let address = server();
        assert_ne!(address.port(), 0);
        for call in 0..2 {
            let answer = ask(address, "GET /metrics");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(
                answer.contains(&format!("content-type: {OPENMETRICS}\r\n")),
                "{answer}"
            );
            assert!(
                answer.ends_with(&format!("\r\n\r\ncalls {call}\n# EOF\n")),
                "{answer}"
            );
        }
        let answer = ask(address, "GET /healthz");
        assert!(
            answer.contains(" 200 ") && answer.ends_with("\r\n\r\nok"),
            "{answer}"
        );
        assert!(ask(address, "GET /").contains(" 404 "));
        let answer = ask(address, "POST /metrics");
        assert!(
            answer.contains(" 405 ") && answer.contains("allow: GET"),
            "{answer}"
        );
        assert!(ask(address, "HEAD /metrics").contains(" 405 "));
    }

    #[test]
    fn idle_connections_do_not_keep_others_out_for_ever() {
        let address = server();
        let idle: Vec<_> = (0..CONNECTIONS_MAX)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
                stream
            })
            .collect();
        // The one too many is closed without an answer.
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty());
        drop(idle);
        let found = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            answer.starts_with(b"HTTP/1.1 200")
        });
        assert!(found);
    }
}
