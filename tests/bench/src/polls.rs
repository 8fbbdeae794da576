//! Many long polls that wait, and the changes that wake them.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::{Result, http::Messages, load::Outcome, once::split};

/// How long the polls have to come in before a change is made.
const COME_IN: Duration = Duration::from_millis(1_500);

/// A thread only sends and reads.
const STACK_BYTES: usize = 256 * 1024;

/// Sends the polls of the first file, each over a connection of its own, and while they wait the
/// changes of the second: the n-th change answers the n-th poll of every connection. Latency is from
/// before a change is sent to when each poll has its whole answer.
pub fn run(address: &str, polls: &str, changes: &str, connections: &str) -> Result<Outcome> {
    let polls = split(&fs::read(polls)?)?;
    let changes = split(&fs::read(changes)?)?;
    let connections: usize = connections.parse()?;
    if polls.len() != changes.len() {
        return Err("as many polls as changes are wanted".into());
    }
    let turn = Barrier::new(connections + 1);
    let began = Instant::now();
    let (sent, answered) = thread::scope(|scope| -> Result<_> {
        let mut threads = Vec::new();
        for _ in 0..connections {
            let wait = || wait(address, &polls, &turn);
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            threads.push(builder.spawn_scoped(scope, wait)?);
        }
        let sent = change(address, &changes, &turn)?;
        let answered = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread ended early")?)
            .collect::<Result<Vec<Vec<Instant>>>>()?;
        Ok((sent, answered))
    })?;
    let latencies = answered
        .iter()
        .flat_map(|answered| answered.iter().zip(&sent))
        .map(|(answered, sent)| answered.duration_since(*sent))
        .collect();
    Ok(Outcome::of(vec![(latencies, 0)], began.elapsed()))
}

fn change(address: &str, changes: &[Vec<u8>], turn: &Barrier) -> Result<Vec<Instant>> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let mut answers = Messages::new(connection.try_clone()?);
    let mut sent = Vec::new();
    for change in changes {
        turn.wait();
        thread::sleep(COME_IN);
        sent.push(Instant::now());
        connection.write_all(change)?;
        if answers.next()?.as_deref() != Some("200") {
            return Err("a change was refused".into());
        }
    }
    turn.wait();
    Ok(sent)
}

fn wait(address: &str, polls: &[Vec<u8>], turn: &Barrier) -> Result<Vec<Instant>> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let mut answers = Messages::new(connection.try_clone()?);
    let mut answered = Vec::new();
    for poll in polls {
        turn.wait();
        connection.write_all(poll)?;
        if answers.next()?.as_deref() != Some("200") {
            return Err("a poll was refused".into());
        }
        answered.push(Instant::now());
    }
    // Nobody ends while others still wait for the last: a thousand threads that do cost time.
    turn.wait();
    Ok(answered)
}
