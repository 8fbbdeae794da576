//! The agents before the gateway: one thread a connection.

use std::{
    fmt, fs,
    io::Write,
    net::TcpStream,
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{Result, http::Messages};

/// What in a request a word stands for that was never sent before, so that no text is known already.
const FRESH: &[u8] = b"############";

/// What to send, where, how fast and how long.
pub struct Plan {
    address: String,
    request: Vec<u8>,
    connections: u32,
    length: Duration,
    /// Requests a second over all connections; 0 for as many as it can.
    rate: f64,
    /// Where the fresh word begins, if there is one, and the number of the first.
    fresh: Option<usize>,
    first: u64,
}

impl Plan {
    /// Reads the arguments.
    pub fn read(
        address: &str,
        file: &str,
        connections: &str,
        seconds: &str,
        rate: &str,
    ) -> Result<Self> {
        let request = fs::read(file)?;
        Ok(Self {
            address: address.to_owned(),
            fresh: request.windows(FRESH.len()).position(|at| at == FRESH),
            first: SystemTime::UNIX_EPOCH.elapsed()?.as_micros().try_into()?,
            request,
            connections: connections.parse()?,
            length: Duration::try_from_secs_f64(seconds.parse()?)?,
            rate: rate.parse()?,
        })
    }

    /// Puts the fresh word of a number into a request.
    fn freshen(&self, request: &mut [u8], number: u64) {
        let mut rest = self.first + number;
        for at in self.fresh.into_iter().flat_map(|at| at..at + FRESH.len()) {
            request[at] = b'a' + (rest % 26) as u8;
            rest /= 26;
        }
    }
}

/// What came of it.
pub struct Outcome {
    latencies: Vec<Duration>,
    failures: u64,
    took: Duration,
}

/// Sends by the plan and waits for every answer.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let began = Instant::now();
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.connections)
            .map(|nth| scope.spawn(move || send(plan, nth, began)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread ended early")?)
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Outcome::of(parts, began.elapsed()))
}

impl Outcome {
    /// What each connection saw, together.
    pub fn of(parts: Vec<(Vec<Duration>, u64)>, took: Duration) -> Self {
        let failures = parts.iter().map(|(_, failures)| failures).sum();
        let mut latencies: Vec<_> = parts
            .into_iter()
            .flat_map(|(latencies, _)| latencies)
            .collect();
        latencies.sort_unstable();
        Self {
            latencies,
            failures,
            took,
        }
    }
}

fn send(plan: &Plan, nth: u32, began: Instant) -> Result<(Vec<Duration>, u64)> {
    let connection = TcpStream::connect(&plan.address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut answers = Messages::new(&connection);
    let mut to = &connection;
    let (mut latencies, mut failures) = (Vec::new(), 0);
    let mut request = plan.request.clone();
    for turn in 0_u64.. {
        let place = turn * u64::from(plan.connections) + u64::from(nth);
        plan.freshen(&mut request, place);
        let due = if plan.rate > 0.0 {
            began + Duration::from_secs_f64(place as f64 / plan.rate)
        } else {
            Instant::now()
        };
        if due >= began + plan.length {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        to.write_all(&request)?;
        match answers.next()?.as_deref() {
            Some("200") => latencies.push(due.elapsed()),
            Some(_) => failures += 1,
            None => return Err("the gateway closed the connection".into()),
        }
    }
    Ok((latencies, failures))
}

impl fmt::Display for Outcome {
    /// One JSON object.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.latencies.len();
        let ms = |share: f64| {
            let at = ((count as f64 * share) as usize).min(count.saturating_sub(1));
            self.latencies
                .get(at)
                .map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        let (failures, seconds) = (self.failures, self.took.as_secs_f64());
        write!(
            f,
            r#"{{"requests":{count},"failures":{failures},"seconds":{seconds:.4},"p50_ms":{:.4},"p99_ms":{:.4}}}"#,
            ms(0.5),
            ms(0.99)
        )
    }
}
