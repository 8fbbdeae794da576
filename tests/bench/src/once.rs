//! Many requests, each sent once: what can only be asked once cannot be sent over and over.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{Result, http::Messages, load::Outcome};

/// Sends every request of the file (each after a line that says its length in bytes) over that many
/// connections, as fast as they are answered.
pub fn run(address: &str, file: &str, connections: &str) -> Result<Outcome> {
    let requests = split(&fs::read(file)?)?;
    let connections: usize = connections.parse()?;
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| send(address, &requests, &next)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread ended early")?)
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Outcome::of(parts, began.elapsed()))
}

/// The requests of a file.
pub fn split(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let line = line.ok_or("a line with a length is wanted")?;
        let length: usize = std::str::from_utf8(&bytes[..line])?.parse()?;
        let rest = &bytes[line + 1..];
        let request = rest.get(..length).ok_or("the file is cut off")?;
        requests.push(request.to_vec());
        bytes = &rest[length..];
    }
    Ok(requests)
}

fn send(
    address: &str,
    requests: &[Vec<u8>],
    next: &AtomicUsize,
) -> Result<(Vec<Duration>, u64)> {
    let connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut answers = Messages::new(&connection);
    let mut to = &connection;
    let (mut latencies, mut failures) = (Vec::new(), 0);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let sent = Instant::now();
        to.write_all(request)?;
        match answers.next()?.as_deref() {
            Some("200" | "201") => latencies.push(sent.elapsed()),
            Some(_) => failures += 1,
            None => return Err("the connection was closed".into()),
        }
    }
    Ok((latencies, failures))
}
