//! A registry in memory that notes what it is asked and can be told to misbehave. One request per
//! connection.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use fork_package::oci::Digest;

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
}

impl Request {
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What to do with a request instead of what is right.
pub enum Twist {
    /// Answer so.
    Answer(Answer),
    /// Answer as is right, and hang up after so many bytes of the body.
    Cut(usize),
    /// Read so many bytes of the body, then hang up.
    HangUp(usize),
    /// Say and read nothing until the other side gives up.
    Silent,
    /// Send the head of this answer and this much of it, then nothing more.
    Stall(Answer, usize),
    /// Send the body again and again, without saying how long it is.
    Endless(Answer),
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Answer {
        status,
        headers: headers.iter().map(pair).collect(),
        body: body.into(),
    }
}

type Twister = Box<dyn FnMut(&Request) -> Option<Twist> + Send>;

#[derive(Default)]
pub struct State {
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// By tag and by digest: type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// Methods and paths in order.
    pub log: Vec<String>,
    /// Whether it keeps its own list of what is attached.
    pub referrers: bool,
    /// Whether it sends parts of blobs.
    pub ranges: bool,
    twist: Option<Twister>,
    kept: Vec<TcpStream>,
}

#[derive(Clone)]
pub struct Fake {
    pub address: String,
    pub state: Arc<Mutex<State>>,
}

impl Fake {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let fake = Self {
            address,
            state: Arc::new(Mutex::new(State {
                ranges: true,
                ..State::default()
            })),
        };
        let served = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                // A client that is gone is no error of this server.
                std::thread::spawn(move || served.serve(stream).ok());
            }
        });
        fake
    }

    pub fn twist(&self, twist: impl FnMut(&Request) -> Option<Twist> + Send + 'static) {
        self.state.lock().unwrap().twist = Some(Box::new(twist));
    }

    pub fn straight(&self) {
        self.state.lock().unwrap().twist = None;
    }

    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn put(&self, name: &str, kind: &str, body: &[u8]) -> Digest {
        let digest = Digest::of(body);
        let mut state = self.state.lock().unwrap();
        let value = (kind.to_owned(), body.to_vec());
        state.manifests.insert(digest.to_string(), value.clone());
        state.manifests.insert(name.to_owned(), value);
        digest
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let Some(request) = head(&mut reader)? else {
            return Ok(());
        };
        let twist = {
            let mut state = self.state.lock().unwrap();
            state
                .log
                .push(format!("{} {}", request.method, request.path));
            let mut twister = state.twist.take();
            let twist = twister.as_mut().and_then(|twist| twist(&request));
            state.twist = twister;
            twist
        };
        let bytes: usize = request
            .header("content-length")
            .map_or(0, |text| text.parse().unwrap());
        let mut body = Vec::new();
        match &twist {
            Some(Twist::HangUp(count)) => {
                (&mut reader).take(*count as u64).read_to_end(&mut body)?;
                return Ok(());
            }
            Some(Twist::Silent) => {
                // Kept open for the rest of the test and not read, so that its buffers fill up.
                self.state.lock().unwrap().kept.push(stream);
                return Ok(());
            }
            _ => (&mut reader).take(bytes as u64).read_to_end(&mut body)?,
        };
        match twist {
            Some(Twist::Answer(answer)) => send(&stream, &request, &answer, usize::MAX),
            Some(Twist::Cut(after)) => send(&stream, &request, &self.right(&request, body), after),
            Some(Twist::Stall(answer, after)) => {
                send(&stream, &request, &answer, after)?;
                reader.read_to_end(&mut Vec::new()).map(drop)
            }
            Some(Twist::Endless(answer)) => endless(&stream, &answer),
            _ => send(&stream, &request, &self.right(&request, body), usize::MAX),
        }
    }

    /// What a registry would answer.
    fn right(&self, request: &Request, body: Vec<u8>) -> Answer {
        let mut state = self.state.lock().unwrap();
        let last = request.path.rsplit('/').next().unwrap().to_owned();
        let missing = || {
            let text = r#"{"errors":[{"code":"UNKNOWN","message":"not here"}]}"#;
            answer(404, &[], text)
        };
        match request.method.as_str() {
            "GET" | "HEAD" if request.path.contains("/manifests/") => {
                match state.manifests.get(&last) {
                    Some((kind, bytes)) => {
                        let digest = Digest::of(bytes).to_string();
                        let headers = [
                            ("content-type", kind.as_str()),
                            ("docker-content-digest", &digest),
                        ];
                        answer(200, &headers, bytes.clone())
                    }
                    None => missing(),
                }
            }
            "GET" | "HEAD" if request.path.contains("/blobs/") => {
                let Some(bytes) = state.blobs.get(&last) else {
                    return missing();
                };
                let range = request.header("range").filter(|_| state.ranges);
                let from = range.and_then(|text| text.strip_prefix("bytes=")?.strip_suffix('-'));
                match from.map(|text| text.parse::<usize>().unwrap()) {
                    Some(from) => {
                        let value = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                        answer(206, &[("content-range", &value)], &bytes[from..])
                    }
                    None => answer(200, &[], bytes.clone()),
                }
            }
            "GET" if request.path.contains("/referrers/") && state.referrers => {
                let about = |bytes: &[u8]| {
                    let manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                    manifest["subject"]["digest"] == last.as_str()
                };
                let listed = state
                    .manifests
                    .iter()
                    .filter(|(_, (_, bytes))| about(bytes));
                let entries: Vec<_> = listed
                    .map(|(name, (kind, bytes))| {
                        serde_json::json!({"mediaType": kind, "digest": name, "size": bytes.len()})
                    })
                    .collect();
                let index = serde_json::json!({"schemaVersion": 2, "manifests": entries});
                answer(200, &[], index.to_string())
            }
            "POST" => answer(
                202,
                &[("location", &format!("{}x?state=1", request.path))],
                "",
            ),
            "PUT" if request.path.contains("/blobs/uploads/") => {
                let (_, digest) = request.query.split_once("digest=").unwrap();
                let digest = digest.replace("%3A", ":");
                if Digest::of(&body).to_string() != digest {
                    return answer(400, &[], r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
                }
                state.blobs.insert(digest, body);
                answer(201, &[], "")
            }
            "PUT" if request.path.contains("/manifests/") => {
                let kind = request.header("content-type").unwrap().to_owned();
                let manifest: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let subject = manifest["subject"]["digest"].as_str().map(str::to_owned);
                state
                    .manifests
                    .insert(Digest::of(&body).to_string(), (kind.clone(), body.clone()));
                state.manifests.insert(last, (kind, body));
                match subject.filter(|_| state.referrers) {
                    Some(subject) => answer(201, &[("oci-subject", &subject)], ""),
                    None => answer(201, &[], ""),
                }
            }
            _ => missing(),
        }
    }
}

fn head(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap().to_owned();
    let target = words.next().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: BTreeMap::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            return Ok(Some(request));
        };
        request
            .headers
            .insert(name.to_lowercase(), value.trim().to_owned());
    }
}

fn send(
    mut stream: &TcpStream,
    request: &Request,
    answer: &Answer,
    cut_after: usize,
) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !answer
        .headers
        .iter()
        .any(|(name, _)| name == "content-length")
    {
        text.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body[..answer.body.len().min(cut_after)])?;
    }
    Ok(())
}

fn endless(mut stream: &TcpStream, answer: &Answer) -> std::io::Result<()> {
    let kind = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!(
        "HTTP/1.1 {} X\r\n{}transfer-encoding: chunked\r\n\r\n",
        answer.status,
        kind.collect::<String>()
    );
    stream.write_all(head.as_bytes())?;
    loop {
        stream.write_all(format!("{:x}\r\n", answer.body.len()).as_bytes())?;
        stream.write_all(&answer.body)?;
        stream.write_all(b"\r\n")?;
    }
}
