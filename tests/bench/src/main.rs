//! Loads a gateway over HTTP/1.1 and stands behind it as its upstream.
//!
//!     clampd-bench upstream ADDRESS
//!     clampd-bench load ADDRESS REQUEST_FILE CONNECTIONS SECONDS RATE
//!     clampd-bench once ADDRESS REQUESTS_FILE CONNECTIONS
//!     clampd-bench polls ADDRESS POLLS_FILE CHANGES_FILE CONNECTIONS
//!
//! `load` sends the bytes of the file over and over, with a new word each time in the place of twelve
//! `#`, and prints one JSON object. With RATE 0 every
//! connection sends again as soon as it has its answer; else requests are due at fixed moments and
//! latency counts from the moment a request was due, so that a stall is not hidden by waiting.
//! `once` sends each request of a file a single time; `polls` keeps long polls waiting and times how
//! changes wake them. What to compare and how often is left to `bench.py` and `control.py`.

mod http;
mod load;
mod once;
mod polls;
mod upstream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["upstream", address] => upstream::serve(address),
        ["load", address, file, connections, seconds, rate] => {
            load::Plan::read(address, file, connections, seconds, rate).and_then(|plan| {
                println!("{}", load::run(&plan)?);
                Ok(())
            })
        }
        ["once", address, file, connections] => {
            once::run(address, file, connections).map(|outcome| println!("{outcome}"))
        }
        ["polls", address, polls, changes, connections] => {
            polls::run(address, polls, changes, connections).map(|outcome| println!("{outcome}"))
        }
        _ => Err("usage: see the beginning of src/main.rs".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clampd-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
